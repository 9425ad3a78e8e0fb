//! What a container uses.

use super::{Container, cgroup_of};
use crate::error::Result;
use crate::host::cgroup::CgroupStats;
use crate::host::network::stats::{self as network, NetworkInterface};
use crate::host::record::Record;
use crate::host::resctrl::stats::{self as resctrl, IntelRdtStats};
use serde::Serialize;

/// The usage of a container. Its JSON is that of runc's `events`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Of its cgroup; all zero without one.
    #[serde(flatten)]
    pub cgroup: CgroupStats,
    /// Of its group in resctrl.
    pub intel_rdt: IntelRdtStats,
    /// Of its network interfaces but loopback; `None` (`null`) when it has none of its own.
    pub network_interfaces: Option<Vec<NetworkInterface>>,
}

impl Container {
    /// What it uses now.
    ///
    /// # Errors
    /// `NotFound`; `CorruptState`; a file of its cgroup that is there and cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        read(&self.record()?)
    }
}

pub(super) fn read(record: &Record) -> Result<Stats> {
    let cgroup = cgroup_of(record)?.map(|cgroup| cgroup.stats()).transpose()?;
    let group = record.resctrl.as_ref().map(resctrl::read).transpose()?;
    let interfaces = if record.pid > 0 { network::read(record.pid)? } else { Vec::new() };
    Ok(Stats {
        cgroup: cgroup.unwrap_or_default(),
        intel_rdt: group.unwrap_or_default(),
        network_interfaces: (!interfaces.is_empty()).then_some(interfaces),
    })
}
