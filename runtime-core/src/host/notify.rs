//! NOTIFY_SOCKET: readiness of the container's program, told to whoever supervises
//! the runtime (sd_notify(3)).
//!
//! The container gets a socket of its own, bound at /run/notify. `start` waits
//! for its `READY=` line and passes it on with the pid as the host sees it.

use crate::error::{Error, ErrorKind, Result};
use crate::host::record::Directory;
use crate::sys::pidfd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

/// The directory in the state directory, and the socket in it.
pub(crate) const DIRECTORY: &str = "notify";
pub(crate) const SOCKET: &str = "notify.sock";

/// How long the supervisor may take to have read everything (BARRIER=1).
const BARRIER: Duration = Duration::from_secs(30);

/// Makes the directory that the container will see.
pub(crate) fn open(directory: &Directory) -> Result<()> {
    let path = directory.path().join(DIRECTORY);
    std::fs::create_dir(&path).map_err(|error| Error::io("mkdir", &error).path(path))
}

/// Binds the socket: a datagram socket lives in the process that bound it, so
/// it is the one who waits that does.
pub(crate) fn listen(directory: &Directory) -> Result<UnixDatagram> {
    let short = directory.short_name(DIRECTORY).join(SOCKET);
    let io = |error: std::io::Error| Error::io("bind", &error).path(&short);
    // One of a `start` that was killed may be left.
    match std::fs::remove_file(&short) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let socket = UnixDatagram::bind(&short).map_err(io)?;
    // Whatever user the program runs as may report.
    std::fs::set_permissions(&short, std::fs::Permissions::from_mode(0o777)).map_err(io)?;
    Ok(socket)
}

/// Waits for READY from the container and passes it to `supervisor`; comes back
/// without it when the process ends before.
pub(crate) fn relay(
    socket: &UnixDatagram,
    supervisor: &Path,
    pid: i32,
    process: BorrowedFd<'_>,
) -> Result<()> {
    let Some(line) = wait_ready(socket, process)? else { return Ok(()) };
    let failed = |error: std::io::Error| Error::io("sendmsg", &error).path(supervisor);
    let to = UnixDatagram::unbound().map_err(failed)?;
    connect(&to, supervisor).map_err(failed)?;
    to.send(line.as_bytes()).map_err(failed)?;
    to.send(format!("MAINPID={pid}").as_bytes()).map_err(failed)?;
    barrier(&to)
}

/// An abstract address starts with `@` in the environment.
fn connect(socket: &UnixDatagram, address: &Path) -> std::io::Result<()> {
    match address.to_str().and_then(|text| text.strip_prefix('@')) {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?),
        None => socket.connect(address),
    }
}

fn wait_ready(socket: &UnixDatagram, process: BorrowedFd<'_>) -> Result<Option<String>> {
    let mut buffer = [0u8; 4096];
    loop {
        let mut both = [
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(process, PollFlags::POLLIN),
        ];
        match poll(&mut both, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Error::os("poll", errno as i32)),
        }
        let [ready, ended] =
            both.map(|entry| entry.revents().is_some_and(|events| !events.is_empty()));
        if ready {
            let count = socket.recv(&mut buffer).map_err(|error| Error::io("recv", &error))?;
            let text = String::from_utf8_lossy(&buffer[..count]);
            if let Some(line) = text.lines().find(|line| line.starts_with("READY=")) {
                return Ok(Some(line.to_owned()));
            }
        } else if ended {
            return Ok(None);
        }
    }
}

/// The supervisor closes the pipe once it has read what came before.
fn barrier(to: &UnixDatagram) -> Result<()> {
    let failed = |errno: nix::errno::Errno| Error::os("sendmsg", errno as i32);
    let (reader, writer): (OwnedFd, OwnedFd) =
        nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(failed)?;
    use std::os::fd::AsRawFd;
    let raw = [writer.as_raw_fd()];
    nix::sys::socket::sendmsg::<()>(
        to.as_raw_fd(),
        &[std::io::IoSlice::new(b"BARRIER=1")],
        &[nix::sys::socket::ControlMessage::ScmRights(&raw)],
        nix::sys::socket::MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .map_err(failed)?;
    drop(writer);
    match pidfd::poll_until(reader.as_fd(), PollFlags::POLLHUP, Instant::now() + BARRIER) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(
            ErrorKind::Timeout,
            "the supervisor did not read its notifications in 30 s",
        )),
        Err(errno) => Err(Error::os("poll", errno as i32)),
    }
}
