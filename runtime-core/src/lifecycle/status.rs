//! Where a container is in its life, found out anew at each call.

use super::{Container, cgroup_of};
use crate::error::Result;
use crate::host::record::{Directory, GATE, Phase, Record};
use crate::host::{members, proc_stat};
use crate::state::{State, Status};
use crate::sys::pidfd;
use std::os::fd::OwnedFd;

/// The first process of a container, held so that its pid cannot come to mean another.
#[derive(Debug)]
pub(super) struct First {
    pub(super) pidfd: OwnedFd,
    /// Whether it still waits to become the program.
    pub(super) is_init: bool,
}

/// The first process if it runs. A pid counts only together with its start time.
pub(super) fn first(record: &Record) -> Option<First> {
    if record.pid == 0 {
        return None;
    }
    let pidfd = pidfd::open(record.pid).ok()?;
    let stat = proc_stat::read(record.pid)?;
    let same = stat.start_time == record.start_time && !stat.ended;
    same.then_some(First { pidfd, is_init: stat.is_init })
}

/// The status that follows from the record and the first process.
pub(super) fn status(directory: &Directory, record: &Record) -> Result<Status> {
    if record.phase == Phase::Creating {
        if !directory.try_lock()? {
            return Ok(Status::Creating);
        }
        // Its creator is gone: dead, or done since the record was read.
        let now = directory.load()?;
        return match now.phase {
            Phase::Creating => Ok(Status::Stopped),
            Phase::Created => status(directory, &now),
        };
    }
    let Some(first) = first(record) else { return Ok(Status::Stopped) };
    if let Some(cgroup) = cgroup_of(record)?
        && cgroup.is_frozen()?
    {
        return Ok(Status::Paused);
    }
    Ok(if first.is_init && directory.exists(GATE) { Status::Created } else { Status::Running })
}

impl Container {
    /// Where it is in its life.
    ///
    /// # Errors
    /// `NotFound`; `CorruptState`.
    pub fn status(&self) -> Result<Status> {
        let directory = self.directory()?;
        status(&directory, &directory.load()?)
    }

    /// All that `state` shows.
    ///
    /// # Errors
    /// `NotFound`; `CorruptState`.
    pub fn state(&self) -> Result<State> {
        let directory = self.directory()?;
        let record = directory.load()?;
        let status = status(&directory, &record)?;
        let pid = if status == Status::Stopped { 0 } else { record.pid };
        Ok(State {
            oci_version: record.oci_version,
            id: record.id,
            pid,
            status,
            bundle: record.bundle,
            rootfs: record.rootfs,
            created: record.created,
            annotations: record.annotations,
            owner: record.owner.to_string(),
        })
    }

    /// The pids of all its processes, as the host numbers them. Those of a container
    /// without a cgroup are told by their namespaces and parents.
    ///
    /// # Errors
    /// `NotFound`; `CorruptState`; a cgroup that cannot be read.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let record = self.record()?;
        match cgroup_of(&record)?.filter(|cgroup| !cgroup.is_empty()) {
            Some(cgroup) => cgroup.pids(),
            None if first(&record).is_some() => members::of(record.pid),
            None => Ok(Vec::new()),
        }
    }
}
