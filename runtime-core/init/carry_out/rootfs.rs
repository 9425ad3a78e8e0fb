//! The root filesystem: from a directory of the host to the root of the container.

use super::State;
use crate::host::{During, Fault};
use crate::ops::Call;
use crate::path::{self, Buffer};
use crate::sys::{self, Fd, errno, flag};
use core::ffi::CStr;

/// What happens to mounts here no longer reaches the host.
pub fn root_propagation(flags: u64, parent: u64, rootfs: &CStr) -> Result<(), Fault> {
    sys::mount(c"", c"/", None, flags, None).during(Call::Mount)?;
    if parent == 0 { Ok(()) } else { parent_propagation(rootfs, parent) }
}

/// The mount that holds `rootfs` starts at the directory itself or at one above
/// it: the first that takes the change is it.
fn parent_propagation(rootfs: &CStr, flags: u64) -> Result<(), Fault> {
    let mut bytes = rootfs.to_bytes();
    loop {
        let at = Buffer::of(if bytes.is_empty() { b"/" } else { bytes }).during(Call::Mount)?;
        match sys::mount(c"", at.as_text(), None, flags, None) {
            Err(errno::EINVAL) if !bytes.is_empty() => {
                bytes = &bytes[..bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0)];
            }
            answer => return answer.during(Call::Mount).map(drop),
        }
    }
}

pub fn propagation(flags: u64) -> Result<(), Fault> {
    sys::mount(c"", c"/", None, flags, None).during(Call::Mount).map(drop)
}

pub fn readonly() -> Result<(), Fault> {
    let root = sys::open(flag::AT_FDCWD, c"/", flag::O_PATH, 0).during(Call::Open)?;
    match sys::mount_setattr(root.raw(), false, flag::MOUNT_ATTR_RDONLY, 0, 0) {
        Err(errno) if errno::is_missing(errno) => {}
        answer => return answer.during(Call::MountSetattr).map(drop),
    }
    let (_, flags) = sys::filesystem(root.raw()).during(Call::Fstatfs)?;
    let kept = super::attributes::from_statfs(flags);
    let flags = flag::MS_REMOUNT | flag::MS_BIND | flag::MS_RDONLY | kept;
    sys::mount(c"", c"/", None, flags, None).during(Call::Mount).map(drop)
}

impl State {
    /// pivot_root wants a mount point, so the rootfs is bound onto itself.
    pub fn open_rootfs(&mut self, path: &CStr) -> Result<(), Fault> {
        sys::mount(path, path, None, flag::MS_BIND | flag::MS_REC, None).during(Call::Mount)?;
        self.open_root(path)
    }

    pub fn open_root(&mut self, path: &CStr) -> Result<(), Fault> {
        let root = sys::open(flag::AT_FDCWD, path, flag::O_PATH | flag::O_DIRECTORY, 0).during(Call::Open)?;
        self.root = Some(root);
        Ok(())
    }

    /// This process must not be seen by the container's: it is not in their pid namespace.
    pub fn host_root(&mut self, back: bool) -> Result<(), Fault> {
        if !back {
            let flags = flag::O_PATH | flag::O_DIRECTORY;
            self.host = Some(sys::open(flag::AT_FDCWD, c"/", flags, 0).during(Call::Open)?);
            return Ok(());
        }
        self.open_root(c"/")?;
        let host = self.host.take().ok_or(Fault::new(Call::Plan, errno::EINVAL))?;
        sys::fchdir(host.raw()).during(Call::Chdir)?;
        sys::chroot(c".").during(Call::Chroot).map(drop)
    }

    /// Both roots at one place: the old one ends up below the new, and is let go.
    /// Made a slave first, so that letting go is not seen by the host.
    pub fn pivot_root(&mut self) -> Result<(), Fault> {
        let old = sys::open(flag::AT_FDCWD, c"/", flag::O_PATH | flag::O_DIRECTORY, 0).during(Call::Open)?;
        sys::fchdir(self.root()?).during(Call::Chdir)?;
        sys::pivot_root(c".", c".").during(Call::PivotRoot)?;
        sys::fchdir(old.raw()).during(Call::Chdir)?;
        sys::mount(c"", c".", None, flag::MS_SLAVE | flag::MS_REC, None).during(Call::Mount)?;
        sys::umount(c".", flag::MNT_DETACH).during(Call::Umount)?;
        self.enter_root()
    }

    /// For an initramfs, whose root cannot be pivoted away: the mount is moved over it.
    /// /proc and /sys of the host would stay reachable below it, so they go first.
    pub fn move_root(&mut self) -> Result<(), Fault> {
        for seen in [c"/proc", c"/sys"] {
            // Or the host would lose what is mounted below them. No mount, no change.
            let _ = sys::mount(c"", seen, None, flag::MS_SLAVE | flag::MS_REC, None);
            match sys::umount(seen, flag::MNT_DETACH) {
                Ok(_) | Err(errno::EINVAL | errno::ENOENT) => {}
                Err(_) => {
                    // Not ours to unmount: an empty filesystem hides it.
                    sys::mount(c"tmpfs", seen, Some(c"tmpfs"), 0, None).during(Call::Mount)?;
                }
            }
        }
        sys::fchdir(self.root()?).during(Call::Chdir)?;
        sys::mount(c".", c"/", None, flag::MS_MOVE, None).during(Call::Mount)?;
        sys::chroot(c".").during(Call::Chroot)?;
        self.enter_root()
    }

    pub fn chroot(&mut self) -> Result<(), Fault> {
        sys::fchdir(self.root()?).during(Call::Chdir)?;
        sys::chroot(c".").during(Call::Chroot)?;
        self.enter_root()
    }

    fn enter_root(&mut self) -> Result<(), Fault> {
        self.pivoted = true;
        self.directory = None;
        sys::chdir(c"/").during(Call::Chdir).map(drop)
    }

    pub fn make_directory(&self, path: &CStr, mode: u32) -> Result<(), Fault> {
        path::make_directories(self.root()?, path, mode, false).map(drop)
    }

    /// A stream that is the host's null device would keep a file of the host open.
    pub fn reopen_null(&self) -> Result<(), Fault> {
        let mut null: Option<Fd> = None;
        for stream in 0..3 {
            let is_null = sys::stat_fd(stream).is_ok_and(|stat| stat.is_null());
            if !is_null {
                continue;
            }
            if null.is_none() {
                null = match path::open(self.root()?, c"/dev/null", flag::O_RDWR) {
                    Ok(fd) if sys::stat_fd(fd.raw()).during(Call::Fstat)?.is_null() => Some(fd),
                    // Another device, or a file of the image: the host's stays.
                    Ok(_) => return Ok(()),
                    Err(errno::ENOENT) => return Ok(()),
                    Err(errno) => return Err(Fault::new(Call::Openat2, errno)),
                };
            }
            if let Some(null) = &null {
                sys::dup_to(null.raw(), stream).during(Call::Dup)?;
            }
        }
        Ok(())
    }
}
