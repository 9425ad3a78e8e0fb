//! `mounts`: adding and removing mounts of a container that is there.

use super::Container;
use super::create::patience;
use super::status::{First, first, status};
use crate::bundle::{Bundle, below_root, item, parse_spec, validate};
use crate::error::{Error, ErrorKind, Notice, Result};
use crate::host::execute::{Execution, end};
use crate::host::facts;
use crate::host::record::{Directory, Record};
use crate::host::spawn::Surroundings;
use crate::plan::{self, Facts, LiveRequest, Plan};
use crate::state::Status;
use oci_spec::runtime::{Mount, Spec};
use serde_json::Value;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another change of the container may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container whose mounts are changed.
struct Live<'a> {
    container: &'a Container,
    directory: Directory,
    record: Record,
    first: First,
    bundle: Bundle,
    facts: Facts,
}

impl Container {
    /// Mounts `mounts` in a container that runs, is paused, or waits for `start`, in their order:
    /// all of them or none. They are part of its configuration from then on. Sources that are
    /// relative are so to the bundle.
    ///
    /// # Errors
    /// `NotRunning`; `Unsupported` for a container without a mount namespace; a mount that cannot
    /// be, or that the kernel refuses.
    pub fn add_mounts(&self, mounts: &[Mount]) -> Result<Vec<Notice>> {
        let live = Live::of(self)?;
        live.check(mounts)?;
        let mut notices = Vec::new();
        for (index, mount) in mounts.iter().enumerate() {
            let pointer = item("/mounts", index);
            let plan = plan::add_mount(&live.request(), mount, &pointer);
            if let Err(error) = plan.and_then(|plan| live.carry_out(plan, &mut notices)) {
                // What cannot be taken back is told of by the first failure.
                for done in mounts[..index].iter().rev() {
                    let _ = live.remove(done.destination(), "");
                }
                return Err(error);
            }
        }
        live.reconfigure(|listed| {
            listed.extend(mounts.iter().filter_map(|mount| serde_json::to_value(mount).ok()));
        })?;
        Ok(notices)
    }

    /// Detaches the mounts at `destinations`, which its configuration or
    /// [`Container::add_mounts`] has put there, with what is mounted below them; of several at one
    /// place the last.
    ///
    /// # Errors
    /// `NotRunning`; `Unsupported` for a container without a mount namespace; a destination where
    /// its configuration has no mount.
    pub fn remove_mounts(&self, destinations: &[PathBuf]) -> Result<()> {
        let live = Live::of(self)?;
        for (index, destination) in destinations.iter().enumerate() {
            live.must_have(destination, &item("/mounts", index))?;
        }
        for (index, destination) in destinations.iter().enumerate() {
            live.remove(destination, &item("/mounts", index))?;
            live.reconfigure(|listed| {
                let place = listed.iter().rposition(|mount| is_at(mount, destination));
                place.map(|place| listed.remove(place));
            })?;
        }
        Ok(())
    }
}

impl<'a> Live<'a> {
    fn of(container: &'a Container) -> Result<Self> {
        let directory = container.directory()?;
        directory.lock(PATIENCE)?;
        let record = directory.load()?;
        let gone = || Error::kind_only(ErrorKind::NotRunning);
        if matches!(status(&directory, &record)?, Status::Stopped | Status::Creating) {
            return Err(gone());
        }
        let first = first(&record).ok_or_else(gone)?;
        let (spec, _) = parse_spec(&directory.load_config()?)?;
        let bundle = Bundle::from_parts(&record.bundle, spec)?;
        let facts = facts::gather(None)?;
        Ok(Self { container, directory, record, first, bundle, facts })
    }

    fn request(&self) -> LiveRequest<'_> {
        LiveRequest {
            id: &self.container.id,
            pid: u64::from(self.record.pid.cast_unsigned()),
            bundle: &self.bundle,
            facts: &self.facts,
            directory: self.directory.path(),
        }
    }

    /// By the rules of a configuration that has these mounts.
    fn check(&self, mounts: &[Mount]) -> Result<()> {
        let mut spec: Spec = self.bundle.spec().clone();
        spec.set_mounts(Some(mounts.to_vec()));
        let text = serde_json::to_vec(&mounts).unwrap_or_default();
        let faults = validate::check_text(&text).into_iter().chain(validate::check_mounts(&spec));
        faults.into_iter().next().map_or(Ok(()), Err)
    }

    fn must_have(&self, destination: &Path, pointer: &str) -> Result<()> {
        let listed = self.bundle.spec().mounts().as_deref().unwrap_or_default();
        let place = below_root(destination);
        if listed.iter().any(|mount| below_root(mount.destination()) == place) {
            return Ok(());
        }
        let message = format!("the container has no mount at {place:?}");
        Err(Error::new(ErrorKind::InvalidArgument, message)
            .at(pointer)
            .hint("name a destination of its configuration, or of a mount that was added"))
    }

    fn remove(&self, destination: &Path, pointer: &str) -> Result<()> {
        let plan = plan::remove_mount(&self.request(), destination, pointer)?;
        self.carry_out(plan, &mut Vec::new())
    }

    /// By an init that is ended once it has done its part.
    fn carry_out(&self, mut plan: Plan, notices: &mut Vec<Notice>) -> Result<()> {
        let trace = self.container.trace.as_ref();
        plan.traced = trace.is_some();
        let surroundings = Surroundings {
            directory: Some(&self.container.root),
            process: Some(self.first.pidfd.as_fd()),
            patience: patience(&plan),
            ..Surroundings::default()
        };
        let mut record = self.record.clone();
        let execution = Execution::new(&plan, None, &mut record, surroundings).traced(trace);
        let outcome = execution.run()?;
        end(&outcome.init);
        notices.append(&mut plan.notices);
        Ok(())
    }

    /// Changes the list of mounts in the configuration that is kept.
    fn reconfigure(&self, change: impl FnOnce(&mut Vec<Value>)) -> Result<()> {
        let corrupt = |error: serde_json::Error| {
            Error::new(ErrorKind::CorruptState, format!("config.json: {error}"))
        };
        let mut config: Value =
            serde_json::from_slice(&self.directory.load_config()?).map_err(corrupt)?;
        if !config["mounts"].is_array() {
            config["mounts"] = Value::Array(Vec::new());
        }
        if let Some(listed) = config["mounts"].as_array_mut() {
            change(listed);
        }
        self.directory.replace_config(&serde_json::to_vec(&config).map_err(corrupt)?)
    }
}

fn is_at(mount: &Value, destination: &Path) -> bool {
    let place = mount["destination"].as_str().unwrap_or_default();
    below_root(Path::new(place)) == below_root(destination)
}
