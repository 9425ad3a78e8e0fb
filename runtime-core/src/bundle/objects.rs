//! Arrays where objects belong. The parser would take an array for the fields of
//! an object in their order, which no configuration means.

use serde_json::Value;

use super::pointer::{item, member};
use crate::error::Error;

/// Where a configuration has objects of known members; `*` stands for any member
/// or entry.
const OBJECTS: [&str; 42] = [
    "",
    "/root",
    "/process",
    "/process/user",
    "/process/capabilities",
    "/process/consoleSize",
    "/process/scheduler",
    "/process/ioPriority",
    "/process/execCPUAffinity",
    "/process/rlimits/*",
    "/mounts/*",
    "/mounts/*/uidMappings/*",
    "/mounts/*/gidMappings/*",
    "/hooks",
    "/hooks/*/*",
    "/linux",
    "/linux/devices/*",
    "/linux/netDevices/*",
    "/linux/uidMappings/*",
    "/linux/gidMappings/*",
    "/linux/namespaces/*",
    "/linux/resources",
    "/linux/resources/devices/*",
    "/linux/resources/memory",
    "/linux/resources/cpu",
    "/linux/resources/pids",
    "/linux/resources/blockIO",
    "/linux/resources/blockIO/weightDevice/*",
    "/linux/resources/blockIO/throttleReadBpsDevice/*",
    "/linux/resources/blockIO/throttleWriteBpsDevice/*",
    "/linux/resources/blockIO/throttleReadIOPSDevice/*",
    "/linux/resources/blockIO/throttleWriteIOPSDevice/*",
    "/linux/resources/hugepageLimits/*",
    "/linux/resources/network",
    "/linux/resources/network/priorities/*",
    "/linux/resources/rdma/*",
    "/linux/seccomp",
    "/linux/seccomp/syscalls/*",
    "/linux/seccomp/syscalls/*/args/*",
    "/linux/intelRdt",
    "/linux/memoryPolicy",
    "/linux/timeOffsets/*",
];

/// What is a list in most configurations: no reason to look closer.
const LISTS: [&str; 27] = [
    "additionalGids",
    "ambient",
    "architectures",
    "args",
    "bounding",
    "createContainer",
    "createRuntime",
    "devices",
    "effective",
    "env",
    "flags",
    "gidMappings",
    "inheritable",
    "maskedPaths",
    "mounts",
    "names",
    "namespaces",
    "options",
    "permitted",
    "poststart",
    "poststop",
    "prestart",
    "readonlyPaths",
    "rlimits",
    "startContainer",
    "syscalls",
    "uidMappings",
];

/// The first array of `raw` that should be an object; `base` is the place in a
/// configuration that the document has. Most texts are done with after a look at
/// the word before each bracket.
pub(super) fn check(raw: &[u8], base: &str) -> Option<Error> {
    if !is_suspicious(raw) {
        return None;
    }
    let tree: Value = serde_json::from_slice(raw).ok()?;
    let patterns = OBJECTS.iter().filter_map(|pattern| pattern.strip_prefix(base));
    let wrong = patterns.filter_map(|pattern| array_at(&tree, pattern, String::new())).next()?;
    Some(
        Error::config(wrong, "invalid type: array, expected an object")
            .hint("write { … } instead of [ … ]"),
    )
}

fn is_suspicious(raw: &[u8]) -> bool {
    let mut brackets = raw.iter().enumerate().filter(|(_, byte)| **byte == b'[');
    brackets.any(|(at, _)| !is_of_list(&raw[..at]))
}

/// The pointer of an array where `pattern` leads to from `value`, at `place`.
fn array_at(value: &Value, pattern: &str, place: String) -> Option<String> {
    let Some(pattern) = pattern.strip_prefix('/') else {
        return value.is_array().then_some(place);
    };
    let (name, rest) = pattern.find('/').map_or((pattern, ""), |at| pattern.split_at(at));
    match (name, value) {
        ("*", Value::Array(entries)) => entries
            .iter()
            .enumerate()
            .find_map(|(index, entry)| array_at(entry, rest, item(&place, index))),
        ("*", Value::Object(members)) => {
            members.iter().find_map(|(name, value)| array_at(value, rest, member(&place, name)))
        }
        _ => array_at(value.get(name)?, rest, member(&place, name)),
    }
}

/// Whether `before` ends in `"name":` with the name of one of [`LISTS`].
fn is_of_list(before: &[u8]) -> bool {
    let Some(before) = before.trim_ascii_end().strip_suffix(b":") else { return false };
    let Some(before) = before.trim_ascii_end().strip_suffix(b"\"") else { return false };
    let start = before.iter().rposition(|byte| *byte == b'"').map_or(0, |quote| quote + 1);
    let name = &before[start..];
    LISTS.iter().any(|list| list.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_for_an_object_is_found_and_others_are_not() {
        let wrong = |text: &str, base| {
            check(text.as_bytes(), base).map(|error| error.pointer().unwrap().to_owned())
        };
        for (text, place) in [
            (r#"{"process":{"args":["a"],"user" : [ ]}}"#, "/process/user"),
            (r#"{"linux":{"uidMappings":[{}, [0, 1000, 1]]}}"#, "/linux/uidMappings/1"),
            (r#"{"linux":{"netDevices":{"eth/0":[]}}}"#, "/linux/netDevices/eth~10"),
            (r#"{"hooks":{"prestart":[["/x"]]}}"#, "/hooks/prestart/0"),
            ("[]", ""),
        ] {
            assert_eq!(wrong(text, "").as_deref(), Some(place), "{text}");
        }
        for text in [
            r#"{"process":{"args":["\"user\":["],"user":{}}}"#,
            r#"{"annotations":{"user":"x"},"mounts":[],"x":{"user":[]},"user":[[]]}"#,
        ] {
            assert_eq!(wrong(text, ""), None, "{text}");
        }
        assert_eq!(wrong(r#"{"user":[]}"#, "/process").as_deref(), Some("/user"));
    }

    #[test]
    fn what_engines_write_needs_no_closer_look() {
        let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../bundles/samples");
        for entry in std::fs::read_dir(samples).unwrap() {
            let path = entry.unwrap().path();
            let raw = std::fs::read(&path).unwrap();
            assert!(!is_suspicious(&raw), "{}", path.display());
        }
    }
}
