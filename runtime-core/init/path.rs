//! Paths below the root filesystem: looked up once, then held as descriptors.
//!
//! A path of config.json never leaves the root: `..` and symbolic links stop at
//! it (openat2 with RESOLVE_IN_ROOT, Linux 5.6; on older kernels a walk that
//! does the same by hand). CVE-2019-18837, CVE-2021-30465, CVE-2024-45310.

use crate::host::{During, Fault};
use crate::ops::Call;
use crate::sys::{self, Answer, Fd, errno, flag};
use core::ffi::CStr;

const PATH_MAX: usize = 4096;

/// A path made of parts, with its NUL.
pub struct Buffer {
    bytes: [u8; PATH_MAX],
    length: usize,
}

impl Buffer {
    pub fn new() -> Self {
        Self { bytes: [0; PATH_MAX], length: 0 }
    }

    pub fn of(text: &[u8]) -> Answer<Self> {
        let mut buffer = Self::new();
        buffer.push(text)?;
        Ok(buffer)
    }

    /// `/proc/self/fd/N`: a way to name an open file to old calls. Only for a
    /// /proc that the container cannot have touched.
    pub fn of_descriptor(fd: i32) -> Answer<Self> {
        let mut buffer = Self::of(b"/proc/self/fd/")?;
        buffer.push_number(fd as u64)?;
        Ok(buffer)
    }

    pub fn push(&mut self, text: &[u8]) -> Answer<()> {
        let end = self.length + text.len();
        if end >= PATH_MAX {
            return Err(errno::ENAMETOOLONG);
        }
        self.bytes[self.length..end].copy_from_slice(text);
        self.bytes[end] = 0;
        self.length = end;
        Ok(())
    }

    pub fn push_number(&mut self, number: u64) -> Answer<()> {
        self.push_digits(number, 10)
    }

    pub fn push_octal(&mut self, number: u64) -> Answer<()> {
        self.push_digits(number, 8)
    }

    fn push_digits(&mut self, number: u64, base: u64) -> Answer<()> {
        // As many as the highest number has in octal.
        let mut digits = [0u8; 22];
        let mut at = digits.len();
        let mut left = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (left % base) as u8;
            left /= base;
            if left == 0 {
                break;
            }
        }
        self.push(&digits[at..])
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn as_text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// Opens `path` below `root`.
pub fn open(root: i32, path: &CStr, flags: i32) -> Answer<Fd> {
    resolve(root, path, flags, 0)
}

/// The same, refusing symbolic links anywhere in the path.
pub fn open_plain(root: i32, path: &CStr, flags: i32) -> Answer<Fd> {
    resolve(root, path, flags, flag::RESOLVE_NO_SYMLINKS)
}

fn resolve(root: i32, path: &CStr, flags: i32, more: u64) -> Answer<Fd> {
    // EAGAIN: something was renamed meanwhile and the kernel could not be sure.
    const TRIES: u32 = 128;
    let how = flag::RESOLVE_IN_ROOT | flag::RESOLVE_NO_MAGICLINKS | more;
    for _ in 0..TRIES {
        match sys::openat2(root, path, flags, how) {
            Err(errno::EAGAIN) => {}
            Err(errno) if errno::is_missing(errno) => return walk(root, path, flags, more != 0),
            answer => return answer,
        }
    }
    Err(errno::EAGAIN)
}

/// What openat2 does, step by step: every component opened without following
/// links, links followed by hand, `..` never above the root.
fn walk(root: i32, path: &CStr, flags: i32, plain: bool) -> Answer<Fd> {
    const MAX_DEPTH: usize = 64;
    const MAX_LINKS: usize = 40;
    const STEP: i32 = flag::O_PATH | flag::O_NOFOLLOW;
    let mut parents: [Option<Fd>; MAX_DEPTH] = [const { None }; MAX_DEPTH];
    let mut depth = 0;
    let mut links = 0;
    let mut rest = Buffer::of(path.to_bytes())?;
    loop {
        let here = if depth == 0 { root } else { parents[depth - 1].as_ref().map_or(root, Fd::raw) };
        let bytes = rest.as_bytes();
        let start = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
        let name = &bytes[start..];
        let length = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
        let (name, after) = name.split_at(length);
        let last = after.iter().all(|byte| *byte == b'/');
        match name {
            b"" => return sys::open(here, c".", flags & !flag::O_NOFOLLOW, 0),
            b"." => rest = Buffer::of(after)?,
            b".." => {
                rest = Buffer::of(after)?;
                depth = depth.saturating_sub(1);
                parents[depth] = None;
            }
            _ => {
                let component = Buffer::of(name)?;
                let next = sys::open(here, component.as_text(), STEP, 0)?;
                let stat = sys::stat_fd(next.raw())?;
                if stat.is_symlink() && !(last && flags & flag::O_NOFOLLOW != 0) {
                    links += 1;
                    if plain || links > MAX_LINKS {
                        return Err(errno::ELOOP);
                    }
                    let mut target = [0u8; PATH_MAX];
                    let count = sys::readlinkat(next.raw(), c"", &mut target)?;
                    let mut longer = Buffer::of(&target[..count])?;
                    longer.push(b"/")?;
                    longer.push(after)?;
                    if target[0] == b'/' {
                        parents[..depth].iter_mut().for_each(|parent| *parent = None);
                        depth = 0;
                    }
                    rest = longer;
                } else if last {
                    if flags & flag::O_PATH != 0 && (flags & flag::O_DIRECTORY == 0 || stat.is_directory()) {
                        return Ok(next);
                    }
                    return sys::open(here, component.as_text(), flags | flag::O_NOFOLLOW, 0);
                } else {
                    if depth == MAX_DEPTH {
                        return Err(errno::ENAMETOOLONG);
                    }
                    parents[depth] = Some(next);
                    depth += 1;
                    rest = Buffer::of(after)?;
                }
            }
        }
    }
}

/// The directory part and the last name of a path.
pub fn split(path: &CStr) -> (&[u8], &[u8]) {
    let bytes = path.to_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let bytes = &bytes[..end];
    let start = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    (&bytes[..start], &bytes[start..])
}

/// Links followed by hand before giving up, as many as the kernel follows.
const MAX_LINKS: u32 = 40;

/// Opens the directory `path` below `root`, making what is missing of it. With
/// `plain` no part of it may be a link.
pub fn make_directories(root: i32, path: &CStr, mode: u32, plain: bool) -> Result<Fd, Fault> {
    directories(root, path, mode, plain, MAX_LINKS)
}

fn directories(root: i32, path: &CStr, mode: u32, plain: bool, links: u32) -> Result<Fd, Fault> {
    const AS_DIRECTORY: i32 = flag::O_PATH | flag::O_DIRECTORY;
    let found = if plain { open_plain(root, path, AS_DIRECTORY) } else { open(root, path, AS_DIRECTORY) };
    match found {
        Err(errno::ENOENT) => {}
        answer => return answer.during(Call::Openat2),
    }
    let (parent, name) = parent(root, path, mode, plain, links)?;
    match sys::mkdirat(parent.raw(), name.as_text(), mode) {
        Ok(_) => {}
        Err(errno::EEXIST) if !plain => {
            // Made by somebody just now, or a link to what is not there yet.
            if let Some(target) = link_target(path, &parent, &name)? {
                return directories(root, target.as_text(), mode, plain, fewer(links)?);
            }
        }
        Err(errno::EEXIST) => {}
        Err(errno) => return Err(Fault::new(Call::Mkdirat, errno)),
    }
    // Just made: whatever is there by now is taken as it is, never followed.
    sys::open(parent.raw(), name.as_text(), AS_DIRECTORY | flag::O_NOFOLLOW, 0).during(Call::Open)
}

/// Opens the file `path` below `root` as a place to mount on, making an empty
/// one (and its directories) when it is missing.
pub fn make_file(root: i32, path: &CStr) -> Result<Fd, Fault> {
    file(root, path, MAX_LINKS)
}

fn file(root: i32, path: &CStr, links: u32) -> Result<Fd, Fault> {
    match open(root, path, flag::O_PATH) {
        Err(errno::ENOENT) => {}
        answer => return answer.during(Call::Openat2),
    }
    let (parent, name) = parent(root, path, 0o755, false, links)?;
    let flags = flag::O_CREAT | flag::O_EXCL | flag::O_NOFOLLOW | flag::O_WRONLY;
    match sys::open(parent.raw(), name.as_text(), flags, 0o755) {
        Ok(made) => made.close(),
        Err(errno::EEXIST) => {
            if let Some(target) = link_target(path, &parent, &name)? {
                return file(root, target.as_text(), fewer(links)?);
            }
        }
        Err(errno) => return Err(Fault::new(Call::Open, errno)),
    }
    sys::open(parent.raw(), name.as_text(), flag::O_PATH | flag::O_NOFOLLOW, 0).during(Call::Open)
}

/// The directory that `path` is to be made in, and its name there. A missing
/// component called `..` has no meaning.
pub fn make_parent(root: i32, path: &CStr, mode: u32) -> Result<(Fd, Buffer), Fault> {
    parent(root, path, mode, false, MAX_LINKS)
}

fn parent(root: i32, path: &CStr, mode: u32, plain: bool, links: u32) -> Result<(Fd, Buffer), Fault> {
    let (above, name) = split(path);
    if matches!(name, b"" | b"." | b"..") {
        return Err(Fault::new(Call::Mkdirat, errno::ENOENT));
    }
    let above = Buffer::of(above).during(Call::Openat2)?;
    let text = if above.as_bytes().is_empty() { c"/" } else { above.as_text() };
    let parent = directories(root, text, mode, plain, links)?;
    Ok((parent, Buffer::of(name).during(Call::Mkdirat)?))
}

/// What the link `name` in `directory` says, or the open link itself if that is empty.
pub fn link_content(directory: i32, name: &CStr) -> Answer<Buffer> {
    let mut content = [0u8; PATH_MAX];
    let count = sys::readlinkat(directory, name, &mut content)?;
    Buffer::of(&content[..count])
}

/// Where the link `name` in `parent`, which is `path` below the root, points to,
/// as a path below the root; `None` when it is no link.
fn link_target(path: &CStr, parent: &Fd, name: &Buffer) -> Result<Option<Buffer>, Fault> {
    let content = match link_content(parent.raw(), name.as_text()) {
        Ok(content) => content,
        Err(errno::EINVAL) => return Ok(None),
        Err(errno) => return Err(Fault::new(Call::Readlink, errno)),
    };
    let (above, _) = split(path);
    let start = if content.as_bytes().starts_with(b"/") { &[] } else { above };
    let mut target = Buffer::of(start).during(Call::Readlink)?;
    target.push(content.as_bytes()).during(Call::Readlink)?;
    Ok(Some(target))
}

fn fewer(links: u32) -> Result<u32, Fault> {
    links.checked_sub(1).ok_or(Fault::new(Call::Openat2, errno::ELOOP))
}

/// The names in what getdents64 gave, without `.` and `..`.
pub fn names(entries: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = entries;
    core::iter::from_fn(move || {
        loop {
            let length = usize::from(u16::from_le_bytes([*rest.get(16)?, *rest.get(17)?]));
            let name = rest.get(19..length)?;
            rest = rest.get(length..)?;
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            match &name[..end] {
                b"." | b".." => {}
                name => return Some(name),
            }
        }
    })
}

/// A decimal number.
pub fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}
