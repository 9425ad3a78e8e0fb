//! Rules for device nodes.

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, Spec};

use super::{Faults, identity, list};
use crate::bundle::{item, member};

/// Bits of a device number that the kernel keeps (linux/kdev_t.h).
const MAJOR_MAX: i64 = 0xfff;
const MINOR_MAX: i64 = 0xf_ffff;

/// config-linux.md, Devices.
pub(super) fn rules(spec: &Spec, faults: &mut Faults) {
    let Some(linux) = spec.linux() else { return };
    let devices = list(linux.devices());
    for (index, device) in devices.iter().enumerate() {
        let base = || item("/linux/devices", index);
        node(device, base, faults);
        let mut earlier = devices.iter().take(index);
        if earlier.any(|other| other.path() == device.path() && other != device) {
            let message = format!("two different devices at {:?}", device.path());
            faults.add(member(&base(), "path"), message, "give each device a path of its own");
        }
    }
}

fn node(device: &LinuxDevice, base: impl Fn() -> String, faults: &mut Faults) {
    if device.typ() == LinuxDeviceType::A {
        let message = "invalid device type \"a\"";
        faults.add(member(&base(), "type"), message, "use c, u, b or p");
    }
    if !device.path().is_absolute() {
        let message = format!("device path {:?} is not absolute", device.path());
        faults.add(member(&base(), "path"), message, "give the path from /, as in /dev/fuse");
    }
    if device.typ() != LinuxDeviceType::P {
        number("major", device.major(), MAJOR_MAX, &base, faults);
        number("minor", device.minor(), MINOR_MAX, &base, faults);
    }
    for (field, id) in [("uid", device.uid()), ("gid", device.gid())] {
        identity::id(id.unwrap_or_default(), || member(&base(), field), faults);
    }
}

fn number(field: &str, value: i64, max: i64, base: impl Fn() -> String, faults: &mut Faults) {
    if !(0..=max).contains(&value) {
        let message = format!("{field} number {value} is out of range");
        faults.add(member(&base(), field), message, &format!("use 0 to {max}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn a_device_has_a_node_type_a_path_and_numbers_the_kernel_keeps() {
        assert_eq!(
            faults(
                r#"{"linux":{"devices":[
                    {"type":"a","path":"dev/x","major":4096,"minor":-1,"gid":4294967295},
                    {"type":"p","path":"/dev/fifo"},
                    {"type":"c","path":"/dev/fifo","major":1,"minor":1048575}]}}"#
            ),
            [
                "/linux/devices/0/type: invalid device type \"a\"",
                "/linux/devices/0/path: device path \"dev/x\" is not absolute",
                "/linux/devices/0/major: major number 4096 is out of range",
                "/linux/devices/0/minor: minor number -1 is out of range",
                "/linux/devices/0/gid: invalid id 4294967295",
                "/linux/devices/2/path: two different devices at \"/dev/fifo\"",
            ]
        );
    }
}
