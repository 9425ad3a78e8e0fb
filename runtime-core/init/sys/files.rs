//! Files by their names, and what is in them.

use super::{Answer, Fd, check, errno, flag, nr, syscall};
use core::ffi::CStr;

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

/// Whether `path` may be executed. The old call asks as if an ordinary user had no
/// capabilities; CAP_DAC_OVERRIDE shows in the one of Linux 5.8 only.
pub fn faccess(path: &CStr) -> Answer<usize> {
    const X_OK: usize = 1;
    const AT_EACCESS: usize = 0x200;
    match call!(nr::FACCESSAT, flag::AT_FDCWD as isize, path.as_ptr(), X_OK) {
        Err(errno::EACCES) => {
            let answer = call!(nr::FACCESSAT2, flag::AT_FDCWD as isize, path.as_ptr(), X_OK, AT_EACCESS);
            answer.map_err(|_| errno::EACCES)
        }
        answer => answer,
    }
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
