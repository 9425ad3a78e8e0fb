//! Processors and memory nodes that may be used.

use serde::Serialize;

use super::LiveCgroup;
use crate::error::Result;

/// The files of the v1 controller `cpuset`; nothing on v2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpusetStats {
    /// The processors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    /// Whether no other cgroup may have them.
    pub cpu_exclusive: u64,
    /// The memory nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    /// Whether the kernel's own allocations are bound to them.
    pub mem_hardwall: u64,
    /// Whether no other cgroup may have them.
    pub mem_exclusive: u64,
    /// Whether pages move when the nodes change.
    pub memory_migrate: u64,
    /// Whether the page cache is spread over the nodes.
    pub memory_spread_page: u64,
    /// Whether slabs are.
    pub memory_spread_slab: u64,
    /// How much memory is reclaimed.
    pub memory_pressure: u64,
    /// Whether load is balanced over the processors.
    pub sched_load_balance: u64,
    /// How far the scheduler looks for an idle one.
    pub sched_relax_domain_level: i64,
}

impl LiveCgroup {
    pub(super) fn cpuset_stats(&self) -> Result<CpusetStats> {
        let Some(directory) = self.directory_of("cpuset").filter(|found| !found.is_v2()) else {
            return Ok(CpusetStats::default());
        };
        let text = |name: &str| {
            let text = self.text(directory, &format!("cpuset.{name}"))?;
            Result::Ok(text.unwrap_or_default())
        };
        let number = |name: &str| Result::Ok(text(name)?.parse().unwrap_or(0));
        Ok(CpusetStats {
            cpus: members(&text("cpus")?),
            cpu_exclusive: number("cpu_exclusive")?,
            mems: members(&text("mems")?),
            mem_hardwall: number("mem_hardwall")?,
            mem_exclusive: number("mem_exclusive")?,
            memory_migrate: number("memory_migrate")?,
            memory_spread_page: number("memory_spread_page")?,
            memory_spread_slab: number("memory_spread_slab")?,
            memory_pressure: number("memory_pressure")?,
            sched_load_balance: number("sched_load_balance")?,
            sched_relax_domain_level: text("sched_relax_domain_level")?.parse().unwrap_or(0),
        })
    }
}

/// The numbers of a list such as "0-2,5".
fn members(list: &str) -> Vec<u16> {
    let ranges = list.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::members;

    #[test]
    fn a_list_is_told_number_by_number() {
        assert_eq!(members("0-2,5"), [0, 1, 2, 5]);
        assert!(members("").is_empty());
    }
}
