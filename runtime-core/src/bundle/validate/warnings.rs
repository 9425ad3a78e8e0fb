//! What a configuration had better not say, and still may.

use oci_spec::runtime::Spec;

use super::list;
use crate::bundle::{item, member};
use crate::error::Notice;

/// What is worth telling a user about `spec` that does not stop a container.
pub fn warnings(spec: &Spec) -> Vec<Notice> {
    let mut notices = Vec::new();
    relative_destinations(spec, &mut notices);
    notices
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
    fn relative_destinations_are_mentioned() {
        let text = br#"{"mounts":[{"destination":"a"},{"destination":"/b"}]}"#;
        let (spec, _) = parse_spec(text).unwrap();
        let pointers: Vec<_> = warnings(&spec).into_iter().map(|notice| notice.pointer).collect();
        assert_eq!(pointers, ["/mounts/0/destination"]);
    }
}
