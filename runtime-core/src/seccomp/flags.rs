//! Flags of a profile → flags of seccomp(2).

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompFilterFlag as Flag};

use super::POINTER;
use crate::error::Notice;

const LOG: u64 = 1 << 1;
const SPEC_ALLOW: u64 = 1 << 2;
const NEW_LISTENER: u64 = 1 << 3;
/// Since Linux 5.19.
const WAIT_KILLABLE_RECV: u64 = 1 << 5;

/// The bits that `profile` asks for; `SPEC_ALLOW` when it does not say.
pub(super) fn bits(profile: Option<&LinuxSeccomp>, notify: bool, notices: &mut Vec<Notice>) -> u64 {
    let listener = if notify { NEW_LISTENER } else { 0 };
    let Some(flags) = profile.and_then(|profile| profile.flags().as_ref()) else {
        return listener | SPEC_ALLOW;
    };
    flags.iter().enumerate().fold(listener, |bits, (index, flag)| {
        bits | match flag {
            // The filter is loaded by a process of one thread.
            Flag::SeccompFilterFlagTsync => 0,
            Flag::SeccompFilterFlagLog => LOG,
            Flag::SeccompFilterFlagSpecAllow => SPEC_ALLOW,
            Flag::SeccompFilterFlagWaitKillableRecv if notify => WAIT_KILLABLE_RECV,
            // The kernel refuses it without a listener.
            Flag::SeccompFilterFlagWaitKillableRecv => {
                let pointer = format!("{POINTER}/flags/{index}");
                notices.push(Notice::new(pointer, "no rule notifies: flag ignored"));
                0
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits_of(flags: Option<&[&str]>, notify: bool) -> (u64, usize) {
        let json = serde_json::json!({ "defaultAction": "SCMP_ACT_ERRNO", "flags": flags });
        let profile = serde_json::from_value(json).unwrap();
        let mut notices = Vec::new();
        (bits(Some(&profile), notify, &mut notices), notices.len())
    }

    #[test]
    fn absent_flags_are_spec_allow_and_an_empty_list_is_none() {
        assert_eq!(bits_of(None, false), (SPEC_ALLOW, 0));
        assert_eq!(bits_of(Some(&[]), false), (0, 0));
    }

    #[test]
    fn flags_are_joined_and_tsync_is_no_bit() {
        let flags = ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"];
        assert_eq!(bits_of(Some(&flags), true), (LOG | NEW_LISTENER, 0));
    }

    #[test]
    fn a_killable_wait_needs_a_listener() {
        let flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"];
        assert_eq!(bits_of(Some(&flags), true), (WAIT_KILLABLE_RECV | NEW_LISTENER, 0));
        assert_eq!(bits_of(Some(&flags), false), (0, 1));
    }
}
