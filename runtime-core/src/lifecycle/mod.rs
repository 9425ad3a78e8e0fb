//! The life of a container: one file a verb, each a list of steps.

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod kill;
mod mounts;
mod options;
mod pause;
mod process;
mod restore;
mod start;
mod stats;
mod status;
mod update;

pub use events::{Event, Events};
pub use options::{
    CgroupDriver, CheckpointOptions, CreateOptions, ExecCommand, ExecOptions, ExecProcess,
    RestoreOptions, StartOptions, Update,
};
pub use process::{ExitStatus, Process};
pub use stats::Stats;

use crate::error::{Error, ErrorKind, Notice, Result};
use crate::host::cgroup::LiveCgroup;
use crate::host::proc_stat;
use crate::host::record::{Directory, Record};
use crate::sys::pidfd;
use crate::trace::Trace;
use oci_spec::runtime::Spec;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long `list` waits, in all, for containers that another call is making or
/// removing: a few system calls of that other call, on a machine that may be busy.
const SETTLING: Duration = Duration::from_secs(10);

/// Containers kept below one state directory. Holds nothing open, and may be
/// used from any number of threads.
#[derive(Clone, Debug)]
pub struct Runtime {
    root: PathBuf,
    driver: CgroupDriver,
    resctrl: Option<PathBuf>,
    trace: Option<Trace>,
}

impl Runtime {
    /// A runtime with its state below `root`, which is made when first needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), driver: CgroupDriver::Cgroupfs, resctrl: None, trace: None }
    }

    /// The same with another way to make cgroups.
    #[must_use]
    pub fn cgroup_driver(mut self, driver: CgroupDriver) -> Self {
        self.driver = driver;
        self
    }

    /// The same with resctrl at `mounted`, for intelRdt; it is looked for otherwise.
    #[must_use]
    pub fn resctrl(mut self, mounted: impl Into<PathBuf>) -> Self {
        self.resctrl = Some(mounted.into());
        self
    }

    /// The same, keeping in `trace` how long what it and its containers do takes: `create`,
    /// `run`, `start` and `exec`, by phases and steps.
    #[must_use]
    pub fn trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The state directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The container `id`, whatever state it is in.
    ///
    /// # Errors
    /// `InvalidId`; `NotFound`.
    pub fn container(&self, id: &str) -> Result<Container> {
        check_id(id)?;
        Directory::open(&self.root, id)?;
        let trace = self.trace.clone();
        Ok(Container { root: self.root.clone(), id: id.to_owned(), notices: Vec::new(), trace })
    }

    /// All containers, by id; those whose state cannot be read are errors.
    ///
    /// # Errors
    /// When the state directory cannot be read; its errno is ENOENT when there is none.
    pub fn list(&self) -> Result<Vec<(String, Result<Container>)>> {
        let failed = |error: std::io::Error| Error::io("open", &error).path(&self.root);
        let deadline = Instant::now() + SETTLING;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let id = entry.file_name().to_string_lossy().into_owned();
            // Other files are nobody's containers.
            if check_id(&id).is_err() || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            match self.settled(&id, deadline) {
                // Deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                container => found.push((id, container)),
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    /// A container whose record can be read. One without any may be about to get
    /// it or to be gone: it is an error only if that stays so, or has long been so.
    fn settled(&self, id: &str, deadline: Instant) -> Result<Container> {
        let container = self.container(id)?;
        loop {
            let directory = container.directory()?;
            let was_there = directory.has_record();
            match directory.load() {
                Ok(_) => return Ok(container),
                // There before and after: it is damaged. Else it comes or goes just now.
                Err(error) if was_there && directory.has_record() => return Err(error),
                Err(error) if Instant::now() >= deadline || directory.is_older_than(SETTLING) => {
                    return Err(error);
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

/// One container. Only a name for what is on disk: nothing is held open.
#[derive(Clone, Debug)]
pub struct Container {
    root: PathBuf,
    id: String,
    notices: Vec<Notice>,
    trace: Option<Trace>,
}

impl Container {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What its creation had to say that was no error.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Its configuration as it was at creation, but for mounts that were added and removed since.
    ///
    /// # Errors
    /// `NotFound`; `CorruptState`.
    pub fn spec(&self) -> Result<Spec> {
        let directory = self.directory()?;
        let bytes = directory.load_config()?;
        let (spec, _) = crate::bundle::parse_spec(&bytes)?;
        Ok(spec)
    }

    /// Its first process, to wait for or to signal: of a container that this
    /// process created, a child, whose status can be taken until `delete` does.
    ///
    /// # Errors
    /// `NotFound`; `NotRunning` once its status was taken.
    pub fn process(&self) -> Result<Process> {
        let record = self.record()?;
        let gone = || Error::kind_only(ErrorKind::NotRunning);
        if record.pid == 0 {
            return Err(gone());
        }
        let pidfd = pidfd::open(record.pid).map_err(|_| gone())?;
        let stat = proc_stat::read(record.pid).ok_or_else(gone)?;
        if stat.start_time != record.start_time {
            return Err(gone());
        }
        Ok(Process::of_pidfd(record.pid, pidfd))
    }

    fn directory(&self) -> Result<Directory> {
        Directory::open(&self.root, &self.id)
    }

    fn record(&self) -> Result<Record> {
        self.directory()?.load()
    }
}

/// Its cgroup, if the host has any.
fn cgroup_of(record: &Record) -> Result<Option<LiveCgroup>> {
    let Some(cgroup) = &record.cgroup else { return Ok(None) };
    LiveCgroup::open(cgroup.clone()).map(Some)
}

/// Ids are file names: `[A-Za-z0-9_+.-]+`, neither `.` nor `..`.
fn check_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::new(ErrorKind::InvalidId, "container id cannot be empty"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+.-".contains(&byte);
    if id.bytes().all(fits) && !matches!(id, "." | "..") && id.len() <= 255 {
        return Ok(());
    }
    let message = match id.chars().find(|&c| !u8::try_from(c).is_ok_and(fits)) {
        Some(other) => format!("{}: {id:?}: invalid character {other:?}", ErrorKind::InvalidId),
        None => format!("{}: {id:?}", ErrorKind::InvalidId),
    };
    Err(Error::new(ErrorKind::InvalidId, message)
        .hint("an id is made of letters, digits, and _ + . -"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_embedder_holds_may_be_used_from_any_thread() {
        fn shared<T: Send + Sync + 'static>() {}
        fn error<T: std::error::Error + Send + Sync + 'static>() {}
        shared::<Runtime>();
        shared::<Container>();
        shared::<Process>();
        shared::<crate::Bundle>();
        shared::<crate::Plan>();
        shared::<CreateOptions>();
        shared::<ExecOptions>();
        error::<Error>();
    }

    #[test]
    fn an_id_is_a_file_name_that_stays_where_it_is() {
        for good in ["a", "A-1_b+c.d", "...", &"x".repeat(255)] {
            check_id(good).unwrap();
        }
        for bad in ["", ".", "..", "a/b", "a b", "a\0", "ä", &"x".repeat(256)] {
            assert_eq!(check_id(bad).unwrap_err().kind(), ErrorKind::InvalidId, "{bad}");
        }
    }
}
