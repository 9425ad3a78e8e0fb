//! What happens to a container while it runs.

use super::stats::{self, Stats};
use super::status::{first, status};
use super::{Container, cgroup_of};
use crate::error::{Error, ErrorKind, Result};
use crate::host::cgroup::OomWatch;
use crate::host::record::Record;
use crate::state::Status;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Something that happened, or what the container uses.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Memory ran out.
    Oom,
    /// An interval has passed.
    Stats(Box<Stats>),
}

/// The events of a container, until its first process ends. Waits in the calling
/// thread, and holds descriptors of the process and of its cgroup.
#[derive(Debug)]
pub struct Events {
    record: Record,
    process: OwnedFd,
    watch: Option<OomWatch>,
    interval: Duration,
    next: Instant,
    ended: bool,
}

impl Container {
    /// What happens from now on, with what the container uses after each `interval`.
    ///
    /// # Errors
    /// `NotFound`; `NotRunning`; `InvalidArgument` for no interval at all.
    pub fn events(&self, interval: Duration) -> Result<Events> {
        let directory = self.directory()?;
        let record = directory.load()?;
        if interval.is_zero() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "duration interval must be greater than 0",
            ));
        }
        let first = match status(&directory, &record)? {
            Status::Stopped | Status::Creating => None,
            _ => first(&record),
        };
        let Some(first) = first else { return Err(self.not_running()) };
        let watch = cgroup_of(&record)?.map(OomWatch::new).transpose()?;
        let next = Instant::now() + interval;
        Ok(Events { record, process: first.pidfd, watch, interval, next, ended: false })
    }

    /// In runc's words for this command.
    fn not_running(&self) -> Error {
        let text = format!("container with id {} is not running", self.id());
        Error::new(ErrorKind::NotRunning, text)
    }
}

impl Iterator for Events {
    type Item = Result<Event>;

    /// Waits for the next event; `None` once the container's process has ended. An
    /// error is about one event, and others may follow.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.ended {
                return None;
            }
            match self.wait() {
                Ok(process_ended) => self.ended = process_ended,
                Err(errno) => {
                    self.ended = true;
                    return Some(Err(Error::os("poll", errno as i32)));
                }
            }
            // Also at the end: running out of memory is what may have brought it.
            match self.watch.as_mut().map(OomWatch::look).transpose() {
                Ok(Some(true)) => return Some(Ok(Event::Oom)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            if !self.ended && Instant::now() >= self.next {
                self.pass_interval();
                let stats = stats::read(&self.record);
                return Some(stats.map(|stats| Event::Stats(Box::new(stats))));
            }
        }
    }
}

impl Events {
    /// Until the process has ended, which is the result, or there is something to look at.
    fn wait(&self) -> Result<bool, Errno> {
        let left = self.next.saturating_duration_since(Instant::now());
        // Rounded up, so that the last wait does not spin.
        let timeout = PollTimeout::try_from(left.saturating_add(Duration::from_micros(999)));
        let mut fds = vec![PollFd::new(self.process.as_fd(), PollFlags::POLLIN)];
        if let Some((fd, events)) = self.watch.as_ref().and_then(OomWatch::poll) {
            fds.push(PollFd::new(fd, events));
        }
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => Ok(fds[0].any().unwrap_or(false)),
            Err(errno) => Err(errno),
        }
    }

    /// A reader that was slow misses intervals, and gets no heap of them later.
    fn pass_interval(&mut self) {
        let now = Instant::now();
        self.next += self.interval;
        if self.next < now {
            self.next = now + self.interval;
        }
    }
}
