//! `checkpoint`.

use super::status::{First, first, status};
use super::{CheckpointOptions, Container, cgroup_of};
use crate::bundle::{Bundle, parse_spec};
use crate::error::{Context, Error, ErrorKind, Notice, Result};
use crate::host::criu::{
    self, Images, Service, Surroundings, WorkDirectory, destinations, mounted_in, streams_of,
};
use crate::host::record::Record;
use crate::plan::criu::rpc::{Features, Opts, Request, kind};
use crate::plan::criu::{DUMP_LOG, Dump, dump, places};
use crate::plan::namespaces::Namespaces;
use crate::state::Status;
use crate::sys::pidfd;
use oci_spec::runtime::{Mount, Spec};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long processes may take to be gone that criu has killed.
const GONE: Duration = Duration::from_secs(10);

impl Container {
    /// Saves the container by criu. It is gone then, unless it was to be left running or only
    /// its memory was saved. What comes back are failures of its poststop hooks.
    ///
    /// # Errors
    /// `InvalidState` when nothing of the user's runs in it; `Criu`, with criu's words and the
    /// path of its log; `Timeout`. The container goes on then as it was.
    pub fn checkpoint(&self, mut options: CheckpointOptions) -> Result<Vec<Notice>> {
        let directory = self.directory()?;
        let record = directory.load()?;
        let before = status(&directory, &record)?;
        refuse_unless_running(before)?;
        let first = first(&record).ok_or_else(|| refused(Status::Stopped))?;
        let patience = options.patience;
        let version = criu::version(patience).context(|| "CRIU version check failed".to_owned())?;
        check_features(&options)?;
        let images = Images::make(&options.image_path)?;
        if let Some(parent) = &options.dump.parent_path {
            images.check_parent(parent)?;
        }
        let work = options.work_path.as_deref().map(WorkDirectory::make).transpose()?;
        let (spec, _) = parse_spec(&directory.load_config()?)?;
        refuse_added_binds(&record, &spec)?;
        let mut opts = decide(&record, &spec, version, &options)?;
        let log_directory = work.as_ref().unwrap_or(images.directory());
        let log = log_directory.path().join(DUMP_LOG);
        opts.images_dir_fd = images.directory().number();
        opts.work_dir_fd = work.as_ref().map(WorkDirectory::number);
        if !options.dump.pre_dump {
            images.save_streams(&streams_of(record.pid)?)?;
        }
        let mut status = options.status.take().filter(|_| options.switches.lazy_pages);
        // Later ones tell it by a step.
        if let Some(status) = status.as_ref().filter(|_| version < 31_500) {
            opts.status_fd = Some(status.as_raw_fd());
        }
        let kind = if options.dump.pre_dump { kind::PRE_DUMP } else { kind::DUMP };
        let request = Request { kind, opts: Some(opts), ..Request::default() };
        let null = || Stdio::null();
        let service = Service::start(Surroundings {
            stdio: Some([null(), null(), null()]),
            keep: Vec::new(),
            apart: None,
            log: Some(log),
            patience,
        })?;
        let saved = service.serve(&request, |step| {
            if step.name == "status-ready" {
                tell(status.take());
            }
            Ok(())
        });
        if let Err(error) = saved {
            if before != Status::Paused {
                go_on(&record);
            }
            return Err(error);
        }
        if options.dump.pre_dump || options.dump.leave_running {
            return Ok(Vec::new());
        }
        Ok(self.remove(&first, &record))
    }

    /// criu has killed all of it. What cannot be removed does not undo the checkpoint.
    fn remove(&self, first: &First, record: &Record) -> Vec<Notice> {
        let _ = pidfd::wait_ended(first.pidfd.as_fd(), Instant::now() + GONE);
        let removed =
            self.directory().and_then(|directory| super::delete::destroy(&directory, record));
        let failed = |error: Error| {
            let text = format!("deleting the container after its checkpoint: {error}");
            vec![Notice::new("", text)]
        };
        removed.unwrap_or_else(failed)
    }
}

fn refuse_unless_running(status: Status) -> Result<()> {
    match status {
        Status::Running | Status::Paused => Ok(()),
        other => Err(refused(other)),
    }
}

fn refused(status: Status) -> Error {
    let text = format!("Container cannot be checkpointed in {status} state");
    Error::new(ErrorKind::InvalidState, text)
}

/// A mount of the host that was added since creation has no place in the images: `restore` would
/// not find it again.
fn refuse_added_binds(record: &Record, kept: &Spec) -> Result<()> {
    let Ok(bundle) = Bundle::load(&record.bundle) else { return Ok(()) };
    let known = bundle.spec().mounts().as_deref().unwrap_or_default();
    let is_bind = |mount: &&Mount| {
        let options = mount.options().as_deref().unwrap_or_default();
        options.iter().any(|option| option == "bind" || option == "rbind")
            || mount.typ().as_deref() == Some("bind")
    };
    let is_added =
        |mount: &&Mount| !known.iter().any(|one| one.destination() == mount.destination());
    match kept.mounts().iter().flatten().filter(is_bind).find(is_added) {
        Some(mount) => {
            let text =
                format!("the mount at {:?} was added and cannot be restored", mount.destination());
            Err(Error::new(ErrorKind::Unsupported, text)
                .hint("remove it first: tare mounts remove"))
        }
        None => Ok(()),
    }
}

fn check_features(options: &CheckpointOptions) -> Result<()> {
    let features = Features {
        mem_track: options.dump.pre_dump.then_some(true),
        lazy_pages: options.switches.lazy_pages.then_some(true),
    };
    if features == Features::default() {
        return Ok(());
    }
    criu::check_features(features, options.patience)
}

fn decide(record: &Record, spec: &Spec, version: i32, options: &CheckpointOptions) -> Result<Opts> {
    let places = places(spec, &record.bundle)?;
    dump(&Dump {
        spec,
        bundle: &record.bundle,
        rootfs: &record.rootfs,
        pid: record.pid,
        cgroup: record.cgroup.as_ref(),
        mounted: &mounted_in(record.pid)?,
        destinations: &destinations(&record.rootfs, &places, false)?,
        joined: &joined(record.pid, spec)?,
        version,
        switches: &options.switches,
        dump: &options.dump,
    })
}

/// The numbers of the namespaces that the container has joined: those that it is in.
fn joined(pid: i32, spec: &Spec) -> Result<Vec<u64>> {
    let linux = spec.linux().as_ref();
    let entries = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    let number = |file: &str| {
        let path = format!("/proc/{pid}/ns/{file}");
        let found = Path::new(&path).metadata();
        found.map(|found| found.ino()).map_err(|error| Error::io("stat", &error).path(&path))
    };
    Namespaces::of(entries).join.iter().map(|join| number(join.kind.file)).collect()
}

/// A zero byte, and the end.
fn tell(status: Option<OwnedFd>) {
    if let Some(status) = status {
        // Who waits for it may have gone.
        let _ = std::fs::File::from(status).write_all(&[0]);
    }
}

/// A criu that was killed leaves what it has frozen.
fn go_on(record: &Record) {
    if let Ok(Some(cgroup)) = cgroup_of(record)
        && cgroup.is_frozen().unwrap_or(false)
    {
        // The failure that led here is the one to report.
        let _ = cgroup.thaw();
    }
}
