//! Masked and read-only paths.

use super::State;
use crate::host::{During, Fault};
use crate::ops::Call;
use crate::path;
use crate::sys::{self, Fd, errno, flag};
use core::ffi::CStr;

/// A mount that goes over many paths: itself over the first, and clones of it over the next. One that is
/// attached nowhere cannot be cloned before Linux 6.15.
pub struct Cover {
    tree: Fd,
    attached: bool,
}

impl Cover {
    fn new(tree: Fd) -> Self {
        Self { tree, attached: false }
    }

    fn put(&mut self, target: &Fd) -> Result<(), Fault> {
        if self.attached {
            let flags = flag::OPEN_TREE_CLONE | flag::AT_EMPTY_PATH;
            let clone = sys::open_tree(self.tree.raw(), c"", flags).during(Call::OpenTree)?;
            return sys::move_mount(clone.raw(), target.raw()).during(Call::MoveMount).map(drop);
        }
        self.attached = true;
        sys::move_mount(self.tree.raw(), target.raw()).during(Call::MoveMount).map(drop)
    }

    pub fn into_tree(self) -> Fd {
        self.tree
    }
}

impl State {
    /// Taken from the host before the container's own /dev can stand in for it
    /// (CVE-2025-31133).
    pub fn open_null(&mut self) -> Result<(), Fault> {
        let null = sys::open_tree(flag::AT_FDCWD, c"/dev/null", flag::OPEN_TREE_CLONE).during(Call::OpenTree)?;
        if !sys::stat_fd(null.raw()).during(Call::Fstat)?.is_null() {
            return Err(Fault::new(Call::NotADevice, 0));
        }
        self.null = Some(Cover::new(null));
        Ok(())
    }

    /// A path that is not there needs no mask.
    pub fn mask_path(&mut self, path: &CStr, label: &CStr) -> Result<(), Fault> {
        let Some(target) = self.existing(path)? else { return Ok(()) };
        let cover = if sys::stat_fd(target.raw()).during(Call::Fstat)?.is_directory() {
            self.empty_directory(label)?
        } else {
            self.null.as_mut().ok_or(Fault::new(Call::Plan, errno::EBADMSG))?
        };
        cover.put(&target)
    }

    pub fn readonly_path(&mut self, path: &CStr) -> Result<(), Fault> {
        let Some(target) = self.existing(path)? else { return Ok(()) };
        let flags = flag::OPEN_TREE_CLONE | flag::AT_EMPTY_PATH | flag::AT_RECURSIVE;
        let tree = sys::open_tree(target.raw(), c"", flags).during(Call::OpenTree)?;
        match sys::mount_setattr(tree.raw(), false, flag::MOUNT_ATTR_RDONLY, 0, 0) {
            Err(errno) if errno::is_missing(errno) => {
                sys::move_mount(tree.raw(), target.raw()).during(Call::MoveMount)?;
                return remount_readonly(&tree);
            }
            answer => answer.during(Call::MountSetattr)?,
        };
        sys::move_mount(tree.raw(), target.raw()).during(Call::MoveMount).map(drop)
    }

    fn existing(&self, path: &CStr) -> Result<Option<Fd>, Fault> {
        match path::open(self.root()?, path, flag::O_PATH) {
            Ok(fd) => Ok(Some(fd)),
            Err(errno::ENOENT | errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(Fault::new(Call::Openat2, errno)),
        }
    }

    /// One read-only tmpfs, made once: a superblock for each directory is slow
    /// to make and slower to take down.
    fn empty_directory(&mut self, label: &CStr) -> Result<&mut Cover, Fault> {
        if self.mask.is_none() {
            let fs = sys::fsopen(c"tmpfs").during(Call::Mount)?;
            if !label.is_empty() {
                sys::fsconfig_string(fs.raw(), c"context", label).during(Call::Mount)?;
            }
            sys::fsconfig_string(fs.raw(), c"nr_blocks", c"1").during(Call::Mount)?;
            sys::fsconfig_string(fs.raw(), c"nr_inodes", c"1").during(Call::Mount)?;
            sys::fsconfig_create(fs.raw()).during(Call::Mount)?;
            let tree = sys::fsmount(fs.raw(), flag::MOUNT_ATTR_RDONLY).during(Call::Mount)?;
            self.mask = Some(Cover::new(tree));
        }
        self.mask.as_mut().ok_or(Fault::new(Call::Plan, errno::EBADMSG))
    }
}

/// Before mount_setattr (Linux 5.12). The container's /proc cannot be trusted to
/// name a descriptor, so the mount is entered instead when it is a directory.
fn remount_readonly(tree: &Fd) -> Result<(), Fault> {
    let (_, has) = sys::filesystem(tree.raw()).during(Call::Fstatfs)?;
    let flags = flag::MS_REMOUNT | flag::MS_BIND | flag::MS_RDONLY | super::attributes::from_statfs(has);
    if sys::stat_fd(tree.raw()).during(Call::Fstat)?.is_directory() {
        sys::fchdir(tree.raw()).during(Call::Chdir)?;
        sys::mount(c"", c".", None, flags, None).during(Call::Mount)?;
        return sys::chdir(c"/").during(Call::Chdir).map(drop);
    }
    let place = super::procfs::descriptor_path(tree.raw())?;
    sys::mount(c"", place.as_text(), None, flags, None).during(Call::Mount).map(drop)
}
