//! Descriptors: copies, flags, waiting.

use super::{Answer, Fd, check, close, errno, flag, nr, syscall};

/// The lowest free descriptor, which the next call that opens one will give; `open` is any open one.
pub fn next_descriptor(open: i32) -> Answer<i32> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    let number = call!(nr::FCNTL, open, F_DUPFD_CLOEXEC, 0)? as i32;
    close(number).map(|_| number)
}

pub fn duplicate(fd: i32) -> Answer<Fd> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    call!(nr::FCNTL, fd, F_DUPFD_CLOEXEC, 3).map(|fd| Fd(fd as i32))
}

/// A copy at `minimum` or above.
pub fn duplicate_above(fd: i32, minimum: i32) -> Answer<Fd> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    call!(nr::FCNTL, fd, F_DUPFD_CLOEXEC, minimum).map(|fd| Fd(fd as i32))
}


/// Clears or sets close-on-exec.
pub fn set_cloexec(fd: i32, on: bool) -> Answer<usize> {
    const F_SETFD: usize = 2;
    call!(nr::FCNTL, fd, F_SETFD, usize::from(on))
}

/// `to` becomes a copy of `from` that stays open at execve.
pub fn dup_to(from: i32, to: i32) -> Answer<usize> {
    call!(nr::DUP3, from, to, 0)
}

pub fn close_range(first: u32, last: u32, only_at_exec: bool) -> Answer<usize> {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    call!(nr::CLOSE_RANGE, first, last, if only_at_exec { CLOSE_RANGE_CLOEXEC } else { 0 })
}

/// Waits until one of two files has something to read, or its other end is gone;
/// tells of each.
pub fn poll_either(fds: [i32; 2], timeout_ms: i32) -> Answer<[bool; 2]> {
    #[repr(C)]
    struct PollFd {
        fd: i32,
        events: i16,
        revents: i16,
    }
    let mut entries = fds.map(|fd| PollFd { fd, events: flag::POLLIN, revents: 0 });
    // A filter may know only the newer of the two.
    if let Err(refused @ (errno::EPERM | errno::EACCES | errno::ENOSYS)) =
        call!(nr::POLL, entries.as_mut_ptr(), 2, timeout_ms as isize)
    {
        let timeout = [timeout_ms as i64 / 1000, timeout_ms as i64 % 1000 * 1_000_000];
        let timeout = if timeout_ms < 0 { core::ptr::null() } else { timeout.as_ptr() };
        call!(nr::PPOLL, entries.as_mut_ptr(), 2, timeout, 0, 8).map_err(|_| refused)?;
    }
    Ok(entries.map(|entry| entry.revents != 0))
}
