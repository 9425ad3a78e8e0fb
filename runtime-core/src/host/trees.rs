//! Trees of mounts, made by the host side for init: what a user namespace may not
//! reach, and what has its ids mapped.
//!
//! A mapping is that of a user namespace, which begins with a process. One process is
//! started for each mapping that the plan has, and ends as soon as its namespace is
//! held by a descriptor. It is init itself, waiting for a word that never comes: the
//! end of its control socket ends it, whatever happens to the caller.

use super::execute::end;
use super::spawn::{self, Surroundings};
use crate::error::{Context, Error, Result};
use crate::plan::clone_flags::CLONE_NEWUSER;
use crate::plan::ops::{Op, point};
use crate::plan::{IdMapping, LOCKED_BELOW, Plan, Tree, UserNamespace};
use crate::sys;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The user namespaces of one plan, each made when it is needed first.
pub(super) struct Trees<'a> {
    wanted: &'a [UserNamespace],
    made: Vec<Option<OwnedFd>>,
    /// The state root, for an image that cannot be in memory.
    directory: &'a Path,
}

impl<'a> Trees<'a> {
    pub(super) fn of(plan: &'a Plan, directory: &'a Path) -> Self {
        Self { wanted: &plan.user_namespaces, made: Vec::new(), directory }
    }

    /// A copy of the mounts at the tree's source, as the plan wants it.
    pub(super) fn open(&mut self, tree: &Tree) -> Result<OwnedFd> {
        let copy = sys::mount::open_tree(&tree.source, tree.recursive, tree.no_follow);
        let copy = copy.map_err(|error| {
            let hint = match error.raw_os_error() {
                Some(libc::EINVAL) if !tree.recursive => LOCKED_BELOW,
                _ => "the source of a bind mount must exist",
            };
            Error::io("open_tree", &error).path(&tree.source).at(tree.pointer.as_str()).hint(hint)
        })?;
        if let Some(mapping) = tree.id_map {
            self.map(tree, mapping, &copy)
                .context(|| format!("id-mapping {}", tree.source.display()))
                .map_err(|error| error.at(tree.pointer.as_str()))?;
        }
        Ok(copy)
    }

    fn map(&mut self, tree: &Tree, mapping: IdMapping, copy: &OwnedFd) -> Result<()> {
        self.make(mapping.namespace)?;
        let namespace = self.made.get(mapping.namespace).and_then(Option::as_ref);
        let namespace = namespace.ok_or_else(|| {
            Error::new(crate::error::ErrorKind::System, "the plan has no such mapping")
        })?;
        sys::mount::map_ids(copy.as_fd(), namespace.as_fd(), mapping.whole_tree)
            .map_err(|error| refused(&error, tree, mapping))
    }

    fn make(&mut self, index: usize) -> Result<()> {
        self.made.resize_with(self.wanted.len(), || None);
        let (Some(place), Some(wanted)) = (self.made.get_mut(index), self.wanted.get(index)) else {
            return Ok(());
        };
        if place.is_none() {
            *place = Some(match wanted {
                UserNamespace::Joined(path) => open_namespace(path)?,
                UserNamespace::Made { uids, gids } => with_maps(uids, gids, self.directory)?,
            });
        }
        Ok(())
    }
}

fn open_namespace(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| Error::os("open", errno as i32).path(path))
}

/// A new user namespace with these maps, held by its descriptor alone.
fn with_maps(uids: &str, gids: &str, directory: &Path) -> Result<OwnedFd> {
    let mut plan = Plan::new();
    plan.clone_flags = CLONE_NEWUSER;
    plan.init("", Op::Sync { point: point::IDENTITY });
    let surroundings = Surroundings { directory: Some(directory), ..Surroundings::default() };
    let holder = spawn::start(&plan, surroundings)?;
    let write = |file: &str, map: &str| {
        let path = format!("/proc/{}/{file}", holder.pid);
        let written = OpenOptions::new().write(true).open(&path);
        written.and_then(|mut file| file.write_all(map.as_bytes())).map_err(|error| {
            Error::io("write", &error)
                .path(&path)
                .hint("the kernel takes at most 340 ranges, none overlapping")
        })
    };
    let namespace = write("uid_map", uids)
        .and_then(|()| write("gid_map", gids))
        .and_then(|()| open_namespace(Path::new(&format!("/proc/{}/ns/user", holder.pid))));
    end(&holder);
    namespace
}

/// Which filesystem, and which kernel: what can be mapped grows with every version.
fn refused(error: &std::io::Error, tree: &Tree, mapping: IdMapping) -> Error {
    let failure = Error::io("mount_setattr", error);
    let kernel = nix::sys::utsname::uname().map_or_else(
        |_| String::new(),
        |names| format!(", this is {}", names.release().to_string_lossy()),
    );
    match error.raw_os_error() {
        Some(libc::ENOSYS) => failure.hint(format!("id-mapped mounts need Linux 5.12{kernel}")),
        Some(libc::EINVAL) => {
            let below = if mapping.whole_tree { ", or one mounted below it," } else { "" };
            failure.hint(format!(
                "the filesystem{}{below} does not support id-mapped mounts on this kernel{kernel}",
                filesystem(&tree.source)
            ))
        }
        Some(libc::EPERM) => failure.hint(
            "mapping ids needs CAP_SYS_ADMIN in the user namespace that the filesystem belongs to, \
             and a mount whose ids are not mapped already",
        ),
        _ => failure,
    }
}

/// ` NAME` of the filesystem that `path` is on, where the mount table tells.
fn filesystem(path: &Path) -> String {
    let device = std::fs::metadata(path).map_or(0, |metadata| metadata.dev());
    let device = format!("{}:{}", libc::major(device), libc::minor(device));
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let line = table.lines().find(|line| line.split(' ').nth(2) == Some(device.as_str()));
    let kind = line.and_then(|line| line.split_once(" - ")?.1.split(' ').next());
    kind.map(|kind| format!(" {kind}")).unwrap_or_default()
}
