//! v1 cpusets start empty, and an empty one takes no process.

use super::{LiveCgroup, file};
use crate::error::Result;
use crate::plan::cgroup::Directory;

impl LiveCgroup {
    /// Fills the cpuset, and those above it that are empty, from the nearest
    /// that is not.
    /// One `made` just now is empty without looking.
    pub(super) fn inherit_cpuset(&self, directory: &Directory, made: bool) -> Result<()> {
        let path = directory.relative();
        let top = directory.mount.len();
        for name in ["cpuset.cpus", "cpuset.mems"] {
            if made {
                self.fill(&path, name, top)?
            } else {
                self.filled(&path, name, top)?
            };
        }
        Ok(())
    }

    /// What `name` holds in `path`, after filling it; the mount point itself,
    /// which is `top` bytes long, is never empty.
    fn filled(&self, path: &str, name: &str, top: usize) -> Result<String> {
        let file = join(path, name);
        let value = file::read_short(self.base(), &file)
            .map_err(|errno| self.failed("read", errno, &file))?;
        if !value.is_empty() || path.len() <= top {
            return Ok(value);
        }
        self.fill(path, name, top)
    }

    fn fill(&self, path: &str, name: &str, top: usize) -> Result<String> {
        let file = join(path, name);
        let parent = path.rfind('/').map_or("", |slash| &path[..slash]);
        let value = self.filled(parent, name, top)?;
        file::write(self.base(), &file, &value)
            .map_err(|errno| self.failed("write", errno, &file))?;
        Ok(value)
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}
