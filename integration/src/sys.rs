//! The calls that neither std nor nix offers in a safe form.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

/// Waits for a system call that a seccomp filter notifies of, which `listener` must be about to
/// tell, and answers it with `errno`. Gives the number of the call.
pub fn answer_notification(listener: &OwnedFd, errno: i32) -> io::Result<i32> {
    // SAFETY: all fields are integers, for which zeroes are values; the kernel wants them zero.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one seccomp_notif into a live one.
    let got =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    let answer = libc::seccomp_notif_resp { id: call.id, val: 0, error: -errno, flags: 0 };
    // SAFETY: the kernel reads one seccomp_notif_resp from a live one.
    match unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer)
    } {
        0 => Ok(call.data.nr),
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

/// Sets an extended attribute of a file.
pub fn set_attribute(path: &Path, name: &CStr, value: &[u8]) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let bytes = value.as_ptr().cast();
    // SAFETY: the kernel reads two strings and as many bytes as there are.
    match unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), bytes, value.len(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// An extended attribute of a file, of up to 256 bytes.
pub fn attribute(path: &Path, name: &CStr) -> io::Result<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut value = vec![0_u8; 256];
    let bytes = value.as_mut_ptr().cast();
    // SAFETY: the kernel reads two strings and writes at most as many bytes as there is room for.
    let count = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), bytes, value.len()) };
    value.truncate(usize::try_from(count).map_err(|_| io::Error::last_os_error())?);
    Ok(value)
}
