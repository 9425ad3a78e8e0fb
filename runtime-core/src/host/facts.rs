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
        pinned: is_pinned(field(&text, "Cpus_allowed:")),
        uid: effective(&text, "Uid:"),
        gid: effective(&text, "Gid:"),
        layout: own_cgroup.map(super::cgroup::detect).transpose()?,
        v2_without_cgroup: false,
        resctrl: None,
        manager_cgroup: None,
    })
}

/// Whether this is a user namespace other than the first, where all ids stand for themselves.
pub(crate) fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.is_empty() && !map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

fn mask(text: &str, name: &str) -> u64 {
    u64::from_str_radix(field(text, name), 16).unwrap_or(0)
}

/// The mask has a bit for each possible CPU, so one of whole digits with all bits set is
/// complete. In any other the leading digit may be, or not: to find out costs more than
/// to widen what is wide already.
fn is_pinned(mask: &str) -> bool {
    mask.is_empty() || mask.bytes().any(|byte| !matches!(byte, b'f' | b','))
}

/// Of real, effective, saved and file system id the second.
fn effective(text: &str, name: &str) -> u32 {
    field(text, name).split_whitespace().nth(1).and_then(|id| id.parse().ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mask_of_whole_digits_is_certainly_all_cpus() {
        for all in ["f", "ff", "ffffffff,ffffffff"] {
            assert!(!is_pinned(all), "{all}");
        }
        for some in ["", "1", "3", "0f", "ff,fffffffe", "00000000,ffffffff"] {
            assert!(is_pinned(some), "{some}");
        }
    }
}
