//! Rules for limits: what can be told wrong before any cgroup is looked at.

use oci_spec::runtime::{
    Linux, LinuxBlockIo, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxResources,
};

use super::{Faults, list, sorted};
use crate::bundle::{item, member};

const BASE: &str = "/linux/resources";
/// Longest name of a file or directory (`NAME_MAX`).
const NAME_MAX: usize = 255;

pub(super) fn rules(linux: &Linux, faults: &mut Faults) {
    cgroups_path(linux, faults);
    if let Some(resources) = linux.resources() {
        limits(resources, faults);
    }
}

pub(super) fn limits(resources: &LinuxResources, faults: &mut Faults) {
    for (index, rule) in list(resources.devices()).iter().enumerate() {
        device(rule, index, faults);
    }
    if let Some(memory) = resources.memory() {
        swappiness(memory, faults);
    }
    if let Some(block_io) = resources.block_io() {
        weights(block_io, faults);
    }
    for (index, limit) in list(resources.hugepage_limits()).iter().enumerate() {
        page_size(limit.page_size(), index, faults);
        if limit.limit() < 0 {
            let pointer = member(&item(&member(BASE, "hugepageLimits"), index), "limit");
            let message = format!("invalid hugepage limit {}", limit.limit());
            faults.add(pointer, message, "give a number of bytes");
        }
    }
    for (file, _) in resources.unified().as_ref().map(sorted).unwrap_or_default() {
        unified(file, faults);
    }
}

/// config-linux.md, Cgroups Path: a runtime MAY refuse values; these no
/// kernel makes a directory of.
fn cgroups_path(linux: &Linux, faults: &mut Faults) {
    let Some(path) = linux.cgroups_path() else { return };
    let too_long = |part: &std::ffi::OsStr| part.len() > NAME_MAX;
    if path.as_os_str().as_encoded_bytes().contains(&b'\n') || path.iter().any(too_long) {
        let remedy = "use names of at most 255 bytes without line breaks";
        faults.add("/linux/cgroupsPath", "invalid cgroupsPath", remedy);
    }
}

/// config-linux.md, Allowed Device list.
fn device(rule: &LinuxDeviceCgroup, index: usize, faults: &mut Faults) {
    let base = || item(&member(BASE, "devices"), index);
    let access = rule.access().as_deref().unwrap_or_default();
    if access.is_empty() {
        let message = format!("device access at {index} field cannot be empty");
        faults.add(member(&base(), "access"), message, "use a selection of rwm");
    } else if !access.contains(|c| "rwm".contains(c)) {
        let message = format!("invalid device access {access:?}");
        faults.add(member(&base(), "access"), message, "use a selection of rwm");
    }
    if let Some(LinuxDeviceType::U | LinuxDeviceType::P) = rule.typ() {
        let kind = rule.typ().unwrap_or_default();
        let message = format!("invalid cgroup device type {:?}", kind.as_str());
        faults.add(member(&base(), "type"), message, "use a, b or c");
    }
    for (field, number) in [("major", rule.major()), ("minor", rule.minor())] {
        if number.is_some_and(|number| !(-1..=i64::from(u32::MAX)).contains(&number)) {
            let message = format!("{field} number is out of range");
            faults.add(member(&base(), field), message, "use -1 for all, or a number of a device");
        }
    }
}

/// config-linux.md, Memory: a value from 0 to 100.
fn swappiness(memory: &LinuxMemory, faults: &mut Faults) {
    if memory.swappiness().is_some_and(|value| value > 100) {
        let pointer = member(&member(BASE, "memory"), "swappiness");
        faults.add(pointer, "swappiness is out of range", "use 0 to 100");
    }
}

/// config-linux.md, Block IO: from 10 to 1000; 0 is what engines write for unset.
fn weights(block_io: &LinuxBlockIo, faults: &mut Faults) {
    let base = || member(BASE, "blockIO");
    weight(block_io.weight(), || member(&base(), "weight"), faults);
    weight(block_io.leaf_weight(), || member(&base(), "leafWeight"), faults);
    for (index, device) in list(block_io.weight_device()).iter().enumerate() {
        let entry = || item(&member(&base(), "weightDevice"), index);
        weight(device.weight(), || member(&entry(), "weight"), faults);
        weight(device.leaf_weight(), || member(&entry(), "leafWeight"), faults);
        if device.weight().is_none() && device.leaf_weight().is_none() {
            faults.add(entry(), "weightDevice entry has no weight", "give weight or leafWeight");
        }
    }
}

fn weight(value: Option<u16>, pointer: impl Fn() -> String, faults: &mut Faults) {
    if let Some(value) = value.filter(|value| *value != 0 && !(10..=1000).contains(value)) {
        let message = format!("block IO weight {value} is out of range");
        faults.add(pointer(), message, "use 10 to 1000");
    }
}

/// config-linux.md, Huge page limits: `<number><KB|MB|GB>`, as in file names.
fn page_size(size: &str, index: usize, faults: &mut Faults) {
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
    let counts = |number: &str| number.bytes().all(|byte| byte.is_ascii_digit());
    let good = number.is_some_and(|n| !n.is_empty() && !n.starts_with('0') && counts(n));
    if !good {
        let pointer = member(&item(&member(BASE, "hugepageLimits"), index), "pageSize");
        faults.add(pointer, format!("invalid pageSize {size:?}"), "write it as 64KB, 2MB or 1GB");
    }
}

/// config-linux.md, Unified: each key is a file of the container's cgroup.
fn unified(file: &str, faults: &mut Faults) {
    let pointer = || member(&member(BASE, "unified"), file);
    if file.contains('/') {
        let message = format!("unified resource {file:?} must be a file name (no slashes)");
        faults.add(pointer(), message, "name a file such as memory.high");
    } else if matches!(file, "" | "." | "..") {
        let message = format!("unified resource {file:?} is not a file name");
        faults.add(pointer(), message, "name a file such as memory.high");
    } else if MEMBERSHIP.contains(&file) {
        let message = format!("unified resource {file:?} is no limit");
        faults.add(pointer(), message, "leave it out: the runtime itself moves, freezes and kills");
    }
}

/// Files that say who is in the cgroup and what becomes of them: a process of the
/// host's moved in there would be killed with the container.
const MEMBERSHIP: [&str; 6] = [
    "cgroup.freeze",
    "cgroup.kill",
    "cgroup.procs",
    "cgroup.subtree_control",
    "cgroup.threads",
    "cgroup.type",
];

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    fn resources(text: &str) -> Vec<String> {
        faults(&format!(r#"{{"linux":{{"resources":{text}}}}}"#))
    }

    #[test]
    fn device_rules_say_what_they_allow() {
        assert_eq!(
            resources(
                r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true},
                    {"allow":true,"type":"p","major":-2,"access":"x"}]}"#
            ),
            [
                "/linux/resources/devices/1/access: device access at 1 field cannot be empty",
                "/linux/resources/devices/2/access: invalid device access \"x\"",
                "/linux/resources/devices/2/type: invalid cgroup device type \"p\"",
                "/linux/resources/devices/2/major: major number is out of range",
            ]
        );
    }

    #[test]
    fn limits_are_in_the_range_of_the_spec() {
        assert_eq!(
            resources(
                r#"{"memory":{"swappiness":101},"blockIO":{"weight":9,"leafWeight":0,
                    "weightDevice":[{"major":8,"minor":0,"weight":1001},{"major":8,"minor":1}]}}"#
            ),
            [
                "/linux/resources/memory/swappiness: swappiness is out of range",
                "/linux/resources/blockIO/weight: block IO weight 9 is out of range",
                "/linux/resources/blockIO/weightDevice/0/weight: block IO weight 1001 is out of \
                 range",
                "/linux/resources/blockIO/weightDevice/1: weightDevice entry has no weight",
            ]
        );
    }

    #[test]
    fn sizes_and_files_have_the_names_of_the_kernel() {
        assert_eq!(
            resources(
                r#"{"hugepageLimits":[{"pageSize":"2MB","limit":1},{"pageSize":"64kB","limit":1}],
                    "unified":{"memory.high":"1","../x":"1"}}"#
            ),
            [
                "/linux/resources/hugepageLimits/1/pageSize: invalid pageSize \"64kB\"",
                "/linux/resources/unified/..~1x: unified resource \"../x\" must be a file name \
                 (no slashes)",
            ]
        );
    }

    #[test]
    fn a_cgroups_path_is_one_the_kernel_can_make() {
        assert_eq!(faults(r#"{"linux":{"cgroupsPath":"system.slice:docker:abc"}}"#), [""; 0]);
        assert_eq!(
            faults(r#"{"linux":{"cgroupsPath":"/a\nb"}}"#),
            ["/linux/cgroupsPath: invalid cgroupsPath"]
        );
    }
}
