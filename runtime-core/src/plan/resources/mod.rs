//! `linux.resources` as an ordered list of file writes, for cgroup v1 and v2
//! (runtime-spec, config-linux.md, "Control groups").
//!
//! What the configuration leaves unset is left untouched. A zero limit, quota,
//! period, weight or class counts as unset, because engines write zeros for
//! "no opinion"; pids, hugepage and throttle limits are the exceptions.

mod blkio;
mod change;
mod cpu;
mod cpuset;
pub mod devices;
mod hugetlb;
mod memory;
mod network;
mod pids;
mod rdma;
mod unified;
mod write;

use oci_spec::runtime::LinuxResources;

use crate::error::{Error, ErrorKind, Notice, Result};

pub use change::{changed, concerned};
pub use write::{Missing, NotBelow, Write};

/// The writes that carry out a `resources` object, in order, and what of it
/// the host's cgroup version has no file for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// To be carried out one after the other.
    pub writes: Vec<Write>,
    /// Settings that are ignored, one sentence each.
    pub notices: Vec<Notice>,
}

/// What the cgroup holds before the writes; it decides their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// `memory.limit_in_bytes` in bytes; `None` for a cgroup just made.
    pub memory_limit: Option<u64>,
}

impl Limits {
    fn add(&mut self, write: Write) {
        self.writes.push(write);
    }

    fn ignore(&mut self, field: &str, why: &str) {
        self.notices.push(Notice::new(pointer(field), format!("{field} is ignored: {why}")));
    }
}

/// The writes for cgroup v1; `present` is the default for a new cgroup.
///
/// Devices are not among them, see [`devices`].
///
/// # Errors
/// A value out of range, or `unified`, which only v2 has.
pub fn v1(resources: &LinuxResources, present: Present) -> Result<Limits> {
    hybrid(resources, present, |_| true)
}

/// The writes for a host with both versions, where a controller is in the one
/// or in the other.
///
/// # Errors
/// As for [`v1`].
pub fn hybrid(
    resources: &LinuxResources,
    present: Present,
    on_v1: impl Fn(&str) -> bool,
) -> Result<Limits> {
    let mut limits = Limits::default();
    unified::v1(resources.unified().as_ref())?;
    if let Some(cpu) = resources.cpu() {
        cpuset::writes(cpu, &mut limits);
    }
    if let Some(memory) = resources.memory() {
        match on_v1("memory") {
            true => memory::v1(memory, present, &mut limits)?,
            false => memory::v2(memory, &mut limits)?,
        }
    }
    if let Some(cpu) = resources.cpu() {
        match on_v1("cpu") {
            true => cpu::v1(cpu, &mut limits)?,
            false => cpu::v2(cpu, &mut limits)?,
        }
    }
    if let Some(pids) = resources.pids() {
        pids::writes(pids, &mut limits);
    }
    if let Some(block) = resources.block_io() {
        match on_v1("blkio") {
            true => blkio::v1(block, &mut limits)?,
            false => blkio::v2(block, &mut limits)?,
        }
    }
    let pages = resources.hugepage_limits().as_deref();
    match on_v1("hugetlb") {
        true => hugetlb::v1(pages, &mut limits)?,
        false => hugetlb::v2(pages, &mut limits)?,
    }
    if let Some(network) = resources.network() {
        network::v1(network, &mut limits)?;
    }
    rdma::writes(resources.rdma().as_ref(), &mut limits)?;
    Ok(limits)
}

/// The writes for cgroup v2.
///
/// Devices are not among them, see [`devices`].
///
/// # Errors
/// A value out of range, or a swap limit that v2 cannot express.
pub fn v2(resources: &LinuxResources) -> Result<Limits> {
    let mut limits = Limits::default();
    if let Some(pids) = resources.pids() {
        pids::writes(pids, &mut limits);
    }
    if let Some(memory) = resources.memory() {
        memory::v2(memory, &mut limits)?;
    }
    if let Some(block) = resources.block_io() {
        blkio::v2(block, &mut limits)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu::v2(cpu, &mut limits)?;
        cpuset::writes(cpu, &mut limits);
    }
    hugetlb::v2(resources.hugepage_limits().as_deref(), &mut limits)?;
    rdma::writes(resources.rdma().as_ref(), &mut limits)?;
    if let Some(network) = resources.network() {
        network::v2(network)?;
    }
    unified::v2(resources.unified().as_ref(), &mut limits)?;
    Ok(limits)
}

/// What v1 has and v2 has nothing like: "If the conversion is not possible the runtime
/// MUST generate an error" (config-linux.md, Unified).
fn not_on_v2(field: &str) -> Error {
    Error::config(pointer(field), format!("cgroup v2 cannot set {field}"))
        .with_kind(ErrorKind::Unsupported)
        .hint("remove it, or use a host with cgroup v1")
}

/// The JSON pointer of a field of `linux.resources`.
fn pointer(field: &str) -> String {
    format!("/linux/resources/{field}")
}

/// An integer that means something: set and not zero.
fn set<T: Default + PartialEq>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

#[cfg(test)]
mod tests;
