//! A process that the library started, held by its pidfd.

use crate::error::{Error, Result};
use crate::host::spawn::Init;
use crate::sys::pidfd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// With a status of its own.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
}

impl ExitStatus {
    /// The status as a shell gives it: 128 + N for signal N.
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
        }
    }
}

/// A process of a container: its first one, or an exec. A child of the calling
/// process, which is to wait for it.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    pidfd: OwnedFd,
    console: Option<OwnedFd>,
}

impl Process {
    pub(super) fn new(init: Init, console: Option<OwnedFd>) -> Self {
        Self { pid: init.pid, pidfd: init.pidfd, console }
    }

    /// Its pid as the host numbers it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Readable once it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The master of its terminal, if that was asked for.
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }

    /// Waits until it has ended, and takes its status.
    ///
    /// # Errors
    /// ECHILD when somebody else in this process waited for it already.
    pub fn wait(&self) -> Result<ExitStatus> {
        loop {
            let failed = |name| move |errno: nix::errno::Errno| Error::os(name, errno as i32);
            match pidfd::reap(self.pidfd.as_fd()).map_err(failed("waitid"))? {
                Some(pidfd::Exit::Code(code)) => return Ok(ExitStatus::Exited(code)),
                Some(pidfd::Exit::Signal(signal)) => return Ok(ExitStatus::Signaled(signal)),
                None => {}
            }
            let mut ended = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ended, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(failed("poll")(errno)),
            }
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// ESRCH once it was waited for.
    pub fn signal(&self, signal: i32) -> Result<()> {
        pidfd::send_signal(self.pidfd.as_fd(), signal)
            .map_err(|errno| Error::os("pidfd_send_signal", errno as i32))
    }
}
