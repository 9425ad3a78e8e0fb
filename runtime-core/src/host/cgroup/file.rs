//! Whole reads and writes of the small files of cgroupfs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::sys::uio::pread;
use nix::unistd;

/// A descriptor that only serves for looking up what is below.
pub(super) fn open_directory(path: &str) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())
}

pub(super) fn open_for_writing(base: BorrowedFd<'_>, path: &str) -> nix::Result<OwnedFd> {
    openat(base, path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// The kernel takes a value in one write or not at all; a signal may come
/// between.
pub(super) fn write_to(file: BorrowedFd<'_>, value: &str) -> nix::Result<()> {
    loop {
        match unistd::write(file, value.as_bytes()) {
            Ok(length) if length == value.len() => return Ok(()),
            Ok(_) => return Err(Errno::EIO),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

pub(super) fn write(base: BorrowedFd<'_>, path: &str, value: &str) -> nix::Result<()> {
    write_to(open_for_writing(base, path)?.as_fd(), value)
}

/// The whole text of a file that may be long.
pub(super) fn read(base: BorrowedFd<'_>, path: &str) -> nix::Result<String> {
    let file = openat(base, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match unistd::read(&file, &mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The text of a file that holds one value or a few lines, without the final
/// newline. One read: the kernel gives such files whole.
pub(super) fn read_short(base: BorrowedFd<'_>, path: &str) -> nix::Result<String> {
    read_open(openat(base, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?.as_fd())
}

/// The same for an open file, from its start.
pub(super) fn read_open(file: BorrowedFd<'_>) -> nix::Result<String> {
    let mut buffer = [0; 4096];
    loop {
        match pread(file, &mut buffer, 0) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&buffer[..length]);
                return Ok(text.trim_end().to_owned());
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Whether the file or directory is not there; ENODEV is how cgroupfs says it
/// of a cgroup that went away after the file was opened.
pub(super) fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENODEV)
}
