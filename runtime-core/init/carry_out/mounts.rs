//! Bind mounts, and what is done to mounts once they are in place. A target is
//! looked up once, and mounted on by its descriptor (CVE-2021-30465).

use super::State;
use super::attributes::{ACCESS_TIME, LOCKABLE, attributes, from_statfs};
use crate::host::{During, Fault};
use crate::ops::{Call, link};
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
    pub fn is_nothing(&self) -> bool {
        (self.propagation, self.set, self.clear) == (0, 0, 0)
    }
}

pub struct Bind {
    pub target: &'static CStr,
    pub source: &'static CStr,
    pub slot: u64,
    pub recursive: bool,
    pub directory: bool,
    pub may_be_missing: bool,
    pub links: u64,
    pub set: u64,
    pub clear: u64,
    pub after: After,
}

impl State {
    pub fn mount_bind(&mut self, bind: &Bind) -> Result<(), Fault> {
        self.directory = None;
        let tree = match open_source(bind) {
            Err(Fault { errno: errno::ENOENT, .. }) if bind.may_be_missing => return self.mount_empty(bind.target),
            answer => answer?,
        };
        if bind.links & link::COPY != 0 && sys::stat_fd(tree.raw()).during(Call::Fstat)?.is_symlink() {
            return self.copy_link(bind.target, &tree);
        }
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

    /// An empty directory that stays empty.
    fn mount_empty(&mut self, target: &'static CStr) -> Result<(), Fault> {
        const MS_EMPTY: u64 = 1 | 2 | 4 | 8; // ro, nosuid, nodev, noexec
        self.beside = None;
        let target = path::make_directories(self.root()?, target, 0o755, false)?;
        let place = Buffer::of_descriptor(target.raw()).during(Call::Mount)?;
        sys::mount(c"tmpfs", place.as_text(), Some(c"tmpfs"), MS_EMPTY, None).during(Call::Mount).map(drop)
    }

    /// On a directory for a directory, on a file for anything else; made when missing.
    fn attach(&mut self, bind: &Bind, tree: &Fd) -> Result<(), Fault> {
        let root = self.root()?;
        let directory = bind.directory || sys::stat_fd(tree.raw()).during(Call::Fstat)?.is_directory();
        if directory && let Some((parent, name)) = self.make_beside(bind.target)? {
            return sys::move_mount_into(tree.raw(), parent, name.as_text()).during(Call::MoveMount).map(drop);
        }
        self.beside = None;
        let target = match (self.link_at(bind)?, directory) {
            (Some(link), _) => link,
            (None, true) => path::make_directories(root, bind.target, 0o755, false)?,
            (None, false) => path::make_file(root, bind.target)?,
        };
        refuse_hidden_proc(bind.target, &target, tree)?;
        if sys::stat_fd(target.raw()).during(Call::Fstat)?.is_directory() != directory {
            return Err(Fault::new(Call::MoveMount, errno::ENOTDIR));
        }
        sys::move_mount(tree.raw(), target.raw()).during(Call::MoveMount).map(drop)
    }

    /// What is at the target, a symbolic link as it is, where that is asked for.
    fn link_at(&self, bind: &Bind) -> Result<Option<Fd>, Fault> {
        if bind.links & link::DESTINATION == 0 {
            return Ok(None);
        }
        match path::open(self.root()?, bind.target, flag::O_PATH | flag::O_NOFOLLOW) {
            Ok(fd) => Ok(Some(fd)),
            Err(errno::ENOENT) => Ok(None),
            Err(errno) => Err(Fault::new(Call::Openat2, errno)),
        }
    }

    /// Makes the symbolic link `link` anew at `target`; one that says the same may be there.
    fn copy_link(&mut self, target: &CStr, link: &Fd) -> Result<(), Fault> {
        let content = path::link_content(link.raw(), c"").during(Call::Readlink)?;
        let (parent, name) = path::make_parent(self.root()?, target, 0o755)?;
        match sys::symlinkat(content.as_text(), parent.raw(), name.as_text()) {
            Err(errno::EEXIST) => match path::link_content(parent.raw(), name.as_text()) {
                Ok(there) if there.as_bytes() == content.as_bytes() => Ok(()),
                _ => Err(Fault::new(Call::OtherLink, errno::EEXIST)),
            },
            answer => answer.during(Call::Symlinkat).map(drop),
        }
    }

    /// Flags of a mount that is there already, one that others are asked for and asked off.
    pub fn remount_bind(&mut self, target: &CStr, set: u64, clear: u64, after: &After) -> Result<(), Fault> {
        self.directory = None;
        let mounted = path::open(self.root()?, target, flag::O_PATH).during(Call::Openat2)?;
        let (on, off) = attributes(set, clear);
        if (on, off) != (0, 0) {
            match sys::mount_setattr(mounted.raw(), false, on, off, 0) {
                Err(errno) if errno::is_missing(errno) => remount_bind(&mounted, set, clear)?,
                answer => drop(answer.during(Call::MountSetattr)?),
            }
        }
        finish(&mounted, after)
    }

    /// What is there is looked up once, and detached by its descriptor.
    pub fn unmount(&mut self, target: &CStr) -> Result<(), Fault> {
        let mounted = path::open_plain(self.root()?, target, flag::O_PATH).during(Call::Openat2)?;
        let place = Buffer::of_descriptor(mounted.raw()).during(Call::Umount)?;
        sys::umount(place.as_text(), flag::MNT_DETACH).during(Call::Umount).map(drop)
    }

    /// Makes a directory that is not there yet, in the one of the last target:
    /// mounts often stand side by side. The name was made just now, and is not
    /// followed if it has become a link. `None` when it has to be looked up.
    pub fn make_beside(&mut self, target: &'static CStr) -> Result<Option<(i32, Buffer)>, Fault> {
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
}

/// The plan checks what may be mounted below /proc by its name; a link in the
/// image must not lead another name there (CVE-2019-16884, CVE-2023-28642). /proc
/// itself takes nothing but a procfs.
fn refuse_hidden_proc(name: &CStr, target: &Fd, tree: &Fd) -> Result<(), Fault> {
    if name.to_bytes() == b"/proc" {
        return if is_proc(tree)? { Ok(()) } else { Err(Fault::new(Call::NotProc, 0)) };
    }
    refuse_below_proc(name, target)
}

/// The same for what is mounted on `target`, whatever that is.
pub fn refuse_below_proc(name: &CStr, target: &Fd) -> Result<(), Fault> {
    if name.to_bytes().starts_with(b"/proc/") || !is_proc(target)? {
        return Ok(());
    }
    Err(Fault::new(Call::HiddenProc, errno::EPERM))
}

fn is_proc(file: &Fd) -> Result<bool, Fault> {
    let (kind, _) = sys::filesystem(file.raw()).during(Call::Fstatfs)?;
    Ok(kind == super::procfs::PROC_SUPER_MAGIC)
}

pub fn not_a_directory() -> Fault {
    Fault::new(Call::NotADirectory, errno::ENOTDIR)
}

pub fn clone_tree(at: &Fd) -> Result<Fd, Fault> {
    sys::open_tree(at.raw(), c"", flag::OPEN_TREE_CLONE | flag::AT_EMPTY_PATH).during(Call::OpenTree)
}

fn open_source(bind: &Bind) -> Result<Fd, Fault> {
    if let Some(fd) = wire::descriptor(bind.slot) {
        return sys::duplicate(fd).during(Call::Dup);
    }
    let recursive = if bind.recursive { flag::AT_RECURSIVE } else { 0 };
    let no_follow = if bind.links & (link::COPY | link::SOURCE) != 0 { flag::AT_SYMLINK_NOFOLLOW } else { 0 };
    let flags = flag::OPEN_TREE_CLONE | recursive | no_follow;
    sys::open_tree(flag::AT_FDCWD, bind.source, flags).during(Call::OpenTree)
}

/// Before mount_setattr (Linux 5.12), and where it is refused: a remount says all
/// flags, so those that the mount has and nobody asked off are said again. One that
/// a more privileged namespace has given a mount is locked (mount_namespaces(7)).
pub fn remount_bind(tree: &Fd, set: u64, clear: u64) -> Result<(), Fault> {
    let (_, has) = sys::filesystem(tree.raw()).during(Call::Fstatfs)?;
    let has = from_statfs(has);
    let kept = has & !clear & if set & ACCESS_TIME != 0 { !ACCESS_TIME } else { !0 };
    let flags = flag::MS_REMOUNT | flag::MS_BIND | set | kept;
    let place = Buffer::of_descriptor(tree.raw()).during(Call::Mount)?;
    match sys::mount(c"", place.as_text(), None, flags, None) {
        Err(errno::EPERM) => {
            let lost = has & !flags & (LOCKABLE | ACCESS_TIME);
            let call = if lost == 0 { Call::Mount } else { Call::LockedFlags };
            Err(Fault { call, errno: errno::EPERM, value: lost })
        }
        answer => answer.during(Call::Mount).map(drop),
    }
}

/// Attributes of the whole tree, then each propagation in turn.
pub fn finish(mounted: &Fd, after: &After) -> Result<(), Fault> {
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
