//! What a configuration had better not say, and still may.

use oci_spec::runtime::Spec;

use super::list;
use crate::bundle::{item, member};
use crate::error::Notice;

/// What is worth telling a user about `spec` that does not stop a container.
pub fn warnings(spec: &Spec) -> Vec<Notice> {
    let mut notices = Vec::new();
    relative_destinations(spec, &mut notices);
    letters_of_access(spec, &mut notices);
    notices
}

/// config-linux.md, Allowed Device list: r, w and m. runc overlooks others.
fn letters_of_access(spec: &Spec, notices: &mut Vec<Notice>) {
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let rules = resources.map(|resources| list(resources.devices())).unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        let access = rule.access().as_deref().unwrap_or_default();
        let unknown: String = access.chars().filter(|letter| !"rwm".contains(*letter)).collect();
        if !unknown.is_empty() {
            let pointer = member(&item("/linux/resources/devices", index), "access");
            let message = format!("device access {access:?}: {unknown:?} is overlooked");
            notices.push(Notice::new(pointer, message));
        }
    }
}

/// config.md, Mounts: relative destinations are deprecated since 1.0.2.
fn relative_destinations(spec: &Spec, notices: &mut Vec<Notice>) {
    for (index, mount) in list(spec.mounts()).iter().enumerate() {
        let destination = mount.destination();
        if !destination.is_absolute() {
            let message =
                format!("mount destination {} is relative: taken below /", destination.display());
            notices.push(Notice::new(member(&item("/mounts", index), "destination"), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::parse_spec;

    #[test]
    fn letters_that_mean_nothing_are_mentioned() {
        let text = br#"{"linux":{"resources":{"devices":[
            {"allow":false,"access":"rwm"},{"allow":false,"type":"c","access":"rwa"}]}}}"#;
        let (spec, _) = parse_spec(text).unwrap();
        let pointers: Vec<_> = warnings(&spec).into_iter().map(|notice| notice.pointer).collect();
        assert_eq!(pointers, ["/linux/resources/devices/1/access"]);
    }

    #[test]
    fn relative_destinations_are_mentioned() {
        let text = br#"{"mounts":[{"destination":"a"},{"destination":"/b"}]}"#;
        let (spec, _) = parse_spec(text).unwrap();
        let pointers: Vec<_> = warnings(&spec).into_iter().map(|notice| notice.pointer).collect();
        assert_eq!(pointers, ["/mounts/0/destination"]);
    }
}
