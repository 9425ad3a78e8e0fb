//! `delete`.

use super::kill::out_of_reach;
use super::status::{First, first, status};
use super::{Container, Runtime, cgroup_of, check_id};
use crate::error::{Error, ErrorKind, Notice, Result};
use crate::host::cgroup::LiveCgroup;
use crate::host::record::{Directory, Phase, Record};
use crate::host::{hooks, resctrl, unmount};
use crate::plan::hooks::Hooks;
use crate::plan::host_hook;
use crate::state::Status;
use crate::sys::pidfd;
use oci_spec::runtime::Spec;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a killed process, a cgroup that empties, or another call may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Runtime {
    /// Deletes what there is of a container, whatever its state. With `force` a
    /// running one is killed, one whose record is damaged goes as well, and one
    /// that is not there is no error. What comes back are the failures of its
    /// poststop hooks, which keep nothing from being deleted.
    ///
    /// # Errors
    /// `NotFound`; `StillRunning`; what could not be removed.
    pub fn delete(&self, id: &str, force: bool) -> Result<Vec<Notice>> {
        check_id(id)?;
        let directory = match Directory::open(self.root(), id) {
            Err(error) if force && error.kind() == ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            directory => directory?,
        };
        match directory.load() {
            Ok(record) => delete(&directory, &record, force),
            // A creator that has only begun: its directory is there, its record not yet.
            Err(error) if !force => Err(error),
            Err(_) => {
                directory.lock(PATIENCE)?;
                match directory.load() {
                    Ok(record) => delete_locked(&directory, &record, true),
                    Err(_) => directory.remove().map(|()| Vec::new()),
                }
            }
        }
    }
}

impl Container {
    /// Deletes a stopped container; with `force` any. See [`Runtime::delete`].
    ///
    /// # Errors
    /// `StillRunning`; `NotFound`; what could not be removed.
    pub fn delete(&self, force: bool) -> Result<Vec<Notice>> {
        Runtime::new(&self.root).delete(&self.id, force)
    }
}

fn delete(directory: &Directory, record: &Record, force: bool) -> Result<Vec<Notice>> {
    if record.phase == Phase::Created {
        return delete_locked(directory, record, force);
    }
    match (directory.try_lock()?, force) {
        (true, _) => delete_locked(directory, &directory.load()?, force),
        (false, false) => Err(not_stopped(record, Status::Creating)),
        (false, true) => {
            directory.lock(PATIENCE)?;
            match directory.load() {
                Ok(record) => delete_locked(directory, &record, true),
                // Its creator gave up meanwhile, and took everything back.
                Err(_) => Ok(Vec::new()),
            }
        }
    }
}

fn not_stopped(record: &Record, status: Status) -> Error {
    let text = format!("cannot delete container {} that is not stopped: {status}", record.id);
    Error::new(ErrorKind::StillRunning, text)
}

fn delete_locked(directory: &Directory, record: &Record, force: bool) -> Result<Vec<Notice>> {
    let mut notices = Vec::new();
    if record.phase == Phase::Created {
        match status(directory, record)? {
            Status::Stopped => {}
            // Nothing of the user's runs in it yet.
            Status::Created => kill(record)?,
            _ if force => {
                kill(record)?;
                notices.extend(out_of_reach(record)?);
            }
            other => return Err(not_stopped(record, other)),
        }
    }
    notices.extend(destroy(directory, record)?);
    Ok(notices)
}

/// Kills the first process and waits until it is gone. Frozen processes die when thawed.
fn kill(record: &Record) -> Result<()> {
    let Some(First { pidfd, .. }) = first(record) else { return Ok(()) };
    let _ = pidfd::send_signal(pidfd.as_fd(), libc::SIGKILL);
    if let Some(cgroup) = cgroup_of(record)?.filter(|cgroup| !cgroup.is_empty()) {
        cgroup.thaw()?;
    }
    match pidfd::wait_ended(pidfd.as_fd(), Instant::now() + PATIENCE) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(ErrorKind::Timeout, "container init still running")
            .hint("it ends after every process executed in it was waited for")),
        Err(errno) => Err(Error::os("poll", errno as i32)),
    }
}

/// What is left of a container whose first process has ended: its cgroup with
/// stragglers, its poststop hooks, its directory. Can be interrupted and begun anew.
pub(super) fn destroy(directory: &Directory, record: &Record) -> Result<Vec<Notice>> {
    reap(record);
    if let Some(cgroup) = cgroup_of(record)? {
        remove_cgroup(&cgroup, record)?;
    }
    if let Some(group) = &record.resctrl {
        resctrl::remove(group)?;
    }
    let Ok(config) = directory.load_config() else {
        return directory.remove().map(|()| Vec::new());
    };
    let done = crate::bundle::parse_spec(&config).and_then(|(spec, _)| {
        if !record.own_mounts {
            unmount::all(&record.rootfs, &spec)?;
        }
        Ok(poststop(record, &spec))
    });
    directory.remove()?;
    done
}

/// Of an embedder the first process is a child, which must not stay a zombie.
fn reap(record: &Record) {
    let child = if record.pid == 0 { None } else { pidfd::open(record.pid).ok() };
    let same = |pid| {
        crate::host::proc_stat::read(pid).is_some_and(|stat| stat.start_time == record.start_time)
    };
    if let Some(child) = child.filter(|_| same(record.pid)) {
        let _ = pidfd::reap(child.as_fd());
    }
}

/// A creation that was cut short may have named a cgroup that others use: only
/// our own init can have been there, and it has ended or is about to. A restore that was
/// cut short has made it, and may have left processes that wait for a criu that is gone.
fn remove_cgroup(cgroup: &LiveCgroup, record: &Record) -> Result<()> {
    if record.phase == Phase::Creating && !record.restoring {
        let deadline = Instant::now() + PATIENCE;
        // Frozen, init would never notice that its creator is gone.
        if cgroup.is_frozen()? {
            cgroup.thaw()?;
        }
        while !cgroup.pids()?.is_empty() {
            if Instant::now() > deadline {
                return Err(Error::new(
                    ErrorKind::StillRunning,
                    "the container's cgroup is used by other processes",
                )
                .hint("end them, or remove the cgroup by hand"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    cgroup.remove(PATIENCE)
}

/// All of them run; those that fail are told of (runtime.md, Lifecycle, 13).
fn poststop(record: &Record, spec: &Spec) -> Vec<Notice> {
    let Hooks { poststop, output, .. } = Hooks::of(spec, &record.bundle);
    let state = hooks::state_of(record, "stopped", 0);
    let run = |(index, hook)| {
        let hook = host_hook("poststop", index, hook, &output);
        let failed = hooks::run(&hook, &state, &record.bundle).err()?;
        Some(Notice::new("", failed.to_string()))
    };
    poststop.iter().enumerate().filter_map(run).collect()
}
