//! Mounts of filesystems below the rootfs.
//!
//! mount(2) on the target's descriptor is one call where the calls of Linux 5.2 are
//! five or more. Those are for what it cannot do: data longer than a page, and the
//! kernel's own words about a failure.

use super::State;
use super::configure::{self, Words};
use super::mounts::{After, clone_tree, finish, not_a_directory, refuse_below_proc};
use crate::host::{During, Fault, Host};
use crate::ops::{Call, inherit};
use crate::path::{self, Buffer};
use crate::sys::{self, Fd, Statx, errno, flag};
use core::ffi::CStr;

pub struct Filesystem {
    pub target: &'static CStr,
    pub source: &'static CStr,
    pub fstype: &'static CStr,
    pub flags: u64,
    pub data: &'static CStr,
    pub after: After,
    pub copy_up: bool,
    pub inherit: u64,
}

/// A place to mount on.
struct Target {
    place: Fd,
    /// Whether it was there before.
    found: bool,
}

impl State {
    pub fn mount_filesystem(&mut self, mount: &Filesystem, host: &Host) -> Result<(), Fault> {
        self.directory = None;
        let root = self.root()?;
        let target = self.filesystem_target(mount)?;
        // What is mounted here may cover the directory of the next target.
        let covers = |known: &[u8]| known.starts_with(mount.target.to_bytes());
        if matches!(&self.beside, Some((known, _)) if covers(known)) {
            self.beside = None;
        }
        let covered = match target.found && mount.inherit != 0 {
            true => Some(sys::stat_fd(target.place.raw()).during(Call::Fstat)?),
            false => None,
        };
        let below = if mount.copy_up { Some(clone_tree(&target.place)?) } else { None };
        mount_on(mount, &target.place, covered.as_ref(), host)?;
        if below.is_none() && mount.after.is_nothing() {
            return Ok(());
        }
        let mounted = path::open(root, mount.target, flag::O_PATH | flag::O_DIRECTORY).during(Call::Openat2)?;
        if let Some(below) = below {
            let owner = covered.filter(|_| mount.inherit & inherit::OWNER != 0);
            super::copy_up::copy(&below, &mounted, owner.map(|stat| (stat.uid, stat.gid)))?;
        }
        finish(&mounted, &mount.after)
    }

    /// The place for a filesystem. Kernel interfaces are written to by privileged
    /// code: they must be where they seem to be (CVE-2019-19921, CVE-2023-27561).
    fn filesystem_target(&mut self, mount: &Filesystem) -> Result<Target, Fault> {
        let root = self.root()?;
        let kernel = matches!(mount.fstype.to_bytes(), b"proc" | b"sysfs");
        if !kernel && let Some((parent, name)) = self.make_beside(mount.target)? {
            let flags = flag::O_PATH | flag::O_DIRECTORY | flag::O_NOFOLLOW;
            let place = sys::open(parent, name.as_text(), flags, 0).during(Call::Open)?;
            return Ok(Target { place, found: false });
        }
        let target = match there(root, mount) {
            Some(place) => Target { place, found: true },
            None => Target { place: made(root, mount, kernel)?, found: false },
        };
        // Those two do not follow links.
        if !kernel {
            refuse_below_proc(mount.target, &target.place)?;
        }
        Ok(target)
    }

    pub fn remount(&mut self, target: &CStr, flags: u64, data: &CStr) -> Result<(), Fault> {
        self.directory = None;
        let mounted = path::open(self.root()?, target, flag::O_PATH).during(Call::Openat2)?;
        let place = Buffer::of_descriptor(mounted.raw()).during(Call::Mount)?;
        let data = (!data.is_empty()).then_some(data);
        sys::mount(c"", place.as_text(), None, flags | flag::MS_REMOUNT, data).during(Call::Mount).map(drop)
    }
}

/// The target of a tmpfs that takes over what it covers, if it is there.
fn there(root: i32, mount: &Filesystem) -> Option<Fd> {
    let open = || path::open(root, mount.target, flag::O_PATH | flag::O_DIRECTORY).ok();
    if mount.inherit == 0 { None } else { open() }
}

fn made(root: i32, mount: &Filesystem, kernel: bool) -> Result<Fd, Fault> {
    let refused = |fault: Fault| if kernel && fault.errno == errno::ELOOP { not_a_directory() } else { fault };
    path::make_directories(root, mount.target, 0o755, kernel).map_err(refused)
}

/// `covered` is the directory whose mode a tmpfs takes over.
fn mount_on(mount: &Filesystem, target: &Fd, covered: Option<&Statx>, host: &Host) -> Result<(), Fault> {
    let mut mode = Buffer::new();
    if let Some(covered) = covered.filter(|_| mount.inherit & inherit::MODE != 0) {
        mode.push(b"mode=").during(Call::Mount)?;
        mode.push_octal(u64::from(covered.mode) & 0o7777).during(Call::Mount)?;
    }
    // mount(2) cuts longer data off without a word.
    let Some(data) = joined(&mode, mount.data) else {
        let mounted = configure::mounted(mount, mode.as_bytes()).map_err(|(fault, words)| tell(host, fault, &words))?;
        return sys::move_mount(mounted.raw(), target.raw()).during(Call::MoveMount).map(drop);
    };
    let place = Buffer::of_descriptor(target.raw()).during(Call::Mount)?;
    let data = (!data.as_bytes().is_empty()).then_some(data.as_text());
    match sys::mount(mount.source, place.as_text(), Some(mount.fstype), mount.flags, data) {
        Err(errno @ (errno::EINVAL | errno::ENOENT | errno::ENOTDIR)) => {
            let words = configure::words(mount, mode.as_bytes());
            Err(tell(host, Fault::new(Call::Mount, errno), &words))
        }
        answer => answer.during(Call::Mount).map(drop),
    }
}

/// A mode, and what else is meant for the filesystem; `None` if that is too long.
fn joined(mode: &Buffer, data: &CStr) -> Option<Buffer> {
    let mut all = Buffer::of(mode.as_bytes()).ok()?;
    if !data.is_empty() {
        if !mode.as_bytes().is_empty() {
            all.push(b",").ok()?;
        }
        all.push(data.to_bytes()).ok()?;
    }
    Some(all)
}

/// The failure, with what the kernel says of it if it does.
fn tell(host: &Host, fault: Fault, words: &Words) -> Fault {
    if words.as_bytes().is_empty() {
        return fault;
    }
    host.failed_saying(fault, words.as_bytes());
    sys::exit(1)
}
