//! Documents that a command is given by the name of a file.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::failure::Failure;

/// All of the file at `path`, or of standard input if it is `-`.
pub(super) fn read_or_stdin(path: &Path) -> Result<Vec<u8>, Failure> {
    if path != Path::new("-") {
        return read(path);
    }
    let mut bytes = Vec::new();
    let count = std::io::stdin().lock().read_to_end(&mut bytes);
    count.map_err(|error| Failure::file("read", Path::new("/dev/stdin"), &error))?;
    Ok(bytes)
}

/// All of the file at `path`. A pipe that nobody writes to is empty.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut file = opened.map_err(|error| Failure::file("open", path, &error))?;
    // One that somebody writes to is waited for.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))
        .map_err(|errno| Failure::errno("fcntl", errno))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    Ok(bytes)
}
