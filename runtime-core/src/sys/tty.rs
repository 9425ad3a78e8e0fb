//! The size of a terminal's window, which nix has no safe call for, and what it does to
//! the ends of lines.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};

use crate::error::{Error, Result};

/// Lines come out of `terminal` as its process ends them, without a carriage return more.
pub(crate) fn keep_line_ends(terminal: BorrowedFd<'_>) -> Result<()> {
    let mut modes = tcgetattr(terminal).map_err(|errno| Error::os("tcgetattr", errno as i32))?;
    modes.output_flags.remove(OutputFlags::ONLCR);
    tcsetattr(terminal, SetArg::TCSANOW, &modes)
        .map_err(|errno| Error::os("tcsetattr", errno as i32))
}

/// The size of the window of `terminal`, as (rows, columns).
///
/// # Errors
/// `ENOTTY` when `terminal` is none.
pub fn window_size(terminal: BorrowedFd<'_>) -> Result<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize to the pointer, which is valid for the call.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    check("ioctl(TIOCGWINSZ)", result)?;
    Ok((size.ws_row, size.ws_col))
}

/// Sets the size of the window of `terminal`; the kernel sends SIGWINCH to its
/// foreground process group when that changes it.
///
/// # Errors
/// `ENOTTY` when `terminal` is none.
pub fn set_window_size(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize from the pointer, which is valid for the call.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    check("ioctl(TIOCSWINSZ)", result)
}

fn check(name: &'static str, result: libc::c_int) -> Result<()> {
    match result {
        -1 => Err(Error::os(name, nix::errno::Errno::last_raw())),
        _ => Ok(()),
    }
}
