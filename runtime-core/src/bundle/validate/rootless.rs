//! Rules for a runtime that runs without root's privileges.

use oci_spec::runtime::{LinuxNamespaceType, Mount, Spec};

use super::{Faults, has_namespace, joins, list};
use crate::bundle::item;
use crate::error::Error;

/// What an unprivileged caller cannot have made of `spec`, besides what
/// [`super::check`] finds.
pub fn check_rootless(spec: &Spec) -> Vec<Error> {
    let mut faults = Faults::default();
    let Some(linux) = spec.linux().as_ref() else {
        needs_user_namespace(&mut faults);
        return faults.0;
    };
    if !has_namespace(spec, LinuxNamespaceType::User) {
        needs_user_namespace(&mut faults);
    } else if !joins(spec, LinuxNamespaceType::User) {
        for (mappings, kind) in [(linux.uid_mappings(), "uid"), (linux.gid_mappings(), "gid")] {
            if list(mappings).is_empty() {
                let pointer = format!("/linux/{kind}Mappings");
                let kind = kind.to_uppercase();
                let message = format!("rootless containers requires at least one {kind} mapping");
                faults.add(pointer, message, "map id 0 of the container to your own");
            }
        }
    }
    if linux.net_devices().as_ref().is_some_and(|devices| !devices.is_empty()) {
        let message = "network devices are not supported for rootless containers";
        faults.add("/linux/netDevices", message, "remove them, or run as root");
    }
    for (index, _) in list(spec.mounts()).iter().enumerate().filter(|(_, m)| is_id_mapped(m)) {
        let message = "id-mapped mounts are not supported for rootless containers";
        faults.add(item("/mounts", index), message, "remove the mappings, or run as root");
    }
    faults.0
}

fn needs_user_namespace(faults: &mut Faults) {
    let message = "rootless container requires user namespaces";
    faults.add("/linux/namespaces", message, "add {\"type\": \"user\"} and mappings");
}

fn is_id_mapped(mount: &Mount) -> bool {
    let asked = |option: &String| {
        let name = option.split('=').next().unwrap_or_default();
        matches!(name, "idmap" | "ridmap")
    };
    let lists = [list(mount.uid_mappings()), list(mount.gid_mappings())];
    lists.iter().any(|list| !list.is_empty()) || list(mount.options()).iter().any(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{parse_spec, template};

    fn says(text: &str) -> Vec<String> {
        let (spec, _) = parse_spec(text.as_bytes()).unwrap();
        let pointers = check_rootless(&spec);
        pointers.iter().filter_map(|fault| fault.pointer().map(str::to_owned)).collect()
    }

    #[test]
    fn the_rootless_template_passes_and_the_other_does_not() {
        assert_eq!(says(&template(Some((1000, 1000)), true)), [""; 0]);
        assert_eq!(says(&template(None, true)), ["/linux/namespaces"]);
        assert_eq!(says("{}"), ["/linux/namespaces"]);
    }

    #[test]
    fn what_needs_root_is_named() {
        assert_eq!(
            says(
                r#"{"mounts":[{"destination":"/a"},{"destination":"/b","options":["idmap=x"]}],
                    "linux":{"namespaces":[{"type":"user"}],"netDevices":{"eth0":{}}}}"#
            ),
            ["/linux/uidMappings", "/linux/gidMappings", "/linux/netDevices", "/mounts/1"]
        );
    }
}
