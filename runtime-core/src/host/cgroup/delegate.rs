//! Gives a v2 cgroup to the user inside (spec, "Cgroup ownership"): the files
//! that manage its processes and children, not those that limit it.

use std::fs::read_to_string;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{Uid, fchownat};

use super::LiveCgroup;
use crate::error::Result;
use crate::plan::cgroup::Directory;

/// What the kernel lists in `/sys/kernel/cgroup/delegate` when it has none.
const USUAL: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

impl LiveCgroup {
    pub(super) fn delegate(&self, directory: &Directory, owner: u32) -> Result<()> {
        let path = directory.relative();
        self.chown(&path, owner)?;
        let listed = read_to_string("/sys/kernel/cgroup/delegate");
        let listed = listed.as_deref().unwrap_or(USUAL);
        for name in listed.lines().filter(|name| !name.contains('/')) {
            self.chown(&format!("{path}/{name}"), owner)?;
        }
        Ok(())
    }

    /// A listed file that is not there belongs to a controller that is not.
    fn chown(&self, path: &str, owner: u32) -> Result<()> {
        let owner = Some(Uid::from_raw(owner));
        match fchownat(self.base(), path, owner, None, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(self.failed("fchownat", errno, path)),
        }
    }
}
