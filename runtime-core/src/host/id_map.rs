//! The id maps of a new user namespace.
//!
//! The kernel takes any from a caller with CAP_SETUID and CAP_SETGID, and from others
//! their own id alone. What is granted besides in /etc/subuid and /etc/subgid is mapped
//! by newuidmap and newgidmap, which are set-user-ID root (user_namespaces(7)).

use super::hooks::{self, Outcome};
use crate::error::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};

/// How long a helper may take; it may have to ask a directory service.
const PATIENCE_MS: u64 = 30_000;

/// One of the two maps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map {
    /// The file of `/proc/PID`.
    pub(super) file: &'static str,
    helper: &'static str,
    granted: &'static str,
    kind: &'static str,
}

pub(super) const USERS: Map =
    Map { file: "uid_map", helper: "newuidmap", granted: "/etc/subuid", kind: "uid" };
pub(super) const GROUPS: Map =
    Map { file: "gid_map", helper: "newgidmap", granted: "/etc/subgid", kind: "gid" };

/// Maps the ids of the process `pid`: `lines` of inside, outside, count.
pub(super) fn write(map: Map, pid: i32, lines: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{}", map.file);
    match std::fs::write(&path, lines) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => by_helper(map, pid, lines),
        answer => answer.map_err(|error| {
            let failure = Error::io("write", &error).path(&path);
            match error.raw_os_error() {
                Some(libc::EINVAL) => failure.hint(
                    "the kernel takes at most 340 ranges, in one page of text, none overlapping",
                ),
                _ => failure,
            }
        }),
    }
}

fn by_helper(map: Map, pid: i32, lines: &str) -> Result<()> {
    let said = hooks::memory_file()?;
    let mut command = Command::new(map.helper);
    command.arg(pid.to_string()).args(lines.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::from(said.try_clone().map_err(|error| Error::io("fcntl", &error))?));
    match hooks::wait(command, Some(PATIENCE_MS))? {
        Outcome::Ended(status) if status.success() => Ok(()),
        Outcome::Ended(status) => {
            Err(refused(map, lines, &hooks::status_text(status), &text(said)))
        }
        Outcome::TimedOut(after) => {
            let message = format!("{} took longer than {} s", map.helper, after / 1000);
            Err(Error::new(ErrorKind::Timeout, message).context(doing(map)))
        }
        Outcome::NotStarted(error) => Err(not_started(map, &error)),
    }
}

/// The start of what the helper said.
fn text(mut file: File) -> String {
    const MOST: u64 = 4096;
    let mut bytes = Vec::new();
    let _ = file.rewind().and_then(|()| file.take(MOST).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn doing(map: Map) -> String {
    format!("mapping {}s other than the caller's own", map.kind)
}

fn not_started(map: Map, error: &std::io::Error) -> Error {
    let failure = match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(ErrorKind::Unsupported, format!("{} not found in $PATH", map.helper))
        }
        _ => Error::io("execve", error).path(map.helper),
    };
    failure.context(doing(map)).hint(format!(
        "install {} (Debian, Ubuntu: package uidmap; Fedora: shadow-utils), or map only your own {}",
        map.helper, map.kind
    ))
}

fn refused(map: Map, lines: &str, status: &str, said: &str) -> Error {
    let said = said.lines().next().unwrap_or_default();
    let said = match said.split_once(": ") {
        Some((_, words)) => words,
        None => status,
    };
    Error::new(ErrorKind::Unsupported, format!("{}: {said}", map.helper))
        .context(doing(map))
        .hint(remedy(map, lines))
}

/// What the caller may map, and what to do about the first range that it may not.
fn remedy(map: Map, lines: &str) -> String {
    let own = own_id(map);
    let name = user_name();
    let granted = granted(map, &name);
    let missing = lines.lines().filter_map(outside).find(|&(first, count)| {
        (first, count) != (own, 1) && !granted.iter().any(|range| contains(*range, first, count))
    });
    let has = match granted.as_slice() {
        [] => format!("{} grants {name} no {}s", map.granted, map.kind),
        ranges => {
            let ranges: Vec<String> = ranges
                .iter()
                .map(|(first, count)| format!("{first}-{}", first + count.saturating_sub(1)))
                .collect();
            format!("{} grants {name} the {}s {}", map.granted, map.kind, ranges.join(", "))
        }
    };
    match missing {
        Some((first, count)) => format!(
            "{has}; map those, or as root: usermod --add-sub{}s {first}-{} {name}",
            map.kind,
            first + count.saturating_sub(1)
        ),
        None => format!(
            "{has}, which is enough: {} must be set-user-ID root or have file capabilities, on a \
             file system without nosuid, and the caller without no_new_privs",
            map.helper
        ),
    }
}

fn own_id(map: Map) -> u64 {
    match map.kind {
        "uid" => nix::unistd::geteuid().as_raw().into(),
        _ => nix::unistd::getegid().as_raw().into(),
    }
}

fn contains((start, length): (u64, u64), first: u64, count: u64) -> bool {
    start <= first && first + count <= start + length
}

/// First outside id and count of a line of a map.
fn outside(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace().skip(1).map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// The caller's name in /etc/passwd, or its number.
fn user_name() -> String {
    let uid = nix::unistd::getuid().to_string();
    let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(&uid)).then(|| name.to_owned())
    });
    named.unwrap_or(uid)
}

/// The ranges of the file for `name`, which it may also give as a number.
fn granted(map: Map, name: &str) -> Vec<(u64, u64)> {
    let table = std::fs::read_to_string(map.granted).unwrap_or_default();
    ranges_of(&table, name, &nix::unistd::getuid().to_string())
}

fn ranges_of(table: &str, name: &str, uid: &str) -> Vec<(u64, u64)> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (owner == name || owner == uid).then_some(range)
    };
    table.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_granted_by_name_or_number() {
        let table = "ada:100000:65536\nbob:1:2\n1000:500000:10\n# ada:7:7\nada:x:1\n";
        assert_eq!(ranges_of(table, "ada", "1000"), [(100_000, 65_536), (500_000, 10)]);
        assert_eq!(ranges_of(table, "eve", "9"), []);
    }

    #[test]
    fn a_range_is_granted_as_a_whole() {
        assert!(contains((100, 10), 100, 10) && contains((100, 10), 109, 1));
        assert!(!contains((100, 10), 105, 6) && !contains((100, 10), 99, 1));
        assert_eq!(outside("1 100000 65536"), Some((100_000, 65_536)));
    }
}
