//! Sockets of engines: where a terminal, a pidfd or a seccomp listener is sent.

use crate::error::{Error, Result};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect,
    listen, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// How long the other side of a socket may take to accept what is sent.
const PATIENCE_SECONDS: i64 = 30;

fn os(name: &'static str, path: &Path) -> impl Fn(nix::errno::Errno) -> Error {
    move |errno| Error::os(name, errno as i32).path(path)
}

/// A stream socket connected to `path`.
fn connect_stream(path: &Path) -> Result<OwnedFd> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .map_err(os("socket", path))?;
    let patience = TimeVal::seconds(PATIENCE_SECONDS);
    setsockopt(&socket, sockopt::SendTimeout, &patience).map_err(os("setsockopt", path))?;
    let (address, _directory) = address(path)?;
    connect(socket.as_raw_fd(), &address).map_err(os("connect", path))?;
    Ok(socket)
}

/// The address of a socket however long its path: a long one is reached through
/// a descriptor of its directory, which must stay open meanwhile.
fn address(path: &Path) -> Result<(UnixAddr, Option<OwnedFd>)> {
    match UnixAddr::new(path) {
        Ok(address) => Ok((address, None)),
        Err(nix::errno::Errno::ENAMETOOLONG) => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(os("connect", path)(nix::errno::Errno::ENAMETOOLONG));
            };
            let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC;
            let directory = nix::fcntl::open(parent, flags, nix::sys::stat::Mode::empty())
                .map_err(os("open", path))?;
            let short =
                Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
            Ok((UnixAddr::new(&short).map_err(os("connect", path))?, Some(directory)))
        }
        Err(errno) => Err(os("connect", path)(errno)),
    }
}

/// Connects to `path` and sends `payload` with descriptors attached.
pub(crate) fn send_descriptor(
    path: &Path,
    payload: &[u8],
    descriptor: BorrowedFd<'_>,
) -> Result<()> {
    let socket = connect_stream(path)?;
    let raw = [descriptor.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&raw)];
    let first = sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(payload)],
        &rights,
        MsgFlags::MSG_NOSIGNAL,
        None,
    );
    let mut sent = first.map_err(os("sendmsg", path))?;
    while sent < payload.len() {
        let rest = [IoSlice::new(&payload[sent..])];
        sent += sendmsg::<()>(socket.as_raw_fd(), &rest, &[], MsgFlags::MSG_NOSIGNAL, None)
            .map_err(os("sendmsg", path))?;
    }
    Ok(())
}

/// A listening socket for `start`, at a path that `short` names.
pub(crate) fn open_gate(short: &Path) -> Result<OwnedFd> {
    let gate = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
        .map_err(os("socket", short))?;
    let address = UnixAddr::new(short).map_err(os("bind", short))?;
    bind(gate.as_raw_fd(), &address).map_err(os("bind", short))?;
    listen(&gate, Backlog::new(1).unwrap_or(Backlog::MAXCONN)).map_err(os("listen", short))?;
    Ok(gate)
}

/// Knocks at the gate; the errno tells whether init is gone (ECONNREFUSED, ENOENT).
pub(crate) fn knock(short: &Path) -> Result<OwnedFd> {
    let knocker = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
        .map_err(os("socket", short))?;
    // Others may be knocking: a full queue makes connect wait.
    let patience = TimeVal::seconds(PATIENCE_SECONDS);
    setsockopt(&knocker, sockopt::SendTimeout, &patience).map_err(os("setsockopt", short))?;
    let address = UnixAddr::new(short).map_err(os("connect", short))?;
    connect(knocker.as_raw_fd(), &address).map_err(os("connect", short))?;
    Ok(knocker)
}
