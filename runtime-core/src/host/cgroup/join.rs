//! Puts processes into the cgroup.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::{LiveCgroup, file};
use crate::error::{Error, Result};
use crate::plan::cgroup::Directory;

/// What runc says, and callers look for.
pub(crate) const ADDING: &str = "adding pid of the new process to cgroups";

impl LiveCgroup {
    /// Moves the process `pid`, all of its threads, into every hierarchy.
    ///
    /// # Errors
    /// The process or the cgroup is gone, or the kernel refuses.
    pub fn join(&self, pid: i32) -> Result<()> {
        self.directories().try_for_each(|(_, directory)| self.join_one(directory, pid))
    }

    /// The v2 directory for clone3's `CLONE_INTO_CGROUP`, if there is one.
    ///
    /// # Errors
    /// The cgroup is gone.
    pub fn v2_descriptor(&self) -> Result<Option<OwnedFd>> {
        self.v2_directory().map(|directory| self.open_v2(directory)).transpose()
    }

    /// The directory in the v2 hierarchy that the process `pid` is in; `None`
    /// when that is not below the container's.
    ///
    /// # Errors
    /// The process or the cgroup is gone.
    pub fn v2_descriptor_of(&self, pid: i32) -> Result<Option<OwnedFd>> {
        let place = v2_place(pid)?;
        let Some(own) = self.v2_directory() else { return Ok(None) };
        match place.strip_prefix(own.path.as_str()) {
            Some(below) if below.is_empty() || below.starts_with('/') => {
                let place = Directory { path: place, ..own.clone() };
                self.open_v2(&place).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The directory in the v2 hierarchy that the process `pid` is in, wherever that is.
    ///
    /// # Errors
    /// The process or the cgroup is gone.
    pub(crate) fn v2_descriptor_around(&self, pid: i32) -> Result<Option<OwnedFd>> {
        let Some(own) = self.v2_directory() else { return Ok(None) };
        let place = Directory { path: v2_place(pid)?, ..own.clone() };
        self.open_v2(&place).map(Some)
    }

    pub(super) fn open_v2(&self, directory: &Directory) -> Result<OwnedFd> {
        let path = directory.relative();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(self.base(), path.as_str(), flags, Mode::empty())
            .map_err(|errno| self.failed("open", errno, &path).context(ADDING))
    }

    fn join_one(&self, directory: &Directory, pid: i32) -> Result<()> {
        let path = format!("{}/cgroup.procs", directory.relative());
        file::write(self.base(), &path, &pid.to_string())
            .map_err(|errno| self.cannot_join(errno, directory, &path))
    }

    fn cannot_join(&self, errno: Errno, directory: &Directory, path: &str) -> Error {
        let name =
            if directory.is_v2() { "v2".to_owned() } else { directory.controllers.join(",") };
        let error = self.failed("write", errno, path).context(format!("joining the {name} cgroup"));
        match errno {
            Errno::ENOSPC => error.hint("the cpuset has no cpus or mems; fill those above it"),
            Errno::EBUSY => error.hint("it passes controllers on to children; join one of those"),
            Errno::EOPNOTSUPP => error.hint("it is threaded or not usable; see its cgroup.type"),
            Errno::EACCES | Errno::EPERM => {
                error.hint("moving needs write access to the nearest common cgroup too")
            }
            _ => error,
        }
    }
}

/// Where in the v2 hierarchy the process `pid` is, without the leading slash.
fn v2_place(pid: i32) -> Result<String> {
    let path = format!("/proc/{pid}/cgroup");
    let text =
        std::fs::read_to_string(&path).map_err(|error| Error::io("read", &error).path(&path))?;
    let place = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    Ok(place.to_owned())
}
