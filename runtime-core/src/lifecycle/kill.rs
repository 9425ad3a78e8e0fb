//! `kill`.

use super::status::first;
use super::{Container, cgroup_of};
use crate::error::{Error, ErrorKind, Notice, Result};
use crate::host::record::Record;
use crate::sys::pidfd;
use std::os::fd::AsFd;

impl Container {
    /// Sends a signal to the first process. Where the container has no pid namespace of
    /// its own, SIGKILL goes to every process of its cgroup: the end of the first does not
    /// end the others, and those may run without it. With `all`, a container that has
    /// stopped is no error. What comes back tells of processes that could not be reached.
    ///
    /// # Errors
    /// `NotRunning`; `NotFound`; EINVAL for what is no signal.
    pub fn kill(&self, signal: i32, all: bool) -> Result<Vec<Notice>> {
        let record = self.record()?;
        if signal == libc::SIGKILL
            && !record.own_pids
            && let Some(cgroup) = cgroup_of(&record)?.filter(|cgroup| !cgroup.is_empty())
            && !cgroup.pids()?.is_empty()
        {
            return cgroup.kill(signal).map(|()| Vec::new());
        }
        let Some(first) = first(&record) else {
            return if all { Ok(Vec::new()) } else { Err(Error::kind_only(ErrorKind::NotRunning)) };
        };
        match pidfd::send_signal(first.pidfd.as_fd(), signal) {
            Ok(()) => {}
            Err(nix::errno::Errno::ESRCH) => return Err(Error::kind_only(ErrorKind::NotRunning)),
            Err(errno) => {
                let text = crate::error::errno_text(errno as i32);
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("unable to signal init: {text}"),
                ));
            }
        }
        if signal == libc::SIGKILL {
            // A frozen process of cgroup v1 dies only when it is thawed.
            if let Some(cgroup) = cgroup_of(&record)?
                && cgroup.is_frozen()?
            {
                cgroup.thaw()?;
            }
        }
        let meant_all = all || signal == libc::SIGKILL;
        Ok(out_of_reach(&record)?.into_iter().filter(|_| meant_all).collect())
    }
}

/// Nothing tells which processes belong to a container that has neither a cgroup nor a pid
/// namespace of its own.
pub(super) fn out_of_reach(record: &Record) -> Result<Option<Notice>> {
    let has_cgroup = cgroup_of(record)?.is_some_and(|cgroup| !cgroup.is_empty());
    let text = "only the first process was signalled: the container has neither a cgroup nor a pid \
                namespace of its own, so others of it may go on";
    Ok((!record.own_pids && !has_cgroup).then(|| Notice::new("", text)))
}
