//! tmpcopyup: a tmpfs that starts with what it covers.

use crate::host::{During, Fault};
use crate::ops::Call;
use crate::path::{self, Buffer};
use crate::sys::{self, Fd, Statx, errno, flag};
use core::ffi::CStr;

/// Directories deeper than this are a loop or an attack.
const MAX_DEPTH: usize = 64;

/// Copies what is below `from` (a tree of its own, so nothing is mounted in it)
/// to `to`, which becomes `owner`'s.
pub fn copy(from: &Fd, to: &Fd, owner: Option<(u32, u32)>) -> Result<(), Fault> {
    let read = |fd: &Fd| sys::open(fd.raw(), c".", flag::O_RDONLY | flag::O_DIRECTORY, 0).during(Call::Copy);
    let (from, to) = (read(from)?, read(to)?);
    copy_entries(&from, &to, 0)?;
    copy_attributes(&from, &to)?;
    match owner {
        Some((uid, gid)) => give(&to, uid, gid),
        None => Ok(()),
    }
}

/// An owner that the user namespace does not map stays behind.
fn give(file: &Fd, uid: u32, gid: u32) -> Result<(), Fault> {
    match sys::fchown(file.raw(), uid, gid) {
        Ok(_) | Err(errno::EINVAL) => Ok(()),
        Err(errno) => Err(Fault::new(Call::Fchown, errno)),
    }
}

fn copy_directory(from: &Fd, to: &Fd, depth: usize) -> Result<(), Fault> {
    copy_entries(from, to, depth)?;
    let stat = sys::stat_fd(from.raw()).during(Call::Fstat)?;
    give(to, stat.uid, stat.gid)?;
    copy_attributes(from, to)?;
    sys::fchmod(to.raw(), u32::from(stat.mode) & 0o7777).during(Call::Fchmod).map(drop)
}

fn copy_entries(from: &Fd, to: &Fd, depth: usize) -> Result<(), Fault> {
    if depth == MAX_DEPTH {
        return Err(Fault::new(Call::Copy, errno::ELOOP));
    }
    let mut buffer = [0u8; 1024];
    loop {
        let count = sys::getdents(from.raw(), &mut buffer).during(Call::Getdents)?;
        if count == 0 {
            return Ok(());
        }
        for name in path::names(&buffer[..count]) {
            let name = Buffer::of(name).during(Call::Copy)?;
            copy_entry(from, to, name.as_text(), depth)?;
        }
    }
}

fn copy_entry(from: &Fd, to: &Fd, name: &CStr, depth: usize) -> Result<(), Fault> {
    let stat = sys::stat_at(from.raw(), name).during(Call::Fstat)?;
    if stat.is_directory() {
        sys::mkdirat(to.raw(), name, 0o700).during(Call::Mkdirat)?;
        let flags = flag::O_RDONLY | flag::O_DIRECTORY | flag::O_NOFOLLOW;
        let open = |at: &Fd| sys::open(at.raw(), name, flags, 0).during(Call::Copy);
        return copy_directory(&open(from)?, &open(to)?, depth + 1);
    }
    if stat.is_symlink() {
        copy_link(from, to, name)?;
    } else if stat.is_regular() {
        copy_file(from, to, name, &stat)?;
    } else {
        let device = (stat.rdev_minor & 0xff) | ((stat.rdev_major & 0xfff) << 8) | ((stat.rdev_minor & !0xff) << 12);
        sys::mknodat(to.raw(), name, u32::from(stat.mode), device).during(Call::Mknodat)?;
    }
    if !stat.is_regular() {
        match sys::fchownat(to.raw(), name, stat.uid, stat.gid) {
            Ok(_) | Err(errno::EINVAL) => {}
            Err(errno) => return Err(Fault::new(Call::Fchown, errno)),
        }
    }
    Ok(())
}

fn copy_link(from: &Fd, to: &Fd, name: &CStr) -> Result<(), Fault> {
    let mut target = [0u8; 4096];
    let count = sys::readlinkat(from.raw(), name, &mut target).during(Call::Readlink)?;
    let target = Buffer::of(&target[..count]).during(Call::Readlink)?;
    sys::symlinkat(target.as_text(), to.raw(), name).during(Call::Symlinkat).map(drop)
}

fn copy_file(from: &Fd, to: &Fd, name: &CStr, stat: &Statx) -> Result<(), Fault> {
    let source = sys::open(from.raw(), name, flag::O_RDONLY | flag::O_NOFOLLOW, 0).during(Call::Copy)?;
    let flags = flag::O_WRONLY | flag::O_CREAT | flag::O_EXCL | flag::O_NOFOLLOW;
    let target = sys::open(to.raw(), name, flags, 0o600).during(Call::Copy)?;
    let mut left = stat.size as usize;
    while left > 0 {
        match sys::sendfile(target.raw(), source.raw(), left).during(Call::Copy)? {
            0 => break,
            count => left -= count.min(left),
        }
    }
    give(&target, stat.uid, stat.gid)?;
    // After the change of owner, which takes set-user-id bits and capabilities away.
    copy_attributes(&source, &target)?;
    sys::fchmod(target.raw(), u32::from(stat.mode) & 0o7777).during(Call::Fchmod)?;
    source.close();
    target.close();
    Ok(())
}

/// Extended attributes, as far as a tmpfs takes them and init may set them: an image
/// has capabilities of files in them.
fn copy_attributes(from: &Fd, to: &Fd) -> Result<(), Fault> {
    let mut names = [0u8; 1024];
    let mut value = [0u8; 1024];
    let count = sys::list_attributes(from.raw(), &mut names).unwrap_or(0);
    let mut rest = &names[..count];
    while let Ok(name) = CStr::from_bytes_until_nul(rest) {
        rest = &rest[name.to_bytes_with_nul().len()..];
        if let Ok(length) = sys::get_attribute(from.raw(), name, &mut value) {
            match sys::set_attribute(to.raw(), name, &value[..length]) {
                Ok(_) | Err(errno::EPERM | errno::EACCES | errno::EINVAL | errno::EOPNOTSUPP) => {}
                Err(errno) => return Err(Fault::new(Call::Copy, errno)),
            }
        }
    }
    Ok(())
}
