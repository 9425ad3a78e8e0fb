//! Stops all processes at once, and lets them go on.

use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::PollFlags;
use nix::sys::stat::Mode;

use super::{LiveCgroup, file};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::Directory;
use crate::sys::pidfd;

/// How long the kernel may take; a task in an uninterruptible wait holds it up.
const PATIENCE: Duration = Duration::from_secs(10);

impl LiveCgroup {
    /// Stops every process, and returns when all have stopped.
    ///
    /// # Errors
    /// There is no freezer, or the processes did not stop within 10 seconds;
    /// they run again then.
    pub fn freeze(&self) -> Result<()> {
        let directory = self.freezer()?;
        let deadline = Instant::now() + PATIENCE;
        let frozen = match directory.is_v2() {
            true => self.freeze_v2(directory, deadline),
            false => self.freeze_v1(directory, deadline),
        };
        frozen.inspect_err(|_| {
            // The error that led here is the one to report.
            let _ = self.thaw();
        })
    }

    /// Lets every process go on. A cgroup that is gone holds none.
    ///
    /// # Errors
    /// There is no freezer.
    pub fn thaw(&self) -> Result<()> {
        let directory = self.freezer()?;
        let (name, value) = match directory.is_v2() {
            true => ("cgroup.freeze", "0"),
            false => ("freezer.state", "THAWED"),
        };
        match self.set(directory, name, value) {
            Err(error)
                if error.errno().is_some_and(|errno| file::is_gone(Errno::from_raw(errno))) =>
            {
                Ok(())
            }
            answer => answer,
        }
    }

    /// Whether this cgroup was frozen; one above it does not count.
    ///
    /// # Errors
    /// The state cannot be read; a cgroup that is gone is not frozen.
    pub fn is_frozen(&self) -> Result<bool> {
        let Ok(directory) = self.freezer() else { return Ok(false) };
        let name = if directory.is_v2() { "cgroup.freeze" } else { "freezer.self_freezing" };
        let path = format!("{}/{name}", directory.relative());
        match file::read_short(self.base(), &path) {
            Ok(text) => Ok(text == "1"),
            Err(errno) if file::is_gone(errno) => Ok(false),
            Err(errno) => Err(self.failed("read", errno, &path)),
        }
    }

    fn freezer(&self) -> Result<&Directory> {
        self.directory_of("freezer").or_else(|| self.v2_directory()).ok_or_else(|| {
            if self.is_empty() {
                return Error::new(ErrorKind::Unsupported, "the container has no cgroup")
                    .hint("create it as root, or with a cgroup that is delegated to you");
            }
            Error::new(ErrorKind::Unsupported, "the container's cgroup has no freezer")
                .hint("mount the v1 freezer controller, or cgroup v2")
        })
    }

    /// The kernel tells of the change by POLLPRI on `cgroup.events`.
    fn freeze_v2(&self, directory: &Directory, deadline: Instant) -> Result<()> {
        let path = format!("{}/cgroup.events", directory.relative());
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let events = openat(self.base(), path.as_str(), flags, Mode::empty())
            .map_err(|errno| self.failed("open", errno, &path))?;
        self.set(directory, "cgroup.freeze", "1")?;
        loop {
            let text = file::read_open(events.as_fd())
                .map_err(|errno| self.failed("read", errno, &path))?;
            if text.lines().any(|line| line == "frozen 1") {
                return Ok(());
            }
            let changed = pidfd::poll_until(events.as_fd(), PollFlags::POLLPRI, deadline)
                .map_err(|errno| self.failed("poll", errno, &path))?;
            if !changed {
                return Err(too_slow());
            }
        }
    }

    /// v1 tells nobody, and a fork at the wrong moment can keep it in
    /// FREEZING until it is asked again.
    fn freeze_v1(&self, directory: &Directory, deadline: Instant) -> Result<()> {
        let path = format!("{}/freezer.state", directory.relative());
        let mut pause = Duration::from_micros(10);
        loop {
            self.set(directory, "freezer.state", "FROZEN")?;
            let state = file::read_short(self.base(), &path)
                .map_err(|errno| self.failed("read", errno, &path))?;
            if state == "FROZEN" {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(too_slow());
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    fn set(&self, directory: &Directory, name: &str, value: &str) -> Result<()> {
        let path = format!("{}/{name}", directory.relative());
        file::write(self.base(), &path, value).map_err(|errno: Errno| {
            self.failed("write", errno, &path).context(format!("writing {value}"))
        })
    }
}

fn too_slow() -> Error {
    let seconds = PATIENCE.as_secs();
    Error::new(ErrorKind::Timeout, format!("the processes did not freeze within {seconds} seconds"))
        .hint("one may be in an uninterruptible wait; look for state D in ps")
}
