//! The execution domain of a process.

use oci_spec::runtime::{LinuxPersonality, LinuxPersonalityDomain as Domain};

use crate::error::Notice;

/// The argument of personality(2) that `linux.personality` asks for. Flags
/// are not supported by the specification and are left out with a notice.
pub fn resolve(wanted: &LinuxPersonality) -> (u32, Vec<Notice>) {
    let domain = match wanted.domain() {
        Domain::PerLinux => 0,
        Domain::PerLinux32 => 8,
    };
    let flags = wanted.flags().as_deref().unwrap_or_default();
    let notice = |flags: &[String]| {
        let message = format!("ignoring unsupported personality flags: {}", flags.join(" "));
        Notice::new("/linux/personality/flags", message)
    };
    let notices = if flags.is_empty() { Vec::new() } else { vec![notice(flags)] };
    (domain, notices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_a_number_and_flags_are_only_mentioned() {
        let resolve = |text: &str| resolve(&serde_json::from_str(text).unwrap());
        assert_eq!(resolve(r#"{"domain":"LINUX"}"#), (0, vec![]));
        let (domain, notices) = resolve(r#"{"domain":"LINUX32","flags":["SHORT_INODE"]}"#);
        assert_eq!((domain, notices.len()), (8, 1));
    }
}
