//! Device nodes and links of /dev. Their directory is reached without following
//! any link (CVE-2026-41579).

use super::State;
use crate::host::{During, Fault};
use crate::ops::Call;
use crate::path::{self, Buffer};
use crate::sys::{self, Fd, Statx, errno, flag};
use core::ffi::CStr;

pub struct Node {
    pub path: &'static CStr,
    pub mode: u32,
    pub major: u32,
    pub minor: u32,
    pub uid: u32,
    pub gid: u32,
    pub bind: bool,
}

const FIFO: u32 = 0o010000;
const BLOCK: u32 = 0o060000;
const KIND: u32 = 0o170000;

impl Node {
    fn kind(&self) -> u32 {
        self.mode & KIND
    }

    fn is(&self, stat: &Statx) -> bool {
        let same_number = (stat.rdev_major, stat.rdev_minor) == (self.major, self.minor);
        u32::from(stat.mode) & KIND == self.kind() && (self.kind() == FIFO || same_number)
    }
}

/// A device number as the kernel packs it for mknod.
fn device_number(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12)
}

impl State {
    pub fn device(&mut self, node: &Node) -> Result<(), Fault> {
        let (directory, name) = self.place(node.path)?;
        if node.bind {
            return bind(node, directory, &name);
        }
        match sys::mknodat(directory, name.as_text(), node.mode, device_number(node.major, node.minor)) {
            Ok(_) if (node.uid, node.gid) == (0, 0) => Ok(()),
            Ok(_) => sys::fchownat(directory, name.as_text(), node.uid, node.gid).during(Call::Fchown).map(drop),
            Err(errno::EEXIST) => same_device(node, directory, &name),
            Err(errno::EPERM) if node.kind() != FIFO => bind(node, directory, &name),
            Err(errno) => Err(Fault::new(Call::Mknodat, errno)),
        }
    }

    /// With `replace` whatever else stood there makes way, also when another
    /// container with the same root file system is doing the same.
    pub fn symlink(&mut self, path: &'static CStr, content: &CStr, replace: bool) -> Result<(), Fault> {
        const ATTEMPTS: usize = 8;
        let (directory, name) = self.place(path)?;
        for _ in 0..ATTEMPTS {
            match sys::symlinkat(content, directory, name.as_text()) {
                Err(errno::EEXIST) if replace && !leads_to(directory, name.as_text(), content) => {}
                Ok(_) | Err(errno::EEXIST) => return Ok(()),
                Err(errno) => return Err(Fault::new(Call::Symlinkat, errno)),
            }
            match sys::unlinkat(directory, name.as_text()) {
                Ok(_) | Err(errno::ENOENT) => {}
                Err(errno) => return Err(Fault::new(Call::Symlinkat, errno)),
            }
        }
        Err(Fault::new(Call::Symlinkat, errno::EEXIST))
    }

    /// The directory of `path`, opened once for all its nodes, and the name in it.
    pub fn place(&mut self, path: &'static CStr) -> Result<(i32, Buffer), Fault> {
        let (parent, name) = path::split(path);
        let name = Buffer::of(name).during(Call::Open)?;
        if !matches!(&self.directory, Some((known, _)) if *known == parent) {
            let root = self.root()?;
            let at = Buffer::of(parent).during(Call::Open)?;
            self.directory = Some((parent, path::make_directories(root, at.as_text(), 0o755, true)?));
        }
        let directory = self.directory.as_ref().map_or(-1, |(_, fd)| fd.raw());
        Ok((directory, name))
    }
}

/// Whether `name` is a link with this content.
fn leads_to(directory: i32, name: &CStr, content: &CStr) -> bool {
    let mut found = [0u8; 256];
    match sys::readlinkat(directory, name, &mut found) {
        Ok(count) => found[..count] == *content.to_bytes(),
        Err(_) => false,
    }
}

/// A node that was there is good if it is the device asked for. It is held, so that
/// its permissions are not given to what stands there a moment later.
fn same_device(node: &Node, directory: i32, name: &Buffer) -> Result<(), Fault> {
    let there = sys::open(directory, name.as_text(), flag::O_PATH | flag::O_NOFOLLOW, 0).during(Call::Open)?;
    let stat = sys::stat_fd(there.raw()).during(Call::Fstat)?;
    if !node.is(&stat) {
        return Err(in_the_way(&stat));
    }
    match give_permissions(node, &stat, there.raw()) {
        // The host's own, bound into a user namespace: as good as where `bind` had put it.
        Err(Fault { errno: errno::EPERM, .. }) => Ok(()),
        answer => answer,
    }
}

fn give_permissions(node: &Node, stat: &Statx, there: i32) -> Result<(), Fault> {
    if (stat.uid, stat.gid) != (node.uid, node.gid) {
        sys::fchownat(there, c"", node.uid, node.gid).during(Call::Fchown)?;
    }
    if u32::from(stat.mode) != node.mode {
        let path = Buffer::of_descriptor(there).during(Call::Fchmodat)?;
        sys::fchmodat(flag::AT_FDCWD, path.as_text(), node.mode & !KIND).during(Call::Fchmodat)?;
    }
    Ok(())
}

/// Where nodes cannot be made (a user namespace), the host's is shown.
fn bind(node: &Node, directory: i32, name: &Buffer) -> Result<(), Fault> {
    let tree = match of_host(node, node.path) {
        Err(fault) => of_host(node, by_number(node)?.as_text()).map_err(|_| fault)?,
        Ok(tree) => tree,
    };
    // Nothing is executed from a device. Kernels before 5.12 cannot say so of one mount.
    let _ = sys::mount_setattr(tree.raw(), false, flag::MOUNT_ATTR_NOSUID | flag::MOUNT_ATTR_NOEXEC, 0, 0);
    let target = empty_file(directory, name.as_text())?;
    sys::move_mount(tree.raw(), target.raw()).during(Call::MoveMount).map(drop)
}

/// The host's node at `path`, if it is the device asked for.
fn of_host(node: &Node, path: &CStr) -> Result<Fd, Fault> {
    let tree = sys::open_tree(flag::AT_FDCWD, path, flag::OPEN_TREE_CLONE).during(Call::OpenTree)?;
    let stat = sys::stat_fd(tree.raw()).during(Call::Fstat)?;
    if node.is(&stat) { Ok(tree) } else { Err(Fault::new(Call::NotADevice, errno::ENOENT)) }
}

/// Where udev keeps a link to every device, whatever its name.
fn by_number(node: &Node) -> Result<Buffer, Fault> {
    let folder: &[u8] = if node.kind() == BLOCK { b"/dev/block/" } else { b"/dev/char/" };
    let written = Buffer::of(folder).and_then(|mut path| {
        path.push_number(u64::from(node.major))?;
        path.push(b":")?;
        path.push_number(u64::from(node.minor))?;
        Ok(path)
    });
    written.during(Call::OpenTree)
}

/// What is there is not what is due: which kind of file it is instead.
fn in_the_way(stat: &Statx) -> Fault {
    Fault { call: Call::NotADevice, errno: errno::EEXIST, value: u64::from(u32::from(stat.mode) & KIND) }
}

/// A regular file at `name` to mount on, made when missing; never through a link.
pub fn empty_file(directory: i32, name: &CStr) -> Result<Fd, Fault> {
    let flags = flag::O_CREAT | flag::O_EXCL | flag::O_NOFOLLOW | flag::O_WRONLY;
    match sys::open(directory, name, flags, 0o666) {
        Ok(made) => made.close(),
        Err(errno::EEXIST) => {}
        Err(errno) => return Err(Fault::new(Call::Open, errno)),
    }
    let target = sys::open(directory, name, flag::O_PATH | flag::O_NOFOLLOW, 0).during(Call::Open)?;
    let stat = sys::stat_fd(target.raw()).during(Call::Fstat)?;
    if stat.is_regular() || stat.is_character_device() {
        Ok(target)
    } else {
        Err(in_the_way(&stat))
    }
}
