//! What the calling process and its host are, as far as a plan depends on it.

use crate::error::{Error, Result};
use crate::plan::Layout;
use std::io::Read;

/// Facts of the host, read once for a plan.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Capabilities that the caller has and can pass on.
    pub permitted: u64,
    /// Its bounding set.
    pub bounding: u64,
    /// Signals that it ignores, signal N being bit N-1.
    pub ignored_signals: u64,
    /// Its effective user.
    pub uid: u32,
    /// The host's cgroups; `None` when there are none.
    pub layout: Option<Layout>,
}

impl Facts {
    /// Reads them. Changes nothing.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn gather() -> Result<Self> {
        const PATH: &str = "/proc/thread-self/status";
        let failed = |error: std::io::Error| {
            Error::io("read", &error).path(PATH).hint("procfs must be mounted at /proc")
        };
        let mut text = [0u8; 4096];
        let mut file = std::fs::File::open(PATH).map_err(failed)?;
        let count = file.read(&mut text).map_err(failed)?;
        let text = String::from_utf8_lossy(&text[..count]);
        Ok(Self {
            permitted: mask(&text, "CapPrm:"),
            bounding: mask(&text, "CapBnd:"),
            ignored_signals: mask(&text, "SigIgn:"),
            uid: effective_uid(&text),
            layout: crate::host::cgroup::detect()?,
        })
    }
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

fn mask(text: &str, name: &str) -> u64 {
    u64::from_str_radix(field(text, name), 16).unwrap_or(0)
}

fn effective_uid(text: &str) -> u32 {
    field(text, "Uid:").split_whitespace().nth(1).and_then(|uid| uid.parse().ok()).unwrap_or(u32::MAX)
}
