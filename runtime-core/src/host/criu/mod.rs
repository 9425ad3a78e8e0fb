//! criu, started to serve one request (`criu swrk`), and what it is given.

mod images;
mod log;
mod pages;
mod places;
mod progress;
mod restoration;
mod service;

pub(crate) use images::{Images, WorkDirectory, streams_of};
pub(crate) use places::{destinations, mounted_in};
pub(crate) use restoration::{Restoration, Restored, Wanted};
pub(crate) use service::{Service, Surroundings};

use crate::error::{Error, ErrorKind, Result};
use crate::host::hooks::{self, Outcome, memory_file};
use crate::plan::criu::{OLDEST, rpc};
use rpc::{CgroupRoot, Features, Request, kind};
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a question may take that needs no work.
const SOON: Duration = Duration::from_secs(30);

/// Which criu there is, as one number: 31700 is 3.17.
pub(crate) fn version(patience: Duration) -> Result<i32> {
    let service = Service::start(Surroundings::alone(patience.min(SOON)))?;
    let request = Request { kind: kind::VERSION, ..Request::default() };
    let response = service.serve(&request, |_| Ok(()))?;
    let version = response.version.map_or(0, |version| version.number());
    if version >= OLDEST {
        return Ok(version);
    }
    let text = format!("CRIU version {version} must be {OLDEST} or higher");
    Err(Error::new(ErrorKind::Unsupported, text).hint("install a newer criu"))
}

/// Which criu there is, if it says that this kernel and this user are fit for it (`criu check`).
pub(crate) fn fitness() -> Result<i32> {
    let version = version(SOON)?;
    let said = memory_file()?;
    let mut command = Command::new("criu");
    command.arg("check").stdin(Stdio::null()).stdout(Stdio::null());
    let errors = said.try_clone().map_err(|error| Error::io("fcntl", &error))?;
    command.stderr(errors);
    let unfit = match hooks::wait(command, u64::try_from(SOON.as_millis()).ok())? {
        Outcome::Ended(status) if status.success() => return Ok(version),
        Outcome::Ended(_) => last_line(said),
        Outcome::TimedOut(_) => "`criu check` does not end".to_owned(),
        Outcome::NotStarted(error) => error.to_string(),
    };
    Err(Error::new(ErrorKind::Unsupported, unfit))
}

fn last_line(mut said: File) -> String {
    let mut text = Vec::new();
    let read = said.rewind().and_then(|()| said.take(64 << 10).read_to_end(&mut text));
    let text = read.map(|_| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    text.lines().last().unwrap_or("`criu check` fails").to_owned()
}

/// Refuses a criu or a kernel without `wanted`.
pub(crate) fn check_features(wanted: Features, patience: Duration) -> Result<()> {
    let service = Service::start(Surroundings::alone(patience.min(SOON)))?;
    let features = Some(wanted.clone());
    let request = Request { kind: kind::FEATURE_CHECK, features, ..Request::default() };
    let found = service.serve(&request, |_| Ok(()))?.features.unwrap_or_default();
    let lacks =
        |wanted: Option<bool>, found: Option<bool>| wanted == Some(true) && found == Some(false);
    let missing = [
        ("MemTrack", lacks(wanted.mem_track, found.mem_track)),
        ("LazyPages", lacks(wanted.lazy_pages, found.lazy_pages)),
    ];
    let names: Vec<&str> = missing.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    if names.is_empty() {
        return Ok(());
    }
    let text = format!("criu is missing features: {}", names.join(", "));
    Err(Error::new(ErrorKind::Unsupported, text)
        .hint("`criu check --extra` tells what this kernel lacks"))
}

/// The cgroups that process `pid` is in, as the places for those of the container.
fn cgroup_roots(pid: i32) -> Result<Vec<CgroupRoot>> {
    let path = format!("/proc/{pid}/cgroup");
    let text =
        std::fs::read_to_string(&path).map_err(|error| Error::io("read", &error).path(&path))?;
    let mut roots = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        roots.extend(controllers.split(',').map(|controller| CgroupRoot {
            ctrl: Some(controller.to_owned()),
            path: path.to_owned(),
        }));
    }
    Ok(roots)
}
