//! Where `--trace` writes.

use std::fs::File;
use std::io::Write;
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
        let file = File::create(path).map_err(|error| Failure::file("open", path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes everything at once.
    pub(crate) fn write(&mut self, trace: &Trace) -> Result<(), Failure> {
        let written = self.file.write_all(trace.to_chrome_json().as_bytes());
        written.map_err(|error| Failure::file("write", &self.path, &error))
    }
}
