//! Rules for what stands at the top of the configuration.

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::{Faults, has_namespace, text};
use crate::bundle::member;

/// `HOST_NAME_MAX`, which the kernel also applies to the domain name.
const NAME_MAX: usize = 64;

/// config.md, Specification version: `ociVersion` MUST be in SemVer format.
/// A configuration of another major version would be misread.
pub(super) fn version(spec: &Spec, faults: &mut Faults) {
    let version = spec.version();
    let remedy = "use a version of the specification that starts with 1, such as 1.3.0";
    match major(version) {
        // Drafts of version 1 count as 0.
        Some(0 | 1) => {}
        Some(_) => faults.add("/ociVersion", format!("unsupported ociVersion {version:?}"), remedy),
        None => faults.add("/ociVersion", format!("invalid ociVersion {version:?}"), remedy),
    }
}

/// The major number of a version in SemVer 2.0.0 format.
fn major(version: &str) -> Option<u64> {
    let core = version.split(['-', '+']).next()?;
    let mut numbers = core.split('.').map(|number| {
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if digits { number.parse::<u64>().ok() } else { None }
    });
    let (major, minor, patch) = (numbers.next()??, numbers.next()?, numbers.next()?);
    (minor.is_some() && patch.is_some() && numbers.next().is_none()).then_some(major)
}

/// config.md, Root: REQUIRED, and its path too.
pub(super) fn root(spec: &Spec, faults: &mut Faults) {
    let Some(root) = spec.root() else {
        return faults.add("/root", "root must be specified", "add {\"path\": \"rootfs\"}");
    };
    if root.path().as_os_str().is_empty() {
        let remedy = "name a directory, relative to the bundle or absolute";
        faults.add("/root/path", "root path must not be empty", remedy);
    }
}

/// config-linux.md, Namespaces: a name outside a private UTS namespace would
/// be the host's.
pub(super) fn names(spec: &Spec, faults: &mut Faults) {
    name("hostname", text(spec.hostname()), spec, faults);
    name("domainname", text(spec.domainname()), spec, faults);
}

fn name(field: &str, value: &str, spec: &Spec, faults: &mut Faults) {
    if value.is_empty() {
        return;
    }
    let pointer = member("", field);
    if !has_namespace(spec, LinuxNamespaceType::Uts) {
        let message = format!("unable to set {field} without a private UTS namespace");
        faults.add(&pointer, message, "add {\"type\": \"uts\"} to linux.namespaces");
    }
    if value.len() > NAME_MAX {
        let message = format!("{field} is longer than {NAME_MAX} bytes");
        faults.add(pointer, message, "shorten it: the kernel takes no more");
    }
}

/// config.md, Annotations: keys MUST NOT be empty.
pub(super) fn annotations(spec: &Spec, faults: &mut Faults) {
    if spec.annotations().as_ref().is_some_and(|annotations| annotations.contains_key("")) {
        let remedy = "name it in reverse domain notation, or remove it";
        faults.add("/annotations/", "annotation key must not be empty", remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;
    use super::*;

    #[test]
    fn versions_of_the_first_major_are_taken_in_semver_form_only() {
        for good in ["1.0.0", "1.0.2-dev", "1.3.0+build.7", "1.99.0"] {
            assert_eq!(major(good), Some(1), "{good}");
        }
        assert!(faults(r#"{"ociVersion":"0.5.0-dev"}"#).is_empty());
        for bad in ["", "1", "1.0", "1.0.x", "v1.0.0", "1.0.0.0", "1..0", "+1.0.0", "1.-1.0"] {
            assert_eq!(major(bad), None, "{bad}");
        }
        assert_eq!(
            faults(r#"{"ociVersion":"2.0.0-dev"}"#),
            ["/ociVersion: unsupported ociVersion \"2.0.0-dev\""]
        );
        assert_eq!(faults(r#"{"ociVersion":""}"#), ["/ociVersion: invalid ociVersion \"\""]);
    }

    #[test]
    fn a_root_needs_a_path() {
        assert_eq!(faults(r#"{"root":null}"#), ["/root: root must be specified"]);
        assert_eq!(faults(r#"{"root":{"path":""}}"#), ["/root/path: root path must not be empty"]);
    }

    #[test]
    fn names_need_a_uts_namespace_and_fit_the_kernel() {
        assert_eq!(
            faults(r#"{"hostname":"a","domainname":"b"}"#),
            [
                "/hostname: unable to set hostname without a private UTS namespace",
                "/domainname: unable to set domainname without a private UTS namespace",
            ]
        );
        let long = format!(
            r#"{{"hostname":"{}","linux":{{"namespaces":[{{"type":"uts"}}]}}}}"#,
            "a".repeat(65)
        );
        assert_eq!(faults(&long), ["/hostname: hostname is longer than 64 bytes"]);
    }

    #[test]
    fn an_annotation_has_a_key() {
        assert_eq!(
            faults(r#"{"annotations":{"":"x"}}"#),
            ["/annotations/: annotation key must not be empty"]
        );
    }
}
