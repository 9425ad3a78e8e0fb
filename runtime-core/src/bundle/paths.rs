//! Paths as a container's configuration writes them.

use std::path::{Component, Path, PathBuf};

/// `path` taken as one below the container's root and made lexically normal:
/// absolute, without `.`, `..` or repeated slashes. Says nothing of symbolic
/// links, which only a look-up below the root can.
pub(crate) fn below_root(path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_leaves_the_root() {
        for (written, normal) in [
            ("a//b/./c/", "/a/b/c"),
            ("/a/../../b", "/b"),
            ("..", "/"),
            ("", "/"),
            ("/proc/../proc/sys", "/proc/sys"),
        ] {
            assert_eq!(below_root(Path::new(written)), Path::new(normal), "{written}");
        }
    }
}
