//! The answer to system calls that are newer than the profile.
//!
//! A C library tries a new call first and falls back to an older one on ENOSYS,
//! not on EPERM. So, like runc's, a filter that would deny an unknown call says
//! ENOSYS to every number above the largest that the profile names. Calls that
//! were given numbers out of the order of their appearance escape this.
//!
//! One departure: the numbers that x86 has for socket and IPC calls of their own
//! count as named here. libseccomp hides them from runc, which then says ENOSYS
//! even to, say, an allowed semctl(2) if the profile names nothing newer.

use oci_spec::runtime::LinuxSeccompAction as Action;

/// Whether a profile with this default action needs the answer: one that lets
/// unknown calls through does not, and a tracer gives its own.
pub(super) fn wanted(default: Action) -> bool {
    !matches!(default, Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace)
}

/// The largest number that the profile names in one interface.
///
/// All rules count, also those left out for being equal to the default. As in
/// runc a profile that names nothing but call 0 tells nothing about its age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Newest(u32);

impl Newest {
    pub(super) fn saw(&mut self, number: u32) {
        self.0 = self.0.max(number);
    }

    pub(super) fn number(self) -> Option<u32> {
        (self.0 != 0).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permissive_default_needs_no_answer() {
        assert!(wanted(Action::ScmpActErrno) && wanted(Action::ScmpActKillProcess));
        assert!(!wanted(Action::ScmpActLog) && !wanted(Action::ScmpActTrace));
    }

    #[test]
    fn the_largest_number_counts_and_zero_alone_does_not() {
        let mut newest = Newest::default();
        newest.saw(0);
        assert_eq!(newest.number(), None);
        newest.saw(9);
        newest.saw(3);
        assert_eq!(newest.number(), Some(9));
    }
}
