//! `linux.cgroupsPath`: lexical, because a cgroup tree has no links.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::layout::{Hierarchy, Mode};
use crate::error::{Error, ErrorKind, Result};

const POINTER: &str = "/linux/cgroupsPath";

/// A path below some cgroup: `a/b` without `.`, `..`, or empty components.
/// A `..` ends at the top and never leads above it.
///
/// # Errors
/// A path with bytes that no cgroup's name can have.
pub fn clean(path: &str) -> Result<String> {
    if path.contains(['\0', '\n']) {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            format!("cgroup path {path:?} has a NUL or newline in it"),
        ));
    }
    let mut kept = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    Ok(kept.join("/"))
}

/// What `cgroupsPath` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Below the top of each hierarchy.
    Absolute(String),
    /// Below the cgroup of the runtime.
    Relative(String),
}

/// Without a path the container's id is one, below the runtime's own cgroup.
pub(super) fn wanted(cgroups_path: Option<&Path>, id: &str) -> Result<Wanted> {
    let Some(path) = cgroups_path.filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(Wanted::Relative(clean(id)?));
    };
    let text = std::str::from_utf8(path.as_os_str().as_bytes())
        .map_err(|_| Error::config(POINTER, "the path is not UTF-8"))?;
    let cleaned = clean(text).map_err(|error| error.at(POINTER))?;
    if cleaned.is_empty() {
        let message = format!("cgroup path {text:?} names no cgroup of the container's own");
        return Err(Error::config(POINTER, message)
            .hint("give a path below the top, such as /my-containers/web"));
    }
    match text.starts_with('/') {
        true => Ok(Wanted::Absolute(cleaned)),
        false => Ok(Wanted::Relative(cleaned)),
    }
}

impl Wanted {
    /// The container's cgroup in `hierarchy`, below its mount point.
    pub(super) fn in_hierarchy(&self, hierarchy: &Hierarchy, mode: Mode) -> String {
        let (parent, path) = match self {
            Self::Absolute(path) => ("", path),
            // A v2 cgroup that has processes, as the runtime's own surely
            // does, cannot give controllers to children: go beside it.
            Self::Relative(path) if mode == Mode::V2 => (parent(&hierarchy.own), path),
            Self::Relative(path) => (hierarchy.own.trim_matches('/'), path),
        };
        match parent {
            "" => path.clone(),
            parent => format!("{parent}/{path}"),
        }
    }
}

fn parent(path: &str) -> &str {
    path.trim_matches('/').rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: Option<&str>, own: &str, mode: Mode) -> Result<String> {
        let hierarchy = Hierarchy { controllers: vec![], mount: String::new(), own: own.into() };
        Ok(wanted(path.map(Path::new), "id")?.in_hierarchy(&hierarchy, mode))
    }

    #[test]
    fn an_absolute_path_starts_at_the_top() {
        assert_eq!(place(Some("/a//b/./c/"), "/own", Mode::V1).unwrap(), "a/b/c");
    }

    #[test]
    fn a_relative_or_missing_path_is_below_the_runtimes_own_cgroup() {
        assert_eq!(place(Some("a/b"), "/own/x", Mode::V1).unwrap(), "own/x/a/b");
        assert_eq!(place(None, "/own/x", Mode::Hybrid).unwrap(), "own/x/id");
        assert_eq!(place(Some(""), "/", Mode::V1).unwrap(), "id");
    }

    #[test]
    fn on_v2_a_relative_path_is_beside_the_runtimes_own_cgroup() {
        assert_eq!(place(None, "/user.slice/x.scope", Mode::V2).unwrap(), "user.slice/id");
        assert_eq!(place(None, "/", Mode::V2).unwrap(), "id");
    }

    #[test]
    fn no_path_escapes() {
        assert_eq!(place(Some("/../../a/../../b"), "/own", Mode::V1).unwrap(), "b");
        assert_eq!(place(Some("../../b"), "/own", Mode::V1).unwrap(), "own/b");
    }

    #[test]
    fn a_path_that_names_no_cgroup_is_refused() {
        for path in ["/", ".", "/..", "a/..", "a\nb", "a\0b"] {
            let error = place(Some(path), "/own", Mode::V1).unwrap_err();
            assert_eq!(error.pointer(), Some("/linux/cgroupsPath"), "{path:?}");
        }
    }
}
