//! A connection to a systemd manager: its private socket, which needs no bus daemon
//! in between, or else the bus. Every wait has a deadline.

use super::message::{Call, Kind, Received, size};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::systemd::{Manager, Value};
use crate::sys::pidfd::poll_until;
use nix::poll::PollFlags;
use std::collections::VecDeque;
use std::io::{ErrorKind as Io, Read, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long systemd may take for one answer, and for one job.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const BUS: &str = "org.freedesktop.DBus";

/// A connection that is ready for calls.
#[derive(Debug)]
pub(super) struct Bus {
    socket: UnixStream,
    serial: u32,
    unread: Vec<u8>,
    /// Messages that came while another was waited for.
    early: VecDeque<Received>,
}

/// An error that systemd answered with.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Its name, `org.freedesktop.systemd1.UnitExists` say.
    pub(super) name: String,
    /// What it says to people.
    pub(super) text: String,
}

impl Bus {
    /// Connects to `manager`.
    pub(super) fn connect(manager: Manager) -> Result<Self> {
        let private = private_socket(manager);
        if let Some(path) = &private
            && let Ok(socket) = UnixStream::connect(path)
        {
            return Self::over(socket, false);
        }
        let (address, shown) = bus_address(manager).ok_or_else(|| unreachable(manager, None))?;
        match UnixStream::connect_addr(&address) {
            Ok(socket) => Self::over(socket, true),
            Err(error) => Err(unreachable(manager, Some(Error::io("connect", &error).path(shown)))),
        }
    }

    /// Authenticates as whoever the kernel says that the caller is (EXTERNAL, without a
    /// name: in a user namespace the caller has another uid than the other side sees).
    /// All is sent at once: the answers are known unless the other side refuses.
    fn over(socket: UnixStream, through_daemon: bool) -> Result<Self> {
        socket.set_nonblocking(true).map_err(|error| Error::io("fcntl", &error))?;
        let mut bus = Self { socket, serial: 0, unread: Vec::new(), early: VecDeque::new() };
        let deadline = Instant::now() + PATIENCE;
        bus.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", deadline)?;
        bus.await_welcome(deadline)?;
        if through_daemon {
            bus.meet_daemon()?;
        }
        Ok(bus)
    }

    /// The other side asks for a name (`DATA`), and is content without one.
    fn await_welcome(&mut self, deadline: Instant) -> Result<()> {
        let mut line = self.line(deadline)?;
        if line == "DATA" {
            line = self.line(deadline)?;
        }
        if line.starts_with("OK ") {
            return Ok(());
        }
        Err(Error::new(ErrorKind::System, format!("systemd refused the connection: {line}")))
    }

    fn line(&mut self, deadline: Instant) -> Result<String> {
        let end = loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                break end;
            }
            self.receive(deadline)?;
        };
        let line: Vec<u8> = self.unread.drain(..end + 2).collect();
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// A bus daemon wants to be greeted, and passes on only what was asked for.
    fn meet_daemon(&mut self) -> Result<()> {
        let rule =
            format!("type='signal',sender='{NAME}',interface='{MANAGER}',member='JobRemoved'");
        let hello = self.ask_daemon("Hello", &[])?;
        let matched = self.ask_daemon("AddMatch", &[Value::text(rule)])?;
        for serial in [hello, matched] {
            self.answer(serial)?.map_err(|refusal| refusal.into_error())?;
        }
        Ok(())
    }

    fn ask_daemon(&mut self, member: &str, arguments: &[Value]) -> Result<u32> {
        let path = "/org/freedesktop/DBus";
        self.call(&Call { destination: BUS, path, interface: BUS, member, arguments })
    }

    /// Calls a method of the manager; the answer is waited for with [`Bus::answer`].
    pub(super) fn ask(&mut self, member: &str, arguments: &[Value]) -> Result<u32> {
        let (destination, path) = (NAME, PATH);
        self.call(&Call { destination, path, interface: MANAGER, member, arguments })
    }

    /// Asks for a property of the manager.
    pub(super) fn property(&mut self, name: &str) -> Result<String> {
        let serial = self.call(&Call {
            destination: NAME,
            path: PATH,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            arguments: &[Value::text(MANAGER), Value::text(name)],
        })?;
        let answer = self.answer(serial)?.map_err(Refusal::into_error)?;
        Ok(answer.into_iter().next().unwrap_or_default())
    }

    fn call(&mut self, call: &Call<'_>) -> Result<u32> {
        self.serial += 1;
        self.send(&call.encode(self.serial), Instant::now() + PATIENCE)?;
        Ok(self.serial)
    }

    /// The strings of the answer to call `serial`.
    pub(super) fn answer(
        &mut self,
        serial: u32,
    ) -> Result<std::result::Result<Vec<String>, Refusal>> {
        let deadline = Instant::now() + PATIENCE;
        let message = self.await_message(deadline, |message| message.answers == Some(serial))?;
        Ok(match message.kind {
            Kind::Error => Err(Refusal {
                name: message.error,
                text: message.texts.into_iter().next().unwrap_or_default(),
            }),
            _ => Ok(message.texts),
        })
    }

    /// How the job `job` ended: `done`, `failed`, `canceled`, …
    pub(super) fn job_result(&mut self, job: &str) -> Result<String> {
        let is_end = |message: &Received| {
            message.kind == Kind::Signal
                && message.member == "JobRemoved"
                && message.texts.first().is_some_and(|path| path == job)
        };
        let mut message = self.await_message(Instant::now() + PATIENCE, is_end)?;
        Ok(message.texts.pop().unwrap_or_default())
    }

    /// The first message that is `wanted`. Answers and ends of jobs that are not are
    /// kept; other signals are of no interest.
    fn await_message(
        &mut self,
        deadline: Instant,
        wanted: impl Fn(&Received) -> bool,
    ) -> Result<Received> {
        if let Some(found) = self.early.iter().position(&wanted)
            && let Some(message) = self.early.remove(found)
        {
            return Ok(message);
        }
        loop {
            match self.next_message(deadline)? {
                message if wanted(&message) => return Ok(message),
                message if message.answers.is_some() || message.member == "JobRemoved" => {
                    self.early.push_back(message);
                }
                _ => {}
            }
        }
    }

    fn next_message(&mut self, deadline: Instant) -> Result<Received> {
        let garbled =
            || Error::new(ErrorKind::System, "systemd sent a message that is not understood");
        loop {
            match size(&self.unread) {
                Some(Err(())) => return Err(garbled()),
                Some(Ok(size)) if size <= self.unread.len() => {
                    let message: Vec<u8> = self.unread.drain(..size).collect();
                    return Received::decode(&message).ok_or_else(garbled);
                }
                _ => self.receive(deadline)?,
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => {
                    return Err(Error::new(ErrorKind::System, "systemd closed the connection"));
                }
                Ok(count) => {
                    self.unread.extend(&buffer[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == Io::Interrupted => {}
                Err(error) if error.kind() == Io::WouldBlock => {
                    self.wait(PollFlags::POLLIN, deadline)?;
                }
                Err(error) => return Err(Error::io("recv", &error)),
            }
        }
    }

    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.socket.write(left) {
                Ok(count) => left = &left[count..],
                Err(error) if error.kind() == Io::Interrupted => {}
                Err(error) if error.kind() == Io::WouldBlock => {
                    self.wait(PollFlags::POLLOUT, deadline)?;
                }
                Err(error) => return Err(Error::io("send", &error).context("asking systemd")),
            }
        }
        Ok(())
    }

    fn wait(&self, events: PollFlags, deadline: Instant) -> Result<()> {
        match poll_until(self.socket.as_fd(), events, deadline) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let seconds = PATIENCE.as_secs();
                let text = format!("systemd did not answer within {seconds} seconds");
                Err(Error::new(ErrorKind::Timeout, text)
                    .hint("look at `systemctl list-jobs` and the journal of the host"))
            }
            Err(errno) => Err(Error::os("poll", errno as i32)),
        }
    }
}

impl Refusal {
    pub(super) fn into_error(self) -> Error {
        let Self { name, text } = self;
        Error::new(ErrorKind::System, format!("systemd: {text} ({name})"))
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.strip_prefix(NAME).is_some_and(|rest| rest.strip_prefix('.') == Some(name))
    }
}

/// Where the manager itself listens.
fn private_socket(manager: Manager) -> Option<PathBuf> {
    match manager {
        Manager::System => Some(PathBuf::from("/run/systemd/private")),
        Manager::User => Some(runtime_directory()?.join("systemd/private")),
    }
}

fn runtime_directory() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The address of the bus daemon, and how to show it.
fn bus_address(manager: Manager) -> Option<(SocketAddr, PathBuf)> {
    let from_path =
        |path: PathBuf| SocketAddr::from_pathname(&path).ok().map(|address| (address, path));
    let variable = match manager {
        Manager::System => "DBUS_SYSTEM_BUS_ADDRESS",
        Manager::User => "DBUS_SESSION_BUS_ADDRESS",
    };
    if let Some(address) = std::env::var(variable).ok().filter(|text| !text.is_empty()) {
        return address.split(';').find_map(parse_address);
    }
    match manager {
        Manager::System => from_path(PathBuf::from("/run/dbus/system_bus_socket")),
        Manager::User => from_path(runtime_directory()?.join("bus")),
    }
}

/// `unix:path=PATH` or `unix:abstract=NAME` (D-Bus Specification, "Unix Domain Sockets").
fn parse_address(text: &str) -> Option<(SocketAddr, PathBuf)> {
    text.strip_prefix("unix:")?.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = unescape(value)?;
        match key {
            "path" => SocketAddr::from_pathname(Path::new(&value)).ok(),
            "abstract" => SocketAddr::from_abstract_name(&value).ok(),
            _ => None,
        }
        .map(|address| (address, PathBuf::from(value)))
    })
}

/// Bytes may stand as `%xx`.
fn unescape(text: &str) -> Option<String> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        plain.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(plain).ok()
}

fn unreachable(manager: Manager, error: Option<Error>) -> Error {
    let error = error.unwrap_or_else(|| {
        Error::new(ErrorKind::Unsupported, "no address of the session bus is known")
    });
    let (doing, hint) = match manager {
        Manager::System => (
            "connecting to systemd",
            "is this host run by systemd? leave --systemd-cgroup out where it is not",
        ),
        Manager::User => (
            "connecting to the user's systemd",
            "it needs a session: set XDG_RUNTIME_DIR (DBUS_SESSION_BUS_ADDRESS for another bus), log in anew, or run \
             `loginctl enable-linger`; or leave --systemd-cgroup out",
        ),
    };
    error.context(doing).hint(hint)
}
