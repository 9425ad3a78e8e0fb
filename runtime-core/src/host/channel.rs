//! The control socket to init: its facts in, one byte out.

use crate::error::{Error, ErrorKind, Result};
use crate::plan::ops::{Fact, GO, Message};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, send, setsockopt,
    socketpair, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The longest that init may say nothing. It is working all the while, so
/// silence this long is a stuck mount or a stuck machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// One message of init.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) fact: Fact,
    pub(crate) message: Message,
    /// What a failed hook wrote: its standard output, a NUL, its standard error.
    pub(crate) words: Vec<u8>,
    pub(crate) attached: Option<OwnedFd>,
}

/// The host side's end.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

impl Channel {
    /// Both ends: the host's, and the one for init.
    pub(crate) fn pair(patience: Option<Duration>) -> Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|errno| Error::os("socketpair", errno as i32))?;
        let channel = Self::over(ours, patience)?;
        Ok((channel, theirs))
    }

    /// Over a socket that is connected to init. Without `patience` it waits for as long as init lives.
    pub(crate) fn over(socket: OwnedFd, patience: Option<Duration>) -> Result<Self> {
        if let Some(patience) = patience {
            let limit =
                TimeVal::milliseconds(i64::try_from(patience.as_millis()).unwrap_or(i64::MAX));
            setsockopt(&socket, sockopt::ReceiveTimeout, &limit)
                .map_err(|errno| Error::os("setsockopt", errno as i32))?;
        }
        Ok(Self { socket })
    }

    /// The next message; `None` when init has ended or become the program.
    pub(crate) fn hear(&self) -> Result<Option<Heard>> {
        let mut bytes = [0u8; Message::SIZE + 4100];
        let mut control = nix::cmsg_space!([RawFd; 1]);
        let (count, attached) = loop {
            let mut vectors = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.socket.as_raw_fd(), &mut vectors, Some(&mut control), flags) {
                Ok(received) => break (received.bytes, take_descriptor(&received)),
                Err(nix::errno::Errno::EINTR) => {}
                // The other end closed with something of ours unread: it is gone all the same.
                Err(nix::errno::Errno::ECONNRESET) => return Ok(None),
                Err(nix::errno::Errno::EAGAIN) => {
                    return Err(Error::new(ErrorKind::Timeout, "init did not answer in time"));
                }
                Err(errno) => return Err(Error::os("recvmsg", errno as i32)),
            }
        };
        if count == 0 {
            return Ok(None);
        }
        let message = Message::from_bytes(&bytes[..count]);
        let fact = message.and_then(|message| Fact::from_number(message.fact));
        let (Some(message), Some(fact)) = (message, fact) else {
            return Err(Error::new(ErrorKind::System, "init sent a message that is none"));
        };
        let words = bytes[Message::SIZE..count].to_vec();
        Ok(Some(Heard { fact, message, words, attached }))
    }

    /// Lets init go on. One that has gone already is noticed by `hear`.
    pub(crate) fn go(&self) -> Result<()> {
        match send(self.socket.as_raw_fd(), &[GO], MsgFlags::MSG_NOSIGNAL) {
            Ok(_) | Err(nix::errno::Errno::EPIPE | nix::errno::Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(Error::os("send", errno as i32)),
        }
    }
}

fn take_descriptor(received: &nix::sys::socket::RecvMsg<'_, '_, ()>) -> Option<OwnedFd> {
    let messages = received.cmsgs().ok()?;
    let mut descriptors = messages.flat_map(|message| match message {
        ControlMessageOwned::ScmRights(descriptors) => descriptors,
        _ => Vec::new(),
    });
    descriptors.next().map(crate::sys::fd::own)
}
