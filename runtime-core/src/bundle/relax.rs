//! What is overlooked in a document that the strict types refuse: what the
//! spec tells a runtime to overlook, and what engines have always been able
//! to write.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::pointer;
use crate::error::Notice;

const CAPABILITY_SETS: [&str; 5] = ["bounding", "effective", "inheritable", "permitted", "ambient"];

/// The names of the spec (left) and the names by which the types know them.
const SCHEDULER_FLAGS: [(&str, &str); 2] = [
    ("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"),
    ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"),
];

/// Relaxes a config.json.
pub(super) fn spec(tree: &mut Value) -> Vec<Notice> {
    let mut notices = Vec::new();
    drop_nulls(tree);
    drop_other_platforms(tree);
    if let Some(process) = tree.pointer_mut("/process").and_then(Value::as_object_mut) {
        relax_process(process, "/process", &mut notices);
    }
    if let Some(linux) = tree.pointer_mut("/linux").and_then(Value::as_object_mut) {
        drop_empty_seccomp(linux, &mut notices);
        linux.get_mut("resources").into_iter().for_each(drop_empty_device_types);
    }
    notices
}

/// Relaxes a process document.
pub(super) fn process(tree: &mut Value) -> Vec<Notice> {
    let mut notices = Vec::new();
    drop_nulls(tree);
    if let Some(process) = tree.as_object_mut() {
        relax_process(process, "", &mut notices);
    }
    notices
}

/// Relaxes a resources document.
pub(super) fn resources(tree: &mut Value) -> Vec<Notice> {
    drop_nulls(tree);
    drop_empty_device_types(tree);
    Vec::new()
}

/// Relaxes a list of mounts.
pub(super) fn mounts(tree: &mut Value) -> Vec<Notice> {
    drop_nulls(tree);
    Vec::new()
}

/// A member that is null is an absent member: engines write lists so.
fn drop_nulls(tree: &mut Value) {
    match tree {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(entries) => entries.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// What is meant for another platform is not this runtime's to judge
/// (config.md, Platform-specific configuration).
fn drop_other_platforms(tree: &mut Value) {
    if let Some(members) = tree.as_object_mut() {
        for platform in ["freebsd", "solaris", "vm", "windows", "zos"] {
            members.remove(platform);
        }
    }
}

fn relax_process(process: &mut Map<String, Value>, base: &str, notices: &mut Vec<Notice>) {
    // An absent user is root; an absent cwd is left to validation, which
    // knows the phrase.
    process.entry("user").or_insert_with(|| Value::Object(Map::new()));
    process.entry("cwd").or_insert_with(|| Value::String(String::new()));
    if let Some(sets) = process.get_mut("capabilities").and_then(Value::as_object_mut) {
        drop_unknown_capabilities(sets, &pointer::member(base, "capabilities"), notices);
    }
    if let Some(affinity) = process.get_mut("execCPUAffinity").and_then(Value::as_object_mut) {
        affinity.retain(|_, list| list.as_str() != Some(""));
        affinity.values_mut().for_each(tidy_list);
    }
    if let Some(flags) = process.get_mut("scheduler").and_then(|value| value.get_mut("flags")) {
        rename_scheduler_flags(flags);
    }
}

/// "Any value which cannot be mapped to a relevant kernel interface […] MUST
/// be logged as a warning" and not fail (config.md, Linux Process).
fn drop_unknown_capabilities(sets: &mut Map<String, Value>, base: &str, notices: &mut Vec<Notice>) {
    for set in CAPABILITY_SETS {
        let Some(names) = sets.get_mut(set).and_then(Value::as_array_mut) else { continue };
        let pointer = pointer::member(base, set);
        names.retain(|name| match name.as_str() {
            Some(name) if !is_capability(name) => {
                let message = format!("ignoring unknown or unavailable capabilities: [{name}]");
                notices.push(Notice::new(&pointer, message));
                false
            }
            _ => true,
        });
    }
}

fn is_capability(name: &str) -> bool {
    caps::Capability::from_str(&caps::to_canonical(name)).is_ok()
}

/// The kernel takes spaces around a range and empty ranges, and so does runc; the types
/// take neither.
fn tidy_list(list: &mut Value) {
    let Some(text) = list.as_str() else { return };
    let ranges: Vec<&str> =
        text.split(',').map(str::trim).filter(|range| !range.is_empty()).collect();
    if !ranges.is_empty() {
        *list = Value::String(ranges.join(","));
    }
}

fn rename_scheduler_flags(flags: &mut Value) {
    for flag in flags.as_array_mut().into_iter().flatten() {
        let known = SCHEDULER_FLAGS.iter().find(|(name, _)| flag.as_str() == Some(name));
        if let Some((_, known)) = known {
            *flag = Value::String((*known).to_owned());
        }
    }
}

/// A seccomp object that says nothing means that there is no filter.
fn drop_empty_seccomp(linux: &mut Map<String, Value>, notices: &mut Vec<Notice>) {
    let Some(seccomp) = linux.get("seccomp").and_then(Value::as_object) else { return };
    let action = seccomp.get("defaultAction").and_then(Value::as_str).unwrap_or_default();
    let rules = seccomp.get("syscalls").and_then(Value::as_array).map_or(0, Vec::len);
    let names_an_action = seccomp.get("defaultAction").is_some_and(|value| !value.is_string());
    if action.is_empty() && rules == 0 && !names_an_action {
        linux.remove("seccomp");
        let message = "seccomp has neither defaultAction nor syscalls: no filter is installed";
        notices.push(Notice::new("/linux/seccomp", message));
    }
}

/// An empty type of a device rule is an absent one: it means all devices.
fn drop_empty_device_types(resources: &mut Value) {
    let rules = resources.get_mut("devices");
    let rules = rules.and_then(Value::as_array_mut).into_iter().flatten();
    for rule in rules.filter_map(Value::as_object_mut) {
        if rule.get("type").and_then(Value::as_str) == Some("") {
            rule.remove("type");
        }
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::{Capability, LinuxSchedulerFlag};

    use crate::bundle::{parse_process, parse_spec};

    #[test]
    fn an_unknown_capability_is_dropped_with_a_notice() {
        let text = r#"{"cwd":"/","user":{},"capabilities":{"bounding":["CAP_KILL","CAP_MAGIC"]}}"#;
        let (process, notices) = parse_process(text.as_bytes()).unwrap();
        let bounding = process.capabilities().clone().unwrap().bounding().clone().unwrap();
        assert_eq!(bounding.into_iter().collect::<Vec<_>>(), [Capability::Kill]);
        assert_eq!(notices.len(), 1);
        assert_eq!(
            notices[0].to_string(),
            "ignoring unknown or unavailable capabilities: [CAP_MAGIC] (config.json /capabilities/bounding)"
        );
    }

    #[test]
    fn an_empty_affinity_list_is_an_absent_one() {
        let text = r#"{"cwd":"/","execCPUAffinity":{"initial":"","final":" 0-3,,7 ,"}}"#;
        let (process, _) = parse_process(text.as_bytes()).unwrap();
        let affinity = process.exec_cpu_affinity().clone().unwrap();
        assert_eq!(affinity.initial().as_deref(), None);
        assert_eq!(affinity.cpu_affinity_final().as_deref(), Some("0-3,7"));
        let only = br#"{"cwd":"/","execCPUAffinity":{"initial":" , "}}"#;
        assert!(parse_process(only).is_err());
    }

    #[test]
    fn scheduler_flags_have_the_names_of_the_spec() {
        let text = r#"{"cwd":"/","scheduler":{"policy":"SCHED_DEADLINE","flags":
            ["SCHED_FLAG_RESET_ON_FORK","SCHED_FLAG_DL_OVERRUN","SCHED_FLAG_RECLAIM"]}}"#;
        let (process, _) = parse_process(text.as_bytes()).unwrap();
        let flags = process.scheduler().clone().unwrap().flags().clone().unwrap();
        assert_eq!(
            flags,
            [
                LinuxSchedulerFlag::SchedResetOnFork,
                LinuxSchedulerFlag::SchedFlagDLOverrun,
                LinuxSchedulerFlag::SchedFlagReclaim
            ]
        );
    }

    #[test]
    fn an_absent_user_is_root() {
        let (process, notices) = parse_process(br#"{"cwd":"/","args":["sh"]}"#).unwrap();
        assert_eq!((process.user().uid(), notices.len()), (0, 0));
    }

    #[test]
    fn other_platforms_nulls_and_an_empty_seccomp_do_not_stand_in_the_way() {
        let text = r#"{"ociVersion":"1.0.2","windows":{"layerFolders":3},"linux":{
            "seccomp":{},"resources":{"devices":[{"allow":false,"type":"","access":"rwm"}],
            "cpu":null}}}"#;
        let (spec, notices) = parse_spec(text.as_bytes()).unwrap();
        assert!(spec.linux().as_ref().unwrap().seccomp().is_none());
        assert_eq!(notices[0].pointer, "/linux/seccomp");
    }

    #[test]
    fn a_default_action_of_the_wrong_type_is_still_refused() {
        let error = parse_spec(br#"{"linux":{"seccomp":{"defaultAction":3}}}"#).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/seccomp/defaultAction"));
    }
}
