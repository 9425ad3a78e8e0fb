//! A process that the library started, held by its pidfd.

use crate::error::{Error, Notice, Result};
use crate::host::spawn::Init;
use crate::sys::pidfd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

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

/// A process of a container: its first one, or an exec. A child of the process
/// that started it, which is to wait for it: until then it stays a zombie, and
/// the first process of its pid namespace cannot end before it has been waited
/// for (pid_namespaces(7)).
#[derive(Debug)]
pub struct Process {
    pid: i32,
    pidfd: OwnedFd,
    console: Option<OwnedFd>,
    notices: Vec<Notice>,
}

impl Process {
    pub(super) fn new(init: Init, console: Option<OwnedFd>) -> Self {
        Self { pid: init.pid, pidfd: init.pidfd, console, notices: Vec::new() }
    }

    pub(super) fn of_pidfd(pid: i32, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd, console: None, notices: Vec::new() }
    }

    pub(super) fn with_console(mut self, console: Option<OwnedFd>) -> Self {
        self.console = console;
        self
    }

    pub(super) fn with_notices(mut self, notices: Vec<Notice>) -> Self {
        self.notices = notices;
        self
    }

    /// What could not be granted, and what else is worth a warning.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Its pid as the host numbers it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Readable once it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The master of its terminal, if that was asked for. Lines come out of it as the process
    /// ends them (ONLCR is off), for a reader that may be no terminal.
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }

    /// Waits until it has ended, and takes its status.
    ///
    /// # Errors
    /// ECHILD when it is no child of this process, or its status was taken already.
    pub fn wait(&self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            let mut ended = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ended, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(Error::os("poll", errno as i32)),
            }
        }
    }

    /// The same for at most `patience`; `None` when it still runs then.
    ///
    /// # Errors
    /// As for [`Process::wait`].
    pub fn wait_timeout(&self, patience: Duration) -> Result<Option<ExitStatus>> {
        let ended = pidfd::wait_ended(self.pidfd.as_fd(), Instant::now() + patience)
            .map_err(|errno| Error::os("poll", errno as i32))?;
        if ended { self.try_wait() } else { Ok(None) }
    }

    /// Takes its status if it has ended; `None` while it runs.
    ///
    /// # Errors
    /// As for [`Process::wait`].
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        let exit =
            pidfd::reap(self.pidfd.as_fd()).map_err(|errno| Error::os("waitid", errno as i32))?;
        Ok(exit.map(|exit| match exit {
            pidfd::Exit::Code(code) => ExitStatus::Exited(code),
            pidfd::Exit::Signal(signal) => ExitStatus::Signaled(signal),
        }))
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
