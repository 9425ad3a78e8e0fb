//! Log lines in the shapes of runc, which engines parse: containerd takes the
//! last JSON line of level "error", podman reads the whole file as one JSON
//! object. So a command that fails writes exactly one line to the log file and
//! one that succeeds only its warnings, unless `--debug` asks for more. Nothing but
//! a failure goes to stderr when there is a log: with `create` that is the container's.

mod daemon;
mod line;

use std::cell::{OnceCell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use runtime_core::{Error, Notice};

use crate::failure::Failure;
use crate::report;
use daemon::{Daemon, Kind};
use line::{Line, line};

/// The shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// Where log lines go, and how they look.
#[derive(Debug, Default)]
pub(crate) struct Log {
    sink: Sink,
    format: Format,
    debug: bool,
    /// What the command is about.
    container: OnceCell<String>,
    /// Warnings for a file, until it is known that the command succeeds.
    held: RefCell<Vec<String>>,
}

#[derive(Debug, Default)]
enum Sink {
    #[default]
    Stderr,
    File(File),
    Daemon(Daemon),
}

impl Log {
    /// A log to `place`, or to stderr. A place is written as crun has it: `journald:IDENTIFIER`,
    /// `syslog:IDENTIFIER`, or a path, with or without `file:` before it.
    pub(crate) fn open(place: Option<&str>, format: Format, debug: bool) -> Result<Self, Failure> {
        let daemon = |kind, identifier| Daemon::connect(kind, identifier).map(Sink::Daemon);
        let sink = match place.map(|place| place.split_once(':').unwrap_or(("", place))) {
            None => Sink::Stderr,
            Some(("journald", identifier)) => daemon(Kind::Journald, identifier)?,
            Some(("syslog", identifier)) => daemon(Kind::Syslog, identifier)?,
            Some(("file", path)) => Sink::File(open(path.as_ref())?),
            Some(_) => Sink::File(open(place.unwrap_or_default().as_ref())?),
        };
        Ok(Self { sink, format, debug, ..Self::default() })
    }

    /// Has what follows filed under `container`.
    pub(crate) fn about(&self, container: &str) {
        // A command is about one container.
        drop(self.container.set(container.to_owned()));
    }

    /// The descriptor of the log.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        match &self.sink {
            Sink::Stderr => None,
            Sink::File(file) => Some(file.as_raw_fd()),
            Sink::Daemon(daemon) => Some(daemon.fd()),
        }
    }

    fn is_stderr(&self) -> bool {
        matches!(self.sink, Sink::Stderr)
    }

    /// Tells why the command fails: a line to the log, and, when that is elsewhere,
    /// the bare message to stderr, where conmon and go-runc look.
    pub(crate) fn failure(&self, failure: &Failure) {
        if !self.is_stderr() {
            to_stderr(&format!("{}\n", failure.message));
        }
        self.write_failure(failure);
    }

    /// The same with a JSON object on stderr. A log that is elsewhere gets its line as ever.
    pub(crate) fn failure_as_json(&self, failure: &Failure) {
        to_stderr(&report::json(failure));
        if !self.is_stderr() {
            self.write_failure(failure);
        }
    }

    fn write_failure(&self, failure: &Failure) {
        let cause = failure.cause.as_ref().filter(|_| self.debug);
        let line = Line {
            kind: cause.map(|error| error.kind().to_string()),
            syscall: cause.and_then(Error::syscall),
            errno: cause.and_then(Error::errno),
            pointer: cause.and_then(Error::pointer),
            ..line("error", &failure.message)
        };
        self.write(&line);
    }

    /// Tells the user something that does not make the command fail.
    pub(crate) fn warning(&self, message: &str) {
        match self.sink {
            Sink::File(_) if !self.debug => self.held.borrow_mut().push(message.to_owned()),
            _ => self.write(&line("warning", message)),
        }
    }

    /// The command has succeeded.
    pub(crate) fn success(&self) {
        for message in self.held.take() {
            self.write(&line("warning", &message));
        }
    }

    /// Passes on what the library noticed.
    pub(crate) fn notices(&self, notices: &[Notice]) {
        for notice in notices {
            self.warning(&notice.to_string());
        }
    }

    /// Tells what is going on, with `--debug` only.
    pub(crate) fn debug(&self, message: impl FnOnce() -> String) {
        if self.debug {
            self.write(&line("debug", &message()));
        }
    }

    fn write(&self, line: &Line<'_>) {
        let text = || match self.format {
            Format::Text => line.text(),
            Format::Json => line.json(),
        };
        match &self.sink {
            Sink::Stderr => to_stderr(&text()),
            // There is nobody left to tell when the log cannot be written.
            Sink::File(file) => drop({ file }.write_all(text().as_bytes())),
            Sink::Daemon(daemon) => {
                daemon.send(line, self.format, self.container.get().map(String::as_str));
            }
        }
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o644).custom_flags(libc::O_SYNC);
    options.open(path).map_err(|error| Failure::file("open", path, &error))
}

fn to_stderr(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}
