//! What the container uses.

use serde::Serialize;

use super::{LiveCgroup, file};
use crate::error::Result;
use crate::plan::cgroup::Directory;

/// The usage of a container; a part is missing where its controller is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Tasks.
    pub pids: Option<PidsStats>,
    /// Memory.
    pub memory: Option<MemoryStats>,
    /// Processor time.
    pub cpu: Option<CpuStats>,
}

/// Tasks: processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PidsStats {
    /// How many there are.
    pub current: u64,
    /// How many there may be; `None` without a limit.
    pub limit: Option<u64>,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryStats {
    /// In use, with the page cache.
    pub usage: u64,
    /// What may be in use; `None` without a limit.
    pub limit: Option<u64>,
    /// How many processes the kernel killed for want of memory.
    pub oom_kills: u64,
}

/// Processor time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuStats {
    /// All of it.
    pub usage: u64,
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
}

/// v1 says "unlimited" by the highest number of whole pages; no real limit
/// comes near.
const V1_UNLIMITED: u64 = 1 << 62;

impl LiveCgroup {
    /// Reads what the container uses now.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        Ok(Stats { pids: self.pids_stats()?, memory: self.memory_stats()?, cpu: self.cpu_stats()? })
    }

    fn pids_stats(&self) -> Result<Option<PidsStats>> {
        let Some(directory) = self.directory_of("pids") else { return Ok(None) };
        let Some(current) = self.number(directory, "pids.current")? else { return Ok(None) };
        let limit = self.number(directory, "pids.max")?;
        Ok(Some(PidsStats { current, limit }))
    }

    fn memory_stats(&self) -> Result<Option<MemoryStats>> {
        let Some(directory) = self.directory_of("memory") else { return Ok(None) };
        let [usage, limit, events] = match directory.is_v2() {
            true => ["memory.current", "memory.max", "memory.events"],
            false => ["memory.usage_in_bytes", "memory.limit_in_bytes", "memory.oom_control"],
        };
        let Some(usage) = self.number(directory, usage)? else { return Ok(None) };
        let limit = self.number(directory, limit)?.filter(|limit| *limit < V1_UNLIMITED);
        let events = self.text(directory, events)?.unwrap_or_default();
        let oom_kills = value_of(&events, "oom_kill").unwrap_or(0);
        Ok(Some(MemoryStats { usage, limit, oom_kills }))
    }

    fn cpu_stats(&self) -> Result<Option<CpuStats>> {
        let v1 = self.directory_of("cpuacct").filter(|directory| !directory.is_v2());
        match (v1, self.v2_directory()) {
            (Some(directory), _) => self.cpu_stats_v1(directory),
            (None, Some(directory)) => self.cpu_stats_v2(directory),
            (None, None) => Ok(None),
        }
    }

    fn cpu_stats_v1(&self, directory: &Directory) -> Result<Option<CpuStats>> {
        let Some(usage) = self.number(directory, "cpuacct.usage")? else { return Ok(None) };
        let user = self.number(directory, "cpuacct.usage_user")?.unwrap_or(0);
        let system = self.number(directory, "cpuacct.usage_sys")?.unwrap_or(0);
        Ok(Some(CpuStats { usage, user, system }))
    }

    fn cpu_stats_v2(&self, directory: &Directory) -> Result<Option<CpuStats>> {
        let Some(text) = self.text(directory, "cpu.stat")? else { return Ok(None) };
        let microseconds = |key| value_of(&text, key).unwrap_or(0).saturating_mul(1000);
        Ok(Some(CpuStats {
            usage: microseconds("usage_usec"),
            user: microseconds("user_usec"),
            system: microseconds("system_usec"),
        }))
    }

    /// The number in a file; `None` for "max" or without the file.
    fn number(&self, directory: &Directory, name: &str) -> Result<Option<u64>> {
        Ok(self.text(directory, name)?.and_then(|text| text.parse().ok()))
    }

    fn text(&self, directory: &Directory, name: &str) -> Result<Option<String>> {
        let path = format!("{}/{name}", directory.relative());
        match file::read_short(self.base(), &path) {
            Ok(text) => Ok(Some(text)),
            Err(errno) if file::is_gone(errno) => Ok(None),
            Err(errno) => Err(self.failed("read", errno, &path)),
        }
    }
}

/// The number on the line that starts with `key` in a "flat keyed" file.
fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::value_of;

    #[test]
    fn a_key_is_not_taken_for_a_longer_one() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(value_of(text, "oom_kill"), Some(3));
        assert_eq!(value_of(text, "oom"), None);
    }
}
