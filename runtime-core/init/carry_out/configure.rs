//! A filesystem by fsopen, fsconfig and fsmount (Linux 5.2): parameter by parameter,
//! and with words about what is wrong.

use super::attributes::attributes;
use super::filesystem::Filesystem;
use crate::host::{During, Fault};
use crate::ops::Call;
use crate::path::Buffer;
use crate::sys::{self, Answer, Fd, flag};
use core::ffi::CStr;

/// The superblock's flags: of mount(2), and as parameters.
const FLAGS: [(u64, &CStr); 5] =
    [(1, c"ro"), (16, c"sync"), (64, c"mand"), (128, c"dirsync"), (1 << 25, c"lazytime")];

/// The longest value that fsconfig takes.
const VALUE_MAX: usize = 255;

/// What the kernel says of a failure.
pub type Words = Buffer;

/// Why the kernel refuses this filesystem; nothing where it does not say.
pub fn words(mount: &Filesystem, mode: &[u8]) -> Words {
    match sys::fsopen(mount.fstype) {
        // One that is taken is dropped again: the place for it was the trouble.
        Ok(fs) if configured(&fs, mount, mode).is_err() => log(&fs),
        _ => Words::new(),
    }
}

/// The mount, attached nowhere yet.
pub fn mounted(mount: &Filesystem, mode: &[u8]) -> Result<Fd, (Fault, Words)> {
    let silent = |fault| (fault, Words::new());
    let fs = sys::fsopen(mount.fstype).during(Call::Fsopen).map_err(silent)?;
    configured(&fs, mount, mode).map_err(|fault| (fault, log(&fs)))?;
    let (attributes, _) = attributes(mount.flags, 0);
    sys::fsmount(fs.raw(), attributes).during(Call::Fsmount).map_err(|fault| (fault, log(&fs)))
}

fn configured(fs: &Fd, mount: &Filesystem, mode: &[u8]) -> Result<(), Fault> {
    sys::fsconfig_string(fs.raw(), c"source", mount.source).during(Call::Fsconfig)?;
    for (_, name) in FLAGS.iter().filter(|(bit, _)| mount.flags & bit != 0) {
        sys::fsconfig_flag(fs.raw(), name).during(Call::Fsconfig)?;
    }
    for word in Parameters(mode).chain(Parameters(mount.data.to_bytes())) {
        set(fs, mount.fstype, word).during(Call::Fsconfig)?;
    }
    sys::fsconfig_create(fs.raw()).during(Call::Fsconfig).map(drop)
}

fn set(fs: &Fd, fstype: &CStr, word: &[u8]) -> Answer<()> {
    let Some(at) = word.iter().position(|byte| *byte == b'=') else {
        return sys::fsconfig_flag(fs.raw(), Buffer::of(word)?.as_text()).map(drop);
    };
    let (name, value) = (&word[..at], unquoted(&word[at + 1..]));
    match (fstype.to_bytes(), name) {
        (b"overlay", b"lowerdir") => layers(fs, value),
        _ => set_path(fs, Buffer::of(name)?.as_text(), value),
    }
}

/// One by one (Linux 6.8): all of them may be longer than a value can be.
/// What follows `::` are data-only layers.
fn layers(fs: &Fd, value: &[u8]) -> Answer<()> {
    if value.len() <= VALUE_MAX {
        return sys::fsconfig_string(fs.raw(), c"lowerdir", Buffer::of(value)?.as_text()).map(drop);
    }
    let mut key = c"lowerdir+";
    for layer in value.split(|byte| *byte == b':') {
        match layer {
            b"" => key = c"datadir+",
            layer => set_path(fs, key, layer)?,
        }
    }
    Ok(())
}

/// A value, or a short name for the file that a long one is the path of.
fn set_path(fs: &Fd, key: &CStr, value: &[u8]) -> Answer<()> {
    let value = Buffer::of(value)?;
    if value.as_bytes().len() <= VALUE_MAX || !value.as_bytes().starts_with(b"/") {
        return sys::fsconfig_string(fs.raw(), key, value.as_text()).map(drop);
    }
    let file = sys::open(flag::AT_FDCWD, value.as_text(), flag::O_PATH, 0)?;
    sys::fsconfig_string(fs.raw(), key, Buffer::of_descriptor(file.raw())?.as_text()).map(drop)
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// The parts of a filesystem's data. A comma in quotes or after a backslash is none
/// that parts.
struct Parameters<'a>(&'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let [b',', rest @ ..] = self.0 {
            self.0 = rest;
        }
        if self.0.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let ends = |byte: &u8| {
            let end = *byte == b',' && !quoted && !escaped;
            quoted ^= *byte == b'"';
            escaped = *byte == b'\\' && !escaped;
            end
        };
        let (word, rest) = self.0.split_at(self.0.iter().position(ends).unwrap_or(self.0.len()));
        self.0 = rest;
        Some(word)
    }
}

/// The errors that the kernel keeps for who configures a filesystem, without the `e `
/// before each.
fn log(fs: &Fd) -> Words {
    let mut words = Words::new();
    let mut line = [0u8; 512];
    loop {
        match sys::read(fs.raw(), &mut line) {
            Ok(0) | Err(_) => return words,
            Ok(count) => {
                if let Some(error) = line[..count].strip_prefix(b"e ") {
                    let separator: &[u8] = if words.as_bytes().is_empty() { b"" } else { b"; " };
                    let _ = words.push(separator);
                    let _ = words.push(error.trim_ascii_end());
                }
            }
        }
    }
}
