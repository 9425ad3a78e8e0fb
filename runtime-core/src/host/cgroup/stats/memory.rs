//! Memory.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{LiveCgroup, PsiStats, is_default, lines_of_pairs, value_of};
use crate::error::Result;
use crate::plan::cgroup::Directory;

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemoryStats {
    /// Page cache.
    #[serde(skip_serializing_if = "is_default")]
    pub cache: u64,
    /// All memory, with the page cache.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: MemoryEntry,
    /// Memory and swap together.
    #[serde(skip_serializing_if = "is_default")]
    pub swap: MemoryEntry,
    /// Of the kernel; on cgroup v1 only.
    #[serde(skip_serializing_if = "is_default")]
    pub kernel: MemoryEntry,
    /// Buffers of TCP; on cgroup v1 only.
    #[serde(rename = "kernelTCP", skip_serializing_if = "is_default")]
    pub kernel_tcp: MemoryEntry,
    /// All of `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// How much tasks waited for memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<PsiStats>,
    /// How many processes the kernel killed for want of memory.
    #[serde(skip)]
    pub oom_kills: u64,
}

/// One kind of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEntry {
    /// What may be in use. Without a limit the highest number on v2, on v1 that of
    /// whole pages.
    pub limit: u64,
    /// In use.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    /// The most that was ever in use.
    #[serde(skip_serializing_if = "is_default")]
    pub max: u64,
    /// How often the limit was met.
    pub failcnt: u64,
}

impl LiveCgroup {
    pub(super) fn memory_stats(&self) -> Result<MemoryStats> {
        let psi = self.psi("memory.pressure")?;
        let Some(directory) = self.directory_of("memory") else {
            return Ok(MemoryStats { psi, ..MemoryStats::default() });
        };
        let raw = self.text(directory, "memory.stat")?.unwrap_or_default();
        let raw: BTreeMap<String, u64> =
            lines_of_pairs(&raw).map(|(key, value)| (key.to_owned(), value)).collect();
        let stats = match directory.is_v2() {
            true => self.memory_v2(directory, &raw)?,
            false => self.memory_v1(directory, &raw)?,
        };
        Ok(MemoryStats { raw, psi, oom_kills: self.oom_kills()?, ..stats })
    }

    /// How many processes of the container the kernel killed for want of memory.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn oom_kills(&self) -> Result<u64> {
        let Some(directory) = self.directory_of("memory") else { return Ok(0) };
        let file = if directory.is_v2() { "memory.events" } else { "memory.oom_control" };
        let text = self.text(directory, file)?.unwrap_or_default();
        Ok(value_of(&text, "oom_kill").unwrap_or(0))
    }

    fn memory_v1(&self, directory: &Directory, raw: &BTreeMap<String, u64>) -> Result<MemoryStats> {
        Ok(MemoryStats {
            cache: raw.get("cache").copied().unwrap_or(0),
            usage: self.entry_v1(directory, "memory")?,
            swap: self.entry_v1(directory, "memory.memsw")?,
            kernel: self.entry_v1(directory, "memory.kmem")?,
            kernel_tcp: self.entry_v1(directory, "memory.kmem.tcp")?,
            ..MemoryStats::default()
        })
    }

    /// Nothing, where the kernel does not account for this kind.
    fn entry_v1(&self, directory: &Directory, kind: &str) -> Result<MemoryEntry> {
        let number = |name: &str| self.number(directory, &format!("{kind}.{name}"));
        let Some(usage) = number("usage_in_bytes")? else { return Ok(MemoryEntry::default()) };
        Ok(MemoryEntry {
            limit: number("limit_in_bytes")?.unwrap_or(0),
            usage,
            max: number("max_usage_in_bytes")?.unwrap_or(0),
            failcnt: number("failcnt")?.unwrap_or(0),
        })
    }

    fn memory_v2(&self, directory: &Directory, raw: &BTreeMap<String, u64>) -> Result<MemoryStats> {
        let usage = self.entry_v2(directory, "memory")?;
        let only_swap = self.entry_v2(directory, "memory.swap")?;
        // As on v1, where swap is told together with memory. Of two peaks there is
        // no sum.
        let limit = match only_swap.limit {
            u64::MAX => u64::MAX,
            limit => limit.saturating_add(usage.limit),
        };
        let swap = MemoryEntry { limit, usage: only_swap.usage + usage.usage, max: 0, failcnt: 0 };
        let cache = raw.get("file").copied().unwrap_or(0);
        Ok(MemoryStats { cache, usage, swap, ..MemoryStats::default() })
    }

    fn entry_v2(&self, directory: &Directory, kind: &str) -> Result<MemoryEntry> {
        let number = |name: &str| self.number(directory, &format!("{kind}.{name}"));
        let Some(usage) = number("current")? else { return Ok(MemoryEntry::default()) };
        Ok(MemoryEntry {
            limit: number("max")?.unwrap_or(0),
            usage,
            // memory.peak since Linux 5.19, memory.swap.peak since 6.5.
            max: number("peak")?.unwrap_or(0),
            failcnt: 0,
        })
    }
}
