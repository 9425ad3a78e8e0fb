//! Tasks: processes and threads.

use serde::Serialize;

use super::{LiveCgroup, is_default};
use crate::error::Result;

/// Tasks: processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PidsStats {
    /// How many there are.
    #[serde(skip_serializing_if = "is_default")]
    pub current: u64,
    /// How many there may be; zero without a limit.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

impl LiveCgroup {
    pub(super) fn pids_stats(&self) -> Result<PidsStats> {
        let controlled = match self.directory_of("pids") {
            Some(directory) => self.number(directory, "pids.current")?.map(|n| (directory, n)),
            None => None,
        };
        // Without the controller the processes are counted.
        let Some((directory, current)) = controlled else {
            let current = self.pids()?.len() as u64;
            return Ok(PidsStats { current, limit: 0 });
        };
        let limit = self.number(directory, "pids.max")?;
        let limit = limit.filter(|limit| *limit != u64::MAX).unwrap_or(0);
        Ok(PidsStats { current, limit })
    }
}
