//! The device nodes of a container.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};

use crate::bundle::{below_root, item};
use crate::error::Notice;

/// Permissions of a node whose configuration names none.
const PERMISSIONS: u32 = 0o666;

/// What every container has (config-linux.md, Default Devices); the rest of
/// that list are links and the console, which are made elsewhere.
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/full", 1, 7),
    ("/dev/null", 1, 3),
    ("/dev/random", 1, 8),
    ("/dev/tty", 5, 0),
    ("/dev/urandom", 1, 9),
    ("/dev/zero", 1, 5),
];

/// The type of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

impl Kind {
    /// Its bits in a file mode, an `S_IF*`.
    pub const fn mode(self) -> u32 {
        match self {
            Self::Character => libc::S_IFCHR,
            Self::Block => libc::S_IFBLK,
            Self::Fifo => libc::S_IFIFO,
        }
    }
}

/// A node to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its place below the container's root, lexically normal.
    pub path: PathBuf,
    /// Its type.
    pub kind: Kind,
    /// The driver; 0 for a pipe.
    pub major: u32,
    /// The device of the driver; 0 for a pipe.
    pub minor: u32,
    /// Its permission bits.
    pub permissions: u32,
    /// Its owner in the container.
    pub uid: u32,
    /// Its group in the container.
    pub gid: u32,
    /// Where the configuration says so; empty for a default.
    pub pointer: String,
}

impl Device {
    fn is_same_node(&self, other: &Self) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }
}

/// The nodes of a container sorted by path: the defaults, and those of
/// `linux.devices`, which take precedence. One that replaces a default by
/// another device is mentioned.
pub fn resolve(wanted: &[LinuxDevice]) -> (Vec<Device>, Vec<Notice>) {
    let mut devices: Vec<Device> = DEFAULTS.iter().map(default).collect();
    let mut notices = Vec::new();
    for (index, entry) in wanted.iter().enumerate() {
        let device = device(entry, item("/linux/devices", index));
        match devices.iter_mut().find(|other| other.path == device.path) {
            None => devices.push(device),
            Some(other) => {
                if other.pointer.is_empty() && !other.is_same_node(&device) {
                    let path = device.path.display();
                    let message = format!("{path} is not the device that containers expect there");
                    notices.push(Notice::new(&device.pointer, message));
                }
                *other = device;
            }
        }
    }
    devices.sort_by(|one, other| one.path.cmp(&other.path));
    (devices, notices)
}

fn default(&(path, major, minor): &(&str, u32, u32)) -> Device {
    Device {
        path: PathBuf::from(path),
        kind: Kind::Character,
        major,
        minor,
        permissions: PERMISSIONS,
        uid: 0,
        gid: 0,
        pointer: String::new(),
    }
}

/// Numbers were checked to be those of a device.
fn device(entry: &LinuxDevice, pointer: String) -> Device {
    let kind = match entry.typ() {
        LinuxDeviceType::B => Kind::Block,
        LinuxDeviceType::P => Kind::Fifo,
        LinuxDeviceType::A | LinuxDeviceType::C | LinuxDeviceType::U => Kind::Character,
    };
    let number = |number: i64| match kind {
        Kind::Fifo => 0,
        Kind::Character | Kind::Block => u32::try_from(number).unwrap_or(0),
    };
    Device {
        path: below_root(entry.path()),
        kind,
        major: number(entry.major()),
        minor: number(entry.minor()),
        // Engines put the file type there too.
        permissions: entry.file_mode().unwrap_or(PERMISSIONS) & 0o7777,
        uid: entry.uid().unwrap_or(0),
        gid: entry.gid().unwrap_or(0),
        pointer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> (Vec<Device>, Vec<Notice>) {
        resolve(&serde_json::from_str::<Vec<LinuxDevice>>(text).unwrap())
    }

    #[test]
    fn the_defaults_are_there_without_asking() {
        let (devices, notices) = resolved("[]");
        let paths: Vec<_> = devices.iter().map(|device| device.path.to_str().unwrap()).collect();
        assert_eq!(
            paths,
            ["/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"]
        );
        assert!(notices.is_empty());
    }

    #[test]
    fn an_entry_replaces_a_default_and_another_device_in_its_place_is_mentioned() {
        let (devices, notices) = resolved(
            r#"[{"path":"/dev/full","type":"c","major":1,"minor":7,"fileMode":8630,"uid":3},
                {"path":"/dev//null","type":"c","major":1,"minor":5},
                {"path":"/dev/pipe","type":"p","major":9,"minor":9}]"#,
        );
        assert_eq!(devices.len(), 7);
        assert_eq!((devices[0].permissions, devices[0].uid), (0o666, 3));
        assert_eq!((devices[1].minor, devices[1].permissions), (5, 0o666));
        assert_eq!((devices[2].kind, devices[2].major), (Kind::Fifo, 0));
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].pointer, "/linux/devices/1");
    }
}
