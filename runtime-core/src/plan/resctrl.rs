//! The container's group in resctrl, the file system of Intel RDT and its like
//! (config-linux.md, IntelRdt).

use super::container::Parts;
use super::{HostOp, Plan};
use crate::error::{Error, ErrorKind, Result};
use oci_spec::runtime::LinuxIntelRdt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const POINTER: &str = "/linux/intelRdt";
/// The `closID` of the group at the root.
const DEFAULT_GROUP: &str = "/";

/// resctrl as it is found on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resctrl {
    /// Where it is mounted.
    pub root: PathBuf,
    /// Whether the container's group is there already.
    pub has_group: bool,
}

/// What the record keeps of a container's place in resctrl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResctrlGroup {
    /// The group's directory.
    pub path: PathBuf,
    /// Whether it goes with the container: made for it, under its id.
    pub own: bool,
    /// The directory of its monitoring group, which always goes with it.
    pub monitor: Option<PathBuf>,
}

impl ResctrlGroup {
    /// The directories that its processes are written into, in order.
    pub fn joined(&self) -> Vec<PathBuf> {
        std::iter::once(&self.path).chain(&self.monitor).cloned().collect()
    }
}

/// The name of the group of container `id`: `closID`, or the id.
pub fn group_name<'a>(rdt: &'a LinuxIntelRdt, id: &'a str) -> &'a str {
    closid(rdt).unwrap_or(id)
}

fn closid(rdt: &LinuxIntelRdt) -> Option<&str> {
    rdt.clos_id().as_deref().filter(|name| !name.is_empty())
}

/// The directory of a group.
pub fn group_path(root: &Path, name: &str) -> PathBuf {
    if name == DEFAULT_GROUP { root.to_owned() } else { root.join(name) }
}

/// Decides the group; what is done to it comes after the record that names it.
pub(super) fn group(parts: &Parts<'_>) -> Result<Option<ResctrlGroup>> {
    let Some(rdt) = parts.linux.and_then(|linux| linux.intel_rdt().as_ref()) else {
        return Ok(None);
    };
    let id = parts.request.id;
    let host = parts.request.facts.resctrl.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "intelRdt needs resctrl, which is not mounted")
            .at(POINTER)
            .hint("mount it where the processor has RDT: mount -t resctrl resctrl /sys/fs/resctrl")
    })?;
    let name = group_name(rdt, id);
    if closid(rdt).is_some() && schemata(rdt).is_empty() && !host.has_group {
        let text = format!("resctrl group {name:?} does not exist in {}", host.root.display());
        return Err(Error::config(format!("{POINTER}/closID"), text)
            .hint("without a schema the group must be there before the container"));
    }
    let path = group_path(&host.root, name);
    let monitored = *rdt.enable_monitoring() == Some(true);
    Ok(Some(ResctrlGroup {
        monitor: monitored.then(|| path.join("mon_groups").join(id)),
        own: closid(rdt).is_none() && !host.has_group,
        path,
    }))
}

/// Makes the group, or sees that it is the one that is meant, and sets it up.
pub(super) fn prepare(plan: &mut Plan, parts: &Parts<'_>) {
    let (Some(group), Some(rdt), Some(host)) = (
        plan.resctrl.clone(),
        parts.linux.and_then(|linux| linux.intel_rdt().as_ref()),
        &parts.request.facts.resctrl,
    ) else {
        return;
    };
    let lines = schemata(rdt);
    if !host.has_group {
        plan.host(POINTER, HostOp::MakeResctrlGroup(group.path.clone()));
    } else if closid(rdt).is_some() {
        let compared = [rdt.l3_cache_schema(), rdt.mem_bw_schema()];
        let schemata: Vec<String> = compared.into_iter().flatten().cloned().collect();
        if !schemata.is_empty() {
            plan.host(POINTER, HostOp::CompareSchemata { group: group.path.clone(), schemata });
        }
    }
    if !lines.is_empty() {
        plan.host(POINTER, HostOp::WriteSchemata { group: group.path, schemata: lines });
    }
    if let Some(monitor) = group.monitor {
        plan.host(format!("{POINTER}/enableMonitoring"), HostOp::MakeResctrlGroup(monitor));
    }
}

/// In the order in which they are to be written.
fn schemata(rdt: &LinuxIntelRdt) -> Vec<String> {
    let first = [rdt.l3_cache_schema(), rdt.mem_bw_schema()];
    let first = first.into_iter().flatten();
    let all = first.chain(rdt.schemata().iter().flatten());
    all.filter(|line| !line.is_empty()).cloned().collect()
}

/// Whether a group whose `schemata` file has the text `current` has what `schema` asks for.
/// The kernel pads numbers; a schema may name some of the domains.
pub(crate) fn agrees(schema: &str, current: &str) -> bool {
    schema.lines().filter(|line| !line.trim().is_empty()).all(|line| {
        let (resource, wanted) = domains(line);
        let mut there = current.lines().map(domains);
        there.any(|(name, values)| {
            name == resource && wanted.iter().all(|(id, value)| values.get(id) == Some(value))
        })
    })
}

/// A line's resource, and its values by domain.
fn domains(line: &str) -> (&str, BTreeMap<&str, String>) {
    let (resource, values) = line.split_once(':').unwrap_or((line, ""));
    let pairs = values.split(';').filter_map(|pair| pair.split_once('='));
    let plain = |text: &str| text.trim().trim_start_matches('0').to_ascii_lowercase();
    (resource.trim(), pairs.map(|(id, value)| (id.trim(), plain(value))).collect())
}

/// Where resctrl is mounted, if this line of mountinfo says so (proc(5)).
pub fn mount_of(line: &str) -> Option<PathBuf> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let is_whole = after.split(' ').next() == Some("resctrl") && root == "/";
    is_whole.then(|| super::cgroup::unescape(point).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_agree_whatever_the_kernel_pads_and_orders() {
        let current = "    L3:0=007f0;1=0001f\n    MB:0= 20;1= 70\n";
        for same in ["L3:0=7f0;1=1f", "L3:1=1F;0=7F0", "L3:1=1f", "MB:0=20;1=70", ""] {
            assert!(agrees(same, current), "{same}");
        }
        for other in ["L3:0=7f0;1=1e", "L3:2=1f", "L2:0=f", "MB:0=2;1=70", "L3:0=7f0\nMB:0=30"] {
            assert!(!agrees(other, current), "{other}");
        }
    }

    #[test]
    fn the_mount_is_found_in_mountinfo() {
        let line = "41 30 0:38 / /sys/fs/res\\040ctrl rw,relatime shared:9 - resctrl resctrl rw";
        assert_eq!(mount_of(line), Some("/sys/fs/res ctrl".into()));
        assert_eq!(mount_of(&line.replace(" / /sys", " /g /sys")), None);
        assert_eq!(mount_of(&line.replace("- resctrl", "- tmpfs")), None);
        assert_eq!(mount_of("41 30"), None);
    }
}
