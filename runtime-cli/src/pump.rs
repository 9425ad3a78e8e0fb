//! Copying bytes one way between two descriptors, one read or write at a time, as
//! poll says which will not block.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};

/// What a pipe that polls as writable always takes.
const CHUNK: usize = 4096;

/// A copy in one direction.
#[derive(Debug)]
pub(crate) struct Pump {
    from: OwnedFd,
    to: OwnedFd,
    buffer: Box<[u8; CHUNK]>,
    /// What was read and not yet written: a part of `buffer`.
    pending: std::ops::Range<usize>,
    source: Source,
    /// Nobody reads what is written; it is thrown away, so that the writer on
    /// the other side goes on.
    sink_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Open,
    /// The other side of the terminal is closed everywhere, and may be opened again.
    HungUp,
    Ended,
}

impl Pump {
    pub(crate) fn new(from: OwnedFd, to: OwnedFd) -> Self {
        let buffer = Box::new([0; CHUNK]);
        Self { from, to, buffer, pending: 0..0, source: Source::Open, sink_closed: false }
    }

    /// What to wait for before the next [`Self::advance`].
    pub(crate) fn interest(&self) -> Option<PollFd<'_>> {
        if !self.pending.is_empty() {
            return Some(PollFd::new(self.to.as_fd(), PollFlags::POLLOUT));
        }
        let readable = || PollFd::new(self.from.as_fd(), PollFlags::POLLIN);
        (self.source == Source::Open).then(readable)
    }

    /// Whether the source hung up and is worth another try after a while.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.source == Source::HungUp
    }

    /// Tries a source that hung up again.
    pub(crate) fn retry(&mut self) {
        if self.is_hung_up() {
            self.source = Source::Open;
        }
    }

    /// One write of what is pending, or else one read.
    pub(crate) fn advance(&mut self) {
        match self.pending.is_empty() {
            true => self.fill(),
            false => self.flush(),
        }
    }

    fn fill(&mut self) {
        match read(&self.from, &mut self.buffer[..]) {
            Ok(0) => self.source = Source::Ended,
            Ok(length) if !self.sink_closed => self.pending = 0..length,
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            // What a terminal's master says when no slave is open.
            Err(Errno::EIO) => self.source = Source::HungUp,
            Err(_) => self.source = Source::Ended,
        }
    }

    fn flush(&mut self) {
        match write(&self.to, &self.buffer[self.pending.clone()]) {
            Ok(length) => self.pending.start += length,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => {
                self.sink_closed = true;
                self.pending = 0..0;
            }
        }
    }

    /// Copies what is there by now, but no more than `limit` bytes and a chunk:
    /// a writer that goes on for ever must not keep us.
    pub(crate) fn drain(&mut self, limit: usize) {
        self.retry();
        let mut left = limit.div_ceil(CHUNK);
        while left > 0 {
            let reading = self.pending.is_empty();
            let timeout = if reading { PollTimeout::ZERO } else { PollTimeout::NONE };
            match self.interest().map(|fd| poll(&mut [fd], timeout)) {
                Some(Err(Errno::EINTR)) => continue,
                Some(Ok(1..)) => self.advance(),
                _ => return,
            }
            left -= usize::from(reading);
        }
        while !self.pending.is_empty() {
            self.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use nix::pty::openpty;
    use nix::unistd::pipe;

    use super::*;

    #[test]
    fn bytes_go_through_in_order_until_the_source_ends() {
        let (source, feed) = pipe().unwrap();
        let (result, sink) = pipe().unwrap();
        let mut pump = Pump::new(source, sink);
        File::from(feed).write_all(b"hello").unwrap();
        while pump.interest().is_some() {
            pump.advance();
        }
        drop(pump);
        let mut text = String::new();
        File::from(result).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn a_closed_reader_does_not_stop_the_source_from_being_read() {
        let (source, feed) = pipe().unwrap();
        let (result, sink) = pipe().unwrap();
        drop(result);
        let mut pump = Pump::new(source, sink);
        let mut feed = File::from(feed);
        for _ in 0..3 {
            feed.write_all(&[0; CHUNK]).unwrap();
            pump.advance();
            if !pump.pending.is_empty() {
                pump.advance();
            }
        }
        assert!(pump.sink_closed && pump.pending.is_empty());
        assert_eq!(pump.interest().unwrap().events(), PollFlags::POLLIN);
    }

    #[test]
    fn a_terminal_that_hung_up_is_drained_first_and_then_left_alone() {
        let pty = openpty(None, None).unwrap();
        let (result, sink) = pipe().unwrap();
        let mut pump = Pump::new(pty.master, sink);
        let mut slave = File::from(pty.slave);
        slave.write_all(b"last words").unwrap();
        drop(slave);
        pump.drain(usize::MAX);
        assert!(pump.is_hung_up() && pump.interest().is_none());
        drop(pump);
        let mut text = String::new();
        File::from(result).read_to_string(&mut text).unwrap();
        assert_eq!(text, "last words");
    }

    #[test]
    fn draining_ends_though_the_source_does_not() {
        let (source, sink) = (File::open("/dev/zero").unwrap(), File::create("/dev/null").unwrap());
        Pump::new(source.into(), sink.into()).drain(10 * CHUNK);
    }
}
