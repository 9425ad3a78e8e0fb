//! `cgroupsPath` for systemd: `slice:prefix:name`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};

const POINTER: &str = "/linux/cgroupsPath";

/// A unit, and the slice that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan::cgroup) struct UnitName {
    /// The name of the unit, with its type.
    pub(in crate::plan::cgroup) unit: String,
    /// The name of the slice.
    pub(in crate::plan::cgroup) slice: String,
    /// The name without prefix and type.
    pub(in crate::plan::cgroup) name: String,
}

impl UnitName {
    /// The unit that `cgroups_path` asks for; without one, `tare-ID.scope` in the
    /// slice that services of the host, or of the user, are in.
    pub(in crate::plan::cgroup) fn of(
        cgroups_path: Option<&Path>,
        id: &str,
        rootless: bool,
    ) -> Result<Self> {
        let default = if rootless { "user.slice" } else { "system.slice" };
        let Some(path) = cgroups_path.filter(|path| !path.as_os_str().is_empty()) else {
            return Self::new(default, "tare", id);
        };
        let text = std::str::from_utf8(path.as_os_str().as_bytes())
            .map_err(|_| Error::config(POINTER, "the path is not UTF-8"))?;
        let parts: Vec<&str> = text.split(':').collect();
        let &[slice, prefix, name] = parts.as_slice() else {
            let message = format!(
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {text:?} instead"
            );
            return Err(
                Error::config(POINTER, message).hint("write it so, or leave --systemd-cgroup out")
            );
        };
        Self::new(if slice.is_empty() { default } else { slice }, prefix, name)
    }

    fn new(slice: &str, prefix: &str, name: &str) -> Result<Self> {
        let unit = match name.ends_with(".slice") {
            true => name.to_owned(),
            false if prefix.is_empty() => format!("{name}.scope"),
            false => format!("{prefix}-{name}.scope"),
        };
        check(&unit)?;
        Ok(Self { unit, slice: slice.to_owned(), name: name.to_owned() })
    }

    pub(super) fn is_slice(&self) -> bool {
        self.unit.ends_with(".slice")
    }

    /// Its cgroup, below the cgroup of the manager. A slice `a-b.slice` is in
    /// `a.slice` (systemd.slice(5)).
    pub(in crate::plan::cgroup) fn path(&self) -> Result<String> {
        if self.is_slice() {
            return expand(&self.unit);
        }
        match expand(&self.slice)?.as_str() {
            "" => Ok(self.unit.clone()),
            slice => Ok(format!("{slice}/{}", self.unit)),
        }
    }
}

/// systemd.unit(5).
fn check(unit: &str) -> Result<()> {
    const LONGEST: usize = 255;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if unit.len() <= LONGEST && !unit.starts_with('.') && unit.bytes().all(fits) {
        return Ok(());
    }
    Err(Error::config(POINTER, format!("invalid unit name {unit:?}"))
        .hint("unit names have up to 255 letters, digits, and : - _ . \\ @"))
}

/// The path of a slice: `a-b.slice` is `a.slice/a-b.slice`, `-.slice` the root.
fn expand(slice: &str) -> Result<String> {
    let invalid = || {
        Error::config(POINTER, format!("invalid slice name: {slice}"))
            .hint("slices are named such as machine.slice, or web-a.slice below web.slice")
    };
    check(slice)?;
    let name = slice.strip_suffix(".slice").filter(|name| !name.is_empty()).ok_or_else(invalid)?;
    if name == "-" {
        return Ok(String::new());
    }
    if name.split('-').any(str::is_empty) {
        return Err(invalid());
    }
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    let parts: Vec<String> = ends.map(|end| format!("{}.slice", &name[..end])).collect();
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(path: &str) -> Result<UnitName> {
        UnitName::of(Some(Path::new(path)), "web", false)
    }

    #[test]
    fn slice_prefix_and_name_make_a_unit() {
        let docker = unit("system.slice:docker:0a1b").unwrap();
        assert_eq!(docker.unit, "docker-0a1b.scope");
        assert_eq!(docker.path().unwrap(), "system.slice/docker-0a1b.scope");
        let nested = unit("kubepods-burstable-pod1.slice:cri-containerd:c").unwrap();
        assert_eq!(
            nested.path().unwrap(),
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-c.scope"
        );
        assert_eq!(unit(":p:n").unwrap().slice, "system.slice");
        assert_eq!(unit("-.slice:p:n").unwrap().path().unwrap(), "p-n.scope");
    }

    #[test]
    fn without_a_path_the_id_names_the_unit() {
        assert_eq!(UnitName::of(None, "web", false).unwrap().unit, "tare-web.scope");
        assert_eq!(UnitName::of(None, "web", true).unwrap().slice, "user.slice");
    }

    #[test]
    fn a_name_that_is_a_slice_is_the_unit_itself() {
        let slice = unit("a.slice::a-b.slice").unwrap();
        assert_eq!((slice.unit.as_str(), slice.is_slice()), ("a-b.slice", true));
        assert_eq!(slice.path().unwrap(), "a.slice/a-b.slice");
    }

    #[test]
    fn another_form_is_refused_in_the_words_of_runc() {
        let error = unit("/a/b").unwrap_err();
        assert!(error.to_string().contains("expected cgroupsPath to be of format"), "{error}");
        assert_eq!(error.pointer(), Some("/linux/cgroupsPath"));
        for bad in ["a--b.slice:p:n", "-a.slice:p:n", "a:p:n", "a.slice:p/q:n", ".slice:p:n"] {
            let path = unit(bad).and_then(|unit| unit.path());
            assert!(path.is_err(), "{bad}");
        }
    }
}
