//! The calls that neither std nor nix offers in a safe form.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Owns a descriptor that has just come with a message.
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel made this descriptor for the receiver, who hands it on here and nowhere
    // else.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sets rows and columns of a terminal.
pub fn set_window_size(tty: &File, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one winsize from a live one.
    match unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Loads a seccomp filter; the process must be allowed to without no_new_privs.
pub fn load_filter(program: &[libc::sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_ptr().cast_mut(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel copies the instructions, which outlive the call, and writes nothing.
    match unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const filter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
