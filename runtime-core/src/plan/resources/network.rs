//! `resources.network`: net_cls and net_prio, which only v1 has.

use oci_spec::runtime::LinuxNetwork;

use super::{Limits, Write, not_on_v2, pointer, set};
use crate::error::{Error, Result};

pub(super) fn v1(network: &LinuxNetwork, limits: &mut Limits) -> Result<()> {
    if let Some(class) = set(network.class_id()) {
        let value = class.to_string();
        limits.add(Write::new("net_cls", "net_cls.classid", value, "network/classID"));
    }
    for (index, entry) in network.priorities().iter().flatten().enumerate() {
        let field = format!("network/priorities/{index}");
        if entry.name().is_empty() || entry.name().contains(char::is_whitespace) {
            let message = format!("{:?} is no interface name", entry.name());
            return Err(Error::config(pointer(&format!("{field}/name")), message));
        }
        let value = format!("{} {}", entry.name(), entry.priority());
        limits.add(Write::new("net_prio", "net_prio.ifpriomap", value, &field));
    }
    Ok(())
}

pub(super) fn v2(network: &LinuxNetwork) -> Result<()> {
    let priorities = network.priorities().as_ref().is_some_and(|list| !list.is_empty());
    match (set(network.class_id()).is_some(), priorities) {
        (true, _) => Err(not_on_v2("network/classID")),
        (false, true) => Err(not_on_v2("network/priorities")),
        (false, false) => Ok(()),
    }
}
