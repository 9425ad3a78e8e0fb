//! `resources.cpu.cpus` and `.mems`; v1 and v2 name the files alike.

use oci_spec::runtime::LinuxCpu;

use super::{Limits, Write};

pub(super) fn writes(cpu: &LinuxCpu, limits: &mut Limits) {
    let fields = [("cpuset.cpus", cpu.cpus(), "cpu/cpus"), ("cpuset.mems", cpu.mems(), "cpu/mems")];
    for (file, list, field) in fields {
        if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
            limits.add(Write::new("cpuset", file, list.as_str(), field));
        }
    }
}
