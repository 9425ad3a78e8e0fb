//! A v2 cgroup has only the controllers that each cgroup above it passes on.

use super::{LiveCgroup, file};
use crate::error::Result;
use crate::plan::cgroup::Directory;

impl LiveCgroup {
    /// Passes every controller of the hierarchy down to `directory`.
    ///
    /// What cannot be passed on (a cgroup above has processes, or belongs to
    /// somebody else) is no error here: the limit that needs it will say so.
    pub(super) fn enable_controllers(&self, directory: &Directory) -> Result<()> {
        let available = self.controllers(&directory.mount)?;
        if available == self.controllers(&directory.relative())? {
            return Ok(());
        }
        for parent in parents(directory) {
            self.pass_on(&available, &join(parent, "cgroup.subtree_control"));
        }
        Ok(())
    }

    pub(super) fn controllers(&self, path: &str) -> Result<String> {
        let file = join(path, "cgroup.controllers");
        file::read_short(self.base(), &file).map_err(|errno| self.failed("read", errno, &file))
    }

    /// All at once; where the kernel refuses one of them, one by one.
    fn pass_on(&self, controllers: &str, file: &str) {
        let names = controllers.split_whitespace();
        let all: Vec<String> = names.map(|name| format!("+{name}")).collect();
        if file::write(self.base(), file, &all.join(" ")).is_err() {
            for one in &all {
                let _ = file::write(self.base(), file, one);
            }
        }
    }
}

/// The mount point and every cgroup between it and the container's.
fn parents(directory: &Directory) -> Vec<String> {
    let slashes = directory.path.match_indices('/').map(|(at, _)| &directory.path[..at]);
    let below = slashes.map(|path| join(&directory.mount, path));
    std::iter::once(directory.mount.clone()).chain(below).collect()
}

fn join(directory: impl AsRef<str>, name: &str) -> String {
    match directory.as_ref() {
        "" => name.to_owned(),
        directory => format!("{directory}/{name}"),
    }
}
