//! The cgroup of a container on the machine: made, limited, joined, frozen,
//! killed, measured, removed.
//!
//! All paths are looked up below one descriptor of the directory that the
//! hierarchies are mounted in.

mod apply;
mod create;
mod delegate;
mod devices;
mod enable;
mod file;
mod freeze;
mod inherit;
mod join;
mod kill;
mod layout;
mod oom;
mod procs;
mod remove;
mod stats;
mod unit;
mod update;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::plan::cgroup::{Cgroup, Directory};
use crate::plan::resources::Limits;
use oci_spec::runtime::LinuxResources;

pub(crate) use join::ADDING;
pub use layout::{detect, is_unified};
pub(crate) use oom::OomWatch;
pub use stats::{
    BlkioEntry, BlkioStats, CgroupStats, CpuStats, CpuUsage, CpusetStats, HugetlbStats,
    MemoryEntry, MemoryStats, PidsStats, PsiData, PsiStats, Throttling,
};
pub use update::LimitChange;

/// A container's cgroup, open for work.
#[derive(Debug)]
pub struct LiveCgroup {
    cgroup: Cgroup,
    base: OwnedFd,
    /// Directories that the host did not let us make; see
    /// [`CgroupPlan::may_be_denied`](crate::plan::cgroup::CgroupPlan).
    denied: Vec<usize>,
    made: create::Made,
    /// A process that may be in it before it is ours.
    resident: Option<i32>,
}

impl LiveCgroup {
    /// Opens what a state record names; whether it still exists shows later.
    ///
    /// # Errors
    /// The cgroup file system is not where it was.
    pub fn open(cgroup: Cgroup) -> Result<Self> {
        let path = if cgroup.base.is_empty() { "/" } else { &cgroup.base };
        let base = file::open_directory(path).map_err(|errno| {
            Error::os("open", errno as i32).path(path).context("opening the cgroup root")
        })?;
        Ok(Self { cgroup, base, denied: Vec::new(), made: create::Made::default(), resident: None })
    }

    /// The same for a cgroup that systemd has put the process `pid` into.
    pub(crate) fn with_resident(self, pid: i32) -> Self {
        Self { resident: Some(pid), ..self }
    }

    /// What to keep in the state record: the directories that there are.
    pub fn record(&self) -> Cgroup {
        let mut cgroup = self.cgroup.clone();
        cgroup.directories = self.directories().map(|(_, directory)| directory.clone()).collect();
        cgroup
    }

    /// The writes for `resources`, in the order that the present limits allow.
    ///
    /// # Errors
    /// Limits that cannot be, or a present one that cannot be read.
    pub(crate) fn limits(&self, resources: &LinuxResources) -> Result<Limits> {
        self.cgroup.limits(resources, self.present()?)
    }

    /// Whether the container is in any cgroup of its own.
    pub fn is_empty(&self) -> bool {
        self.directories().next().is_none()
    }

    fn base(&self) -> BorrowedFd<'_> {
        self.base.as_fd()
    }

    fn directories(&self) -> impl Iterator<Item = (usize, &Directory)> {
        let all = self.cgroup.directories.iter().enumerate();
        all.filter(|(index, _)| !self.denied.contains(index))
    }

    fn directory(&self, index: usize) -> Option<&Directory> {
        self.cgroup.directories.get(index).filter(|_| !self.denied.contains(&index))
    }

    fn directory_of(&self, controller: &str) -> Option<&Directory> {
        self.directory(self.cgroup.index_of(controller)?)
    }

    fn v2_directory(&self) -> Option<&Directory> {
        self.directories().map(|(_, directory)| directory).find(|directory| directory.is_v2())
    }

    /// The directory whose processes are the container's: they are in all of
    /// them, unless somebody moved them.
    fn main_directory(&self) -> Option<&Directory> {
        self.directory_of("devices")
            .or_else(|| self.directories().map(|(_, directory)| directory).next())
    }

    /// The system call `name` on `relative`, a path below the base, failed.
    fn failed(&self, name: &'static str, errno: Errno, relative: &str) -> Error {
        Error::os(name, errno as i32).path(format!("{}/{relative}", self.cgroup.base))
    }
}
