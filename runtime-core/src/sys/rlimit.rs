//! Limits of another process.
#![allow(unsafe_code)]

use std::io;

/// Sets limit `resource` of `pid` (prlimit, Linux 2.6.36).
pub(crate) fn set(pid: i32, resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the new limit is valid for the length of the call; the old one is not asked for.
    let result = unsafe { libc::prlimit64(pid, resource, &raw const limit, std::ptr::null_mut()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
