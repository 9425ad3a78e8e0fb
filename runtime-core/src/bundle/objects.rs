//! Arrays where objects belong. The parser would take an array for the fields of
//! an object in their order, which no configuration means.

use serde_json::Value;

use crate::error::Error;

/// Where the configuration has objects all of whose members may be absent: any
/// other is missed by the parser itself.
const OBJECTS: [&str; 22] = [
    "/root",
    "/process",
    "/process/user",
    "/process/capabilities",
    "/process/consoleSize",
    "/process/scheduler",
    "/process/ioPriority",
    "/process/execCPUAffinity",
    "/hooks",
    "/linux",
    "/linux/resources",
    "/linux/resources/memory",
    "/linux/resources/cpu",
    "/linux/resources/pids",
    "/linux/resources/blockIO",
    "/linux/resources/network",
    "/linux/seccomp",
    "/linux/personality",
    "/linux/intelRdt",
    "/linux/memoryPolicy",
    "/user",
    "/capabilities",
];

/// The first array of `raw` that should be an object. Most texts are done with
/// after a look at the word before each bracket.
pub(super) fn check(raw: &[u8]) -> Option<Error> {
    let suspicious = raw
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'[')
        .any(|(at, _)| is_of_object(&raw[..at]));
    if !suspicious {
        return None;
    }
    let tree: Value = serde_json::from_slice(raw).ok()?;
    let wrong =
        OBJECTS.iter().find(|pointer| tree.pointer(pointer).is_some_and(Value::is_array))?;
    Some(
        Error::config(*wrong, "invalid type: array, expected an object")
            .hint("write { … } instead of [ … ]"),
    )
}

/// Whether `before` ends in `"name":` with the name of one of [`OBJECTS`].
fn is_of_object(before: &[u8]) -> bool {
    let Some(before) = before.trim_ascii_end().strip_suffix(b":") else { return false };
    let Some(before) = before.trim_ascii_end().strip_suffix(b"\"") else { return false };
    let start = before.iter().rposition(|byte| *byte == b'"').map_or(0, |quote| quote + 1);
    let name = &before[start..];
    OBJECTS
        .iter()
        .any(|pointer| pointer.rsplit('/').next().is_some_and(|last| last.as_bytes() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_for_an_object_is_found_and_others_are_not() {
        let wrong = check(br#"{"process":{"args":["a"],"user" : [ ]}}"#).unwrap();
        assert_eq!(wrong.pointer(), Some("/process/user"));
        assert!(check(br#"{"process":{"args":["\"user\":["],"user":{}}}"#).is_none());
        assert!(check(br#"{"annotations":{"user":"x"},"mounts":[],"x":{"user":[]}}"#).is_none());
    }
}
