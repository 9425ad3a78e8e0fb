//! Carries out the writes.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use super::{LiveCgroup, file};
use crate::error::{Error, ErrorKind, Result};
use crate::host::facts;
use crate::plan::cgroup::{CgroupOp, CgroupPlan, Directory};
use crate::plan::resources::{Missing, NotBelow, Present, Write};

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
                    forgive(written, *may_be_denied, plan)?;
                }
                CgroupOp::FilterDevices {
                    directory,
                    program,
                    beside,
                    may_be_denied,
                    pointer,
                    ..
                } => {
                    let Some(directory) = self.directory(*directory) else { continue };
                    let filtered = self.filter_devices(directory, program, *beside);
                    forgive(filtered.map_err(|error| error.at(*pointer)), *may_be_denied, plan)?;
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

    /// Carries out `writes`, as they stand.
    pub(super) fn put_all(&self, writes: &[Write]) -> Result<()> {
        let mut writer = Writer::new(self);
        for write in writes {
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
        let Some(NotBelow { usage, limit, with_swap }) = write.not_below else { return Ok(()) };
        // What cannot be read is for the kernel to judge.
        let Some(usage) = self.number(directory, usage) else { return Ok(()) };
        let (member, what, limit) = match with_swap {
            Some(total) if total <= usage => ("swap", "memory+swap", total),
            _ if limit <= usage => ("limit", "memory", limit),
            _ => return Ok(()),
        };
        let message = format!("rejecting {what} limit {limit} <= usage {usage}");
        Err(Error::config(format!("/linux/resources/memory/{member}"), message)
            .hint("give a higher limit, or unset checkBeforeUpdate"))
    }

    fn number(&self, directory: &Directory, file: &str) -> Option<u64> {
        let path = format!("{}/{file}", directory.relative());
        file::read_short(self.live.base(), &path).ok()?.parse().ok()
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
        let error = self.live.failed("write", errno, &path).at(write.pointer.clone());
        let error = error.context(self.what_failed(directory, write, errno));
        match self.hint(directory, write, errno) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// In runc's words, where it has some.
    fn what_failed(&self, directory: &Directory, write: &Write, errno: Errno) -> String {
        let Write { controller, file, value, .. } = write;
        let number = |file| self.number(directory, file).unwrap_or(0);
        if write.pointer.starts_with("/linux/resources/unified/") {
            return match self.lacks_controller(directory, write, errno) {
                true => format!(
                    "unified resource {file:?} can't be set: controller {controller:?} not available"
                ),
                false => format!("unable to set unified resource {file:?} to {value:?}"),
            };
        }
        match (file.as_ref(), errno) {
            ("memory.limit_in_bytes", Errno::EBUSY) => format!(
                "unable to set memory limit to {value} (current usage: {}, peak usage: {})",
                number("memory.usage_in_bytes"),
                number("memory.max_usage_in_bytes"),
            ),
            _ => format!("setting cgroup {controller}: {write}"),
        }
    }

    /// Whether a v2 file is missing because no cgroup above passes its controller on.
    fn lacks_controller(&self, directory: &Directory, write: &Write, errno: Errno) -> bool {
        directory.is_v2()
            && write.controller != "cgroup"
            && matches!(errno, Errno::ENOENT | Errno::EACCES | Errno::EPERM)
            && !self
                .live
                .controllers(&directory.relative())
                .is_ok_and(|all| all.split_whitespace().any(|one| one == write.controller))
    }

    fn hint(&self, directory: &Directory, write: &Write, errno: Errno) -> Option<String> {
        let controller = &write.controller;
        if self.lacks_controller(directory, write, errno) {
            return Some(format!(
                "is the {controller} controller enabled in the cgroup.subtree_control of each cgroup above?"
            ));
        }
        hint(write, errno).map(str::to_owned)
    }
}

/// What the kernel means by an errno, which differs from file to file.
fn hint(write: &Write, errno: Errno) -> Option<&'static str> {
    let hint = match (write.controller.as_ref(), errno) {
        ("hugetlb", Errno::ENOENT) => {
            "the page sizes of this machine are in /sys/kernel/mm/hugepages"
        }
        ("blkio", Errno::ENOENT) if write.file.contains("leaf_weight") => {
            "Linux 5.0 removed leaf weights; remove the setting"
        }
        ("blkio" | "io", Errno::ENOENT) if write.file.contains("weight") => {
            "weights need the BFQ scheduler or, on v2, io.cost"
        }
        (_, Errno::ENOENT) => "this kernel does not have the setting",
        ("blkio" | "io", Errno::ENODEV) => {
            "no block device has that number; partitions do not count"
        }
        ("blkio" | "io", Errno::EOPNOTSUPP) => {
            "the device's scheduler does not take weights; use bfq"
        }
        ("rdma", Errno::ENODEV | Errno::EINVAL) => {
            "name an RDMA device of this machine, as in the rdma.current of a cgroup"
        }
        ("net_prio", Errno::ENODEV) => {
            "name a network interface of the runtime's network namespace"
        }
        ("memory", Errno::EBUSY) => "the container already uses more than that",
        ("cpu", Errno::EINVAL) if write.file.starts_with("cpu.rt_") => {
            "the sum of the shares runtime/period of all cgroups must fit into that of the cgroup \
             above, which starts at 0"
        }
        ("cpu", Errno::EINVAL) => {
            "quota and period are in µs: at least 1000, the period at most 1000000; the burst is at \
             most the quota; a cgroup above may have a lower quota"
        }
        ("cpuset", Errno::EACCES | Errno::EINVAL | Errno::ERANGE | Errno::ENODEV) => {
            "the list must be part of what the parent cgroup has"
        }
        ("devices", Errno::EPERM) => "the parent cgroup does not have that device itself",
        (_, Errno::EACCES | Errno::EPERM) => {
            "limits need root, or a cgroup with the controller delegated"
        }
        (_, Errno::EROFS) => "the cgroup file system is mounted read-only",
        _ => return None,
    };
    Some(hint)
}

pub(super) fn not_joined(write: &Write) -> Error {
    let controller = &write.controller;
    let message =
        format!("cannot set {controller} limit: container could not join or create cgroup");
    Error::new(ErrorKind::Unsupported, message)
        .at(write.pointer.clone())
        .hint("run as root, have a cgroup delegated to you, or remove the limit")
}

fn forgive(result: Result<()>, may_be_denied: bool, plan: &CgroupPlan) -> Result<()> {
    let rootless = || plan.rootless.unwrap_or_else(facts::in_user_namespace);
    match result {
        Err(error) if may_be_denied && is_denial(&error) && rootless() => Ok(()),
        result => result,
    }
}

fn is_denial(error: &Error) -> bool {
    // A device rule for a cgroup that does not exist is a denial as well.
    error.kind() == ErrorKind::Unsupported
        || matches!(error.errno(), Some(libc::EACCES | libc::EPERM | libc::EROFS))
}
