//! Device rules for systemd. It knows only lists of what is allowed, and both its
//! filter and the container's own must let a device through: so it gets a list that
//! allows no less than the rules do.

use super::properties::Property;
use super::value::Value;
use crate::plan::resources::devices::{Access, DeviceKind, DeviceRule};

/// `DevicePolicy` and `DeviceAllow`.
pub(super) fn properties(rules: &[DeviceRule]) -> Vec<Property> {
    let allowed: Vec<&DeviceRule> = rules.iter().filter(|rule| rule.allow).collect();
    let everything = |kind: DeviceKind| {
        allowed.iter().any(|rule| {
            (rule.kind, rule.major, rule.minor, rule.access) == (kind, None, None, Access::ALL)
        })
    };
    let all = everything(DeviceKind::Char) && everything(DeviceKind::Block);
    let entries = if all { Vec::new() } else { allowed.into_iter().map(entry).collect() };
    let property = |name: &str, value| Property { name: name.to_owned(), value, optional: false };
    vec![
        property("DevicePolicy", Value::text(if all { "auto" } else { "strict" })),
        property("DeviceAllow", Value::Array("(ss)".to_owned(), entries)),
    ]
}

/// By node, by major number, or all of a kind. One minor number of every major has no
/// name: it gets all.
fn entry(rule: &DeviceRule) -> Value {
    let kind = match rule.kind {
        DeviceKind::Block => "block",
        DeviceKind::Char => "char",
    };
    let path = match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        (Some(major), None) => format!("{kind}-{major}"),
        (None, _) => format!("{kind}-*"),
    };
    Value::Struct(vec![Value::text(path), Value::text(rule.access.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::resources::devices::rules;

    fn shown(list: &str) -> (String, String) {
        let list: Vec<_> = serde_json::from_str(list).unwrap();
        let properties = properties(&rules(Some(&list)).unwrap());
        (properties[0].value.to_string(), properties[1].value.to_string())
    }

    #[test]
    fn what_is_allowed_is_listed() {
        let (policy, allow) = shown(
            r#"[{"allow": false, "access": "rwm"},
                {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
                {"allow": true, "type": "b", "major": 8, "access": "r"}]"#,
        );
        assert_eq!(policy, "\"strict\"");
        for entry in [
            r#"("/dev/char/10:229", "rw")"#,
            r#"("block-8", "r")"#,
            r#"("char-*", "m")"#,
            r#"("char-136", "rwm")"#,
        ] {
            assert!(allow.contains(entry), "{entry} is not in {allow}");
        }
    }

    #[test]
    fn all_devices_need_no_list() {
        let all = r#"[{"allow": true, "access": "rwm"}]"#;
        assert_eq!(shown(all), ("\"auto\"".to_owned(), "[]".to_owned()));
    }
}
