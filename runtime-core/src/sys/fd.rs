//! Descriptors that the kernel hands over as numbers.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Owns a descriptor that was just received in a message.
pub(crate) fn own(received: RawFd) -> OwnedFd {
    // SAFETY: the kernel made it for this message; nobody else knows the number.
    unsafe { OwnedFd::from_raw_fd(received) }
}

/// A copy of descriptor `number` of this process, at `minimum` or above.
///
/// # Errors
/// EBADF when there is none.
pub fn duplicate(number: RawFd, minimum: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes numbers; a number that is no descriptor is refused.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, minimum) };
    if copy < 0 { Err(io::Error::last_os_error()) } else { Ok(own(copy)) }
}

/// Descriptor `number` of the process behind `pidfd` (Linux 5.6).
pub(crate) fn of_process(pidfd: BorrowedFd<'_>, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
    if copy < 0 { Err(io::Error::last_os_error()) } else { Ok(own(copy as RawFd)) }
}

/// Whether descriptor `number` of this process stays open across execve.
///
/// # Errors
/// EBADF when it is none.
pub fn is_inheritable(number: RawFd) -> io::Result<bool> {
    // SAFETY: F_GETFD takes a number; one that is no descriptor is refused.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 { Err(io::Error::last_os_error()) } else { Ok(flags & libc::FD_CLOEXEC == 0) }
}
