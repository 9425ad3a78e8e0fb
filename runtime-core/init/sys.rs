//! System calls: the only unsafe code of init besides the processor's own file.
//!
//! Each function is one call, takes what the call takes, and gives the kernel's
//! errno back. Structures are laid out here and nowhere else.
#![allow(unsafe_code)]

use crate::arch::{nr, syscall};

pub type Errno = i32;
pub type Answer<T> = Result<T, Errno>;

pub mod errno {
    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const ESRCH: i32 = 3;
    pub const EINTR: i32 = 4;
    pub const EAGAIN: i32 = 11;
    pub const EACCES: i32 = 13;
    pub const EBUSY: i32 = 16;
    pub const EEXIST: i32 = 17;
    pub const ENOTDIR: i32 = 20;
    pub const EISDIR: i32 = 21;
    pub const EINVAL: i32 = 22;
    pub const EROFS: i32 = 30;
    pub const ENAMETOOLONG: i32 = 36;
    pub const ENOSYS: i32 = 38;
    pub const ELOOP: i32 = 40;
    pub const EBADMSG: i32 = 74;
    pub const EOPNOTSUPP: i32 = 95;

    /// How a kernel says that it does not have a call yet, and a container's
    /// profile that is older than the call.
    pub const fn is_missing(errno: i32) -> bool {
        matches!(errno, ENOSYS | EPERM)
    }
}

pub mod flag {
    pub const O_RDONLY: i32 = 0;
    pub const O_WRONLY: i32 = 1;
    pub const O_RDWR: i32 = 2;
    pub const O_CREAT: i32 = 0o100;
    pub const O_EXCL: i32 = 0o200;
    pub const O_NOCTTY: i32 = 0o400;
    pub const O_NONBLOCK: i32 = 0o4000;
    pub const O_DIRECTORY: i32 = crate::arch::O_DIRECTORY;
    pub const O_NOFOLLOW: i32 = crate::arch::O_NOFOLLOW;
    pub const O_CLOEXEC: i32 = 0o2000000;
    pub const O_PATH: i32 = 0o10000000;
    pub const AT_FDCWD: i32 = -100;
    pub const AT_EMPTY_PATH: u32 = 0x1000;
    pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
    pub const AT_RECURSIVE: u32 = 0x8000;
    pub const RESOLVE_NO_XDEV: u64 = 1;
    pub const RESOLVE_NO_MAGICLINKS: u64 = 2;
    pub const RESOLVE_NO_SYMLINKS: u64 = 4;
    pub const RESOLVE_BENEATH: u64 = 8;
    pub const RESOLVE_IN_ROOT: u64 = 16;
    pub const MS_RDONLY: u64 = 1;
    pub const MS_REMOUNT: u64 = 32;
    pub const MS_BIND: u64 = 4096;
    pub const MS_MOVE: u64 = 8192;
    pub const MS_REC: u64 = 16384;
    pub const MS_SLAVE: u64 = 1 << 19;
    pub const OPEN_TREE_CLONE: u32 = 1;
    pub const OPEN_TREE_CLOEXEC: u32 = 0o2000000;
    pub const MOVE_MOUNT_EMPTY_BOTH: u32 = 0x04 | 0x40;
    pub const MOUNT_ATTR_RDONLY: u64 = 1;
    pub const MOUNT_ATTR_NOSUID: u64 = 2;
    pub const MOUNT_ATTR_NOEXEC: u64 = 8;
    pub const MNT_DETACH: i32 = 2;
    pub const CLONE_PARENT: usize = 0x8000;
    pub const CLONE_PIDFD: usize = 0x1000;
    pub const SIGCHLD: usize = 17;
    pub const SIGHUP: u32 = 1;
    pub const SIGINT: u32 = 2;
    pub const SIGQUIT: u32 = 3;
    pub const SIGTERM: u32 = 15;
    pub const SIGKILL: usize = 9;
    pub const POLLIN: i16 = 1;
}

fn check(answer: isize) -> Answer<usize> {
    if (-4095..0).contains(&answer) { Err(-answer as i32) } else { Ok(answer as usize) }
}

macro_rules! call {
    ($nr:expr $(, $arg:expr)*) => {{
        let mut args = [0usize; 6];
        let given = [$($arg as usize),*];
        args[..given.len()].copy_from_slice(&given);
        // SAFETY: every pointer passed comes from a reference or slice that outlives the call, with its length.
        check(unsafe { syscall($nr, args) })
    }};
}

macro_rules! call0 {
    ($nr:expr) => {{
        // SAFETY: the call takes no arguments.
        check(unsafe { syscall($nr, [0; 6]) })
    }};
}

mod descriptors;
mod files;
mod identity;
mod machine;
mod mounts;
mod plan;
mod processes;
mod sockets;

pub use descriptors::*;
pub use files::*;
pub use identity::*;
pub use machine::*;
pub use mounts::*;
pub use plan::*;
pub use processes::*;
pub use sockets::*;

/// An open file. What is small in number is left open when dropped: a single
/// call closes all such before the wait for `start`, and execve does at the end.
pub struct Fd(i32);

/// Far below the usual limit of 1024 open files.
const KEPT_OPEN: i32 = 256;

impl Fd {
    pub fn raw(&self) -> i32 {
        self.0
    }
    pub fn from_raw(number: i32) -> Self {
        Self(number)
    }
    /// At once: a file open for writing keeps its mount from becoming read-only.
    pub fn close(self) {
        let _ = close(self.keep());
    }
    /// The number, not closed by anybody any more.
    pub fn keep(self) -> i32 {
        let number = self.0;
        core::mem::forget(self);
        number
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        if self.0 >= KEPT_OPEN {
            let _ = close(self.0);
        }
    }
}

pub fn close(fd: i32) -> Answer<usize> {
    call!(nr::CLOSE, fd)
}

/// A filter of the container's may forbid even this; a fault it cannot.
pub fn exit(code: i32) -> ! {
    let _ = call!(nr::EXIT_GROUP, code);
    crate::arch::fault()
}
