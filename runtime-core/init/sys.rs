//! System calls: the only unsafe code of init besides the processor's own file.
//!
//! Each function is one call, takes what the call takes, and gives the kernel's
//! errno back. Structures are laid out here and nowhere else.
#![allow(unsafe_code)]

use crate::arch::{nr, syscall};
use core::ffi::CStr;
use core::ptr;

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
    pub const MS_PRIVATE: u64 = 1 << 18;
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

// The plan: a segment of this program, at a fixed place, as long as the host made it.

const PLAN: usize = 0x1000_0000;
const PLAN_LENGTH_AT: usize = 0;

/// Bytes of the plan, from the word that stands before it.
fn plan_length() -> usize {
    let word = (PLAN + PLAN_LENGTH_AT) as *const u64;
    // SAFETY: the segment is at least one page, so its first word is mapped.
    unsafe { ptr::read(word) as usize }
}

fn plan_at(at: usize, length: usize) -> Option<usize> {
    let end = at.checked_add(length)?;
    (end <= plan_length()).then_some(PLAN + 8 + at)
}

pub fn plan_word(at: usize) -> Option<u64> {
    let place = plan_at(at, 8)? as *const u64;
    // SAFETY: within the mapped plan.
    Some(unsafe { ptr::read_unaligned(place) })
}

pub fn plan_bytes(at: usize, length: usize) -> Option<&'static [u8]> {
    let place = plan_at(at, length)? as *const u8;
    // SAFETY: within the mapped plan, whose strings and blobs nobody writes.
    Some(unsafe { core::slice::from_raw_parts(place, length) })
}

/// Writes the address of `text` into the word at `at`.
pub fn plan_set_pointer(at: usize, text: &'static CStr) -> Option<()> {
    let place = plan_at(at, 8)? as *mut usize;
    // SAFETY: within the mapped plan, which is writable; the word belongs to a list's array, read only by `plan_list`.
    unsafe { ptr::write_unaligned(place, text.as_ptr() as usize) };
    Some(())
}

/// The list whose array of `count` pointers and a null stands at `at`.
pub fn plan_list(at: usize, count: usize) -> Option<List> {
    plan_at(at, (count + 1) * 8).map(|array| List { array, count })
}

/// An array of pointers to strings, ended by a null.
#[derive(Clone, Copy)]
pub struct List {
    array: usize,
    count: usize,
}

impl List {
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn get(&self, index: usize) -> Option<&'static CStr> {
        if index >= self.count {
            return None;
        }
        let place = (self.array + index * 8) as *const *const core::ffi::c_char;
        // SAFETY: an element of the array that `plan_set_pointer` filled.
        let text = unsafe { ptr::read_unaligned(place) };
        // SAFETY: it points to a text of the plan, which ends with a NUL.
        Some(unsafe { CStr::from_ptr(text) })
    }

    /// Puts another string in the place of the last one.
    pub fn replace_last(&self, text: &CStr) {
        if let Some(last) = self.count.checked_sub(1) {
            let place = (self.array + last * 8) as *mut usize;
            // SAFETY: an element of the array; the caller's text lives until execve.
            unsafe { ptr::write_unaligned(place, text.as_ptr() as usize) };
        }
    }
}

// Files

pub fn open(dir: i32, path: &CStr, flags: i32, mode: u32) -> Answer<Fd> {
    call!(nr::OPENAT, dir as isize, path.as_ptr(), flags | flag::O_CLOEXEC, mode).map(|fd| Fd(fd as i32))
}

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

pub fn openat2(dir: i32, path: &CStr, flags: i32, resolve: u64) -> Answer<Fd> {
    let how = OpenHow { flags: (flags | flag::O_CLOEXEC) as u32 as u64, mode: 0, resolve };
    call!(nr::OPENAT2, dir as isize, path.as_ptr(), &raw const how, size_of::<OpenHow>()).map(|fd| Fd(fd as i32))
}

pub fn mkdirat(dir: i32, path: &CStr, mode: u32) -> Answer<usize> {
    call!(nr::MKDIRAT, dir as isize, path.as_ptr(), mode)
}

pub fn mknodat(dir: i32, path: &CStr, mode: u32, device: u32) -> Answer<usize> {
    call!(nr::MKNODAT, dir as isize, path.as_ptr(), mode, device)
}

pub fn symlinkat(content: &CStr, dir: i32, path: &CStr) -> Answer<usize> {
    call!(nr::SYMLINKAT, content.as_ptr(), dir as isize, path.as_ptr())
}

pub fn unlinkat(dir: i32, path: &CStr) -> Answer<usize> {
    call!(nr::UNLINKAT, dir as isize, path.as_ptr(), 0)
}

pub fn readlinkat(dir: i32, path: &CStr, into: &mut [u8]) -> Answer<usize> {
    call!(nr::READLINKAT, dir as isize, path.as_ptr(), into.as_mut_ptr(), into.len())
}

pub fn fchownat(dir: i32, path: &CStr, uid: u32, gid: u32) -> Answer<usize> {
    call!(nr::FCHOWNAT, dir as isize, path.as_ptr(), uid, gid, flag::AT_SYMLINK_NOFOLLOW | flag::AT_EMPTY_PATH)
}

pub fn fchown(fd: i32, uid: u32, gid: u32) -> Answer<usize> {
    call!(nr::FCHOWN, fd, uid, gid)
}

pub fn fchmodat(dir: i32, path: &CStr, mode: u32) -> Answer<usize> {
    call!(nr::FCHMODAT, dir as isize, path.as_ptr(), mode)
}

pub fn fchmod(fd: i32, mode: u32) -> Answer<usize> {
    call!(nr::FCHMOD, fd, mode)
}

pub fn faccess(path: &CStr) -> Answer<usize> {
    const X_OK: usize = 1;
    call!(nr::FACCESSAT, flag::AT_FDCWD as isize, path.as_ptr(), X_OK)
}

/// What statx(2) tells, in the kernel's layout, which is the same on every processor.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Statx {
    mask: u32,
    blksize: u32,
    attributes: u64,
    nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub mode: u16,
    pad: u16,
    pub ino: u64,
    pub size: u64,
    blocks: u64,
    attributes_mask: u64,
    times: [u64; 8],
    pub rdev_major: u32,
    pub rdev_minor: u32,
    pub dev_major: u32,
    pub dev_minor: u32,
    more: [u64; 14],
}

impl Statx {
    fn kind(&self) -> u16 {
        self.mode & 0o170000
    }
    pub fn is_directory(&self) -> bool {
        self.kind() == 0o040000
    }
    pub fn is_symlink(&self) -> bool {
        self.kind() == 0o120000
    }
    pub fn is_regular(&self) -> bool {
        self.kind() == 0o100000
    }
    pub fn is_character_device(&self) -> bool {
        self.kind() == 0o020000
    }
    pub fn is_pipe_or_socket(&self) -> bool {
        matches!(self.kind(), 0o010000 | 0o140000)
    }
    /// The null device, Linux' character device 1:3.
    pub fn is_null(&self) -> bool {
        self.is_character_device() && (self.rdev_major, self.rdev_minor) == (1, 3)
    }
}

fn statx(dir: i32, path: &CStr, flags: u32) -> Answer<Statx> {
    const BASIC: usize = 0x7ff;
    let mut stat = Statx::default();
    call!(nr::STATX, dir as isize, path.as_ptr(), flags, BASIC, &raw mut stat)?;
    Ok(stat)
}

pub fn stat_fd(fd: i32) -> Answer<Statx> {
    statx(fd, c"", flag::AT_EMPTY_PATH)
}

pub fn stat_path(path: &CStr) -> Answer<Statx> {
    statx(flag::AT_FDCWD, path, 0)
}

pub fn stat_at(dir: i32, path: &CStr) -> Answer<Statx> {
    statx(dir, path, flag::AT_SYMLINK_NOFOLLOW)
}

/// The type of the filesystem a file is on (`PROC_SUPER_MAGIC` …), and its mount flags (`ST_*`).
pub fn filesystem(fd: i32) -> Answer<(u64, u64)> {
    let mut stat = [0u64; 15];
    call!(nr::FSTATFS, fd, stat.as_mut_ptr())?;
    Ok((stat[0], stat[10]))
}

/// The names of a file's extended attributes, each with its NUL.
pub fn list_attributes(fd: i32, into: &mut [u8]) -> Answer<usize> {
    call!(nr::FLISTXATTR, fd, into.as_mut_ptr(), into.len())
}

pub fn get_attribute(fd: i32, name: &CStr, into: &mut [u8]) -> Answer<usize> {
    call!(nr::FGETXATTR, fd, name.as_ptr(), into.as_mut_ptr(), into.len())
}

pub fn set_attribute(fd: i32, name: &CStr, value: &[u8]) -> Answer<usize> {
    call!(nr::FSETXATTR, fd, name.as_ptr(), value.as_ptr(), value.len(), 0)
}

pub fn write(fd: i32, bytes: &[u8]) -> Answer<usize> {
    call!(nr::WRITE, fd, bytes.as_ptr(), bytes.len())
}

pub fn read(fd: i32, into: &mut [u8]) -> Answer<usize> {
    call!(nr::READ, fd, into.as_mut_ptr(), into.len())
}

pub fn pread(fd: i32, into: &mut [u8], at: u64) -> Answer<usize> {
    call!(nr::PREAD64, fd, into.as_mut_ptr(), into.len(), at)
}

/// Back to the start of the file.
pub fn rewind(fd: i32) -> Answer<usize> {
    call!(nr::LSEEK, fd, 0, 0)
}

pub fn sendfile(to: i32, from: i32, count: usize) -> Answer<usize> {
    call!(nr::SENDFILE, to, from, 0, count)
}

pub fn getdents(fd: i32, into: &mut [u8]) -> Answer<usize> {
    call!(nr::GETDENTS64, fd, into.as_mut_ptr(), into.len())
}

pub fn memory_file(name: &CStr) -> Answer<Fd> {
    const MFD_CLOEXEC: usize = 1;
    call!(nr::MEMFD_CREATE, name.as_ptr(), MFD_CLOEXEC).map(|fd| Fd(fd as i32))
}

/// The lowest free descriptor, which the next call that opens one will give; `open` is any open one.
pub fn next_descriptor(open: i32) -> Answer<i32> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    let number = call!(nr::FCNTL, open, F_DUPFD_CLOEXEC, 0)? as i32;
    close(number).map(|_| number)
}

pub fn duplicate(fd: i32) -> Answer<Fd> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    call!(nr::FCNTL, fd, F_DUPFD_CLOEXEC, 3).map(|fd| Fd(fd as i32))
}

/// A copy at `minimum` or above.
pub fn duplicate_above(fd: i32, minimum: i32) -> Answer<Fd> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    call!(nr::FCNTL, fd, F_DUPFD_CLOEXEC, minimum).map(|fd| Fd(fd as i32))
}


/// Clears or sets close-on-exec.
pub fn set_cloexec(fd: i32, on: bool) -> Answer<usize> {
    const F_SETFD: usize = 2;
    call!(nr::FCNTL, fd, F_SETFD, usize::from(on))
}

/// `to` becomes a copy of `from` that stays open at execve.
pub fn dup_to(from: i32, to: i32) -> Answer<usize> {
    call!(nr::DUP3, from, to, 0)
}

pub fn close_range(first: u32, last: u32, only_at_exec: bool) -> Answer<usize> {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    call!(nr::CLOSE_RANGE, first, last, if only_at_exec { CLOSE_RANGE_CLOEXEC } else { 0 })
}

pub fn chdir(path: &CStr) -> Answer<usize> {
    call!(nr::CHDIR, path.as_ptr())
}

pub fn fchdir(fd: i32) -> Answer<usize> {
    call!(nr::FCHDIR, fd)
}

pub fn chroot(path: &CStr) -> Answer<usize> {
    call!(nr::CHROOT, path.as_ptr())
}

pub fn getcwd(into: &mut [u8]) -> Answer<usize> {
    call!(nr::GETCWD, into.as_mut_ptr(), into.len())
}

pub fn umask(mask: u32) {
    let _ = call!(nr::UMASK, mask);
}

/// Waits until one of two files has something to read, or its other end is gone;
/// tells of each.
pub fn poll_either(fds: [i32; 2], timeout_ms: i32) -> Answer<[bool; 2]> {
    #[repr(C)]
    struct PollFd {
        fd: i32,
        events: i16,
        revents: i16,
    }
    let mut entries = fds.map(|fd| PollFd { fd, events: flag::POLLIN, revents: 0 });
    call!(nr::POLL, entries.as_mut_ptr(), 2, timeout_ms as isize)?;
    Ok(entries.map(|entry| entry.revents != 0))
}

// Mounts

fn pointer(text: Option<&CStr>) -> usize {
    text.map_or(0, |text| text.as_ptr() as usize)
}

pub fn mount(source: &CStr, target: &CStr, fstype: Option<&CStr>, flags: u64, data: Option<&CStr>) -> Answer<usize> {
    call!(nr::MOUNT, source.as_ptr(), target.as_ptr(), pointer(fstype), flags, pointer(data))
}

pub fn umount(path: &CStr, flags: i32) -> Answer<usize> {
    call!(nr::UMOUNT2, path.as_ptr(), flags)
}

pub fn pivot_root(new: &CStr, old: &CStr) -> Answer<usize> {
    call!(nr::PIVOT_ROOT, new.as_ptr(), old.as_ptr())
}

pub fn open_tree(dir: i32, path: &CStr, flags: u32) -> Answer<Fd> {
    call!(nr::OPEN_TREE, dir as isize, path.as_ptr(), flags | flag::OPEN_TREE_CLOEXEC).map(|fd| Fd(fd as i32))
}

/// Attaches the tree `tree` on the file `target`.
pub fn move_mount(tree: i32, target: i32) -> Answer<usize> {
    call!(nr::MOVE_MOUNT, tree, c"".as_ptr(), target, c"".as_ptr(), flag::MOVE_MOUNT_EMPTY_BOTH)
}

/// Attaches the tree `tree` on `name` in the directory `dir`, which is not followed
/// if it is a link.
pub fn move_mount_into(tree: i32, dir: i32, name: &CStr) -> Answer<usize> {
    const MOVE_MOUNT_F_EMPTY_PATH: usize = 4;
    call!(nr::MOVE_MOUNT, tree, c"".as_ptr(), dir, name.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH)
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

pub fn mount_setattr(fd: i32, recursive: bool, set: u64, clear: u64, propagation: u64) -> Answer<usize> {
    let attr = MountAttr { set, clear, propagation, userns: 0 };
    let flags = flag::AT_EMPTY_PATH | if recursive { flag::AT_RECURSIVE } else { 0 };
    call!(nr::MOUNT_SETATTR, fd, c"".as_ptr(), flags, &raw const attr, size_of::<MountAttr>())
}

pub fn fsopen(fstype: &CStr) -> Answer<Fd> {
    const FSOPEN_CLOEXEC: usize = 1;
    call!(nr::FSOPEN, fstype.as_ptr(), FSOPEN_CLOEXEC).map(|fd| Fd(fd as i32))
}

pub fn fsconfig_string(fs: i32, key: &CStr, value: &CStr) -> Answer<usize> {
    const FSCONFIG_SET_STRING: usize = 1;
    call!(nr::FSCONFIG, fs, FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr(), 0)
}

/// A parameter without a value.
pub fn fsconfig_flag(fs: i32, key: &CStr) -> Answer<usize> {
    const FSCONFIG_SET_FLAG: usize = 0;
    call!(nr::FSCONFIG, fs, FSCONFIG_SET_FLAG, key.as_ptr(), 0, 0)
}

pub fn fsconfig_create(fs: i32) -> Answer<usize> {
    const FSCONFIG_CMD_CREATE: usize = 6;
    call!(nr::FSCONFIG, fs, FSCONFIG_CMD_CREATE, 0, 0, 0)
}

pub fn fsmount(fs: i32, attributes: u64) -> Answer<Fd> {
    const FSMOUNT_CLOEXEC: usize = 1;
    call!(nr::FSMOUNT, fs, FSMOUNT_CLOEXEC, attributes).map(|fd| Fd(fd as i32))
}

// Processes and namespaces

pub fn setns(fd: i32, kind: u64) -> Answer<usize> {
    call!(nr::SETNS, fd, kind)
}

pub fn unshare(flags: u64) -> Answer<usize> {
    call!(nr::UNSHARE, flags)
}

/// A copy of this process; 0 in the copy.
pub fn fork(flags: u64) -> Answer<usize> {
    call!(nr::CLONE, flags as usize | flag::SIGCHLD, 0, 0, 0, 0)
}

/// A copy of this process with a descriptor for it; `None` in the copy.
pub fn fork_with_pidfd() -> Answer<Option<(i32, Fd)>> {
    let mut pidfd = -1i32;
    let pid = call!(nr::CLONE, flag::CLONE_PIDFD | flag::SIGCHLD, 0, &raw mut pidfd, 0, 0)?;
    Ok((pid != 0).then(|| (pid as i32, Fd(pidfd))))
}

/// The wait status of a child that has ended.
pub fn wait(pid: i32) -> Answer<i32> {
    let mut status = 0i32;
    call!(nr::WAIT4, pid as isize, &raw mut status, 0, 0)?;
    Ok(status)
}

pub fn kill(pid: i32, signal: usize) -> Answer<usize> {
    call!(nr::KILL, pid, signal)
}

pub fn getpid() -> u32 {
    call0!(nr::GETPID).unwrap_or(0) as u32
}

pub fn setsid() -> Answer<usize> {
    call0!(nr::SETSID)
}

pub fn execve(path: &CStr, args: &List, env: &List) -> Errno {
    match call!(nr::EXECVE, path.as_ptr(), args.array, env.array) {
        Ok(_) => 0,
        Err(errno) => errno,
    }
}

pub fn unblock_signals() -> Answer<usize> {
    const SIG_SETMASK: usize = 2;
    let none = 0u64;
    call!(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const none, 0, 8)
}

/// The default action for `signal`.
pub fn default_signal(signal: u32) -> Answer<usize> {
    let action = [0u64; 4];
    call!(nr::RT_SIGACTION, signal, action.as_ptr(), 0, 8)
}

/// Ends init at `signal`. In a pid namespace of its own the kernel would keep from it
/// what has no handler.
pub fn end_at(signal: u32) -> Answer<usize> {
    // The kernel wants a way back from a handler, also for one that never goes back.
    const SA_RESTORER: u64 = 0x0400_0000;
    extern "C" fn ended(signal: i32) -> ! {
        exit(128 + signal)
    }
    let handler = ended as extern "C" fn(i32) -> ! as usize as u64;
    let action = [handler, SA_RESTORER, handler, 0];
    call!(nr::RT_SIGACTION, signal, action.as_ptr(), 0, 8)
}

// Identity and security

pub fn prctl(option: usize, a: usize, b: usize) -> Answer<usize> {
    call!(nr::PRCTL, option, a, b, 0, 0)
}

/// Whether the files of /proc/self are this process's user's, or root's.
pub fn set_dumpable(on: bool) -> Answer<usize> {
    const PR_SET_DUMPABLE: usize = 4;
    prctl(PR_SET_DUMPABLE, usize::from(on), 0)
}

pub fn set_name(name: &CStr) {
    const PR_SET_NAME: usize = 15;
    let _ = prctl(PR_SET_NAME, name.as_ptr() as usize, 0);
}

pub fn set_groups(groups: &[u8]) -> Answer<usize> {
    call!(nr::SETGROUPS, groups.len() / 4, groups.as_ptr())
}

pub fn set_uid(uid: u32) -> Answer<usize> {
    call!(nr::SETRESUID, uid, uid, uid)
}

pub fn set_gid(gid: u32) -> Answer<usize> {
    call!(nr::SETRESGID, gid, gid, gid)
}

pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> Answer<usize> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let data = [low(effective), low(permitted), low(inheritable), high(effective), high(permitted), high(inheritable)];
    call!(nr::CAPSET, header.as_ptr(), data.as_ptr())
}

pub fn set_limit(resource: u64, soft: u64, hard: u64) -> Answer<usize> {
    let limit = [soft, hard];
    call!(nr::PRLIMIT64, 0, resource, limit.as_ptr(), 0)
}

pub fn sched_setattr(attr: &[u8]) -> Answer<usize> {
    call!(nr::SCHED_SETATTR, 0, attr.as_ptr(), 0)
}

pub fn sched_setaffinity(mask: &[u8]) -> Answer<usize> {
    call!(nr::SCHED_SETAFFINITY, 0, mask.len(), mask.as_ptr())
}

pub fn ioprio_set(priority: u64) -> Answer<usize> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    call!(nr::IOPRIO_SET, IOPRIO_WHO_PROCESS, 0, priority)
}

pub fn personality(persona: u64) -> Answer<usize> {
    call!(nr::PERSONALITY, persona)
}

pub fn set_mempolicy(mode: u64, nodes: &[u8], max_node: u64) -> Answer<usize> {
    let mask = if nodes.is_empty() { ptr::null() } else { nodes.as_ptr() };
    call!(nr::SET_MEMPOLICY, mode, mask, max_node)
}

/// Loads a filter; with SECCOMP_FILTER_FLAG_NEW_LISTENER in `flags` the answer is a descriptor.
pub fn seccomp_filter(program: &[u8], flags: u64) -> Answer<usize> {
    const SECCOMP_SET_MODE_FILTER: usize = 1;
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const u8,
    }
    let program = Program { length: (program.len() / 8) as u16, instructions: program.as_ptr() };
    call!(nr::SECCOMP, SECCOMP_SET_MODE_FILTER, flags, &raw const program)
}

pub fn join_session_keyring(name: &CStr) -> Answer<usize> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    call!(nr::KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr())
}

pub fn key_permissions(key: usize, permissions: u32) -> Answer<usize> {
    const KEYCTL_SETPERM: usize = 5;
    call!(nr::KEYCTL, KEYCTL_SETPERM, key, permissions)
}

// The rest of the machine

pub fn set_hostname(name: &CStr) -> Answer<usize> {
    call!(nr::SETHOSTNAME, name.as_ptr(), name.count_bytes())
}

pub fn set_domainname(name: &CStr) -> Answer<usize> {
    call!(nr::SETDOMAINNAME, name.as_ptr(), name.count_bytes())
}

/// IFF_UP on `lo`.
pub fn loopback_up() -> Answer<usize> {
    const AF_INET: usize = 2;
    const SOCK_DGRAM_CLOEXEC: usize = 2 | 0o2000000;
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u8 = 1;
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16] = IFF_UP;
    let socket = call!(nr::SOCKET, AF_INET, SOCK_DGRAM_CLOEXEC, 0).map(|fd| Fd(fd as i32))?;
    call!(nr::IOCTL, socket.raw(), SIOCSIFFLAGS, request.as_mut_ptr())
}

/// Unlocks the terminal behind `master` and tells its number.
pub fn terminal_number(master: i32) -> Answer<u32> {
    const TIOCGPTN: usize = 0x8004_5430;
    const TIOCSPTLCK: usize = 0x4004_5431;
    let unlocked = 0i32;
    call!(nr::IOCTL, master, TIOCSPTLCK, &raw const unlocked)?;
    let mut number = 0u32;
    call!(nr::IOCTL, master, TIOCGPTN, &raw mut number)?;
    Ok(number)
}

/// The other end of the terminal behind `master` (Linux 4.13).
pub fn terminal_peer(master: i32) -> Answer<Fd> {
    const TIOCGPTPEER: usize = 0x5441;
    call!(nr::IOCTL, master, TIOCGPTPEER, flag::O_RDWR | flag::O_NOCTTY | flag::O_CLOEXEC).map(|fd| Fd(fd as i32))
}

pub fn terminal_size(fd: i32, width: u16, height: u16) -> Answer<usize> {
    const TIOCSWINSZ: usize = 0x5414;
    let size = [height, width, 0, 0];
    call!(nr::IOCTL, fd, TIOCSWINSZ, size.as_ptr())
}

pub fn controlling_terminal(fd: i32) -> Answer<usize> {
    const TIOCSCTTY: usize = 0x540e;
    call!(nr::IOCTL, fd, TIOCSCTTY, 0)
}

// The sockets to the host side

#[repr(C)]
struct IoVec {
    base: *const u8,
    length: usize,
}

#[repr(C)]
struct MessageHeader {
    name: usize,
    name_length: u32,
    vectors: *const IoVec,
    vector_count: usize,
    control: *const u8,
    control_length: usize,
    flags: i32,
}

/// CLOCK_REALTIME in nanoseconds: the clock that no time namespace changes.
pub fn wall_clock() -> u64 {
    const CLOCK_REALTIME: usize = 0;
    let mut time = [0u64; 2];
    let _ = call!(nr::CLOCK_GETTIME, CLOCK_REALTIME, time.as_mut_ptr());
    time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1])
}

/// Sends one message of up to two parts, with a descriptor if given.
pub fn send(socket: i32, first: &[u8], second: &[u8], attached: Option<i32>) -> Answer<usize> {
    const MSG_NOSIGNAL: usize = 0x4000;
    #[repr(C)]
    struct Attached {
        length: usize,
        level: i32,
        kind: i32,
        fd: i32,
        pad: i32,
    }
    let vectors = [
        IoVec { base: first.as_ptr(), length: first.len() },
        IoVec { base: second.as_ptr(), length: second.len() },
    ];
    let control = Attached { length: 20, level: 1, kind: 1, fd: attached.unwrap_or(-1), pad: 0 };
    let header = MessageHeader {
        name: 0,
        name_length: 0,
        vectors: vectors.as_ptr(),
        vector_count: 2,
        control: if attached.is_some() { (&raw const control).cast() } else { ptr::null() },
        control_length: if attached.is_some() { size_of::<Attached>() } else { 0 },
        flags: 0,
    };
    call!(nr::SENDMSG, socket, &raw const header, MSG_NOSIGNAL)
}

/// One byte; `None` when the other side is gone.
pub fn receive_byte(socket: i32) -> Answer<Option<u8>> {
    let mut byte = 0u8;
    loop {
        match call!(nr::RECVFROM, socket, &raw mut byte, 1, 0, 0, 0) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte)),
            Err(errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

pub fn accept(listener: i32) -> Answer<Fd> {
    const SOCK_CLOEXEC: usize = 0o2000000;
    loop {
        match call!(nr::ACCEPT4, listener, 0, 0, SOCK_CLOEXEC) {
            Err(errno::EINTR) => {}
            answer => return answer.map(|fd| Fd(fd as i32)),
        }
    }
}
