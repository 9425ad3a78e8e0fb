//! Groups of resctrl: directories that the kernel fills (Documentation/filesystems/resctrl.rst).

pub mod stats;

use crate::error::{Error, ErrorKind, Result};
use crate::plan::resctrl::{Resctrl, ResctrlGroup, agrees, group_path, mount_of};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind as Io};
use std::path::{Path, PathBuf};

/// resctrl on this host, with a look at the group `name`; `None` when it is not
/// mounted. `mounted` is where the caller says that it is.
pub(crate) fn look(mounted: Option<&Path>, name: &str) -> Result<Option<Resctrl>> {
    let root = match mounted {
        Some(root) => Some(root.to_owned()),
        None => find_mount()?,
    };
    Ok(root.map(|root| Resctrl { has_group: group_path(&root, name).is_dir(), root }))
}

fn find_mount() -> Result<Option<PathBuf>> {
    const PATH: &str = "/proc/thread-self/mountinfo";
    let failed = |error: std::io::Error| Error::io("read", &error).path(PATH);
    for line in BufReader::new(fs::File::open(PATH).map_err(failed)?).split(b'\n') {
        if let Some(root) = mount_of(&String::from_utf8_lossy(&line.map_err(failed)?)) {
            return Ok(Some(root));
        }
    }
    Ok(None)
}

/// Makes a group that is not there yet.
pub(super) fn make(group: &Path) -> Result<()> {
    fs::create_dir(group).map_err(|error| {
        let failure = explained(Error::io("mkdir", &error).path(group), group);
        match error.raw_os_error() {
            Some(libc::EEXIST) => failure
                .with_kind(ErrorKind::AlreadyExists)
                .hint("another made it just now, or it was left: remove it"),
            Some(libc::ENOSPC) => failure.hint("the hardware has no more groups: remove one"),
            _ => failure,
        }
    })
}

/// Refuses a group that was set up otherwise.
pub(super) fn compare(group: &Path, schemata: &[String]) -> Result<()> {
    let path = group.join("schemata");
    let current =
        fs::read_to_string(&path).map_err(|error| Error::io("read", &error).path(&path))?;
    match schemata.iter().find(|schema| !agrees(schema, &current)) {
        None => Ok(()),
        Some(schema) => {
            let there: Vec<&str> = current.lines().map(str::trim).collect();
            let text = format!(
                "resctrl group {} does not have the schema {schema:?} but {:?}",
                group.display(),
                there.join(" ")
            );
            Err(Error::new(ErrorKind::InvalidConfig, text)
                .hint("use the schema that it has, none, or another closID"))
        }
    }
}

/// Writes the lines, and gives those that were there.
pub(crate) fn exchange(group: &Path, schemata: &[String]) -> Result<Vec<String>> {
    let path = group.join("schemata");
    let before =
        fs::read_to_string(&path).map_err(|error| Error::io("read", &error).path(&path))?;
    write(group, schemata)?;
    Ok(before.lines().map(|line| line.trim().to_owned()).collect())
}

/// Writes all lines at once: the kernel takes them in order.
pub(crate) fn write(group: &Path, schemata: &[String]) -> Result<()> {
    let text: String = schemata.iter().flat_map(|line| [line, "\n"]).collect();
    put(&group.join("schemata"), &text, group)
}

/// Moves a process; its children will be in the group too.
pub(super) fn join(group: &Path, pid: i32) -> Result<()> {
    put(&group.join("tasks"), &pid.to_string(), group)
}

fn put(path: &Path, text: &str, group: &Path) -> Result<()> {
    fs::write(path, text).map_err(|error| explained(Error::io("write", &error).path(path), group))
}

/// With the reason that resctrl keeps of its last refusal.
fn explained(error: Error, group: &Path) -> Error {
    let status = group
        .ancestors()
        .find_map(|directory| fs::read_to_string(directory.join("info/last_cmd_status")).ok());
    match status.as_deref().map(str::trim) {
        None | Some("" | "ok") => error,
        Some(status) => error.context(format!("resctrl says {status:?}")),
    }
}

/// Removes what goes with the container. What is gone already is no error.
pub(crate) fn remove(group: &ResctrlGroup) -> Result<()> {
    let own = group.own.then_some(&group.path);
    for directory in group.monitor.iter().chain(own) {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() != Io::NotFound => {
                return Err(Error::io("rmdir", &error).path(directory));
            }
            _ => {}
        }
    }
    Ok(())
}
