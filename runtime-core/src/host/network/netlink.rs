//! rtnetlink (rtnetlink(7)): requests about network devices, and the kernel's answers.

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// How long the kernel may take to answer.
const PATIENCE_SECONDS: i64 = 10;
/// The kernel's messages of a dump are at most this long.
const ANSWER_SIZE: usize = 32 * 1024;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// How often a list is asked for that changes while it is given.
const ATTEMPTS: usize = 16;

/// A request: its header's type and flags, then its body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Request {
    /// A request of `kind` whose fixed part is `fixed`.
    pub(crate) fn new(kind: u16, fixed: &[u8]) -> Self {
        Self { kind, flags: 0, body: fixed.to_vec() }
    }

    /// With more flags (`NLM_F_*`).
    pub(crate) fn flags(mut self, flags: i32) -> Self {
        self.flags |= short(flags);
        self
    }

    /// With an attribute.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.body.extend_from_slice(&length.to_ne_bytes());
        self.body.extend_from_slice(&kind.to_ne_bytes());
        self.body.extend_from_slice(value);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        self
    }

    /// With an attribute that is a string.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    fn bytes(&self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(HEADER + self.body.len()).unwrap_or(u32::MAX);
        let flags = self.flags | short(libc::NLM_F_REQUEST | libc::NLM_F_ACK);
        let mut bytes = Vec::with_capacity(HEADER + self.body.len());
        bytes.extend_from_slice(&length.to_ne_bytes());
        bytes.extend_from_slice(&self.kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&0u32.to_ne_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Flags of a message are the low half of what libc has as an int.
fn short(flags: i32) -> u16 {
    u16::try_from(flags).unwrap_or(0)
}

/// Reads what the kernel's structures hold.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

/// The same for four bytes.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// The attributes in `bytes`, each with its kind.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    /// Above are flags: nested, and byte order.
    const KIND: u16 = 0x3fff;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & KIND;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// What the kernel says in one datagram.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    bodies: Vec<Vec<u8>>,
    /// Whether that was all, and how it went.
    end: Option<i32>,
    /// The list changed while it was given.
    interrupted: bool,
}

fn read(mut bytes: &[u8], sequence: u32, heard: &mut Heard) {
    while heard.end.is_none() {
        let (Some(length), Some(kind), Some(flags), Some(number)) =
            (u32_at(bytes, 0), u16_at(bytes, 4), u16_at(bytes, 6), u32_at(bytes, 8))
        else {
            return;
        };
        let length = length as usize;
        let Some(body) = bytes.get(HEADER..length) else { return };
        if number == sequence {
            heard.interrupted |= flags & short(libc::NLM_F_DUMP_INTR) != 0;
            match i32::from(kind) {
                libc::NLMSG_ERROR | libc::NLMSG_DONE => {
                    let answer = u32_at(body, 0).unwrap_or(0).cast_signed();
                    heard.end = Some(answer.saturating_neg());
                }
                _ => heard.bodies.push(body.to_vec()),
            }
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// A socket to the kernel, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub(crate) fn open() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE_SECONDS))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Asks, and hears the answer to its end.
    pub(crate) fn ask(&mut self, request: &Request) -> io::Result<Vec<Vec<u8>>> {
        for _ in 0..ATTEMPTS {
            let heard = self.ask_once(request)?;
            if !heard.interrupted {
                return Ok(heard.bodies);
            }
        }
        Err(io::Error::from_raw_os_error(libc::EAGAIN))
    }

    fn ask_once(&mut self, request: &Request) -> io::Result<Heard> {
        self.sequence += 1;
        send(self.fd.as_raw_fd(), &request.bytes(self.sequence), MsgFlags::empty())?;
        let mut buffer = vec![0; ANSWER_SIZE];
        let mut heard = Heard::default();
        loop {
            match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(count) => read(&buffer[..count], self.sequence, &mut heard),
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => {
                    return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
                }
                Err(errno) => return Err(errno.into()),
            }
            match heard.end {
                None => {}
                Some(0) => return Ok(heard),
                Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: i32, flags: i32, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut request = Request::new(short(kind), body).flags(flags);
        request.body.resize(body.len().next_multiple_of(4), 0);
        request.bytes(sequence)
    }

    #[test]
    fn an_answer_is_read_to_its_end_and_that_of_another_request_is_not_taken() {
        let mut bytes = message(16, 0, 6, b"late");
        bytes.extend(message(16, libc::NLM_F_DUMP_INTR, 7, b"one1"));
        bytes.extend(message(16, 0, 7, b"two2"));
        bytes.extend(message(libc::NLMSG_DONE, 0, 7, &0u32.to_ne_bytes()));
        let mut heard = Heard::default();
        read(&bytes, 7, &mut heard);
        let bodies = vec![b"one1".to_vec(), b"two2".to_vec()];
        assert_eq!(heard, Heard { bodies, end: Some(0), interrupted: true });
    }

    #[test]
    fn an_error_is_an_errno_and_what_is_cut_off_is_nothing() {
        let refused = (-libc::EEXIST).to_ne_bytes();
        let bytes = message(libc::NLMSG_ERROR, 0, 1, &refused);
        let mut heard = Heard::default();
        read(&bytes, 1, &mut heard);
        assert_eq!(heard.end, Some(libc::EEXIST));
        for length in 0..bytes.len() {
            let mut heard = Heard::default();
            read(&bytes[..length], 1, &mut heard);
            assert_eq!(heard, Heard::default(), "{length} bytes");
        }
    }

    #[test]
    fn attributes_are_padded_and_read_back() {
        let request = Request::new(16, &[]).text(3, "eth0").attribute(28, &[1, 2, 3, 4]);
        let found: Vec<_> = attributes(&request.body).collect();
        assert_eq!(found, [(3, &b"eth0\0"[..]), (28, &[1, 2, 3, 4][..])]);
        assert_eq!(attributes(&[3, 0, 0, 0, 9]).count(), 0);
    }
}
