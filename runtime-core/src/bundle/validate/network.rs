//! Rules for network devices to be moved into the container.

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::{Faults, has_namespace, sorted};
use crate::bundle::member;

/// `IFNAMSIZ` less the terminating zero.
const NAME_MAX: usize = 15;
const BASE: &str = "/linux/netDevices";

/// config-linux.md, Network Devices.
pub(super) fn rules(spec: &Spec, faults: &mut Faults) {
    let devices = spec.linux().as_ref().and_then(|linux| linux.net_devices().as_ref());
    let Some(devices) = devices.filter(|devices| !devices.is_empty()) else { return };
    if !has_namespace(spec, LinuxNamespaceType::Network) {
        let message = "unable to move network devices without a NET namespace";
        faults.add(BASE, message, "add {\"type\": \"network\"} to linux.namespaces");
    }
    for (host, device) in sorted(devices) {
        name(host, || member(BASE, host), faults);
        if let Some(inside) = device.name().as_ref().filter(|inside| !inside.is_empty()) {
            name(inside, || member(&member(BASE, host), "name"), faults);
        }
    }
}

/// The kernel's `dev_valid_name`.
fn name(name: &str, pointer: impl Fn() -> String, faults: &mut Faults) {
    let special = |c: char| c == '/' || c == ':' || c.is_ascii_whitespace();
    let reserved = name.is_empty() || name == "." || name == "..";
    if reserved || name.len() > NAME_MAX || name.contains(special) {
        let message = format!("invalid network device name {name:?}");
        faults.add(pointer(), message, "use 1 to 15 characters without slash, colon or space");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn moving_devices_needs_a_network_namespace() {
        assert_eq!(
            faults(r#"{"linux":{"netDevices":{"eth0":{}}}}"#),
            ["/linux/netDevices: unable to move network devices without a NET namespace"]
        );
    }

    #[test]
    fn device_names_are_those_of_the_kernel() {
        assert_eq!(
            faults(
                r#"{"linux":{"namespaces":[{"type":"network"}],"netDevices":{
                    "a:1":{},"eth0":{"name":"abcdefghijklmnop"},"eth1":{"name":"eth%d"}}}}"#
            ),
            [
                "/linux/netDevices/a:1: invalid network device name \"a:1\"",
                "/linux/netDevices/eth0/name: invalid network device name \"abcdefghijklmnop\"",
            ]
        );
    }
}
