//! Staying with a process until it ends: signals go to it, the terminal is lent
//! to it, its exit code becomes ours. Its stdio, when that is no terminal, was
//! inherited and needs nobody's help.

use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use runtime_core::Process;

use crate::failure::{Failure, Outcome};
use crate::signals::Signals;
use crate::terminal::Session;

/// Refuses what cannot work: a terminal that nobody tends, or a socket that no
/// terminal would be sent to.
pub(crate) fn check_console(
    terminal: bool,
    detach: bool,
    socket: Option<&Path>,
) -> Result<(), Failure> {
    match (terminal, detach, socket) {
        (true, true, None) => Err(Failure::new(
            "cannot allocate tty if tare will detach without setting console socket",
        )),
        (false, _, Some(_)) | (_, false, Some(_)) => {
            Err(Failure::new("cannot use console socket if tare will not detach or allocate tty"))
        }
        _ => Ok(()),
    }
}

/// Readiness to attend a process that is about to start.
#[derive(Debug)]
pub(crate) struct Foreground {
    signals: Signals,
}

impl Foreground {
    /// Holds back the signals that come from now on, for the process to get.
    pub(crate) fn prepare() -> Result<Self, Failure> {
        Ok(Self { signals: Signals::hold()? })
    }

    /// Serves `process` until it ends; the result is its exit code.
    pub(crate) fn attend(self, mut process: Process) -> Outcome {
        let mut session = process.take_console().map(Session::begin).transpose()?;
        loop {
            let ready = self.wait(&process, session.as_ref())?;
            if ready.signal {
                self.forward(&process, session.as_ref())?;
            }
            if let Some(session) = &mut session {
                session.advance(ready.copies);
            }
            if ready.ended {
                break;
            }
        }
        if let Some(session) = &mut session {
            session.drain();
        }
        Ok(exit_code(process.wait()?.code()))
    }

    /// Waits until there is something to do.
    fn wait(&self, process: &Process, session: Option<&Session>) -> Result<Ready, Failure> {
        let copies = session.map(Session::interests).unwrap_or_default();
        let timeout = session.map_or(PollTimeout::NONE, Session::patience);
        let mut fds = vec![
            PollFd::new(process.pidfd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(copies.iter().flatten().cloned());
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => return Ok(Ready::default()),
            result => result.map_err(|errno| Failure::errno("poll", errno))?,
        };
        let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(true));
        let mut next = || ready.next().unwrap_or(false);
        Ok(Ready {
            ended: next(),
            signal: next(),
            copies: copies.map(|copy| copy.is_some() && next()),
        })
    }

    /// Hands the pending signals on. With a terminal, a new size of ours is
    /// given to it, and the kernel tells the process.
    fn forward(&self, process: &Process, session: Option<&Session>) -> Result<(), Failure> {
        while let Some(signal) = self.signals.take()? {
            match session {
                Some(session) if signal == libc::SIGWINCH => session.resize(),
                // It may have ended meanwhile, which the next wait shows.
                _ => drop(process.signal(signal)),
            }
        }
        Ok(())
    }
}

/// What a wait ended with.
#[derive(Debug, Default)]
struct Ready {
    ended: bool,
    signal: bool,
    copies: [bool; 2],
}

/// The low eight bits, which are all that a parent gets to see.
fn exit_code(code: i32) -> u8 {
    code.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_needs_someone_to_tend_it_and_a_socket_needs_a_terminal() {
        let socket = Some(Path::new("/s"));
        let allowed = |terminal, detach, socket| check_console(terminal, detach, socket).is_ok();
        assert!(allowed(false, true, None) && allowed(false, false, None));
        assert!(allowed(true, false, None) && allowed(true, true, socket));
        assert!(!allowed(true, true, None));
        assert!(!allowed(true, false, socket));
        assert!(!allowed(false, true, socket) && !allowed(false, false, socket));
    }
}
