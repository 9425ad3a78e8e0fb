//! Hearing that the container is out of memory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::PollFlags;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::stat::Mode;

use super::{LiveCgroup, file};
use crate::error::Result;
use crate::plan::cgroup::Directory;

/// A watch on the memory of a container.
#[derive(Debug)]
pub(crate) struct OomWatch {
    cgroup: LiveCgroup,
    bell: Bell,
    /// How many had been killed when we last looked.
    kills: u64,
}

/// What tells that it is time to look.
#[derive(Debug)]
enum Bell {
    /// v1: counts how often memory ran out, also where nothing is killed for that.
    Counter(EventFd),
    /// v2: `memory.events`, on which changes are POLLPRI.
    File(OwnedFd),
    /// The memory of the container is not accounted for, or its kernel tells nobody.
    None,
}

impl OomWatch {
    /// Hears of what happens from now on.
    pub(crate) fn new(cgroup: LiveCgroup) -> Result<Self> {
        let bell = match cgroup.directory_of("memory") {
            Some(directory) if directory.is_v2() => cgroup.events_file(directory)?,
            Some(directory) => cgroup.register(directory)?,
            None => Bell::None,
        };
        let kills = cgroup.oom_kills()?;
        Ok(Self { cgroup, bell, kills })
    }

    /// What to poll for, if anything.
    pub(crate) fn poll(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.bell {
            Bell::Counter(counter) => Some((counter.as_fd(), PollFlags::POLLIN)),
            Bell::File(file) => Some((file.as_fd(), PollFlags::POLLPRI)),
            Bell::None => None,
        }
    }

    /// Whether memory ran out since the last look. The removal of a v1 cgroup rings, too.
    pub(crate) fn look(&mut self) -> Result<bool> {
        if let Bell::Counter(counter) = &self.bell {
            return Ok(counter.read().is_ok() && self.is_there());
        }
        if let Bell::File(file) = &self.bell {
            // Reading is what makes the next change ring again.
            let _ = file::read_open(file.as_fd());
        }
        let before = self.kills;
        self.kills = self.cgroup.oom_kills()?.max(before);
        Ok(self.kills > before)
    }

    fn is_there(&self) -> bool {
        let directory = self.cgroup.directory_of("memory");
        directory.is_some_and(|it| self.cgroup.open_file(it, "memory.oom_control").is_ok())
    }
}

impl LiveCgroup {
    fn events_file(&self, directory: &Directory) -> Result<Bell> {
        match self.open_file(directory, "memory.events") {
            Ok(file) => Ok(Bell::File(file)),
            Err(errno) if file::is_gone(errno) => Ok(Bell::None),
            Err(errno) => Err(self.failed("open", errno, &directory.relative())),
        }
    }

    /// "EVENTFD FILE" into `cgroup.event_control`, which kernels for real time lack.
    fn register(&self, directory: &Directory) -> Result<Bell> {
        let path = format!("{}/cgroup.event_control", directory.relative());
        let registered = || {
            let control = self.open_file(directory, "memory.oom_control")?;
            let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
            let counter = EventFd::from_flags(flags)?;
            let line = format!("{} {}", counter.as_fd().as_raw_fd(), control.as_raw_fd());
            file::write(self.base(), &path, &line)?;
            Ok(Bell::Counter(counter))
        };
        match registered() {
            Err(errno) if file::is_gone(errno) || errno == Errno::EOPNOTSUPP => Ok(Bell::None),
            registered => registered.map_err(|errno| self.failed("write", errno, &path)),
        }
    }

    fn open_file(&self, directory: &Directory, name: &str) -> nix::Result<OwnedFd> {
        let path = format!("{}/{name}", directory.relative());
        openat(self.base(), path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    }
}
