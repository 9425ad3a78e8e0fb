//! Device rules for systemd. It knows only lists of what is allowed.

use super::properties::Property;
use super::value::Value;
use crate::error::Result;
use crate::plan::resources::devices::{self, Access, DeviceKind, DeviceRule};

/// `DevicePolicy` and `DeviceAllow`, on v2. Its filter and the container's own must both let a
/// device through: so it gets a list that allows no less than the rules do.
pub(super) fn beside_filter(rules: &[DeviceRule]) -> Vec<Property> {
    let allowed: Vec<&DeviceRule> = rules.iter().filter(|rule| rule.allow).collect();
    let everything = |kind: DeviceKind| {
        allowed.iter().any(|rule| {
            (rule.kind, rule.major, rule.minor, rule.access) == (kind, None, None, Access::ALL)
        })
    };
    let all = everything(DeviceKind::Char) && everything(DeviceKind::Block);
    properties((!all).then_some(allowed.as_slice()))
}

/// The same on v1, where it writes its list to the files that ours is in, at each reload: so
/// both are the same, as far as it can be told.
pub(super) fn on_v1(rules: &[DeviceRule]) -> Result<Vec<Property>> {
    let allowed = devices::allowed(rules)?;
    let allowed: Option<Vec<&DeviceRule>> = allowed.as_ref().map(Vec::from_iter);
    Ok(properties(allowed.as_deref()))
}

/// `None` allows everything.
fn properties(allowed: Option<&[&DeviceRule]>) -> Vec<Property> {
    let policy = if allowed.is_some() { "strict" } else { "auto" };
    let entries = allowed.unwrap_or_default().iter().map(|rule| entry(rule)).collect();
    let property = |name: &str, value| Property { name: name.to_owned(), value, optional: false };
    vec![
        property("DevicePolicy", Value::text(policy)),
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
        texts(&beside_filter(&parse(list)))
    }

    fn parse(list: &str) -> Vec<DeviceRule> {
        let list: Vec<_> = serde_json::from_str(list).unwrap();
        rules(Some(&list)).unwrap()
    }

    fn texts(properties: &[Property]) -> (String, String) {
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

    #[test]
    fn on_v1_what_is_taken_back_is_not_listed() {
        let list = r#"[{"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
            {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"}]"#;
        let (policy, allow) = texts(&on_v1(&parse(list)).unwrap());
        assert_eq!(policy, "\"strict\"");
        assert!(allow.contains(r#"("/dev/char/10:229", "r")"#), "{allow}");
        let all = r#"[{"allow": true, "access": "rwm"}]"#;
        assert_eq!(texts(&on_v1(&parse(all)).unwrap()), ("\"auto\"".to_owned(), "[]".to_owned()));
    }
}
