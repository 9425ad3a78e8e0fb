//! Mounts below the rootfs. A target is looked up once, and mounted on by its
//! descriptor (CVE-2021-30465).

use super::State;
use crate::host::{During, Fault};
use crate::ops::{Call, NO_SLOT};
use crate::path::{self, Buffer};
use crate::sys::{self, Fd, List, errno, flag};
use crate::wire;
use core::ffi::CStr;

/// What is done to a mount once it is in place.
pub struct After {
    /// Propagation changes in turn, five bits each, the first one lowest.
    pub propagation: u64,
    /// MOUNT_ATTR_* for the whole tree.
    pub set: u64,
    pub clear: u64,
}

impl After {
    fn is_nothing(&self) -> bool {
        (self.propagation, self.set, self.clear) == (0, 0, 0)
    }
}

pub struct Filesystem {
    pub target: &'static CStr,
    pub source: &'static CStr,
    pub fstype: &'static CStr,
    pub flags: u64,
    pub data: &'static CStr,
    pub after: After,
    pub copy_up: bool,
}

pub struct Bind {
    pub target: &'static CStr,
    pub source: &'static CStr,
    pub slot: u64,
    pub recursive: bool,
    pub directory: bool,
    pub set: u64,
    pub clear: u64,
    pub after: After,
}

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
const MS_RELATIME: u64 = 1 << 21;
const MS_STRICTATIME: u64 = 1 << 24;
const ST_RELATIME: u64 = 1 << 12;
const MOUNT_ATTR_ATIME: u64 = 0x70;
const MOUNT_ATTR_STRICTATIME: u64 = 0x20;

/// The MS_* flags that a mount has, from what statfs says of it.
pub fn from_statfs(flags: u64) -> u64 {
    let kept = FLAGS.iter().filter(|row| flags & row.1 != 0).fold(0, |all, row| all | row.0);
    if flags & ST_RELATIME != 0 { kept | MS_RELATIME } else { kept }
}

/// MOUNT_ATTR_* to set and to clear for MS_* flags asked for and asked off.
fn attributes(set: u64, clear: u64) -> (u64, u64) {
    let pick = |flags: u64| FLAGS.iter().filter(|row| flags & row.0 != 0).fold(0, |all, row| all | row.2);
    let (mut on, mut off) = (pick(set), pick(clear) & !MOUNT_ATTR_ATIME);
    if set & MS_STRICTATIME != 0 {
        on |= MOUNT_ATTR_STRICTATIME;
    }
    // The access time policy is one field: whoever sets it clears it whole.
    if set & (MS_STRICTATIME | MS_RELATIME | (1 << 10)) != 0 || clear & (MS_STRICTATIME | (1 << 10)) != 0 {
        off |= MOUNT_ATTR_ATIME;
    }
    (on, off)
}

impl State {
    pub fn mount_filesystem(&mut self, mount: &Filesystem) -> Result<(), Fault> {
        self.directory = None;
        let root = self.root()?;
        let target = self.filesystem_target(mount)?;
        // What is mounted here may cover the directory of the next target.
        let covers = |known: &[u8]| known.starts_with(mount.target.to_bytes());
        if matches!(&self.beside, Some((known, _)) if covers(known)) {
            self.beside = None;
        }
        let below = if mount.copy_up { Some(clone_tree(&target)?) } else { None };
        let place = Buffer::of_descriptor(target.raw()).during(Call::Mount)?;
        let data = (!mount.data.is_empty()).then_some(mount.data);
        let answer = sys::mount(mount.source, place.as_text(), Some(mount.fstype), mount.flags, data);
        answer.during(Call::Mount)?;
        if below.is_none() && mount.after.is_nothing() {
            return Ok(());
        }
        let mounted = path::open(root, mount.target, flag::O_PATH | flag::O_DIRECTORY).during(Call::Openat2)?;
        if let Some(below) = below {
            super::copy_up::copy(&below, &mounted)?;
        }
        finish(&mounted, &mount.after)
    }

    pub fn mount_bind(&mut self, bind: &Bind) -> Result<(), Fault> {
        self.directory = None;
        let tree = open_source(bind)?;
        let (set, clear) = attributes(bind.set, bind.clear);
        let changed = (set, clear) != (0, 0);
        let old_way = changed
            && match sys::mount_setattr(tree.raw(), false, set, clear, 0) {
                Err(errno) if errno::is_missing(errno) => true,
                answer => {
                    answer.during(Call::MountSetattr)?;
                    false
                }
            };
        self.attach(bind, &tree)?;
        if old_way {
            remount_bind(&tree, bind.set, bind.clear)?;
        }
        finish(&tree, &bind.after)
    }

    /// On a directory for a directory, on a file for anything else; made when missing.
    fn attach(&mut self, bind: &Bind, tree: &Fd) -> Result<(), Fault> {
        let root = self.root()?;
        let directory = bind.directory || sys::stat_fd(tree.raw()).during(Call::Fstat)?.is_directory();
        if directory && let Some((parent, name)) = self.make_beside(bind.target)? {
            return sys::move_mount_into(tree.raw(), parent, name.as_text()).during(Call::MoveMount).map(drop);
        }
        self.beside = None;
        let target = match directory {
            true => path::make_directories(root, bind.target, 0o755, false)?,
            false => path::make_file(root, bind.target)?,
        };
        refuse_hidden_proc(bind.target, &target)?;
        if sys::stat_fd(target.raw()).during(Call::Fstat)?.is_directory() != directory {
            return Err(Fault::new(Call::MoveMount, errno::ENOTDIR));
        }
        sys::move_mount(tree.raw(), target.raw()).during(Call::MoveMount).map(drop)
    }

    /// Makes a directory that is not there yet, in the one of the last target:
    /// mounts often stand side by side. The name was made just now, and is not
    /// followed if it has become a link. `None` when it has to be looked up.
    fn make_beside(&mut self, target: &'static CStr) -> Result<Option<(i32, Buffer)>, Fault> {
        let (parent, name) = path::split(target);
        if matches!(parent, b"" | b"/") || matches!(name, b"" | b"." | b"..") {
            return Ok(None);
        }
        if !matches!(&self.beside, Some((known, _)) if *known == parent) {
            let above = Buffer::of(parent).during(Call::Openat2)?;
            let above = path::open(self.root()?, above.as_text(), flag::O_PATH | flag::O_DIRECTORY);
            self.beside = above.ok().map(|fd| (parent, fd));
        }
        let Some((_, directory)) = &self.beside else { return Ok(None) };
        let name = Buffer::of(name).during(Call::Mkdirat)?;
        let made = sys::mkdirat(directory.raw(), name.as_text(), 0o755).is_ok();
        Ok(made.then(|| (directory.raw(), name)))
    }

    /// The place for a filesystem. Kernel interfaces are written to by privileged
    /// code: they must be where they seem to be (CVE-2019-19921, CVE-2023-27561).
    fn filesystem_target(&mut self, mount: &Filesystem) -> Result<Fd, Fault> {
        let root = self.root()?;
        let kernel = matches!(mount.fstype.to_bytes(), b"proc" | b"sysfs");
        if !kernel && let Some((parent, name)) = self.make_beside(mount.target)? {
            let flags = flag::O_PATH | flag::O_DIRECTORY | flag::O_NOFOLLOW;
            return sys::open(parent, name.as_text(), flags, 0).during(Call::Open);
        }
        let found = path::make_directories(root, mount.target, 0o755, kernel);
        found.map_err(|fault| if kernel && fault.errno == errno::ELOOP { not_a_directory() } else { fault })
    }

    /// One call where the kernel changes trees (Linux 5.12), one for each mount before.
    pub fn tree_flags(&mut self, target: &CStr, below: List, flags: u64) -> Result<(), Fault> {
        self.directory = None;
        let root = self.root()?;
        let mounted = path::open(root, target, flag::O_PATH).during(Call::Openat2)?;
        let (set, clear) = attributes(flags, 0);
        match sys::mount_setattr(mounted.raw(), true, set, clear, 0) {
            Err(errno) if errno::is_missing(errno) => {}
            answer => return answer.during(Call::MountSetattr).map(drop),
        }
        for path in (0..below.count()).filter_map(|index| below.get(index)) {
            let mounted = path::open(root, path, flag::O_PATH).during(Call::Openat2)?;
            remount_bind(&mounted, flags, 0)?;
        }
        remount_bind(&mounted, flags, 0)
    }

    pub fn remount(&mut self, target: &CStr, flags: u64, data: &CStr) -> Result<(), Fault> {
        self.directory = None;
        let mounted = path::open(self.root()?, target, flag::O_PATH).during(Call::Openat2)?;
        let place = Buffer::of_descriptor(mounted.raw()).during(Call::Mount)?;
        let data = (!data.is_empty()).then_some(data);
        sys::mount(c"", place.as_text(), None, flags | flag::MS_REMOUNT, data).during(Call::Mount).map(drop)
    }
}

/// The plan checks what may be mounted below /proc by its name; a link in the
/// image must not lead another name there (CVE-2019-16884, CVE-2023-28642).
fn refuse_hidden_proc(name: &CStr, target: &Fd) -> Result<(), Fault> {
    let named = name.to_bytes();
    if named == b"/proc" || named.starts_with(b"/proc/") {
        return Ok(());
    }
    let (kind, _) = sys::filesystem(target.raw()).during(Call::Fstatfs)?;
    if kind == super::procfs::PROC_SUPER_MAGIC { Err(Fault::new(Call::HiddenProc, errno::EPERM)) } else { Ok(()) }
}

fn not_a_directory() -> Fault {
    Fault::new(Call::NotADirectory, errno::ENOTDIR)
}

fn clone_tree(at: &Fd) -> Result<Fd, Fault> {
    sys::open_tree(at.raw(), c"", flag::OPEN_TREE_CLONE | flag::AT_EMPTY_PATH).during(Call::OpenTree)
}

fn open_source(bind: &Bind) -> Result<Fd, Fault> {
    if bind.slot != NO_SLOT {
        let fd = wire::descriptor(bind.slot).ok_or(Fault::new(Call::Plan, errno::EBADMSG))?;
        return sys::duplicate(fd).during(Call::Dup);
    }
    let recursive = if bind.recursive { flag::AT_RECURSIVE } else { 0 };
    sys::open_tree(flag::AT_FDCWD, bind.source, flag::OPEN_TREE_CLONE | recursive).during(Call::OpenTree)
}

/// Before mount_setattr (Linux 5.12): a remount says all flags, so those that
/// the mount has and nobody asked off are said again.
fn remount_bind(tree: &Fd, set: u64, clear: u64) -> Result<(), Fault> {
    let (_, has) = sys::filesystem(tree.raw()).during(Call::Fstatfs)?;
    let flags = flag::MS_REMOUNT | flag::MS_BIND | set | (from_statfs(has) & !clear);
    let place = Buffer::of_descriptor(tree.raw()).during(Call::Mount)?;
    sys::mount(c"", place.as_text(), None, flags, None).during(Call::Mount).map(drop)
}

/// Attributes of the whole tree, then each propagation in turn.
fn finish(mounted: &Fd, after: &After) -> Result<(), Fault> {
    if (after.set, after.clear) != (0, 0) {
        sys::mount_setattr(mounted.raw(), true, after.set, after.clear, 0).during(Call::MountSetattr)?;
    }
    let mut left = after.propagation;
    while left != 0 {
        let place = Buffer::of_descriptor(mounted.raw()).during(Call::Mount)?;
        sys::mount(c"", place.as_text(), None, propagation_flags(left & 0x1f), None).during(Call::Mount)?;
        left >>= 5;
    }
    Ok(())
}

/// Five bits: recursive, unbindable, private, slave, shared.
fn propagation_flags(bits: u64) -> u64 {
    let recursive = if bits & 0x10 != 0 { flag::MS_REC } else { 0 };
    ((bits & 0xf) << 17) | recursive
}
