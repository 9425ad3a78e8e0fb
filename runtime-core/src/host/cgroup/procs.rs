//! Who is in the cgroup.

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use super::{LiveCgroup, file};
use crate::error::{Error, Result};
use crate::plan::cgroup::Directory;

impl LiveCgroup {
    /// The pids of all processes in the cgroup and below, in the order of the
    /// kernel; none if the cgroup is gone.
    ///
    /// # Errors
    /// A list cannot be read.
    pub fn pids(&self) -> Result<Vec<i32>> {
        self.main_directory().map_or(Ok(Vec::new()), |directory| self.pids_below(directory))
    }

    pub(super) fn pids_below(&self, directory: &Directory) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        for path in self.tree(&directory.relative())? {
            self.read_pids(&path, &mut pids)?;
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// The cgroup at `path` and all below it, children before parents.
    pub(super) fn tree(&self, path: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut left = vec![path.to_owned()];
        while let Some(path) = left.pop() {
            self.add_children(&path, &mut left)?;
            found.push(path);
        }
        found.reverse();
        Ok(found)
    }

    fn add_children(&self, path: &str, found: &mut Vec<String>) -> Result<()> {
        if !self.has_children(path)? {
            return Ok(());
        }
        let absolute = format!("{}/{path}", self.cgroup.base);
        let cannot = |error: &std::io::Error| Error::io("readdir", error).path(&absolute);
        let entries = match std::fs::read_dir(&absolute) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(cannot(&error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| cannot(&error))?;
            let is_cgroup = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // What is not UTF-8 was not made by us and cannot be named in a
            // plan; its processes are seen by their other hierarchies.
            if let Some(name) = entry.file_name().to_str().filter(|_| is_cgroup) {
                found.push(format!("{path}/{name}"));
            }
        }
        Ok(())
    }

    /// cgroupfs counts subdirectories as links: two mean none. One call in
    /// the place of listing dozens of files.
    fn has_children(&self, path: &str) -> Result<bool> {
        match fstatat(self.base(), path, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(stat.st_nlink > 2),
            Err(errno) if file::is_gone(errno) => Ok(false),
            Err(errno) => Err(self.failed("stat", errno, path)),
        }
    }

    fn read_pids(&self, path: &str, pids: &mut Vec<i32>) -> Result<()> {
        let path = format!("{path}/cgroup.procs");
        match file::read(self.base(), &path) {
            Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
            // The processes of a threaded cgroup are listed above it.
            Err(errno) if file::is_gone(errno) || errno == Errno::EOPNOTSUPP => {}
            Err(errno) => return Err(self.failed("read", errno, &path)),
        }
        Ok(())
    }
}
