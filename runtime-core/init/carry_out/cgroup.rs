//! The one hierarchy of cgroup v2.

use super::State;
use super::filesystem::Filesystem;
use super::mounts::{After, Bind};
use crate::host::{Fault, Host};
use crate::ops::{Call, NO_SLOT};
use crate::sys::errno;
use core::ffi::CStr;

pub struct Cgroup2 {
    pub target: &'static CStr,
    pub flags: u64,
    pub data: &'static CStr,
    pub after: After,
    pub fallback: &'static CStr,
    pub mask: bool,
}

impl State {
    pub fn mount_cgroup2(&mut self, mount: Cgroup2, host: &Host) -> Result<(), Fault> {
        let Cgroup2 { target, flags, data, after, fallback, mask } = mount;
        let new = Filesystem {
            target,
            source: c"cgroup",
            fstype: c"cgroup2",
            flags,
            data,
            after,
            copy_up: false,
            inherit: 0,
        };
        match self.mount_filesystem(&new, host) {
            Err(Fault { call: Call::Mount, errno: errno::EPERM | errno::EBUSY, .. }) => {}
            answer => return answer,
        }
        let bound = self.mount_bind(&Bind {
            target,
            source: fallback,
            slot: NO_SLOT,
            recursive: true,
            directory: true,
            may_be_missing: false,
            links: 0,
            set: flags,
            clear: 0,
            after: new.after,
        });
        match bound {
            Err(Fault { call: Call::OpenTree, errno: errno::ENOENT, .. }) if mask => self.mask_path(target, c""),
            answer => answer,
        }
    }
}
