//! Writing to files of the container's /proc, which may not be one: every write
//! goes to a file that is proved to be procfs' own (CVE-2019-16884, CVE-2025-52881).

use crate::host::{During, Fault};
use crate::ops::Call;
use crate::path::Buffer;
use crate::sys::{self, Fd, errno, flag};
use core::ffi::CStr;

pub const PROC_SUPER_MAGIC: u64 = 0x9fa0;
const PROC_ROOT_INO: u64 = 1;

/// The root of the procfs mounted at /proc.
fn root() -> Result<Fd, Fault> {
    let flags = flag::O_PATH | flag::O_NOFOLLOW | flag::O_DIRECTORY;
    let root = sys::open(flag::AT_FDCWD, c"/proc", flags, 0).during(Call::Open)?;
    is_procfs(&root)?;
    if sys::stat_fd(root.raw()).during(Call::Fstat)?.ino == PROC_ROOT_INO {
        Ok(root)
    } else {
        Err(Fault::new(Call::NotProcfs, 0))
    }
}

fn is_procfs(file: &Fd) -> Result<(), Fault> {
    let (kind, _) = sys::filesystem(file.raw()).during(Call::Fstatfs)?;
    if kind == PROC_SUPER_MAGIC { Ok(()) } else { Err(Fault::new(Call::NotProcfs, 0)) }
}

/// Opens a file of procfs: nothing mounted over it or on the way to it.
fn open(path: &CStr) -> Result<Fd, Fault> {
    let root = root()?;
    let resolve = flag::RESOLVE_BENEATH | flag::RESOLVE_NO_XDEV | flag::RESOLVE_NO_MAGICLINKS;
    let file = match sys::openat2(root.raw(), path, flag::O_WRONLY, resolve) {
        Err(errno) if errno::is_missing(errno) => sys::open(root.raw(), path, flag::O_WRONLY | flag::O_NOFOLLOW, 0),
        answer => answer,
    };
    let file = file.during(Call::Open)?;
    is_procfs(&file)?;
    Ok(file)
}

/// Writes `value` to the file at `path`, relative to /proc.
pub fn write(path: &CStr, value: &CStr) -> Result<(), Fault> {
    let file = open(path)?;
    sys::write(file.raw(), value.to_bytes()).during(Call::Write).map(drop)
}

pub fn write_label(path: &CStr, fallback: &CStr, value: &CStr) -> Result<(), Fault> {
    match write(path, value) {
        Err(Fault { call: Call::Open, errno: errno::ENOENT, .. }) if !fallback.is_empty() => write(fallback, value),
        answer => answer,
    }
}

/// Writes a file of its own in the host's /proc. Of a process that is out of reach they
/// are root's: for the one moment it is within reach.
pub fn write_own(path: &CStr, value: &CStr) -> Result<(), Fault> {
    let file = match sys::open(flag::AT_FDCWD, path, flag::O_WRONLY, 0) {
        Err(errno::EACCES) => {
            let _ = sys::set_dumpable(true);
            let file = sys::open(flag::AT_FDCWD, path, flag::O_WRONLY, 0);
            let _ = sys::set_dumpable(false);
            file
        }
        answer => answer,
    };
    let file = file.during(Call::Open)?;
    sys::write(file.raw(), value.to_bytes()).during(Call::Write).map(drop)
}

/// Whether this process's user namespace denies setgroups(2), as one does that maps a
/// single group of a caller without privileges.
pub fn denies_groups() -> bool {
    let Ok(root) = root() else { return false };
    let mut word = [0u8; 8];
    let file = sys::open(root.raw(), c"self/setgroups", flag::O_RDONLY | flag::O_NOFOLLOW, 0);
    let read = file.and_then(|file| is_procfs(&file).map_err(|fault| fault.errno).and_then(|()| sys::read(file.raw(), &mut word)));
    read.is_ok() && word.starts_with(b"deny")
}

/// The directory of this process's open files.
pub fn own_descriptors() -> Result<Fd, Fault> {
    let root = root()?;
    let list = sys::open(root.raw(), c"self/fd", flag::O_RDONLY | flag::O_DIRECTORY, 0);
    root.close();
    list.during(Call::Open)
}

/// A name for an open file through a /proc that is proved to be one.
pub fn descriptor_path(fd: i32) -> Result<Buffer, Fault> {
    root()?;
    Buffer::of_descriptor(fd).during(Call::Open)
}
