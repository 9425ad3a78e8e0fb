//! Makes the directories.

use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::LiveCgroup;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::{CgroupOp, CgroupPlan, Directory, Part};

/// Every directory that was made, so that a failure leaves none behind.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<String>);

impl LiveCgroup {
    /// Makes the directories of `plan` and prepares them for limits and
    /// processes. On failure nothing made remains.
    ///
    /// # Errors
    /// The host does not allow it, or a directory exists and holds processes.
    pub fn create(plan: &CgroupPlan) -> Result<Self> {
        let mut live = Self::open(plan.cgroup.clone())?;
        live.make(plan, Part::V2)?;
        live.make(plan, Part::V1)?;
        Ok(live)
    }

    /// The same for one part of the hierarchies. On failure nothing of any part remains.
    ///
    /// # Errors
    /// As for [`LiveCgroup::create`].
    pub fn make(&mut self, plan: &CgroupPlan, part: Part) -> Result<()> {
        let mut made = std::mem::take(&mut self.made);
        let ops = plan.ops.iter().filter(|op| self.is_of(op, part)).collect::<Vec<_>>();
        for op in ops {
            match self.prepare(op, &mut made) {
                Ok(()) => {}
                Err(error) if plan.may_be_denied && is_denial(&error) => self.deny(op),
                Err(error) => {
                    made.undo(self);
                    self.leave_to_systemd();
                    return Err(error);
                }
            }
        }
        self.made = made;
        Ok(())
    }

    /// What could not be made may be that of others. Where systemd keeps track of the unit is
    /// enough to end it.
    fn leave_to_systemd(&mut self) {
        let cgroup = &self.cgroup;
        let others = cgroup.directories.iter().enumerate();
        let others = others.filter(|(_, directory)| !cgroup.is_followed_by_systemd(directory));
        self.denied = others.map(|(index, _)| index).collect();
    }

    fn is_of(&self, op: &CgroupOp, part: Part) -> bool {
        let directory = self.cgroup.directories.get(op.directory());
        directory.is_some_and(|directory| directory.is_v2() == (part == Part::V2))
    }

    fn prepare(&self, op: &CgroupOp, made: &mut Made) -> Result<()> {
        match op {
            CgroupOp::MakeDirectory { directory, pointer } => self
                .with(*directory, |directory| self.make_directory(directory, made))
                .map_err(|error| error.at(*pointer)),
            CgroupOp::InheritCpuset { directory } => {
                let has_made = |path: String| made.0.contains(&path);
                self.with(*directory, |directory| {
                    self.inherit_cpuset(directory, has_made(directory.relative()))
                })
            }
            CgroupOp::EnableControllers { directory } => {
                self.with(*directory, |directory| self.enable_controllers(directory))
            }
            CgroupOp::Delegate { directory, owner } => {
                self.with(*directory, |directory| self.delegate(directory, *owner))
            }
            CgroupOp::Write { .. } | CgroupOp::FilterDevices { .. } | CgroupOp::Join { .. } => {
                Ok(())
            }
        }
    }

    /// Does `act` on a directory, unless the host denied it before.
    fn with(&self, index: usize, act: impl FnOnce(&Directory) -> Result<()>) -> Result<()> {
        self.directory(index).map_or(Ok(()), act)
    }

    fn deny(&mut self, op: &CgroupOp) {
        if let CgroupOp::MakeDirectory { directory, .. } | CgroupOp::InheritCpuset { directory } =
            op
        {
            self.denied.push(*directory);
        }
    }

    fn make_directory(&self, directory: &Directory, made: &mut Made) -> Result<()> {
        let path = directory.relative();
        let result = match self.mkdir(&path, made) {
            Err(Errno::ENOENT) => {
                self.make_parents(directory, made).and_then(|()| self.mkdir(&path, made))
            }
            result => result,
        };
        match result {
            Ok(()) => Ok(()),
            Err(Errno::EEXIST) => self.check_unused(directory),
            Err(errno) => Err(self.cannot_make(errno, &path)),
        }
    }

    fn make_parents(&self, directory: &Directory, made: &mut Made) -> nix::Result<()> {
        let path = directory.relative();
        let own_part = path.len() - directory.path.len();
        for (slash, _) in path.match_indices('/').filter(|(at, _)| *at >= own_part) {
            match self.mkdir(&path[..slash], made) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn mkdir(&self, path: &str, made: &mut Made) -> nix::Result<()> {
        mkdirat(self.base(), path, Mode::from_bits_truncate(0o755))?;
        made.0.push(path.to_owned());
        Ok(())
    }

    /// A cgroup of somebody else would share our limits and our kill.
    fn check_unused(&self, directory: &Directory) -> Result<()> {
        let pids = self.pids_below(directory)?;
        let found = pids.iter().filter(|pid| Some(**pid) != self.resident).count();
        let says = if found > 0 {
            format!("container's cgroup is not empty: {found} process(es) found")
        } else if self.is_frozen()? {
            "container's cgroup unexpectedly frozen".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidState, says)
            .path(self.cgroup.absolute(directory))
            .hint("give each container a cgroupsPath of its own"))
    }

    fn cannot_make(&self, errno: Errno, path: &str) -> Error {
        let error = self.failed("mkdir", errno, path).context("creating the container's cgroup");
        match errno {
            Errno::EROFS => {
                error.hint("the cgroup file system is mounted read-only; remount it rw")
            }
            Errno::EACCES | Errno::EPERM => {
                error.hint("the parent cgroup belongs to another user; have it delegated to you")
            }
            Errno::EAGAIN | Errno::ENOSPC => {
                error.hint("a cgroup above reached its cgroup.max.descendants or cgroup.max.depth")
            }
            Errno::EINVAL => {
                error.hint("a cgroup above is threaded or not usable; see its cgroup.type")
            }
            _ => error,
        }
    }
}

impl Made {
    /// Best effort, because the error that led here is the one to report.
    fn undo(self, live: &LiveCgroup) {
        for path in self.0.iter().rev() {
            let _ = unlinkat(live.base(), path.as_str(), UnlinkatFlags::RemoveDir);
        }
    }
}

fn is_denial(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EACCES | libc::EPERM | libc::EROFS))
}
