//! Programs that are started with descriptors of their own.
#![allow(unsafe_code)]

use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets the program that `command` starts have `descriptors`, under the same numbers. They
/// must stay open until then; no other program gets them.
pub(crate) fn keep(command: &mut Command, descriptors: Vec<RawFd>) {
    let keep = move || {
        for fd in &descriptors {
            // SAFETY: F_SETFD takes numbers; one that is no descriptor is refused.
            if unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes one system call each, and allocates nothing.
    unsafe { command.pre_exec(keep) };
}
