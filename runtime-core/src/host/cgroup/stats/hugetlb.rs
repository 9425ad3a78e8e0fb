//! Huge pages.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{LiveCgroup, is_default, value_of};
use crate::error::Result;
use crate::plan::cgroup::Directory;

/// Huge pages of one size, in bytes: those reserved, where the kernel counts them
/// (Linux 5.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HugetlbStats {
    /// In use.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    /// The most that was ever in use; on v1 only.
    #[serde(skip_serializing_if = "is_default")]
    pub max: u64,
    /// How often the limit was met.
    pub failcnt: u64,
}

impl LiveCgroup {
    pub(super) fn hugetlb_stats(&self) -> Result<BTreeMap<String, HugetlbStats>> {
        let mut all = BTreeMap::new();
        let Some(directory) = self.directory_of("hugetlb") else { return Ok(all) };
        for size in page_sizes() {
            let prefix = format!("hugetlb.{size}");
            let stats = match directory.is_v2() {
                true => self.hugetlb_v2(directory, &prefix)?,
                false => self.hugetlb_v1(directory, &prefix)?,
            };
            all.extend(stats.map(|stats| (size, stats)));
        }
        Ok(all)
    }

    fn hugetlb_v1(&self, directory: &Directory, prefix: &str) -> Result<Option<HugetlbStats>> {
        for prefix in [format!("{prefix}.rsvd"), prefix.to_owned()] {
            let number = |name: &str| self.number(directory, &format!("{prefix}.{name}"));
            if let Some(usage) = number("usage_in_bytes")? {
                let max = number("max_usage_in_bytes")?.unwrap_or(0);
                let failcnt = number("failcnt")?.unwrap_or(0);
                return Ok(Some(HugetlbStats { usage, max, failcnt }));
            }
        }
        Ok(None)
    }

    fn hugetlb_v2(&self, directory: &Directory, prefix: &str) -> Result<Option<HugetlbStats>> {
        let number = |name: &str| self.number(directory, &format!("{prefix}.{name}"));
        let usage = match number("rsvd.current")? {
            Some(usage) => usage,
            None => match number("current")? {
                Some(usage) => usage,
                None => return Ok(None),
            },
        };
        let events = self.text(directory, &format!("{prefix}.events"))?.unwrap_or_default();
        let failcnt = value_of(&events, "max").unwrap_or(0);
        Ok(Some(HugetlbStats { usage, max: 0, failcnt }))
    }
}

/// The sizes of this machine, as the files of the controller name them.
fn page_sizes() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    entries.filter_map(|entry| file_name(entry.file_name().to_str()?)).collect()
}

fn file_name(directory: &str) -> Option<String> {
    let size = directory.strip_prefix("hugepages-")?.strip_suffix("kB")?;
    Some(match size.parse::<u64>().ok()? {
        size if size >= 1 << 20 => format!("{}GB", size >> 20),
        size if size >= 1 << 10 => format!("{}MB", size >> 10),
        size => format!("{size}KB"),
    })
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn sizes_are_named_as_the_controller_names_them() {
        assert_eq!(file_name("hugepages-2048kB").as_deref(), Some("2MB"));
        assert_eq!(file_name("hugepages-1048576kB").as_deref(), Some("1GB"));
        assert_eq!(file_name("hugepages-64kB").as_deref(), Some("64KB"));
        assert_eq!(file_name("other"), None);
    }
}
