//! Rules for what is laid over the root file system: masks, propagation, label.

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::{Faults, has_namespace, list, text};
use crate::bundle::{item, member};

/// config-linux.md, Rootfs Mount Propagation, and the recursive forms that
/// engines write.
const PROPAGATION: [&str; 8] =
    ["shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable"];

pub(super) fn rules(spec: &Spec, faults: &mut Faults) {
    let Some(linux) = spec.linux() else { return };
    restricted_paths("maskedPaths", list(linux.masked_paths()), spec, faults);
    restricted_paths("readonlyPaths", list(linux.readonly_paths()), spec, faults);
    propagation(text(linux.rootfs_propagation()), faults);
    mount_label(text(linux.mount_label()), faults);
}

/// config-linux.md, Masked Paths and Readonly Paths: absolute; in the mount
/// namespace of the host they would be laid over the host's.
fn restricted_paths(field: &str, paths: &[String], spec: &Spec, faults: &mut Faults) {
    if paths.is_empty() {
        return;
    }
    let base = || member("/linux", field);
    if !has_namespace(spec, LinuxNamespaceType::Mount) {
        let message = "unable to restrict sys entries without a private MNT namespace";
        faults.add(base(), message, "add {\"type\": \"mount\"} to linux.namespaces");
    }
    for (index, path) in paths.iter().enumerate().filter(|(_, path)| !path.starts_with('/')) {
        let message = format!("path {path:?} is not absolute");
        faults.add(item(&base(), index), message, "give the path from /");
    }
}

fn propagation(value: &str, faults: &mut Faults) {
    if !value.is_empty() && !PROPAGATION.contains(&value) {
        let message = format!("rootfsPropagation={value} is not supported");
        let remedy = "use shared, slave, private or unbindable, with or without a leading r";
        faults.add("/linux/rootfsPropagation", message, remedy);
    }
}

/// The label goes between quotes into mount data.
fn mount_label(label: &str, faults: &mut Faults) {
    if label.contains(|c: char| c == '"' || c.is_control()) {
        let message = "mountLabel contains a quote or control character";
        faults.add("/linux/mountLabel", message, "give the bare SELinux label");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn restricted_paths_need_a_mount_namespace() {
        assert_eq!(
            faults(r#"{"linux":{"maskedPaths":["/a"],"readonlyPaths":["b"]}}"#),
            [
                "/linux/maskedPaths: unable to restrict sys entries without a private MNT \
                 namespace",
                "/linux/readonlyPaths: unable to restrict sys entries without a private MNT \
                 namespace",
                "/linux/readonlyPaths/0: path \"b\" is not absolute",
            ]
        );
    }

    #[test]
    fn propagation_is_one_of_the_known_words() {
        assert_eq!(faults(r#"{"linux":{"rootfsPropagation":"rslave"}}"#), [""; 0]);
        assert_eq!(
            faults(r#"{"linux":{"rootfsPropagation":"sideways"}}"#),
            ["/linux/rootfsPropagation: rootfsPropagation=sideways is not supported"]
        );
    }

    #[test]
    fn a_mount_label_cannot_close_its_quotes() {
        assert_eq!(
            faults(r#"{"linux":{"mountLabel":"a\",exec"}}"#),
            ["/linux/mountLabel: mountLabel contains a quote or control character"]
        );
    }
}
