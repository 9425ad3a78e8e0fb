//! Signals: their names, and holding back our own for the process we attend.

use std::os::fd::{AsFd, BorrowedFd};
use std::str::FromStr;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::Failure;

/// Signals that are not held: those that tell of our own faults, which have to
/// end us, and those that are about us, not about the process.
const NOT_HELD: [Signal; 8] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGSYS,
    Signal::SIGCHLD,
    Signal::SIGURG,
];

/// The signals that were sent to us.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// From now on signals wait here instead of acting on this process. The mask
    /// stays for good: this process does nothing else any more.
    pub(crate) fn hold() -> Result<Self, Failure> {
        let mut held = SigSet::all();
        for signal in NOT_HELD {
            held.remove(signal);
        }
        held.thread_block().map_err(|errno| Failure::errno("sigprocmask", errno))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&held, flags);
        Ok(Self(fd.map_err(|errno| Failure::errno("signalfd", errno))?))
    }

    /// The number of the next signal that waits.
    pub(crate) fn take(&self) -> Result<Option<i32>, Failure> {
        let next = self.0.read_signal().map_err(|errno| Failure::errno("read", errno))?;
        Ok(next.and_then(|info| i32::try_from(info.ssi_signo).ok()))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The number of a signal given by number or by name, with or without "SIG", in
/// any case. The kernel judges whether a number is one of its signals.
pub(crate) fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    match name {
        "CLD" => Some(libc::SIGCHLD),
        "POLL" => Some(libc::SIGIO),
        "IOT" => Some(libc::SIGABRT),
        _ => real_time(name)
            .or_else(|| Signal::from_str(&format!("SIG{name}")).ok().map(|signal| signal as i32)),
    }
}

/// "RTMIN", "RTMIN+n", "RTMAX-n" or "RTMAX".
fn real_time(name: &str) -> Option<i32> {
    let (base, offset) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(offset), _) => (libc::SIGRTMIN(), offset),
        (_, Some(offset)) => (libc::SIGRTMAX(), offset),
        _ => return None,
    };
    let offset = match offset {
        "" => 0,
        signed if signed.starts_with(['+', '-']) => signed.parse().ok()?,
        _ => return None,
    };
    base.checked_add(offset).filter(|n| (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_number_and_names_in_any_case() {
        for text in ["15", "TERM", "SIGTERM", "term", "SigTerm"] {
            assert_eq!(number(text), Some(libc::SIGTERM), "{text}");
        }
        assert_eq!(number("cld"), Some(libc::SIGCHLD));
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("999"), Some(999));
    }

    #[test]
    fn real_time_signals_are_counted_from_either_end() {
        assert_eq!(number("SIGRTMIN"), Some(34));
        assert_eq!(number("RTMIN+3"), Some(37));
        assert_eq!(number("rtmax-1"), Some(63));
        assert_eq!(number("RTMIN+99"), None);
        assert_eq!(number("RTMIN3"), None);
    }

    #[test]
    fn what_is_no_signal_has_no_number() {
        for text in ["", "FOO", "SIG", "SIGSIGTERM", "9x"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
