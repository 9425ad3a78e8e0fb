//! Finds the host's cgroup hierarchies.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::{DEFAULT_BASE, Layout};

/// The hierarchies as they are mounted now. `own` tells whether the cgroup of
/// the calling process matters, as it does to a relative cgroup path.
///
/// With v2 at its usual place one system call answers. Otherwise the mount
/// table is read, only as far as needed: the kernel holds a lock against all
/// mounting and unmounting of the host meanwhile.
///
/// # Errors
/// No cgroup hierarchy is mounted, or `/proc` is not.
pub fn detect(own: bool) -> Result<Layout> {
    let is_v2 = is_v2(DEFAULT_BASE);
    if is_v2 && !own {
        return Ok(Layout::v2(None));
    }
    let memberships = read("/proc/self/cgroup")?;
    if is_v2 {
        return Ok(Layout::v2(Some(&memberships)));
    }
    find_mounts(&memberships)?.ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "no cgroup file system is mounted")
            .hint("mount one: mount -t cgroup2 none /sys/fs/cgroup")
    })
}

/// Whether the v2 hierarchy is where everything looks for cgroups.
pub fn is_unified() -> bool {
    is_v2(DEFAULT_BASE)
}

fn find_mounts(memberships: &str) -> Result<Option<Layout>> {
    const PATH: &str = "/proc/self/mountinfo";
    let file = File::open(PATH).map_err(|error| Error::io("open", &error).path(PATH))?;
    let mut finder = Layout::finder(memberships);
    for line in BufReader::with_capacity(4096, file).split(b'\n') {
        let line = line.map_err(|error| Error::io("read", &error).path(PATH))?;
        finder.line(&String::from_utf8_lossy(&line));
        if finder.is_complete() {
            break;
        }
    }
    if finder.v2_mount().is_some_and(|mount| !is_v2(mount)) {
        finder.forget_v2();
    }
    Ok(finder.finish())
}

/// Asks the file system: the mount table also lists what is mounted over.
fn is_v2(path: &str) -> bool {
    statfs(path).is_ok_and(|file_system| file_system.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

fn read(path: &str) -> Result<String> {
    let failed = |error: std::io::Error| Error::io("read", &error).path(path);
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = vec![0; 4096];
    let mut filled = 0;
    loop {
        let count = file.read(&mut bytes[filled..]).map_err(failed)?;
        filled += count;
        // The kernel gives such a file in whole lines, up to what is asked for;
        // less than half of that was all.
        if count == 0 || filled < bytes.len() / 2 {
            return Ok(String::from_utf8_lossy(&bytes[..filled]).into_owned());
        }
        bytes.resize(filled * 2 + 4096, 0);
    }
}
