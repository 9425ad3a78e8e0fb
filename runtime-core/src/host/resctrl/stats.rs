//! What resctrl tells of a container's group.

use crate::error::{Error, Result};
use crate::plan::resctrl::ResctrlGroup;
use serde::Serialize;
use std::fs;
use std::io::ErrorKind as Io;
use std::path::Path;

/// The group of a container in resctrl; empty without one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IntelRdtStats {
    /// What the L3 cache can be divided into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_info: Option<L3CacheInfo>,
    /// The line for the L3 cache of the group at the root.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema_root: String,
    /// That of the container's group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema: String,
    /// How memory bandwidth can be divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_info: Option<MemBwInfo>,
    /// The line for memory bandwidth of the group at the root.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema_root: String,
    /// That of the container's group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema: String,
    /// All lines of the container's group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemata: Vec<String>,
    /// Memory traffic, a number pair for each L3 cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbm_stats: Option<Vec<MbmStats>>,
    /// Occupancy of each L3 cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmt_stats: Option<Vec<CmtStats>>,
}

/// What the L3 cache can be divided into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct L3CacheInfo {
    /// All its parts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cbm_mask: String,
    /// The fewest that a group may have.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_cbm_bits: u64,
    /// How many groups there may be.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_closids: u64,
}

/// How memory bandwidth can be divided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemBwInfo {
    /// The step between values.
    #[serde(skip_serializing_if = "is_zero")]
    pub bandwidth_gran: u64,
    /// Whether delays grow linearly.
    #[serde(skip_serializing_if = "is_zero")]
    pub delay_linear: u64,
    /// The lowest value.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_bandwidth: u64,
    /// How many groups there may be.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_closids: u64,
}

/// Memory traffic through one L3 cache, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MbmStats {
    /// All of it.
    pub mbm_total_bytes: u64,
    /// To the memory of its own node.
    pub mbm_local_bytes: u64,
}

/// Occupancy of one L3 cache, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CmtStats {
    /// What the group holds of it.
    pub llc_occupancy: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Reads what there is about `group`.
pub(crate) fn read(group: &ResctrlGroup) -> Result<IntelRdtStats> {
    // A group is the root, or one below it.
    let mut ancestors = group.path.ancestors();
    let root = ancestors.find(|path| path.join("info").is_dir()).unwrap_or(&group.path);
    let schemata = lines(&group.path.join("schemata"))?;
    let mut stats = IntelRdtStats { schemata, ..IntelRdtStats::default() };
    let of_root = lines(&root.join("schemata"))?;
    let last = |lines: &[String], resource| {
        lines.iter().rfind(|line| line.contains(resource)).cloned().unwrap_or_default()
    };
    if let Some(info) = l3_cache_info(root)? {
        stats.l3_cache_info = Some(info);
        stats.l3_cache_schema_root = last(&of_root, "L3");
        stats.l3_cache_schema = last(&stats.schemata, "L3");
    }
    if let Some(info) = mem_bw_info(&root.join("info/MB"))? {
        stats.mem_bw_info = Some(info);
        stats.mem_bw_schema_root = last(&of_root, "MB");
        stats.mem_bw_schema = last(&stats.schemata, "MB");
    }
    // Without a group of its own for that, the numbers are of all in the container's.
    let monitored = group.monitor.as_ref().unwrap_or(&group.path);
    let features = lines(&root.join("info/L3_MON/mon_features"))?;
    let has = |name: &str| features.iter().any(|feature| feature == name);
    let caches = caches(&monitored.join("mon_data"))?;
    if has("mbm_total_bytes") || has("mbm_local_bytes") {
        let traffic = caches.iter().map(|cache| {
            Ok(MbmStats {
                mbm_total_bytes: number(&cache.join("mbm_total_bytes"))?,
                mbm_local_bytes: number(&cache.join("mbm_local_bytes"))?,
            })
        });
        stats.mbm_stats = Some(traffic.collect::<Result<_>>()?);
    }
    if has("llc_occupancy") {
        let held = caches
            .iter()
            .map(|cache| Ok(CmtStats { llc_occupancy: number(&cache.join("llc_occupancy"))? }));
        stats.cmt_stats = Some(held.collect::<Result<_>>()?);
    }
    Ok(stats)
}

/// With code and data prioritisation the cache has two directories of the same.
fn l3_cache_info(root: &Path) -> Result<Option<L3CacheInfo>> {
    let directories = ["info/L3", "info/L3CODE"].map(|name| root.join(name));
    let Some(directory) = directories.iter().find(|directory| directory.is_dir()) else {
        return Ok(None);
    };
    Ok(Some(L3CacheInfo {
        cbm_mask: text(&directory.join("cbm_mask"))?,
        min_cbm_bits: number(&directory.join("min_cbm_bits"))?,
        num_closids: number(&directory.join("num_closids"))?,
    }))
}

fn mem_bw_info(directory: &Path) -> Result<Option<MemBwInfo>> {
    if !directory.is_dir() {
        return Ok(None);
    }
    Ok(Some(MemBwInfo {
        bandwidth_gran: number(&directory.join("bandwidth_gran"))?,
        delay_linear: number(&directory.join("delay_linear"))?,
        min_bandwidth: number(&directory.join("min_bandwidth"))?,
        num_closids: number(&directory.join("num_closids"))?,
    }))
}

/// The directories of `mon_data`, one a cache, in order.
fn caches(directory: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == Io::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| Error::io("open", &error).path(directory))?,
    };
    let mut caches: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    caches.retain(|path| path.is_dir());
    caches.sort();
    Ok(caches)
}

fn lines(path: &Path) -> Result<Vec<String>> {
    Ok(text(path)?.lines().map(|line| line.trim().to_owned()).collect())
}

/// Zero for "Unavailable" and "Error", which counters say for a while.
fn number(path: &Path) -> Result<u64> {
    Ok(text(path)?.parse().unwrap_or(0))
}

/// Nothing when the file is not there: not every processor has all.
fn text(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == Io::NotFound => Ok(String::new()),
        Err(error) => Err(Error::io("read", &error).path(path)),
    }
}
