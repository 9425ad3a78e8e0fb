//! Limits of a cgroup in use.

use std::path::PathBuf;

use super::apply::not_joined;
use super::{LiveCgroup, file};
use crate::error::Result;
use crate::plan::cgroup::Directory;
use crate::plan::resources::{Missing, Write};

/// A file whose content an update would change.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LimitChange {
    /// The file.
    pub file: PathBuf,
    /// What is in it; empty when the file is not there.
    pub now: String,
    /// What would be written.
    pub then: String,
    /// The JSON pointer of what asks for it.
    pub pointer: String,
}

impl LiveCgroup {
    /// Sets limits. What was set before a failure is put back. `devices` are the container's
    /// rules for v1, which a unit of systemd loses on the way.
    ///
    /// # Errors
    /// The kernel, or systemd, refuses one; the error names controller, file, value.
    pub fn update(&self, writes: &[Write], devices: &[Write]) -> Result<()> {
        let mut before = Vec::new();
        for write in writes {
            before.extend(self.as_it_is(write)?);
        }
        self.set_limits(writes, devices).inspect_err(|_| {
            before.reverse();
            // The error that led here is the one to report.
            let _ = self.set_limits(&before, devices);
        })
    }

    /// What [`LiveCgroup::update`] would change.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn preview(&self, writes: &[Write]) -> Result<Vec<LimitChange>> {
        let change = |write: &Write| {
            let directory = self.directory_of_write(write)?;
            let now = self.content(directory, &write.file)?.unwrap_or_default();
            Ok(LimitChange {
                file: self.cgroup.absolute(directory).join(write.file.as_ref()),
                now,
                then: write.value.clone(),
                pointer: write.pointer.clone(),
            })
        };
        writes.iter().map(change).collect()
    }

    /// systemd first: what it writes in words of its own is then made exact.
    fn set_limits(&self, writes: &[Write], devices: &[Write]) -> Result<()> {
        if let Some(unit) = &self.cgroup.unit {
            self.set_properties(unit, writes, devices)?;
        }
        self.put_all(writes)
    }

    fn directory_of_write(&self, write: &Write) -> Result<&Directory> {
        self.directory_of(&write.controller).ok_or_else(|| not_joined(write))
    }

    /// Writes that bring the file of `write` back to what is in it now.
    fn as_it_is(&self, write: &Write) -> Result<Vec<Write>> {
        let directory = self.directory_of_write(write)?;
        let mut file = &write.file;
        let mut content = self.content(directory, file)?;
        if content.is_none()
            && let Missing::Instead { file: other, .. } = &write.missing
        {
            file = other;
            content = self.content(directory, file)?;
        }
        let again = |value: &str| Write {
            file: file.clone(),
            value: value.to_owned(),
            missing: Missing::Skip,
            not_below: None,
            ..write.clone()
        };
        let Some(content) = content else { return Ok(Vec::new()) };
        let mut lines: Vec<Write> = content.lines().map(again).collect();
        // A device without a line has no limit.
        let device = write.value.split(' ').next().unwrap_or_default();
        if file == "io.max" && !content.lines().any(|line| line.starts_with(device)) {
            lines.push(again(&format!("{device} rbps=max wbps=max riops=max wiops=max")));
        }
        if content.is_empty() && file.starts_with("cpuset.") && directory.is_v2() {
            lines.push(again("\n"));
        }
        Ok(lines)
    }

    pub(super) fn content(&self, directory: &Directory, name: &str) -> Result<Option<String>> {
        let path = format!("{}/{name}", directory.relative());
        match file::read_short(self.base(), &path) {
            Ok(text) => Ok(Some(text)),
            Err(errno) if file::is_gone(errno) => Ok(None),
            Err(errno) => Err(self.failed("read", errno, &path)),
        }
    }
}
