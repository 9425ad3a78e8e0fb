//! A container without a mount namespace of its own mounts in the caller's. What
//! it mounted is taken away with it.

use crate::error::{Error, Result};
use nix::mount::{MntFlags, umount2};
use oci_spec::runtime::Spec;
use std::path::{Path, PathBuf};

/// Unmounts what is mounted at the configuration's destinations below `rootfs`,
/// the last one first.
pub(crate) fn all(rootfs: &Path, spec: &Spec) -> Result<()> {
    const TABLE: &str = "/proc/self/mountinfo";
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    let places: Vec<PathBuf> = mounts
        .iter()
        .map(|mount| {
            rootfs.join(mount.destination().strip_prefix("/").unwrap_or(mount.destination()))
        })
        .collect();
    if places.is_empty() {
        return Ok(());
    }
    let table =
        std::fs::read_to_string(TABLE).map_err(|error| Error::io("read", &error).path(TABLE))?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    let ours: Vec<PathBuf> =
        points.filter(|point| places.iter().any(|place| point.starts_with(place))).collect();
    for point in ours.iter().rev() {
        match umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
            Err(errno) => return Err(Error::os("umount2", errno as i32).path(point)),
        }
    }
    Ok(())
}

/// Blanks and backslashes stand as `\040` and the like (proc(5)).
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (byte, digits) {
            (b'\\', Some(escaped)) => {
                plain.push(escaped);
                at += 4;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_bytes_are_read_back() {
        assert_eq!(unescape(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
        assert_eq!(unescape(r"/plain\9"), PathBuf::from(r"/plain\9"));
    }
}
