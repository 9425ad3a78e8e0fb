//! The one error type of the library: what was being done, to what, why it
//! failed, and where in config.json the cause stands.

use std::fmt;
use std::path::{Path, PathBuf};

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was: the part that programs match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The id is taken.
    #[error("container with given ID already exists")]
    AlreadyExists,
    /// No container has that id.
    #[error("container does not exist")]
    NotFound,
    /// The id has characters outside `[A-Za-z0-9_+.-]`, or is `.` or `..`.
    #[error("invalid container ID format")]
    InvalidId,
    /// The container's process has ended, or never ran.
    #[error("container not running")]
    NotRunning,
    /// The container must be stopped first.
    #[error("container still running")]
    StillRunning,
    /// The container is paused and the operation needs it thawed.
    #[error("container paused")]
    Paused,
    /// The container is not paused.
    #[error("container not paused")]
    NotPaused,
    /// The container is in a state that does not allow the operation.
    #[error("invalid container state")]
    InvalidState,
    /// config.json, or a process document, breaks a rule of the spec.
    #[error("invalid configuration")]
    InvalidConfig,
    /// An argument of the call (not of the configuration) is wrong.
    #[error("invalid argument")]
    InvalidArgument,
    /// The kernel or the host lacks what the configuration asks for.
    #[error("not supported")]
    Unsupported,
    /// The container's program could not be found or executed.
    #[error("cannot execute")]
    Exec,
    /// A hook failed.
    #[error("hook failed")]
    Hook,
    /// criu could not checkpoint or restore.
    #[error("criu failed")]
    Criu,
    /// A wait reached its deadline.
    #[error("timed out")]
    Timeout,
    /// A system call failed.
    #[error("system error")]
    System,
    /// State on disk is damaged or of another program.
    #[error("corrupt state")]
    CorruptState,
}

/// A failure. `Display` gives one line, outermost context first; the parts are
/// there for programs.
pub struct Error(Box<Inner>);

#[derive(Clone, Default)]
struct Inner {
    kind: Option<ErrorKind>,
    message: String,
    contexts: Vec<String>,
    syscall: Option<&'static str>,
    errno: Option<i32>,
    errno_in_message: bool,
    path: Option<PathBuf>,
    pointer: Option<String>,
    said: Option<String>,
    hint: Option<String>,
}

impl Error {
    /// A failure of `kind` that `message` describes.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind: Some(kind), message: message.into(), ..Inner::default() }))
    }

    /// A failure whose message is its kind's own phrase.
    pub fn kind_only(kind: ErrorKind) -> Self {
        Self::new(kind, kind.to_string())
    }

    /// `pointer` (a JSON pointer into config.json) holds something wrong.
    pub fn config(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidConfig, message).at(pointer)
    }

    /// The system call `name` failed with `errno`.
    pub fn os(name: &'static str, errno: i32) -> Self {
        Self(Box::new(Inner {
            kind: Some(ErrorKind::System),
            syscall: Some(name),
            errno: Some(errno),
            ..Inner::default()
        }))
    }

    /// The std I/O operation `name` failed.
    pub fn io(name: &'static str, error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::os(name, errno),
            None => Self::new(ErrorKind::System, format!("{name}: {error}")),
        }
    }

    /// The same failure, seen as another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = Some(kind);
        self
    }

    /// The errno behind a failure that says it in words of its own.
    #[must_use]
    pub(crate) fn with_errno(mut self, errno: i32) -> Self {
        self.0.errno = (errno != 0).then_some(errno);
        self.0.errno_in_message = true;
        self
    }

    /// What was being attempted; the last one added is shown first.
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Self {
        self.0.contexts.push(doing.into());
        self
    }

    /// The file or directory the operation was about.
    #[must_use]
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.0.path = Some(path.as_ref().to_owned());
        self
    }

    /// What else the kernel, or the program that was asked, said of it.
    #[must_use]
    pub(crate) fn saying(mut self, words: impl Into<String>) -> Self {
        self.0.said = Some(words.into());
        self
    }

    /// The JSON pointer into config.json of what caused the operation.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer.get_or_insert_with(|| pointer.into());
        self
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(mut self, remedy: impl Into<String>) -> Self {
        self.0.hint = Some(remedy.into());
        self
    }

    /// What programs match on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind.unwrap_or(ErrorKind::System)
    }

    /// What was being attempted, outermost first; `None` when nothing is said of it.
    pub fn doing(&self) -> Option<String> {
        let contexts: Vec<&str> = self.0.contexts.iter().rev().map(String::as_str).collect();
        (!contexts.is_empty()).then(|| contexts.join(": "))
    }

    /// The errno of the system call that failed.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// The name of the system call that failed.
    pub fn syscall(&self) -> Option<&'static str> {
        self.0.syscall
    }

    /// The path the operation was about.
    pub fn file(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What the kernel, or the program that was asked, said of it.
    pub fn words(&self) -> Option<&str> {
        self.0.said.as_deref()
    }

    /// The JSON pointer into config.json of the cause.
    pub fn pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// The kernel's text for `errno`, in the lower case that engines look for
/// ("permission denied", "no such file or directory").
pub fn errno_text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => format!("errno {errno}"),
    }
}

/// What ended a process, in the words of runc ("signal: killed", "signal: bad system call").
pub(crate) fn signal_text(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "hangup",
        libc::SIGINT => "interrupt",
        libc::SIGQUIT => "quit",
        libc::SIGILL => "illegal instruction",
        libc::SIGTRAP => "trace/breakpoint trap",
        libc::SIGABRT => "aborted",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "floating point exception",
        libc::SIGKILL => "killed",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGPIPE => "broken pipe",
        libc::SIGALRM => "alarm clock",
        libc::SIGTERM => "terminated",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "file size limit exceeded",
        libc::SIGSYS => "bad system call",
        other => return format!("signal: signal {other}"),
    };
    format!("signal: {name}")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        for context in inner.contexts.iter().rev() {
            write!(f, "{context}: ")?;
        }
        let mut separator = "";
        if !inner.message.is_empty() {
            write!(f, "{}", inner.message)?;
            separator = ": ";
        }
        if let Some(syscall) = inner.syscall {
            write!(f, "{separator}{syscall}")?;
            separator = ": ";
            if let Some(path) = &inner.path {
                write!(f, " {}", path.display())?;
            }
        } else if let Some(path) = &inner.path {
            write!(f, "{separator}{}", path.display())?;
            separator = ": ";
        }
        if let Some(errno) = inner.errno.filter(|_| !inner.errno_in_message) {
            write!(f, "{separator}{}", errno_text(errno))?;
            separator = ": ";
        }
        if let Some(said) = &inner.said {
            write!(f, "{separator}{said}")?;
        }
        if let Some(pointer) = &inner.pointer {
            let place = if pointer.is_empty() { "/" } else { pointer };
            write!(f, " (config.json {place})")?;
        }
        if let Some(hint) = &inner.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.kind())
    }
}

impl std::error::Error for Error {}

/// Adds what was being done to a failing result.
pub(crate) trait Context<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.context(doing()))
    }
}

/// Something worth telling the user that does not stop the operation: an
/// unknown capability dropped, a relative mount destination made absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// One sentence.
    pub message: String,
    /// The JSON pointer into config.json it is about; empty when about none.
    pub pointer: String,
}

impl Notice {
    /// A notice about the place `pointer` in config.json.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{} (config.json {pointer})", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_error_reads_outside_in_and_keeps_its_parts() {
        let error = Error::os("mount", libc::EPERM)
            .path("/dev/pts")
            .at("/mounts/3")
            .context("mounting devpts")
            .context("create");
        assert_eq!(
            error.to_string(),
            "create: mounting devpts: mount /dev/pts: operation not permitted (config.json /mounts/3)"
        );
        assert_eq!((error.errno(), error.pointer()), (Some(libc::EPERM), Some("/mounts/3")));
        assert_eq!(error.doing().as_deref(), Some("create: mounting devpts"));
    }

    #[test]
    fn the_innermost_pointer_stays() {
        let error = Error::config("/process/args", "must not be empty").at("/process");
        assert_eq!(error.pointer(), Some("/process/args"));
    }
}
