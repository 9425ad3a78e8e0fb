//! Rules for the id mappings of user namespaces and of mounts.

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType, Process, Spec};

use super::{Faults, has_namespace, joins, list};
use crate::bundle::item;

/// Lines that `/proc/<pid>/uid_map` takes since Linux 4.15 (user_namespaces(7)).
const LINES_MAX: usize = 340;

const UIDS: &str = "/linux/uidMappings";
const GIDS: &str = "/linux/gidMappings";

/// config-linux.md, User namespace mappings.
pub(super) fn rules(spec: &Spec, faults: &mut Faults) {
    let Some(linux) = spec.linux() else { return };
    let (uids, gids) = (list(linux.uid_mappings()), list(linux.gid_mappings()));
    wellformed(uids, UIDS, faults);
    wellformed(gids, GIDS, faults);
    belong_together(spec, linux, faults);
    if has_namespace(spec, LinuxNamespaceType::User) && !joins(spec, LinuxNamespaceType::User) {
        root_is_mapped(uids, gids, faults);
        if let Some(process) = spec.process() {
            process_is_mapped(process, uids, gids, faults);
        }
    }
}

/// What the kernel demands of the lines of a map: some ids, no overlap on
/// either side, no wrap (user_namespaces(7)).
pub(super) fn wellformed(mappings: &[LinuxIdMapping], base: &str, faults: &mut Faults) {
    if mappings.len() > LINES_MAX {
        let message = format!("more than {LINES_MAX} mappings");
        faults.add(base, message, "join neighbouring ranges: the kernel takes no more lines");
    }
    for (index, mapping) in mappings.iter().enumerate() {
        if mapping.size() == 0 {
            faults.add(item(base, index), "mapping of size 0", "map at least one id");
        }
        if wraps(mapping.container_id(), mapping.size()) || wraps(mapping.host_id(), mapping.size())
        {
            let remedy = "end both ranges below 4294967295";
            faults.add(item(base, index), "mapping goes beyond the highest id", remedy);
        }
        let mut earlier = mappings.iter().take(index);
        if earlier.any(|other| overlap(mapping, other)) {
            let remedy = "map each id of the container and of the host once";
            faults.add(item(base, index), "mapping overlaps an earlier one", remedy);
        }
    }
}

fn wraps(first: u32, size: u32) -> bool {
    first.checked_add(size).is_none()
}

fn overlap(one: &LinuxIdMapping, other: &LinuxIdMapping) -> bool {
    let meet = |a: u32, b: u32| {
        let (a, b) = (u64::from(a), u64::from(b));
        a < b + u64::from(other.size()) && b < a + u64::from(one.size())
    };
    meet(one.container_id(), other.container_id()) || meet(one.host_id(), other.host_id())
}

fn belong_together(spec: &Spec, linux: &Linux, faults: &mut Faults) {
    let mapped = !list(linux.uid_mappings()).is_empty() || !list(linux.gid_mappings()).is_empty();
    match (has_namespace(spec, LinuxNamespaceType::User), mapped) {
        (false, true) => {
            let message = "user namespace mappings specified, but user namespace isn't enabled in \
                           the config";
            faults.add(UIDS, message, "add {\"type\": \"user\"} to linux.namespaces");
        }
        (true, false) if !joins(spec, LinuxNamespaceType::User) => {
            let message = "user namespaces enabled, but no namespace path to join nor mappings to \
                           apply specified";
            faults.add(UIDS, message, "add uidMappings and gidMappings");
        }
        _ => {}
    }
}

/// Someone in the container must own what the runtime makes there.
fn root_is_mapped(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping], faults: &mut Faults) {
    for (mappings, base, kind) in [(uids, UIDS, "uid"), (gids, GIDS, "gid")] {
        let other_is_given = !uids.is_empty() || !gids.is_empty();
        if mappings.is_empty() && other_is_given {
            let message = format!("user namespaces enabled, but no {kind} mappings found");
            faults.add(base, message, "map at least id 0 of the container");
        } else if !mappings.is_empty() && !is_mapped(0, mappings) {
            let message = format!("user namespaces enabled, but no mapping found for {kind} 0");
            faults.add(base, message, "map id 0 of the container too");
        }
    }
}

fn process_is_mapped(
    process: &Process,
    uids: &[LinuxIdMapping],
    gids: &[LinuxIdMapping],
    faults: &mut Faults,
) {
    let user = process.user();
    if !uids.is_empty() && !is_mapped(user.uid(), uids) {
        let message = format!("cannot setuid to unmapped uid {} in user namespace", user.uid());
        faults.add("/process/user/uid", message, "map it in linux.uidMappings");
    }
    if !gids.is_empty() && !is_mapped(user.gid(), gids) {
        let message = format!("cannot setgid to unmapped gid {} in user namespace", user.gid());
        faults.add("/process/user/gid", message, "map it in linux.gidMappings");
    }
    for (index, gid) in list(user.additional_gids()).iter().enumerate() {
        if !gids.is_empty() && !is_mapped(*gid, gids) {
            let message = format!("cannot set additional group {gid}: unmapped in user namespace");
            let pointer = item("/process/user/additionalGids", index);
            faults.add(pointer, message, "map it in linux.gidMappings");
        }
    }
}

pub(super) fn is_mapped(id: u32, mappings: &[LinuxIdMapping]) -> bool {
    mappings
        .iter()
        .any(|mapping| id.checked_sub(mapping.container_id()).is_some_and(|at| at < mapping.size()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    fn user(mappings: &str) -> Vec<String> {
        faults(&format!(r#"{{"linux":{{"namespaces":[{{"type":"user"}}],{mappings}}}}}"#))
    }

    #[test]
    fn a_user_namespace_and_its_mappings_come_together() {
        assert_eq!(
            user(r#""uidMappings":[],"gidMappings":[]"#),
            ["/linux/uidMappings: user namespaces enabled, but no namespace path to join nor \
              mappings to apply specified"]
        );
        assert_eq!(
            faults(r#"{"linux":{"uidMappings":[{"containerID":0,"hostID":1,"size":1}]}}"#),
            ["/linux/uidMappings: user namespace mappings specified, but user namespace isn't \
              enabled in the config"]
        );
        assert_eq!(
            faults(r#"{"linux":{"namespaces":[{"type":"user","path":"/proc/1/ns/user"}]}}"#),
            [""; 0]
        );
    }

    #[test]
    fn mappings_are_what_the_kernel_takes() {
        assert_eq!(
            user(
                r#""gidMappings":[{"containerID":0,"hostID":1000,"size":10}],
                   "uidMappings":[{"containerID":0,"hostID":1000,"size":10},
                    {"containerID":9,"hostID":5000,"size":1},
                    {"containerID":20,"hostID":1009,"size":5},
                    {"containerID":40,"hostID":1,"size":0},
                    {"containerID":4294967295,"hostID":9000,"size":1}]"#
            ),
            [
                "/linux/uidMappings/1: mapping overlaps an earlier one",
                "/linux/uidMappings/2: mapping overlaps an earlier one",
                "/linux/uidMappings/3: mapping of size 0",
                "/linux/uidMappings/4: mapping goes beyond the highest id",
            ]
        );
    }

    #[test]
    fn root_and_the_process_are_mapped() {
        assert_eq!(
            user(r#""uidMappings":[{"containerID":1,"hostID":1000,"size":10}]"#),
            [
                "/linux/uidMappings: user namespaces enabled, but no mapping found for uid 0",
                "/linux/gidMappings: user namespaces enabled, but no gid mappings found",
                "/process/user/uid: cannot setuid to unmapped uid 0 in user namespace",
            ]
        );
        assert_eq!(
            faults(
                r#"{"process":{"user":{"gid":7,"additionalGids":[3,9]}},"linux":{
                    "namespaces":[{"type":"user"}],
                    "uidMappings":[{"containerID":0,"hostID":1000,"size":5}],
                    "gidMappings":[{"containerID":0,"hostID":1000,"size":5}]}}"#
            ),
            [
                "/process/user/gid: cannot setgid to unmapped gid 7 in user namespace",
                "/process/user/additionalGids/1: cannot set additional group 9: unmapped in user \
                 namespace",
            ]
        );
    }
}
