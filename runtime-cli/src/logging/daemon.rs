//! The daemons that keep the logs of a host: journald, spoken to in its own protocol, and
//! whoever listens for messages of RFC 3164.

use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::Format;
use super::line::{Line, on_one_line};
use crate::failure::Failure;

const JOURNALD: &str = "/run/systemd/journal/socket";
const SYSLOG: &str = "/dev/log";

/// A message goes as one datagram; the buffer of a socket holds several times this.
const LIMIT: usize = 32 << 10;

/// A daemon that does not read must not hold up a container for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Journald,
    Syslog,
}

/// A connection to one of them.
#[derive(Debug)]
pub(super) struct Daemon {
    kind: Kind,
    socket: UnixDatagram,
    /// What messages go under, if the user said so.
    identifier: Option<String>,
}

impl Daemon {
    /// Finds the daemon now, while nothing has been done that would go untold.
    pub(super) fn connect(kind: Kind, identifier: &str) -> Result<Self, Failure> {
        let (name, path, remedy) = match kind {
            Kind::Journald => ("journald", JOURNALD, "systemd-journald listens there"),
            Kind::Syslog => ("syslog", SYSLOG, "a syslog daemon listens there"),
        };
        let connected = UnixDatagram::unbound().and_then(|socket| {
            socket.connect(path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        });
        let socket = connected.map_err(|error| {
            let failure = Failure::file("connect", path.as_ref(), &error);
            let failure = failure.context(format!("logging to {name}"));
            Failure { message: format!("{}; {remedy}", failure.message), ..failure }
        })?;
        let identifier = (!identifier.is_empty()).then(|| identifier.to_owned());
        Ok(Self { kind, socket, identifier })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Passes `line` on, which is about `container` if that is known by now.
    pub(super) fn send(&self, line: &Line<'_>, format: Format, container: Option<&str>) {
        let datagram = match self.kind {
            Kind::Journald => journal_entry(line, format, self.identifier.as_deref(), container),
            Kind::Syslog => {
                let identifier = self.identifier.as_deref().or(container);
                syslog_message(line, format, identifier).into_bytes()
            }
        };
        // There is nobody left to tell when the log cannot be written.
        drop(self.socket.send(&datagram));
    }
}

/// The fields of an entry, as sd_journal_send(3) has them. `ID` is what crun calls the container.
fn journal_entry(
    line: &Line<'_>,
    format: Format,
    identifier: Option<&str>,
    container: Option<&str>,
) -> Vec<u8> {
    let message = match format {
        Format::Text => line.msg.to_owned(),
        Format::Json => line.json().trim_end().to_owned(),
    };
    let fields = [
        ("PRIORITY", Some(severity(line.level).to_string())),
        ("SYSLOG_IDENTIFIER", Some(identifier.unwrap_or("tare").to_owned())),
        ("SYSLOG_PID", Some(std::process::id().to_string())),
        ("ID", container.map(str::to_owned)),
        ("ERRNO", line.errno.map(|errno| errno.to_string())),
        ("SYSCALL", line.syscall.map(str::to_owned)),
        ("CONFIG_POINTER", line.pointer.map(str::to_owned)),
        ("MESSAGE", Some(shortened(message))),
    ];
    let mut entry = Vec::new();
    for (name, value) in fields.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        entry.extend(name.as_bytes());
        // A value of several lines goes with its length.
        match value.contains('\n') {
            false => entry.push(b'='),
            true => {
                entry.push(b'\n');
                entry.extend((value.len() as u64).to_le_bytes());
            }
        }
        entry.extend(value.as_bytes());
        entry.push(b'\n');
    }
    entry
}

/// Without the time, which the daemon adds: it would have to be the local one (RFC 3164, 4.1.2).
fn syslog_message(line: &Line<'_>, format: Format, identifier: Option<&str>) -> String {
    const USER: u32 = 1 << 3;
    let message = match format {
        Format::Text => on_one_line(line.msg) + &line.details(),
        Format::Json => line.json().trim_end().to_owned(),
    };
    let (priority, pid) = (USER | severity(line.level), std::process::id());
    let identifier = on_one_line(identifier.unwrap_or("tare"));
    format!("<{priority}>{identifier}[{pid}]: {}", shortened(message))
}

/// The numbers of syslog(3).
fn severity(level: &str) -> u32 {
    match level {
        "error" => 3,
        "warning" => 4,
        _ => 7,
    }
}

fn shortened(mut message: String) -> String {
    if message.len() > LIMIT {
        message.truncate(message.floor_char_boundary(LIMIT));
        message += " …";
    }
    message
}

#[cfg(test)]
mod tests {
    use super::super::line::line;
    use super::*;

    fn entry(msg: &str, identifier: Option<&str>, container: Option<&str>) -> String {
        let entry = journal_entry(&line("warning", msg), Format::Text, identifier, container);
        String::from_utf8(entry).unwrap().replace(&std::process::id().to_string(), "P")
    }

    #[test]
    fn a_journal_entry_has_a_line_a_field() {
        assert_eq!(
            entry("no \"x\"", Some("me"), Some("box")),
            "PRIORITY=4\nSYSLOG_IDENTIFIER=me\nSYSLOG_PID=P\nID=box\nMESSAGE=no \"x\"\n"
        );
        assert_eq!(
            entry("a", None, None),
            "PRIORITY=4\nSYSLOG_IDENTIFIER=tare\nSYSLOG_PID=P\nMESSAGE=a\n"
        );
    }

    #[test]
    fn a_field_of_several_lines_has_its_length() {
        assert!(entry("a\nb", None, None).ends_with("\nMESSAGE\n\u{3}\0\0\0\0\0\0\0a\nb\n"));
    }

    #[test]
    fn a_syslog_message_is_one_line_and_a_long_one_is_cut() {
        let message = |msg: &str, identifier| {
            syslog_message(&line("error", msg), Format::Text, identifier)
                .replace(&std::process::id().to_string(), "P")
        };
        assert_eq!(message("a\nb", Some("box")), "<11>box[P]: a\\nb");
        let long = message(&"ö".repeat(LIMIT), None);
        assert!(long.len() < LIMIT + 20 && long.ends_with("ö …"), "{}", long.len());
    }
}
