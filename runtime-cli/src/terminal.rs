//! Lending our terminal to a process that has one of its own: what is typed goes
//! to the master end of the process's, what that prints goes to ours.

use std::io::{IsTerminal, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollTimeout};
use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use runtime_core::{set_window_size, window_size};

use crate::failure::Failure;
use crate::pump::Pump;

/// More than the kernel holds for one terminal.
const UNREAD_AT_MOST: usize = 128 * 1024;

/// How often to look whether a terminal that hung up is open again, in milliseconds.
const RETRY_MS: u16 = 100;

/// A process's terminal joined to our stdio.
#[derive(Debug)]
pub(crate) struct Session {
    console: OwnedFd,
    input: Pump,
    output: Pump,
    _raw: Option<RawMode>,
}

/// The rows and columns of our terminal, if we have one: what the process's own
/// starts with.
pub(crate) fn own_size() -> Option<(u16, u16)> {
    own_terminal().and_then(|own| window_size(own.as_fd()).ok())
}

impl Session {
    /// Joins `console`, the master end, to our stdio.
    pub(crate) fn begin(console: OwnedFd) -> Result<Self, Failure> {
        set_nonblocking(&console)?;
        let input = Pump::new(copy(stdin().as_fd())?, copy(console.as_fd())?);
        let output = Pump::new(copy(console.as_fd())?, copy(stdout().as_fd())?);
        let session = Self { console, input, output, _raw: RawMode::of_stdin()? };
        session.resize();
        Ok(session)
    }

    /// Gives the process's terminal the size of ours, if we have one.
    pub(crate) fn resize(&self) {
        if let Some((rows, columns)) = own_size() {
            // The process may have ended, and its terminal with it.
            drop(set_window_size(self.console.as_fd(), rows, columns));
        }
    }

    /// What the two copies wait for.
    pub(crate) fn interests(&self) -> [Option<PollFd<'_>>; 2] {
        [self.input.interest(), self.output.interest()]
    }

    /// How long to wait at most.
    pub(crate) fn patience(&self) -> PollTimeout {
        match self.output.is_hung_up() || self.input.is_hung_up() {
            true => PollTimeout::from(RETRY_MS),
            false => PollTimeout::NONE,
        }
    }

    /// Goes on with those of the copies that are `ready`.
    pub(crate) fn advance(&mut self, ready: [bool; 2]) {
        let nothing_else = ready == [false, false];
        for (pump, ready) in [&mut self.input, &mut self.output].into_iter().zip(ready) {
            match ready {
                true => pump.advance(),
                false if nothing_else => pump.retry(),
                false => {}
            }
        }
    }

    /// Copies what the process has printed before it ended.
    pub(crate) fn drain(&mut self) {
        self.output.drain(UNREAD_AT_MOST);
    }
}

/// A descriptor of our own for the same open file.
fn copy(fd: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    fd.try_clone_to_owned()
        .map_err(|error| Failure::from(runtime_core::Error::io("fcntl(F_DUPFD_CLOEXEC)", &error)))
}

/// Only for a file that nobody else has open: the flag belongs to the open file.
fn set_nonblocking(fd: &OwnedFd) -> Result<(), Failure> {
    let flags = fcntl(fd, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    let set = flags.and_then(|flags| fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)));
    set.map(drop).map_err(|errno| Failure::errno("fcntl(F_SETFL)", errno))
}

/// The first of our stdio that is a terminal.
fn own_terminal() -> Option<Box<dyn AsFd>> {
    if stdin().is_terminal() {
        return Some(Box::new(stdin()));
    }
    if stdout().is_terminal() {
        return Some(Box::new(stdout()));
    }
    stderr().is_terminal().then(|| Box::new(stderr()) as Box<dyn AsFd>)
}

/// Our terminal in raw mode, until this is dropped.
#[derive(Debug)]
struct RawMode {
    saved: Termios,
}

impl RawMode {
    /// Puts the terminal on stdin, if there is one, into raw mode.
    fn of_stdin() -> Result<Option<Self>, Failure> {
        if !stdin().is_terminal() {
            return Ok(None);
        }
        let saved = tcgetattr(stdin()).map_err(|errno| Failure::errno("tcgetattr", errno))?;
        restore_on_panic(&saved);
        let mut raw = saved.clone();
        cfmakeraw(&mut raw);
        // What ends a line on it, the process's terminal leaves to ours.
        raw.output_flags.insert(OutputFlags::OPOST);
        tcsetattr(stdin(), SetArg::TCSANOW, &raw)
            .map_err(|errno| Failure::errno("tcsetattr", errno))?;
        Ok(Some(Self { saved }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore(&self.saved);
    }
}

fn restore(saved: &Termios) {
    // A terminal that is gone needs no restoring.
    let _ = tcsetattr(stdin(), SetArg::TCSANOW, saved);
}

/// A panic aborts, and then nothing is dropped any more.
fn restore_on_panic(saved: &Termios) {
    let saved = libc::termios::from(saved.clone());
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore(&Termios::from(saved));
        report(panic);
    }));
}
