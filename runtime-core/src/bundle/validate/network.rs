//! Rules for network devices to be moved into the container.

use std::collections::BTreeSet;

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
    let mut names = BTreeSet::new();
    for (host, device) in sorted(devices) {
        let pointer = || member(&member(BASE, host), "name");
        name(host, || member(BASE, host), faults);
        let inside = device.name().as_ref().filter(|inside| !inside.is_empty());
        if let Some(inside) = inside {
            name(inside, pointer, faults);
            template(inside, pointer, faults);
        }
        let inside = inside.unwrap_or(host);
        if !names.insert(inside) && !inside.contains('%') {
            let message = format!("two network devices are to be {inside:?} in the container");
            faults.add(pointer(), message, "give each a name of its own");
        }
    }
}

/// The kernel takes one `%d` in a name, and no other per cent sign with it.
fn template(name: &str, pointer: impl Fn() -> String, faults: &mut Faults) {
    if name.contains('%') && (name.matches('%').count() != 1 || !name.contains("%d")) {
        let message = format!("invalid template {name:?} for the name of a network device");
        faults.add(pointer(), message, "use one %d, as in eth%d");
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
    fn each_device_has_a_name_of_its_own_inside() {
        assert_eq!(
            faults(
                r#"{"linux":{"namespaces":[{"type":"network"}],"netDevices":{
                    "a":{"name":"c"},"b":{"name":"c"},"c":{"name":"eth%d"},"d":{"name":"eth%d"},
                    "e":{"name":"eth%i"},"f":{"name":"%d%d"}}}}"#
            ),
            [
                "/linux/netDevices/b/name: two network devices are to be \"c\" in the container",
                "/linux/netDevices/e/name: invalid template \"eth%i\" for the name of a network \
                 device",
                "/linux/netDevices/f/name: invalid template \"%d%d\" for the name of a network \
                 device",
            ]
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
