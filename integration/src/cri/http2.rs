//! One call of gRPC over HTTP/2, RFC 9113: a connection, a stream, a message each way.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::hpack;
use crate::outcome::{Outcome, Stop};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags of frames.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// Settings.
const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The client's first stream, and its only one.
const STREAM: u32 = 1;
/// What either side may send before the other one asks for more, in all and in one frame.
const FIRST_WINDOW: usize = 65535;
const LARGEST_FRAME: usize = 16384;
/// The answer may be as long as it likes.
const WINDOW: u32 = i32::MAX.cast_unsigned();

/// What a call came to.
#[derive(Debug)]
pub struct Reply {
    /// gRPC's number; 0 is success.
    pub status: usize,
    pub message: String,
    pub body: Vec<u8>,
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Connection {
    socket: UnixStream,
    until: Instant,
}

/// Sends a message to a method, and waits for the answer for so long.
pub fn call(socket: &Path, path: &str, message: &[u8], limit: Duration) -> Outcome<Reply> {
    let stream = UnixStream::connect(socket)
        .map_err(|error| Stop::fail(format!("connecting to {}: {error}", socket.display())))?;
    stream.set_write_timeout(Some(limit))?;
    let mut connection = Connection { socket: stream, until: Instant::now() + limit };
    connection.greet()?;
    connection.ask(path, message, limit)?;
    connection.answer()
}

impl Connection {
    fn greet(&mut self) -> Outcome {
        self.socket.write_all(PREFACE)?;
        let settings = [(HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, WINDOW)];
        let mut payload = Vec::new();
        for (setting, value) in settings {
            payload.extend(setting.to_be_bytes());
            payload.extend(u32::to_be_bytes(value));
        }
        self.send(SETTINGS, 0, 0, &payload)?;
        let more = WINDOW - FIRST_WINDOW as u32;
        self.send(WINDOW_UPDATE, 0, 0, &more.to_be_bytes())
    }

    fn ask(&mut self, path: &str, message: &[u8], limit: Duration) -> Outcome {
        let headers = hpack::encode(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", &format!("{}m", limit.as_millis())),
        ]);
        self.send(HEADERS, END_HEADERS, STREAM, &headers)?;
        // Whether it is compressed, and its length.
        let mut body = vec![0];
        body.extend(u32::try_from(message.len())?.to_be_bytes());
        body.extend(message);
        if body.len() > FIRST_WINDOW {
            return Err(Stop::fail(format!("a request of {} bytes is too long", message.len())));
        }
        let mut parts = body.chunks(LARGEST_FRAME).peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { END_STREAM } else { 0 };
            self.send(DATA, flags, STREAM, part)?;
        }
        Ok(())
    }

    fn answer(&mut self) -> Outcome<Reply> {
        let (mut headers, mut block, mut body) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let frame = self.receive()?;
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[])?,
                PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload)?,
                RST_STREAM | GOAWAY => return Err(Stop::fail("the server ended the connection")),
                DATA if frame.stream == STREAM => body.extend_from_slice(frame.content()?),
                HEADERS | CONTINUATION if frame.stream == STREAM => {
                    block.extend_from_slice(frame.content()?);
                    if frame.flags & END_HEADERS != 0 {
                        headers.extend(hpack::decode(&std::mem::take(&mut block))?);
                    }
                }
                _ => continue,
            }
            if frame.ends_stream() {
                return reply(&headers, &body);
            }
        }
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Outcome {
        let length = u32::try_from(payload.len())?.to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        Ok(self.socket.write_all(&frame)?)
    }

    fn receive(&mut self) -> Outcome<Frame> {
        let head: [u8; 9] = self.read(9)?.try_into().unwrap_or_default();
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        Ok(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & WINDOW,
            payload: self.read(length)?,
        })
    }

    fn read(&mut self, length: usize) -> Outcome<Vec<u8>> {
        let late = || Stop::fail("the server did not answer in time");
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late());
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut bytes = vec![0; length];
        match self.socket.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(late()),
            Err(error) => Err(Stop::fail(format!("reading from the server: {error}"))),
        }
    }
}

impl Frame {
    /// The payload without what fills it up and what it says of priorities.
    fn content(&self) -> Outcome<&[u8]> {
        let short = || Stop::fail("a frame of the server's is too short");
        let mut content = self.payload.as_slice();
        if self.kind == CONTINUATION {
            return Ok(content);
        }
        if self.flags & PADDED != 0 {
            let (padding, rest) = content.split_first().ok_or_else(short)?;
            let length = rest.len().checked_sub(usize::from(*padding)).ok_or_else(short)?;
            content = &rest[..length];
        }
        if self.kind == HEADERS && self.flags & PRIORITY != 0 {
            content = content.get(5..).ok_or_else(short)?;
        }
        Ok(content)
    }

    fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

fn reply(headers: &[(String, String)], body: &[u8]) -> Outcome<Reply> {
    let header = |name: &str| headers.iter().rev().find(|header| header.0 == name);
    let Some((_, status)) = header("grpc-status") else {
        let status = header(":status").map_or("none", |header| header.1.as_str());
        return Err(Stop::fail(format!("this is no server of gRPC: HTTP status {status}")));
    };
    let message = header("grpc-message").map_or("", |header| header.1.as_str());
    let body = match body {
        [0, _, _, _, _, message @ ..] => message.to_vec(),
        [] => Vec::new(),
        _ => return Err(Stop::fail("the answer is compressed, which nobody asked for")),
    };
    Ok(Reply { status: status.parse()?, message: unescape(message), body })
}

/// Bytes that are no plain characters come as `%` and two hexadecimal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_unescaped() {
        assert_eq!(unescape("a%20b%0A100% %C3%A4%4"), "a b\n100% ä%4");
    }

    #[test]
    fn padding_and_priorities_are_left_out() {
        let frame = |flags, payload: &[u8]| Frame {
            kind: HEADERS,
            flags,
            stream: STREAM,
            payload: payload.to_vec(),
        };
        assert_eq!(frame(PADDED | PRIORITY, b"\x02-----abcdPP").content().unwrap(), b"abcd");
        assert!(frame(PADDED, b"\x02a").content().is_err());
        assert!(frame(PRIORITY, b"abc").content().is_err());
    }

    #[test]
    fn an_answer_without_a_status_is_none() {
        let status = vec![(":status".to_owned(), "404".to_owned())];
        assert!(reply(&status, &[]).is_err());
        let status = vec![("grpc-status".to_owned(), "5".to_owned())];
        assert_eq!(reply(&status, b"\0\0\0\0\x01x").unwrap().body, b"x");
    }
}
