//! Rules for a runtime that runs without root's privileges.

use oci_spec::runtime::{Linux, LinuxNamespaceType, Mount, Spec};

use super::{Faults, has_namespace, joins, list, mappings};
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
    extra_groups(spec, linux, &mut faults);
    mount_owners(spec, linux, &mut faults);
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

/// Who has no ranges maps one group, and gives setgroups(2) up for it (user_namespaces(7)).
fn extra_groups(spec: &Spec, linux: &Linux, faults: &mut Faults) {
    let only = matches!(list(linux.gid_mappings()), [only] if only.size() == 1);
    let groups = spec.process().as_ref().map(|process| list(process.user().additional_gids()));
    if only && groups.is_some_and(|groups| !groups.is_empty()) {
        let message = "cannot set any additional groups in a rootless container";
        let remedy = "have ranges granted in /etc/subgid and map them, or remove the groups";
        faults.add("/process/user/additionalGids", message, remedy);
    }
}

/// The options uid= and gid= name ids of the container's.
fn mount_owners(spec: &Spec, linux: &Linux, faults: &mut Faults) {
    let user = LinuxNamespaceType::User;
    if !has_namespace(spec, user) || joins(spec, user) {
        return;
    }
    for (index, mount) in list(spec.mounts()).iter().enumerate() {
        for (place, option) in list(mount.options()).iter().enumerate() {
            let (mappings, id) = match option.split_once('=') {
                Some(("uid", id)) => (list(linux.uid_mappings()), id),
                Some(("gid", id)) => (list(linux.gid_mappings()), id),
                _ => continue,
            };
            if id.parse().is_ok_and(|id| !mappings::is_mapped(id, mappings)) {
                let pointer = item(&format!("{}/options", item("/mounts", index)), place);
                let message = format!(
                    "cannot specify {option} mount option for rootless container: it is not mapped"
                );
                faults.add(pointer, message, "remove the option, or map the id");
            }
        }
    }
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
    fn groups_that_are_not_mapped_are_named() {
        let text = |size: u32| {
            format!(
                r#"{{"process":{{"user":{{"additionalGids":[0]}}}},
                "mounts":[{{"destination":"/a","options":["ro","gid=5"]}}],
                "linux":{{"namespaces":[{{"type":"user"}}],
                "uidMappings":[{{"containerID":0,"hostID":1,"size":{size}}}],
                "gidMappings":[{{"containerID":0,"hostID":1,"size":{size}}}]}}}}"#
            )
        };
        assert_eq!(says(&text(1)), ["/process/user/additionalGids", "/mounts/0/options/1"]);
        assert_eq!(says(&text(6)), [""; 0]);
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
