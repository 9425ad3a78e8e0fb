//! `update`.

use super::options::Update;
use super::status::status;
use super::{Container, cgroup_of};
use crate::bundle::{parse_resources, parse_spec, validate};
use crate::error::{Error, ErrorKind, Notice, Result};
use crate::host::cgroup::{LimitChange, LiveCgroup};
use crate::host::record::{Directory, Record};
use crate::host::resctrl;
use crate::plan::resources::{Write, changed, concerned, devices};
use crate::state::Status;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources, Spec};
use std::time::Duration;

/// How long another change of the container may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything decided before anything changes.
struct Change {
    cgroup: LiveCgroup,
    writes: Vec<Write>,
    devices: Vec<Write>,
    /// The limits once all is done.
    resources: LinuxResources,
    schemata: Vec<String>,
    notices: Vec<Notice>,
}

impl Container {
    /// Changes limits of a container that runs, or waits for `start`. Device rules are
    /// left as they are. What fails is put back.
    ///
    /// # Errors
    /// `NotRunning`; a limit that cannot be, or that the kernel or systemd refuses.
    pub fn update(&self, update: &Update) -> Result<Vec<Notice>> {
        let directory = self.directory()?;
        directory.lock(PATIENCE)?;
        let record = directory.load()?;
        let change = decide(&directory, &record, update)?;
        let group = record.resctrl.as_ref().filter(|_| !change.schemata.is_empty());
        let before = match group {
            Some(group) => resctrl::exchange(&group.path, &change.schemata)?,
            None => Vec::new(),
        };
        if let Err(error) = change.cgroup.update(&change.writes, &change.devices) {
            // What cannot be put back is told of by the first failure.
            let _ = group.map(|group| resctrl::write(&group.path, &before));
            return Err(error);
        }
        directory.save_resources(&change.resources)?;
        Ok(change.notices)
    }

    /// The files that [`Container::update`] would write, with what is in them now.
    ///
    /// # Errors
    /// As for [`Container::update`], as far as it shows without changing anything.
    pub fn preview_update(&self, update: &Update) -> Result<Vec<LimitChange>> {
        let directory = self.directory()?;
        let record = directory.load()?;
        let change = decide(&directory, &record, update)?;
        change.cgroup.preview(&change.writes)
    }
}

fn decide(directory: &Directory, record: &Record, update: &Update) -> Result<Change> {
    if matches!(status(directory, record)?, Status::Stopped | Status::Creating) {
        return Err(Error::kind_only(ErrorKind::NotRunning));
    }
    if let Some(fault) = validate::check_resources(&update.resources).into_iter().next() {
        return Err(fault);
    }
    let (spec, _) = parse_spec(&directory.load_config()?)?;
    let schemata = schemata(&spec, record, update)?;
    let cgroup = cgroup_of(record)?.ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "the container has no cgroup to limit")
    })?;
    let resources = changed(&before(directory, &spec)?, &update.resources)?;
    let limits = cgroup.limits(&resources)?;
    let writes = concerned(limits.writes, &update.resources)?;
    let mut notices = limits.notices;
    notices.extend(weight_of_idle(&update.resources));
    let devices = match cgroup.may_lose_devices() {
        true => devices::v1(&devices::rules(devices_of(&spec))?)?,
        false => Vec::new(),
    };
    Ok(Change { cgroup, writes, devices, resources, schemata, notices })
}

fn devices_of(spec: &Spec) -> Option<&[LinuxDeviceCgroup]> {
    spec.linux().as_ref()?.resources().as_ref()?.devices().as_deref()
}

/// What is idle has no weight besides. The words are runc's.
fn weight_of_idle(asked: &LinuxResources) -> Option<Notice> {
    let unified = |name: &str| asked.unified().as_ref().and_then(|unified| unified.get(name));
    let cpu = asked.cpu().as_ref();
    let weight = cpu.is_some_and(|cpu| cpu.shares().is_some_and(|shares| shares != 0))
        || unified("cpu.weight").is_some();
    let idle = cpu.is_some_and(|cpu| cpu.idle() == Some(1))
        || unified("cpu.idle").is_some_and(|value| value.trim() == "1");
    let text = "unable to apply both a weight of CPU time and idle: the weight is ignored";
    (weight && idle).then(|| Notice::new("/cpu", text))
}

/// As earlier updates left them, or else as the container was created.
fn before(directory: &Directory, spec: &Spec) -> Result<LinuxResources> {
    if let Some(bytes) = directory.load_resources()? {
        let (resources, _) = parse_resources(&bytes)?;
        return Ok(resources);
    }
    let linux = spec.linux().as_ref();
    Ok(linux.and_then(|linux| linux.resources().clone()).unwrap_or_default())
}

/// The lines for resctrl; only of a container that was created with some.
fn schemata(spec: &Spec, record: &Record, update: &Update) -> Result<Vec<String>> {
    let lines: Vec<String> =
        update.l3_cache_schema.iter().chain(&update.mem_bw_schema).cloned().collect();
    let has_rdt = spec.linux().as_ref().is_some_and(|linux| linux.intel_rdt().is_some());
    if !lines.is_empty() && (!has_rdt || record.resctrl.is_none()) {
        let text = "updating a non-existent Intel RDT configuration is not supported";
        return Err(Error::new(ErrorKind::Unsupported, text)
            .hint("create the container with linux.intelRdt, on a host with resctrl mounted"));
    }
    Ok(lines)
}
