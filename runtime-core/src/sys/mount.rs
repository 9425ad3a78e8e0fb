//! Detached mount trees.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A copy of the mounts at `path`, attached nowhere (open_tree, Linux 5.2).
pub(crate) fn open_tree(path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let recursive = if recursive { libc::AT_RECURSIVE as libc::c_uint } else { 0 };
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | recursive;
    // SAFETY: the path is a string that outlives the call.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    if tree < 0 { Err(io::Error::last_os_error()) } else { Ok(super::fd::own(tree as RawFd)) }
}
