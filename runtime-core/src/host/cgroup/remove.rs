//! Removes the directories.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::LiveCgroup;
use crate::error::{Error, ErrorKind, Result};
use crate::host::systemd;
use crate::plan::cgroup::Directory;

/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl LiveCgroup {
    /// Removes the container's directory in every hierarchy, with all that is
    /// below; what is above stays. Processes still there are killed. A
    /// directory that is gone already is no error.
    ///
    /// # Errors
    /// Processes that do not die keep a directory past `patience`, or the
    /// kernel refuses.
    pub fn remove(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        if let Some(unit) = &self.cgroup.unit {
            // What is left would be asked to end politely, for as long as it likes.
            self.kill(libc::SIGKILL)?;
            systemd::stop(unit)?;
        }
        let mut pause = Duration::from_millis(1);
        let mut left: Vec<&Directory> =
            self.directories().map(|(_, directory)| directory).collect();
        loop {
            left = self.remove_each(left)?;
            let Some(first) = left.first() else { return Ok(()) };
            if Instant::now() >= deadline {
                return Err(self.still_busy(first));
            }
            self.make_way(&left)?;
            sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Those that could not be removed yet.
    fn remove_each<'a>(&self, directories: Vec<&'a Directory>) -> Result<Vec<&'a Directory>> {
        let mut busy = Vec::new();
        for directory in directories {
            if !self.rmdir(&directory.relative())? {
                busy.push(directory);
            }
        }
        Ok(busy)
    }

    /// What keeps a cgroup: processes, and cgroups below it.
    fn make_way(&self, directories: &[&Directory]) -> Result<()> {
        self.kill(libc::SIGKILL)?;
        for directory in directories {
            // Somebody may have moved a process in this hierarchy only.
            self.signal_in(directory, libc::SIGKILL, &[])?;
            for path in self.tree(&directory.relative())? {
                self.rmdir(&path)?;
            }
        }
        Ok(())
    }

    /// Whether the directory is gone; not while it is in use.
    fn rmdir(&self, path: &str) -> Result<bool> {
        match unlinkat(self.base(), path, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(true),
            Err(Errno::EBUSY | Errno::ENOTEMPTY | Errno::EINTR) => Ok(false),
            Err(errno) => Err(self.failed("rmdir", errno, path).context("removing the cgroup")),
        }
    }

    fn still_busy(&self, directory: &Directory) -> Error {
        let pids = self.pids_below(directory).unwrap_or_default();
        let message = match pids.as_slice() {
            [] => "the cgroup is still busy".to_owned(),
            pids => format!("the cgroup still holds the processes {pids:?}"),
        };
        Error::new(ErrorKind::Timeout, message)
            .path(self.cgroup.absolute(directory))
            .hint("a killed process that stays is in an uninterruptible wait; delete again later")
    }
}
