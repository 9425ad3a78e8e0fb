//! `resources.pids`; v1 and v2 name the file alike.

use oci_spec::runtime::LinuxPids;

use super::{Limits, Write};

/// Zero becomes one task: systemd cannot express zero, and a container whose
/// first process exists is at its limit with either.
pub(super) fn writes(pids: &LinuxPids, limits: &mut Limits) {
    let value = match pids.limit() {
        limit if limit < 0 => "max".to_owned(),
        limit => limit.max(1).to_string(),
    };
    limits.add(Write::new("pids", "pids.max", value, "pids/limit"));
}
