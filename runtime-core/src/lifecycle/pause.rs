//! `pause` and `resume`.

use super::status::status;
use super::{Container, cgroup_of};
use crate::error::{Error, ErrorKind, Result};
use crate::host::cgroup::LiveCgroup;
use crate::host::record::Record;
use crate::state::Status;

impl Container {
    /// Freezes all processes of the container.
    ///
    /// # Errors
    /// `NotRunning`, also when it is paused already; `Timeout` when the kernel does not freeze them.
    pub fn pause(&self) -> Result<()> {
        let directory = self.directory()?;
        let record = directory.load()?;
        match status(&directory, &record)? {
            Status::Running | Status::Created => freezer(&record)?.freeze(),
            _ => Err(Error::kind_only(ErrorKind::NotRunning)),
        }
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// `NotPaused`.
    pub fn resume(&self) -> Result<()> {
        let directory = self.directory()?;
        let record = directory.load()?;
        match status(&directory, &record)? {
            Status::Paused => freezer(&record)?.thaw(),
            _ => Err(Error::kind_only(ErrorKind::NotPaused)),
        }
    }
}

fn freezer(record: &Record) -> Result<LiveCgroup> {
    cgroup_of(record)?
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "the container has no cgroup to freeze"))
}
