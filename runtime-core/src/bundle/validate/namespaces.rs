//! Rules for namespaces and time offsets.

use std::collections::HashMap;

use oci_spec::runtime::{Linux, LinuxNamespaceType, LinuxTimeOffset, Spec};

use super::{Faults, has_namespace, joins, list, path_of};
use crate::bundle::{item, member};

/// The clocks a time namespace can offset (time_namespaces(7)).
const CLOCKS: [&str; 2] = ["monotonic", "boottime"];

pub(super) fn rules(spec: &Spec, faults: &mut Faults) {
    let Some(linux) = spec.linux() else { return };
    entries(linux, faults);
    if let Some(offsets) = linux.time_offsets().as_ref().filter(|offsets| !offsets.is_empty()) {
        time_offsets(spec, offsets, faults);
    }
}

/// config-linux.md, Namespaces: one entry a type, and an absolute path.
fn entries(linux: &Linux, faults: &mut Faults) {
    let namespaces = list(linux.namespaces());
    for (index, namespace) in namespaces.iter().enumerate() {
        let pointer = || item("/linux/namespaces", index);
        if namespaces.iter().take(index).any(|earlier| earlier.typ() == namespace.typ()) {
            let message = format!("malformed spec file: duplicated ns \"{}\"", namespace.typ());
            faults.add(pointer(), message, "keep one entry for each type");
        }
        if let Some(path) = path_of(namespace).filter(|path| !path.is_absolute()) {
            let message = format!("namespace path {path:?} is not absolute");
            faults.add(member(&pointer(), "path"), message, "give the path from /");
        }
    }
}

/// config-linux.md, Offset for Time Namespace; time_namespaces(7).
fn time_offsets(spec: &Spec, offsets: &HashMap<String, LinuxTimeOffset>, faults: &mut Faults) {
    const BASE: &str = "/linux/timeOffsets";
    if !has_namespace(spec, LinuxNamespaceType::Time) {
        let message = "time namespace offsets specified, but time namespace isn't enabled in the \
                       config";
        faults.add(BASE, message, "add {\"type\": \"time\"} to linux.namespaces");
    } else if joins(spec, LinuxNamespaceType::Time) {
        let message = "time namespace enabled, but both namespace path and time offsets specified \
                       -- you may only provide one";
        faults.add(BASE, message, "remove the offsets: they were set when it was made");
    }
    for (clock, offset) in super::sorted(offsets) {
        if !CLOCKS.contains(&clock.as_str()) {
            let message = format!("unknown clock {clock:?}");
            faults.add(member(BASE, clock), message, "use monotonic or boottime");
        }
        if offset.nanosecs().is_some_and(|nanoseconds| nanoseconds > 999_999_999) {
            let pointer = member(&member(BASE, clock), "nanosecs");
            faults.add(pointer, "nanosecs is a second or more", "use at most 999999999");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn a_type_stands_once_and_paths_are_absolute() {
        assert_eq!(
            faults(
                r#"{"linux":{"namespaces":[{"type":"network","path":""},
                    {"type":"network","path":"netns/a"}]}}"#
            ),
            [
                "/linux/namespaces/1: malformed spec file: duplicated ns \"net\"",
                "/linux/namespaces/1/path: namespace path \"netns/a\" is not absolute",
            ]
        );
    }

    #[test]
    fn time_offsets_need_a_new_time_namespace() {
        let offsets = r#""timeOffsets":{"monotonic":{"secs":1}}"#;
        assert_eq!(
            faults(&format!(r#"{{"linux":{{{offsets}}}}}"#)),
            ["/linux/timeOffsets: time namespace offsets specified, but time namespace isn't \
              enabled in the config"]
        );
        assert_eq!(
            faults(&format!(
                r#"{{"linux":{{{offsets},"namespaces":[{{"type":"time","path":"/t"}}]}}}}"#
            )),
            ["/linux/timeOffsets: time namespace enabled, but both namespace path and time \
              offsets specified -- you may only provide one"]
        );
    }

    #[test]
    fn time_offsets_name_a_clock_and_stay_below_a_second() {
        assert_eq!(
            faults(
                r#"{"linux":{"namespaces":[{"type":"time"}],"timeOffsets":
                    {"boottime":{"nanosecs":1000000000},"realtime":{}}}}"#
            ),
            [
                "/linux/timeOffsets/boottime/nanosecs: nanosecs is a second or more",
                "/linux/timeOffsets/realtime: unknown clock \"realtime\"",
            ]
        );
    }
}
