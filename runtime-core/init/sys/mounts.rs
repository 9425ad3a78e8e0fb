//! Mounts: of old by mount(2), and by descriptors since Linux 5.2.

use super::{Answer, Fd, check, flag, nr, syscall};
use core::ffi::CStr;

fn pointer(text: Option<&CStr>) -> usize {
    text.map_or(0, |text| text.as_ptr() as usize)
}

pub fn mount(source: &CStr, target: &CStr, fstype: Option<&CStr>, flags: u64, data: Option<&CStr>) -> Answer<usize> {
    call!(nr::MOUNT, source.as_ptr(), target.as_ptr(), pointer(fstype), flags, pointer(data))
}

pub fn umount(path: &CStr, flags: i32) -> Answer<usize> {
    call!(nr::UMOUNT2, path.as_ptr(), flags)
}

pub fn pivot_root(new: &CStr, old: &CStr) -> Answer<usize> {
    call!(nr::PIVOT_ROOT, new.as_ptr(), old.as_ptr())
}

pub fn open_tree(dir: i32, path: &CStr, flags: u32) -> Answer<Fd> {
    call!(nr::OPEN_TREE, dir as isize, path.as_ptr(), flags | flag::OPEN_TREE_CLOEXEC).map(|fd| Fd(fd as i32))
}

/// Attaches the tree `tree` on the file `target`.
pub fn move_mount(tree: i32, target: i32) -> Answer<usize> {
    call!(nr::MOVE_MOUNT, tree, c"".as_ptr(), target, c"".as_ptr(), flag::MOVE_MOUNT_EMPTY_BOTH)
}

/// Attaches the tree `tree` on `name` in the directory `dir`, which is not followed
/// if it is a link.
pub fn move_mount_into(tree: i32, dir: i32, name: &CStr) -> Answer<usize> {
    const MOVE_MOUNT_F_EMPTY_PATH: usize = 4;
    call!(nr::MOVE_MOUNT, tree, c"".as_ptr(), dir, name.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH)
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

pub fn mount_setattr(fd: i32, recursive: bool, set: u64, clear: u64, propagation: u64) -> Answer<usize> {
    let attr = MountAttr { set, clear, propagation, userns: 0 };
    let flags = flag::AT_EMPTY_PATH | if recursive { flag::AT_RECURSIVE } else { 0 };
    call!(nr::MOUNT_SETATTR, fd, c"".as_ptr(), flags, &raw const attr, size_of::<MountAttr>())
}

pub fn fsopen(fstype: &CStr) -> Answer<Fd> {
    const FSOPEN_CLOEXEC: usize = 1;
    call!(nr::FSOPEN, fstype.as_ptr(), FSOPEN_CLOEXEC).map(|fd| Fd(fd as i32))
}

pub fn fsconfig_string(fs: i32, key: &CStr, value: &CStr) -> Answer<usize> {
    const FSCONFIG_SET_STRING: usize = 1;
    call!(nr::FSCONFIG, fs, FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr(), 0)
}

/// A parameter without a value.
pub fn fsconfig_flag(fs: i32, key: &CStr) -> Answer<usize> {
    const FSCONFIG_SET_FLAG: usize = 0;
    call!(nr::FSCONFIG, fs, FSCONFIG_SET_FLAG, key.as_ptr(), 0, 0)
}

pub fn fsconfig_create(fs: i32) -> Answer<usize> {
    const FSCONFIG_CMD_CREATE: usize = 6;
    call!(nr::FSCONFIG, fs, FSCONFIG_CMD_CREATE, 0, 0, 0)
}

pub fn fsmount(fs: i32, attributes: u64) -> Answer<Fd> {
    const FSMOUNT_CLOEXEC: usize = 1;
    call!(nr::FSMOUNT, fs, FSMOUNT_CLOEXEC, attributes).map(|fd| Fd(fd as i32))
}
