//! The flags of a mount in the three ways in which the kernel has them.

/// MS_* words of mount(2), the bits of statfs(2), and MOUNT_ATTR_*, row by row.
const FLAGS: [(u64, u64, u64); 7] = [
    (1, 1, 1),                    // ro
    (2, 2, 2),                    // nosuid
    (4, 4, 4),                    // nodev
    (8, 8, 8),                    // noexec
    (1 << 11, 1 << 11, 0x80),     // nodiratime
    (256, 0x2000, 0x20_0000),     // nosymfollow
    (1 << 10, 1 << 10, 0x10),     // noatime
];
const MS_NOATIME: u64 = 1 << 10;
const MS_RELATIME: u64 = 1 << 21;
const MS_STRICTATIME: u64 = 1 << 24;
const ST_RELATIME: u64 = 1 << 12;
const MOUNT_ATTR_ATIME: u64 = 0x70;
const MOUNT_ATTR_STRICTATIME: u64 = 0x20;

/// Flags of which each can be locked.
pub const LOCKABLE: u64 = 0xf;
/// Those that choose when access times change: locked together.
pub const ACCESS_TIME: u64 = MS_NOATIME | MS_RELATIME | MS_STRICTATIME | 1 << 11;

/// The MS_* flags that a mount has, from what statfs says of it.
pub fn from_statfs(flags: u64) -> u64 {
    let kept = FLAGS.iter().filter(|row| flags & row.1 != 0).fold(0, |all, row| all | row.0);
    if flags & ST_RELATIME != 0 { kept | MS_RELATIME } else { kept }
}

/// MOUNT_ATTR_* to set and to clear for MS_* flags asked for and asked off.
pub fn attributes(set: u64, clear: u64) -> (u64, u64) {
    let pick = |flags: u64| FLAGS.iter().filter(|row| flags & row.0 != 0).fold(0, |all, row| all | row.2);
    let (mut on, mut off) = (pick(set), pick(clear) & !MOUNT_ATTR_ATIME);
    if set & MS_STRICTATIME != 0 {
        on |= MOUNT_ATTR_STRICTATIME;
    }
    // The access time policy is one field: whoever sets it clears it whole.
    if set & (MS_STRICTATIME | MS_RELATIME | MS_NOATIME) != 0 || clear & (MS_STRICTATIME | MS_NOATIME) != 0 {
        off |= MOUNT_ATTR_ATIME;
    }
    (on, off)
}
