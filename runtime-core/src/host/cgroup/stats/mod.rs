//! What the container uses, with the names and meanings of runc's `events`:
//! programs that decode those decode these.

mod blkio;
mod cpu;
mod cpuset;
mod hugetlb;
mod memory;
mod pids;
mod psi;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{LiveCgroup, file};
use crate::error::Result;
use crate::plan::cgroup::Directory;

pub use blkio::{BlkioEntry, BlkioStats};
pub use cpu::{CpuStats, CpuUsage, Throttling};
pub use cpuset::CpusetStats;
pub use hugetlb::HugetlbStats;
pub use memory::{MemoryEntry, MemoryStats};
pub use pids::PidsStats;
pub use psi::{PsiData, PsiStats};
use text::{lines_of_pairs, number, value_of};

/// The usage of a container's cgroup. What has no controller is zero or left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CgroupStats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Processors and memory nodes that may be used; on cgroup v1 only.
    pub cpuset: CpusetStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Tasks.
    pub pids: PidsStats,
    /// Block devices.
    pub blkio: BlkioStats,
    /// Huge pages, by their size, such as "2MB".
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

impl LiveCgroup {
    /// Reads what the container uses now.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn stats(&self) -> Result<CgroupStats> {
        Ok(CgroupStats {
            cpu: self.cpu_stats()?,
            cpuset: self.cpuset_stats()?,
            memory: self.memory_stats()?,
            pids: self.pids_stats()?,
            blkio: self.blkio_stats()?,
            hugetlb: self.hugetlb_stats()?,
        })
    }

    /// The number in a file, the highest for "max"; `None` without the file.
    fn number(&self, directory: &Directory, name: &str) -> Result<Option<u64>> {
        Ok(self.text(directory, name)?.and_then(|text| number(&text)))
    }

    fn text(&self, directory: &Directory, name: &str) -> Result<Option<String>> {
        let path = format!("{}/{name}", directory.relative());
        match file::read(self.base(), &path) {
            Ok(text) => Ok(Some(text.trim_end().to_owned())),
            // EOPNOTSUPP is how pressure is refused when it was turned off at boot.
            Err(errno) if file::is_gone(errno) || errno == nix::errno::Errno::EOPNOTSUPP => {
                Ok(None)
            }
            Err(errno) => Err(self.failed("read", errno, &path)),
        }
    }
}

/// Whether a value says nothing, so that its JSON leaves it out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
