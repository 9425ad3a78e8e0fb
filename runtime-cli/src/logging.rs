//! Log lines in the shapes of runc, which engines parse: containerd takes the
//! last JSON line of level "error", podman reads the whole file as one JSON
//! object. So a command that fails writes exactly one line to the log file and
//! one that succeeds writes none, unless `--debug` asks for more.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

use runtime_core::{Error, Notice};
use serde::Serialize;

use crate::failure::Failure;
use crate::report;
use crate::time::rfc3339;

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
    file: Option<File>,
    format: Format,
    debug: bool,
}

/// The fields of a log line; the optional ones are for `--debug`.
#[derive(Debug, Default, Serialize)]
struct Line<'a> {
    level: &'a str,
    msg: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    syscall: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
}

impl Log {
    /// A log to `path`, which is made if need be, or to stderr.
    pub(crate) fn open(path: Option<&Path>, format: Format, debug: bool) -> Result<Self, Failure> {
        let file = path.map(open).transpose()?;
        Ok(Self { file, format, debug })
    }

    /// The descriptor of the log file.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        self.file.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Tells why the command fails: a line to the log, and, when that is a file,
    /// the bare message to stderr, where conmon and go-runc look.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.file.is_some() {
            to_stderr(&format!("{}\n", failure.message));
        }
        self.write_failure(failure);
    }

    /// The same with a JSON object on stderr. A log file gets its line as ever.
    pub(crate) fn failure_as_json(&self, failure: &Failure) {
        to_stderr(&report::json(failure));
        if self.file.is_some() {
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
        let line = line("warning", message);
        match self.file {
            Some(_) if !self.debug => to_stderr(&line.text()),
            _ => self.write(&line),
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
        let text = match self.format {
            Format::Text => line.text(),
            Format::Json => line.json(),
        };
        match &self.file {
            // There is nobody left to tell when the log cannot be written.
            Some(file) => drop({ file }.write_all(text.as_bytes())),
            None => to_stderr(&text),
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

fn line<'a>(level: &'a str, msg: &'a str) -> Line<'a> {
    Line { level, msg, time: rfc3339(SystemTime::now()), ..Line::default() }
}

impl Line<'_> {
    fn json(&self) -> String {
        // Strings and numbers always have a JSON form.
        serde_json::to_string(self).map(|text| text + "\n").unwrap_or_default()
    }

    fn text(&self) -> String {
        let mut text =
            format!("time=\"{}\" level={} msg={}", self.time, self.level, quoted(self.msg));
        let fields = [
            ("kind", self.kind.clone()),
            ("syscall", self.syscall.map(str::to_owned)),
            ("errno", self.errno.map(|errno| errno.to_string())),
            ("pointer", self.pointer.map(str::to_owned)),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                text += &format!(" {name}={}", quoted(&value));
            }
        }
        text + "\n"
    }
}

/// `text` as a value of a text line: in quotes unless it is one plain word, and
/// never more than one line.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut result = String::with_capacity(text.len() + 2);
    result.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => result.extend(['\\', c]),
            '\n' => result += "\\n",
            '\r' => result += "\\r",
            '\t' => result += "\\t",
            // Writing to a String cannot fail.
            c if c.is_control() => drop(write!(result, "\\u{:04x}", u32::from(c))),
            c => result.push(c),
        }
    }
    result + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_line_is_quoted_like_the_lines_of_runc() {
        let line = Line { time: "T".into(), ..line("error", "runc: \"state\" requires\n1") };
        assert_eq!(
            line.text(),
            "time=\"T\" level=error msg=\"runc: \\\"state\\\" requires\\n1\"\n"
        );
    }

    #[test]
    fn a_plain_word_needs_no_quotes_and_an_empty_one_does() {
        assert_eq!(quoted("a-b/c.d"), "a-b/c.d");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("\u{1b}[31m"), "\"\\u001b[31m\"");
    }

    #[test]
    fn a_json_line_has_the_fields_that_engines_decode_and_no_others() {
        let line = Line { time: "T".into(), ..line("error", "a \"b\"\nc") };
        assert_eq!(
            line.json(),
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\nc\",\"time\":\"T\"}\n"
        );
    }

    #[test]
    fn every_line_ends_once_whatever_the_message_holds() {
        let line = line("error", "one\ntwo\r\n\u{2028}three");
        assert_eq!(line.text().matches('\n').count(), 1);
        assert_eq!(line.json().matches('\n').count(), 1);
    }
}
