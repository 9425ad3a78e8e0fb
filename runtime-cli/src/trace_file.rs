//! Where `--trace` writes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use runtime_core::Trace;

use crate::failure::Failure;

/// A file that is there before the command begins.
#[derive(Debug)]
pub(crate) struct TraceFile {
    file: File,
    path: PathBuf,
}

impl TraceFile {
    /// Makes the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        // Nobody waits for the reader of a pipe.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(|error| Failure::file("open", path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes everything at once.
    pub(crate) fn write(&mut self, trace: &Trace) -> Result<(), Failure> {
        let written = self.file.write_all(trace.to_chrome_json().as_bytes());
        written.map_err(|error| Failure::file("write", &self.path, &error))
    }
}
