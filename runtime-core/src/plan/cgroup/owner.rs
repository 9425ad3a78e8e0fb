//! To whom a v2 cgroup is given (config-linux.md, "Cgroup ownership").

use oci_spec::runtime::{LinuxIdMapping, Mount};

use super::clean;
use crate::plan::clone_flags::{CLONE_NEWCGROUP, CLONE_NEWUSER};
use crate::plan::container::Parts;

/// The host's uid of the container's process, when the container gets a cgroup
/// namespace of its own with its cgroups mounted writable; `None` when the cgroup
/// stays with the caller, who made it.
pub(in crate::plan) fn owner(parts: &Parts<'_>) -> Option<u32> {
    let namespaces = &parts.namespaces;
    let mounts = parts.spec.mounts().as_deref().unwrap_or_default();
    if !namespaces.creates(CLONE_NEWCGROUP) || !mounts.iter().any(is_writable_cgroupfs) {
        return None;
    }
    let uid = parts.spec.process().as_ref().map_or(0, |process| process.user().uid());
    let host_uid = if namespaces.has(CLONE_NEWUSER) {
        let maps = parts.linux.and_then(|linux| linux.uid_mappings().as_deref());
        on_host(uid, maps.unwrap_or_default())?
    } else {
        uid
    };
    // Giving a file away needs root.
    let request = parts.request;
    (host_uid != request.facts.uid && request.rootless != Some(true)).then_some(host_uid)
}

fn is_writable_cgroupfs(mount: &Mount) -> bool {
    let options = mount.options().as_deref().unwrap_or_default();
    let is_at = |path: &str| {
        mount.destination().to_str().is_some_and(|text| clean(text).is_ok_and(|text| text == path))
    };
    mount.source().as_ref().is_some_and(|source| source.as_os_str() == "cgroup")
        && !options.iter().any(|option| option == "ro" || option == "rro")
        && is_at("sys/fs/cgroup")
}

/// `None` for an id without a mapping, which is refused elsewhere.
fn on_host(uid: u32, maps: &[LinuxIdMapping]) -> Option<u32> {
    maps.iter().find_map(|map| {
        let offset = uid.checked_sub(map.container_id())?;
        (offset < map.size()).then(|| map.host_id().checked_add(offset)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(text: &str) -> Mount {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn only_a_writable_mount_of_cgroups_in_their_usual_place_counts() {
        let counts = |destination: &str, source: &str, options: &str| {
            is_writable_cgroupfs(&mount(&format!(
                r#"{{"destination":"{destination}","type":"cgroup","source":"{source}",
                    "options":[{options}]}}"#
            )))
        };
        assert!(counts("/sys/fs/cgroup", "cgroup", r#""nosuid","rw""#));
        assert!(counts("/sys/fs/./cgroup/", "cgroup", ""));
        assert!(!counts("/sys/fs/cgroup", "cgroup", r#""nosuid","ro""#));
        assert!(!counts("/sys/fs/cgroup", "cgroup2", ""));
        assert!(!counts("/cgroup", "cgroup", ""));
    }

    #[test]
    fn the_owner_is_who_the_process_is_on_the_host() {
        let maps: Vec<LinuxIdMapping> = serde_json::from_str(
            r#"[{"containerID":0,"hostID":1000,"size":1},
                {"containerID":1,"hostID":100000,"size":65536}]"#,
        )
        .unwrap();
        assert_eq!(on_host(0, &maps), Some(1000));
        assert_eq!(on_host(5, &maps), Some(100_004));
        assert_eq!(on_host(65537, &maps), None);
    }
}
