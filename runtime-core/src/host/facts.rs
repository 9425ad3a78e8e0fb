//! Reading the facts that a plan depends on.

use crate::error::{Error, Result};
use crate::plan::Facts;
use std::io::Read;

/// Reads them. Changes nothing. `own_cgroup` tells whether the caller's own
/// cgroup matters, as it does to a relative cgroup path.
/// `None` leaves the cgroups out.
pub(crate) fn gather(own_cgroup: Option<bool>) -> Result<Facts> {
    const PATH: &str = "/proc/thread-self/status";
    let failed = |error: std::io::Error| {
        Error::io("read", &error).path(PATH).hint("procfs must be mounted at /proc")
    };
    let mut text = [0u8; 4096];
    let mut file = std::fs::File::open(PATH).map_err(failed)?;
    let count = file.read(&mut text).map_err(failed)?;
    let text = String::from_utf8_lossy(&text[..count]);
    Ok(Facts {
        permitted: mask(&text, "CapPrm:"),
        bounding: mask(&text, "CapBnd:"),
        ignored_signals: mask(&text, "SigIgn:"),
        uid: effective_uid(&text),
        layout: own_cgroup.map(super::cgroup::detect).transpose()?,
        resctrl: None,
    })
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

fn mask(text: &str, name: &str) -> u64 {
    u64::from_str_radix(field(text, name), 16).unwrap_or(0)
}

fn effective_uid(text: &str) -> u32 {
    field(text, "Uid:")
        .split_whitespace()
        .nth(1)
        .and_then(|uid| uid.parse().ok())
        .unwrap_or(u32::MAX)
}
