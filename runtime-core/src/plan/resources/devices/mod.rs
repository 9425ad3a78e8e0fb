//! Device rules: which device nodes a container may open and make.
//!
//! For each of read, write and mknod the last rule that covers the device
//! decides; with no rule nothing is allowed. v1 gets this as lines for
//! `devices.deny` and `devices.allow`, v2 as a BPF program.

mod filter;
mod table;

use std::fmt;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use super::pointer;
use crate::error::{Error, Result};

pub use filter::{Instruction, filter};
pub use table::{allowed, v1};

/// Block or character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// A set of read, write and mknod, in the bits of the kernel's
/// `BPF_DEVCG_ACC_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u8);

/// One rule. `None` stands for every major or minor number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// Which of the two number spaces.
    pub kind: DeviceKind,
    /// The major number.
    pub major: Option<u32>,
    /// The minor number.
    pub minor: Option<u32>,
    /// What is allowed or denied.
    pub access: Access,
    /// The JSON pointer into config.json; that of the list for a default.
    pub pointer: String,
}

impl Access {
    /// Making a node.
    pub const MKNOD: Self = Self(1);
    /// Opening for reading.
    pub const READ: Self = Self(2);
    /// Opening for writing.
    pub const WRITE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    /// The union of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn parse(text: &str, field: &str) -> Result<Self> {
        let access = text.chars().fold(Self(0), |access, letter| match letter {
            'r' => access.or(Self::READ),
            'w' => access.or(Self::WRITE),
            'm' => access.or(Self::MKNOD),
            // A warning has told of it.
            _ => access,
        });
        if access.is_empty() && !text.is_empty() {
            let place = pointer(&format!("{field}/access"));
            return Err(Error::config(place, format!("invalid device access {text:?}"))
                .hint("access is made of the letters r, w and m"));
        }
        Ok(access)
    }
}

/// The rules of `resources.devices` and then the devices that every container
/// gets: all of mknod, the nodes that a container's `/dev` holds, and tun.
///
/// # Errors
/// An entry without access, of an unknown type, or with a number that no
/// device can have.
pub fn rules(devices: Option<&[LinuxDeviceCgroup]>) -> Result<Vec<DeviceRule>> {
    let mut rules = Vec::new();
    for (index, device) in devices.unwrap_or_default().iter().enumerate() {
        let field = format!("devices/{index}");
        let access = device.access().as_deref().unwrap_or_default();
        if access.is_empty() {
            let message = format!("device access at {index} field cannot be empty");
            return Err(Error::config(pointer(&format!("{field}/access")), message));
        }
        let access = Access::parse(access, &field)?;
        let major = number(device.major(), &format!("{field}/major"))?;
        let minor = number(device.minor(), &format!("{field}/minor"))?;
        for &kind in kinds(device.typ(), &field)? {
            let pointer = pointer(&field);
            rules.push(DeviceRule { allow: device.allow(), kind, major, minor, access, pointer });
        }
    }
    rules.extend(defaults());
    Ok(without_overruled(rules))
}

fn kinds(kind: Option<LinuxDeviceType>, field: &str) -> Result<&'static [DeviceKind]> {
    match kind.unwrap_or_default() {
        LinuxDeviceType::A => Ok(&[DeviceKind::Block, DeviceKind::Char]),
        LinuxDeviceType::B => Ok(&[DeviceKind::Block]),
        LinuxDeviceType::C | LinuxDeviceType::U => Ok(&[DeviceKind::Char]),
        LinuxDeviceType::P => {
            Err(Error::config(pointer(&format!("{field}/type")), "a FIFO has no device number")
                .hint("use a, b or c"))
        }
    }
}

/// A device number; -1 is an old spelling of "all".
fn number(value: Option<i64>, field: &str) -> Result<Option<u32>> {
    match value {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value)
            .map(Some)
            .map_err(|_| Error::config(pointer(field), format!("{value} is no device number"))),
    }
}

/// What every container may use, after the rules of the configuration.
fn defaults() -> impl Iterator<Item = DeviceRule> {
    use DeviceKind::{Block, Char};
    const ALL: Access = Access::ALL;
    const MKNOD: Access = Access::MKNOD;
    [
        (Char, None, None, MKNOD),
        (Block, None, None, MKNOD),
        (Char, Some(1), Some(3), ALL),    // null
        (Char, Some(1), Some(8), ALL),    // random
        (Char, Some(1), Some(7), ALL),    // full
        (Char, Some(5), Some(0), ALL),    // tty
        (Char, Some(1), Some(5), ALL),    // zero
        (Char, Some(1), Some(9), ALL),    // urandom
        (Char, Some(5), Some(1), ALL),    // console
        (Char, Some(136), None, ALL),     // pts
        (Char, Some(5), Some(2), ALL),    // ptmx
        (Char, Some(10), Some(200), ALL), // tun
    ]
    .into_iter()
    .map(|(kind, major, minor, access)| DeviceRule {
        allow: true,
        kind,
        major,
        minor,
        access,
        pointer: pointer("devices"),
    })
}

impl DeviceRule {
    /// Whether every device of `other` is one of this rule.
    fn covers(&self, other: &Self) -> bool {
        self.kind == other.kind
            && (self.major.is_none() || self.major == other.major)
            && (self.minor.is_none() || self.minor == other.minor)
    }

    /// Whether some device is one of both rules.
    fn meets(&self, other: &Self) -> bool {
        let meet = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.kind == other.kind && meet(self.major, other.major) && meet(self.minor, other.minor)
    }
}

/// Drops each rule that a later one overrules for all of its devices and
/// accesses: engines list the default devices, and so do we.
fn without_overruled(rules: Vec<DeviceRule>) -> Vec<DeviceRule> {
    let overruled = |index: usize, rule: &DeviceRule| {
        rules[index + 1..]
            .iter()
            .any(|later| later.covers(rule) && rule.access.without(later.access).is_empty())
    };
    let keep: Vec<bool> =
        rules.iter().enumerate().map(|(index, rule)| !overruled(index, rule)).collect();
    rules.into_iter().zip(keep).filter_map(|(rule, keep)| keep.then_some(rule)).collect()
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (access, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if !self.and(access).is_empty() {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// As a line for `devices.allow` or `devices.deny`.
impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
        write!(f, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

#[cfg(test)]
mod tests;
