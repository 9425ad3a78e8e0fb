//! Rules for mounts that need no look at the host. What mount options may be
//! combined is decided where they are parsed, in the plan.

use std::path::Path;

use oci_spec::runtime::{LinuxNamespaceType, Mount, Spec};

use super::{Faults, has_namespace, list, mappings, text};
use crate::bundle::{below_root, item, member};

/// What may be mounted below /proc: files that lxcfs emulates, and two
/// switches. Anything else could hide what a later step writes there
/// (CVE-2019-16884, CVE-2023-27561).
const PROC_ALLOWED: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

pub(super) fn rules(spec: &Spec, faults: &mut Faults) {
    for (index, mount) in list(spec.mounts()).iter().enumerate() {
        let base = || item("/mounts", index);
        destination(mount, base, faults);
        id_mappings(spec, mount, base, faults);
    }
}

/// config.md, Mounts: `destination` is REQUIRED.
fn destination(mount: &Mount, base: impl Fn() -> String, faults: &mut Faults) {
    let pointer = || member(&base(), "destination");
    if mount.destination().as_os_str().is_empty() {
        let remedy = "name the place in the container";
        return faults.add(pointer(), "mount destination must not be empty", remedy);
    }
    let place = below_root(mount.destination());
    if place == Path::new("/") {
        let remedy = "use root.path for what the container's root shall be";
        faults.add(pointer(), "mount destination must not be the root", remedy);
    } else if place == Path::new("/proc") {
        // That a bind mount is of a real procfs is verified on the open file.
        if !is_bind(mount) && text(mount.typ()) != "proc" {
            let message = format!("{place:?} cannot be mounted because it is not of type proc");
            faults.add(pointer(), message, "mount type proc there");
        }
    } else if place.starts_with("/proc")
        && !PROC_ALLOWED.iter().any(|good| place == Path::new(good))
    {
        let message = format!("{place:?} cannot be mounted because it is inside /proc");
        faults.add(pointer(), message, "use linux.maskedPaths or linux.sysctl instead");
    }
}

/// config.md, POSIX-platform Mounts: both lists together; an id map is a
/// property of a bind mount (mount_setattr(2)).
fn id_mappings(spec: &Spec, mount: &Mount, base: impl Fn() -> String, faults: &mut Faults) {
    let (uids, gids) = (list(mount.uid_mappings()), list(mount.gid_mappings()));
    let mapped = !uids.is_empty() || !gids.is_empty();
    if !mapped && !asks_for_id_map(mount) {
        return;
    }
    if !is_bind(mount) {
        let message = "id-mapped mounts are only supported for bind-mounts";
        faults.add(base(), message, "add bind or rbind to options");
    }
    if mapped && (uids.is_empty() || gids.is_empty()) {
        let message = "id-mapped mounts must have both uid and gid mappings specified";
        faults.add(base(), message, "give uidMappings and gidMappings");
    }
    if !mapped && !has_namespace(spec, LinuxNamespaceType::User) {
        let message = "id-mapped mount without mappings, and the container has no user namespace";
        faults.add(base(), message, "give uidMappings and gidMappings");
    }
    mappings::wellformed(uids, &member(&base(), "uidMappings"), faults);
    mappings::wellformed(gids, &member(&base(), "gidMappings"), faults);
}

/// config.md, Mounts: bind if the options have either word. Engines also
/// write the type alone.
fn is_bind(mount: &Mount) -> bool {
    text(mount.typ()) == "bind" || has_option(mount, &["bind", "rbind"])
}

/// The option with mappings of its own, `idmap=…`, needs nothing from elsewhere.
fn asks_for_id_map(mount: &Mount) -> bool {
    has_option(mount, &["idmap", "ridmap"])
}

fn has_option(mount: &Mount, names: &[&str]) -> bool {
    list(mount.options()).iter().any(|option| names.contains(&option.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    fn mount(text: &str) -> Vec<String> {
        faults(&format!(r#"{{"mounts":[{text}]}}"#))
    }

    #[test]
    fn a_destination_is_somewhere_below_the_root() {
        assert_eq!(
            mount(r#"{"destination":""},{"destination":"/a/.."},{"destination":"data"}"#),
            [
                "/mounts/0/destination: mount destination must not be empty",
                "/mounts/1/destination: mount destination must not be the root",
            ]
        );
    }

    #[test]
    fn proc_takes_a_procfs_and_little_below_it() {
        assert_eq!(
            mount(
                r#"{"destination":"/proc","type":"proc"},
                   {"destination":"/proc","type":"bind","options":["rbind"]},
                   {"destination":"/proc/uptime","options":["bind"]},
                   {"destination":"/processes","type":"tmpfs"},
                   {"destination":"/proc/.","type":"tmpfs"},
                   {"destination":"//proc//self","options":["bind"]}"#
            ),
            [
                "/mounts/4/destination: \"/proc\" cannot be mounted because it is not of type proc",
                "/mounts/5/destination: \"/proc/self\" cannot be mounted because it is inside /proc",
            ]
        );
    }

    #[test]
    fn id_maps_are_whole_and_for_bind_mounts() {
        let ids = r#"[{"containerID":0,"hostID":1,"size":1}]"#;
        assert_eq!(
            mount(&format!(
                r#"{{"destination":"/a","type":"tmpfs","uidMappings":{ids}}},
                   {{"destination":"/b","options":["bind"],"uidMappings":{ids},"gidMappings":{ids}}},
                   {{"destination":"/c","options":["bind","idmap"]}}"#
            )),
            [
                "/mounts/0: id-mapped mounts are only supported for bind-mounts",
                "/mounts/0: id-mapped mounts must have both uid and gid mappings specified",
                "/mounts/2: id-mapped mount without mappings, and the container has no user \
                 namespace",
            ]
        );
    }
}
