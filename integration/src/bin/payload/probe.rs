//! What can be done with a path: looked at, read, written, listed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::sys::stat::{Mode, SFlag, makedev};
use serde_json::{Value, json};

/// Looks at a path in every harmless way and reports the answers; a failure is its errno.
pub(crate) fn path(path: &str) -> Value {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => return json!({"path": path, "missing": errno(&error)}),
    };
    let kind = match meta.file_type() {
        t if t.is_dir() => "dir",
        t if t.is_char_device() => "char",
        t if t.is_block_device() => "block",
        t if t.is_fifo() => "fifo",
        t if t.is_socket() => "socket",
        _ => "file",
    };
    json!({
        "path": path,
        "kind": kind,
        "mode": meta.mode() & 0o7777,
        "uid": meta.uid(),
        "gid": meta.gid(),
        "rdev": [libc::major(meta.rdev()), libc::minor(meta.rdev())],
        "read": if meta.is_dir() { list(path) } else { read_some(path) },
        "write": if meta.is_dir() { create_in(path) } else { open_to_write(path) },
    })
}

/// A file's text.
pub(crate) fn cat(path: &str) -> Value {
    match fs::read(path) {
        Ok(bytes) => json!({"path": path, "text": String::from_utf8_lossy(&bytes)}),
        Err(error) => json!({"path": path, "errno": errno(&error)}),
    }
}

/// Writes a text to a file, which is made if it is not there.
pub(crate) fn put(path: &str, text: &str) -> Value {
    match fs::write(path, text) {
        Ok(()) => json!({"path": path, "errno": 0}),
        Err(error) => json!({"path": path, "errno": errno(&error)}),
    }
}

/// All of standard input.
pub(crate) fn stdin() -> Value {
    let mut text = String::new();
    let errno = io::stdin().read_to_string(&mut text).map_or_else(|e| errno(&e), |_| 0);
    json!({"stdin": text, "errno": errno})
}

/// Makes a device (`c` or `b`), opens it for reading and for writing, and removes it.
pub(crate) fn mknod(path: &str, kind: &str, major: u64, minor: u64) -> Value {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let kind = if kind == "b" { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
    let made = nix::sys::stat::mknod(path, kind, mode, makedev(major, minor));
    let opened = File::open(path).map_or_else(|e| errno(&e), |_| 0);
    let written = open_to_write(path);
    if made.is_ok() {
        // What cannot be removed goes with the container.
        let _ = fs::remove_file(path);
    }
    let made = made.map_or_else(|e| e as i32, |()| 0);
    json!({"made": made, "opened": opened, "written": written})
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(-1)
}

fn list(path: &str) -> Value {
    fs::read_dir(path).map_or_else(
        |e| json!({"errno": errno(&e)}),
        |dir| json!({"errno": 0, "count": dir.count()}),
    )
}

fn read_some(path: &str) -> Value {
    let mut bytes = [0_u8; 64];
    match File::open(path).and_then(|mut f| f.read(&mut bytes)) {
        Ok(count) => json!({"errno": 0, "count": count}),
        Err(error) => json!({"errno": errno(&error)}),
    }
}

/// Opens for writing and writes nothing: /proc/sysrq-trigger is one of the paths asked for.
fn open_to_write(path: &str) -> i32 {
    OpenOptions::new().write(true).open(path).map_or_else(|e| errno(&e), |_| 0)
}

fn create_in(dir: &str) -> i32 {
    let path = format!("{dir}/.probe");
    let made = File::create(&path).map_or_else(|e| errno(&e), |_| 0);
    if made == 0 {
        // What cannot be removed goes with the container.
        let _ = fs::remove_file(&path);
    }
    made
}
