//! Carries out the writes.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use super::{LiveCgroup, file};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::{CgroupOp, CgroupPlan, Directory};
use crate::plan::resources::{Limits, Missing, Present, Write};

/// Carries out writes one after the other; lines for the same file share a
/// descriptor.
struct Writer<'a> {
    live: &'a LiveCgroup,
    last: Option<(String, OwnedFd)>,
    again: Vec<(&'a Directory, &'a Write)>,
}

impl LiveCgroup {
    /// Sets the limits and device rules of `plan`.
    ///
    /// # Errors
    /// The kernel refuses one; the error names controller, file, value and
    /// place in config.json.
    pub fn apply(&self, plan: &CgroupPlan) -> Result<()> {
        let mut writer = Writer::new(self);
        for op in &plan.ops {
            match op {
                CgroupOp::Write { directory, write, may_be_denied } => {
                    let written = match self.directory(*directory) {
                        Some(directory) => writer.write(directory, write),
                        None => Err(not_joined(write)),
                    };
                    forgive(written, *may_be_denied)?;
                }
                CgroupOp::FilterDevices { directory, program, may_be_denied, pointer, .. } => {
                    let Some(directory) = self.directory(*directory) else { continue };
                    let filtered = self.filter_devices(directory, program);
                    forgive(filtered.map_err(|error| error.at(*pointer)), *may_be_denied)?;
                }
                CgroupOp::MakeDirectory { .. }
                | CgroupOp::InheritCpuset { .. }
                | CgroupOp::EnableControllers { .. }
                | CgroupOp::Delegate { .. }
                | CgroupOp::Join { .. } => {}
            }
        }
        writer.finish()
    }

    /// Sets limits on a cgroup in use.
    ///
    /// # Errors
    /// As for [`LiveCgroup::apply`].
    pub fn update(&self, limits: &Limits) -> Result<()> {
        let mut writer = Writer::new(self);
        for write in &limits.writes {
            let directory = self.directory_of(&write.controller);
            writer.write(directory.ok_or_else(|| not_joined(write))?, write)?;
        }
        writer.finish()
    }

    /// What decides the order of an update's writes.
    ///
    /// # Errors
    /// The limit cannot be read.
    pub fn present(&self) -> Result<Present> {
        let Some(directory) = self.directory_of("memory").filter(|memory| !memory.is_v2()) else {
            return Ok(Present::default());
        };
        let path = format!("{}/memory.limit_in_bytes", directory.relative());
        let text = file::read_short(self.base(), &path)
            .map_err(|errno| self.failed("read", errno, &path))?;
        Ok(Present { memory_limit: text.parse().ok() })
    }
}

impl<'a> Writer<'a> {
    fn new(live: &'a LiveCgroup) -> Self {
        Self { live, last: None, again: Vec::new() }
    }

    fn write(&mut self, directory: &'a Directory, write: &'a Write) -> Result<()> {
        self.check_usage(directory, write)?;
        match self.put(directory, &write.file, &write.value) {
            Ok(()) => Ok(()),
            Err(Errno::EINVAL) if write.retry_last => {
                self.again.push((directory, write));
                Ok(())
            }
            Err(Errno::ENOENT) => self.without_file(directory, write),
            Err(errno) => Err(self.refused(directory, write, errno)),
        }
    }

    fn without_file(&mut self, directory: &Directory, write: &Write) -> Result<()> {
        match &write.missing {
            Missing::Skip => Ok(()),
            Missing::Instead { file, value } => self
                .put(directory, file, value)
                .map_err(|errno| self.refused(directory, write, errno)),
            Missing::Fail => Err(self.refused(directory, write, Errno::ENOENT)),
        }
    }

    fn put(&mut self, directory: &Directory, file: &str, value: &str) -> nix::Result<()> {
        let path = format!("{}/{file}", directory.relative());
        let (_, open) = match self.last.take() {
            Some(last) if last.0 == path => self.last.insert(last),
            _ => {
                let open = file::open_for_writing(self.live.base(), &path)?;
                self.last.insert((path, open))
            }
        };
        file::write_to(open.as_fd(), value)
    }

    fn check_usage(&self, directory: &Directory, write: &Write) -> Result<()> {
        let Some(usage_file) = write.not_below else { return Ok(()) };
        let path = format!("{}/{usage_file}", directory.relative());
        let usage = match file::read_short(self.live.base(), &path) {
            Ok(text) => text.parse().unwrap_or(0u64),
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(self.live.failed("read", errno, &path)),
        };
        match write.value.parse::<u64>() {
            Ok(limit) if limit < usage => Err(Error::config(
                write.pointer.clone(),
                format!("rejecting memory limit {limit} because memory usage {usage} exceeds it"),
            )
            .hint("give a higher limit, or unset checkBeforeUpdate")),
            _ => Ok(()),
        }
    }

    /// The writes that had to wait for the others, once more.
    fn finish(mut self) -> Result<()> {
        for (directory, write) in std::mem::take(&mut self.again) {
            self.put(directory, &write.file, &write.value)
                .map_err(|errno| self.refused(directory, write, errno))?;
        }
        Ok(())
    }

    fn refused(&self, directory: &Directory, write: &Write, errno: Errno) -> Error {
        let path = format!("{}/{}", directory.relative(), write.file);
        let error = self
            .live
            .failed("write", errno, &path)
            .at(write.pointer.clone())
            .context(format!("setting cgroup {}: {write}", write.controller));
        match hint(directory, write, errno) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

fn hint(directory: &Directory, write: &Write, errno: Errno) -> Option<String> {
    let controller = &write.controller;
    match errno {
        Errno::ENOENT if directory.is_v2() => Some(format!(
            "is the {controller} controller enabled in the cgroup.subtree_control of each cgroup above?"
        )),
        Errno::ENOENT => Some("this kernel does not have the setting".to_owned()),
        Errno::EBUSY if controller == "memory" => {
            Some("the container already uses more than that".to_owned())
        }
        Errno::EACCES | Errno::EINVAL | Errno::ERANGE if controller == "cpuset" => {
            Some("the list must be part of what the parent cgroup has".to_owned())
        }
        Errno::EPERM if controller == "devices" => {
            Some("the parent cgroup does not have that device itself".to_owned())
        }
        Errno::EACCES | Errno::EPERM => {
            Some("limits need root, or a cgroup with the controller delegated".to_owned())
        }
        Errno::EROFS => Some("the cgroup file system is mounted read-only".to_owned()),
        _ => None,
    }
}

fn not_joined(write: &Write) -> Error {
    let controller = &write.controller;
    let message =
        format!("cannot set {controller} limit: container could not join or create cgroup");
    Error::new(ErrorKind::Unsupported, message)
        .at(write.pointer.clone())
        .hint("run as root, have a cgroup delegated to you, or remove the limit")
}

fn forgive(result: Result<()>, may_be_denied: bool) -> Result<()> {
    match result {
        Err(error) if may_be_denied && is_denial(&error) => Ok(()),
        result => result,
    }
}

fn is_denial(error: &Error) -> bool {
    // A device rule for a cgroup that does not exist is a denial as well.
    error.kind() == ErrorKind::Unsupported
        || matches!(error.errno(), Some(libc::EACCES | libc::EPERM | libc::EROFS))
}
