//! Why a command failed, and what its user gets to see of it.

use std::fmt::Display;
use std::io;
use std::path::Path;

use runtime_core::{Error, ErrorKind};

/// The outcome of a command: the exit code, or a failure.
pub(crate) type Outcome = Result<u8, Failure>;

/// A failure on its way to the user.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code: 1, or 255 when `exec` did not get to run its process.
    pub(crate) code: u8,
    /// One line, without "error:" before it.
    pub(crate) message: String,
    /// What goes to stdout when the arguments were wrong: a note and the help text.
    pub(crate) usage: Option<String>,
    /// The typed error of the library, of which debug lines show the parts.
    pub(crate) cause: Option<Error>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), usage: None, cause: None }
    }

    /// Wrong arguments: `usage` explains the right ones.
    pub(crate) fn usage(message: impl Into<String>, usage: String) -> Self {
        Self { usage: Some(usage), ..Self::new(message) }
    }

    /// An operation on a host file failed, in the words Go programs use.
    pub(crate) fn file(operation: &'static str, path: &Path, error: &io::Error) -> Self {
        Error::io(operation, error).path(path).into()
    }

    /// The system call `name` failed.
    pub(crate) fn errno(name: &'static str, errno: nix::Error) -> Self {
        Error::os(name, errno as i32).into()
    }

    #[must_use]
    pub(crate) fn context(self, doing: impl Display) -> Self {
        Self { message: format!("{doing}: {}", self.message), ..self }
    }

    /// The same of a command that was to start a program, in runc's words when
    /// the program is what could not be started.
    #[must_use]
    pub(crate) fn starting(self, command: &str) -> Self {
        match self.cause.as_ref().map(Error::kind) {
            Some(ErrorKind::Exec) => self.context("unable to start container process"),
            _ => self,
        }
        .context(command)
    }

    #[must_use]
    pub(crate) fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        Self { cause: Some(error), ..Self::new(message) }
    }
}
