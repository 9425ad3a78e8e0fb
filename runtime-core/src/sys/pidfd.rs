//! Processes held by file descriptor, so that a reused pid is never meant
//! (pidfd_open(2), Linux 5.3; `waitid(P_PIDFD)`, Linux 5.4).

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// A descriptor for the process `pid`, close-on-exec.
///
/// # Errors
/// ESRCH when there is no such process, EINVAL when `pid` is a thread's.
pub fn open(pid: i32) -> nix::Result<OwnedFd> {
    // SAFETY: two integers go in, a new descriptor or -1 comes out.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just made it and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends `signal`; zero only asks whether it could be sent.
///
/// # Errors
/// ESRCH when the process has been reaped, EPERM without the right to signal.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> nix::Result<()> {
    let fd = pidfd.as_raw_fd();
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks the kernel for the one kill(2) makes.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) };
    Errno::result(result).map(drop)
}

/// Waits until the process has ended (a zombie counts); whether it has by
/// `deadline`.
///
/// # Errors
/// Those of poll(2).
pub fn wait_ended(pidfd: BorrowedFd<'_>, deadline: Instant) -> nix::Result<bool> {
    poll_until(pidfd, PollFlags::POLLIN, deadline)
}

/// Polls one descriptor; whether `events` came before `deadline`.
///
/// # Errors
/// Those of poll(2).
pub fn poll_until(fd: BorrowedFd<'_>, events: PollFlags, deadline: Instant) -> nix::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the last wait does not spin.
        let left = left.saturating_add(Duration::from_micros(999));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd.as_fd(), events)], timeout) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno),
        }
    }
}

/// Reaps an ended child; `None` while it runs.
///
/// # Errors
/// ECHILD when it is not a child of the caller or was reaped already.
pub fn reap(pidfd: BorrowedFd<'_>) -> nix::Result<Option<Exit>> {
    // SAFETY: siginfo_t is plain data, for which zeros are a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = pidfd.as_raw_fd().cast_unsigned();
    let options = libc::WEXITED | libc::WNOHANG;
    // SAFETY: info is valid for writing, and the descriptor is open.
    Errno::result(unsafe { libc::waitid(libc::P_PIDFD, id, &mut info, options) })?;
    // SAFETY: waitid filled in the child's fields, or left all zero.
    let (pid, status) = unsafe { child_fields(&info) };
    Ok(match (pid, info.si_code) {
        (0, _) => None,
        (_, libc::CLD_EXITED) => Some(Exit::Code(status)),
        (_, _) => Some(Exit::Signal(status)),
    })
}

/// # Safety
/// `info` must be as waitid(2) left it.
unsafe fn child_fields(info: &libc::siginfo_t) -> (i32, i32) {
    // SAFETY: the caller vouches for the SIGCHLD variant of the union.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    (pid, status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    fn start(script: &str) -> (OwnedFd, std::process::Child) {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        (open(child.id().cast_signed()).unwrap(), child)
    }

    #[test]
    #[allow(clippy::zombie_processes)]
    fn an_ended_child_is_seen_and_reaped_once() {
        let (pidfd, _child) = start("exit 7");
        assert!(wait_ended(pidfd.as_fd(), soon()).unwrap());
        assert_eq!(reap(pidfd.as_fd()), Ok(Some(Exit::Code(7))));
        assert_eq!(reap(pidfd.as_fd()), Err(Errno::ECHILD));
    }

    #[test]
    #[allow(clippy::zombie_processes)]
    fn a_signal_reaches_the_process_and_is_reported() {
        let (pidfd, _child) = start("exec sleep 60");
        assert_eq!(reap(pidfd.as_fd()), Ok(None));
        assert!(!wait_ended(pidfd.as_fd(), Instant::now()).unwrap());
        send_signal(pidfd.as_fd(), libc::SIGKILL).unwrap();
        assert!(wait_ended(pidfd.as_fd(), soon()).unwrap());
        assert_eq!(reap(pidfd.as_fd()), Ok(Some(Exit::Signal(libc::SIGKILL))));
        assert_eq!(send_signal(pidfd.as_fd(), 0), Err(Errno::ESRCH));
    }

    #[test]
    fn a_pid_that_nobody_has_cannot_be_opened() {
        assert_eq!(open(i32::MAX).unwrap_err(), Errno::ESRCH);
    }
}
