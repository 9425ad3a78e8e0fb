//! Paths of a container, looked up by the host side: below a root that no link and no
//! `..` leads out of, each component once, by descriptor.

use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{Mode, mkdirat};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// How many links one path may have (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// What is made of a path that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing: the rest of the path is taken as it is written.
    Leave,
    /// A directory, in directories.
    Directory,
    /// An empty file, in directories.
    File,
}

/// A component that is there: what it is.
enum Found {
    Entry(OwnedFd),
    Link(OsString),
    Nothing,
}

/// Where `path` leads to below `root`, as an absolute path without links.
pub(crate) fn walk(root: &Path, path: &Path, missing: Missing) -> Result<PathBuf> {
    let walked =
        open(root, AS_PLACE, Mode::empty()).and_then(|root| walk_below(&root, path, missing));
    walked.map_err(|errno| Error::os("open", errno as i32).path(root.join(strip(path))))
}

const AS_PLACE: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

fn walk_below(root: &OwnedFd, path: &Path, missing: Missing) -> nix::Result<PathBuf> {
    let mut left = VecDeque::new();
    prepend(&mut left, path);
    // The place reached: a descriptor for each component of its path.
    let mut names: Vec<OsString> = Vec::new();
    let mut places: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            names.pop();
            places.pop();
            continue;
        }
        let place = places.last().unwrap_or(root);
        let entry = match look(place, &name)? {
            Found::Entry(entry) => entry,
            Found::Link(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::ELOOP);
                }
                let target = PathBuf::from(target);
                if target.is_absolute() {
                    names.clear();
                    places.clear();
                }
                prepend(&mut left, &target);
                continue;
            }
            Found::Nothing if missing == Missing::Leave => {
                names.push(name);
                return Ok(as_written(names, left));
            }
            Found::Nothing => make(place, &name, missing, left.is_empty())?,
        };
        names.push(name);
        places.push(entry);
    }
    Ok(as_written(names, left))
}

fn look(place: &OwnedFd, name: &OsString) -> nix::Result<Found> {
    match openat(place, name.as_os_str(), AS_PLACE | OFlag::O_NOFOLLOW, Mode::empty()) {
        Ok(entry) => match readlinkat(&entry, "") {
            Ok(target) => Ok(Found::Link(target)),
            // No link.
            Err(Errno::ENOENT | Errno::EINVAL | Errno::ENOTDIR) => Ok(Found::Entry(entry)),
            Err(errno) => Err(errno),
        },
        Err(Errno::ENOENT) => Ok(Found::Nothing),
        Err(errno) => Err(errno),
    }
}

fn make(place: &OwnedFd, name: &OsString, missing: Missing, last: bool) -> nix::Result<OwnedFd> {
    let name = name.as_os_str();
    if last && missing == Missing::File {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        return openat(place, name, flags, Mode::from_bits_retain(0o755));
    }
    mkdirat(place, name, Mode::from_bits_retain(0o755))?;
    openat(place, name, AS_PLACE | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY, Mode::empty())
}

fn prepend(left: &mut VecDeque<OsString>, path: &Path) {
    let components = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    components.for_each(|name| left.push_front(name));
}

fn as_written(names: Vec<OsString>, left: VecDeque<OsString>) -> PathBuf {
    let mut path = PathBuf::from("/");
    for name in names.into_iter().chain(left) {
        if name == ".." {
            path.pop();
        } else {
            path.push(name);
        }
    }
    path
}

fn strip(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory of the test's own.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("tare-walk-{}-{name}", std::process::id()));
            std::fs::create_dir_all(dir.join("real/conf")).unwrap();
            symlink("/real/conf", dir.join("conf")).unwrap();
            symlink("../../../real", dir.join("real/up")).unwrap();
            symlink("loop", dir.join("loop")).unwrap();
            Self(dir)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn links_and_dots_stay_below_the_root() {
        let tree = Tree::new("below");
        for (written, found) in [
            ("/conf", "/real/conf"),
            ("/conf/new/file", "/real/conf/new/file"),
            ("/real/up/conf", "/real/conf"),
            ("/../../conf/..", "/real"),
            ("/none/../../../x", "/x"),
            ("/", "/"),
        ] {
            let answer = walk(&tree.0, Path::new(written), Missing::Leave).unwrap();
            assert_eq!(answer, Path::new(found), "{written}");
        }
        let error = walk(&tree.0, Path::new("/loop"), Missing::Leave).unwrap_err();
        assert_eq!(error.errno(), Some(libc::ELOOP));
        assert!(!tree.0.join("real/conf/new").exists());
    }

    #[test]
    fn what_is_missing_is_made_where_the_links_lead() {
        let tree = Tree::new("made");
        walk(&tree.0, Path::new("/conf/a/b"), Missing::Directory).unwrap();
        walk(&tree.0, Path::new("/conf/c/file"), Missing::File).unwrap();
        assert!(tree.0.join("real/conf/a/b").is_dir());
        assert!(tree.0.join("real/conf/c/file").is_file());
        // What is there stays as it is.
        std::fs::write(tree.0.join("real/conf/c/file"), "text").unwrap();
        walk(&tree.0, Path::new("/conf/c/file"), Missing::File).unwrap();
        assert_eq!(std::fs::read(tree.0.join("real/conf/c/file")).unwrap(), b"text");
    }
}
