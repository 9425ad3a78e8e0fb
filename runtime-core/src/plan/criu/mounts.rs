//! Mounts that criu does not restore itself: those of the host, which have a name in
//! the images and are bound anew.

use super::rpc::ExternalMount;
use crate::bundle::{below_root, item};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::{Cgroup, Mode, unescape};
use crate::plan::clone_flags::CLONE_NEWCGROUP;
use crate::plan::mounts::options::MountOptions;
use crate::plan::namespaces::Namespaces;
use crate::plan::{devices, process};
use oci_spec::runtime::{Mount, Spec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One mount of a mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// What of its file system it shows.
    pub(crate) root: String,
    /// Where it is.
    pub(crate) point: PathBuf,
}

/// Reads /proc/PID/mountinfo (proc(5)).
pub(crate) fn mount_table(text: &str) -> Vec<Mounted> {
    let one = |line: &str| {
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        Some(Mounted { root: unescape(root), point: unescape(point).into() })
    };
    text.lines().filter_map(one).collect()
}

/// A bind mount of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    /// Its place in `mounts`.
    pub(super) index: usize,
    /// What is bound.
    pub(super) source: PathBuf,
    /// With what is mounted below that.
    pub(super) recursive: bool,
}

/// The bind mounts of the configuration. Refuses one that would come back as another.
pub(super) fn binds(spec: &Spec, bundle: &Path) -> Result<Vec<Bind>> {
    let mut found = Vec::new();
    for (index, mount) in listed(spec).iter().enumerate() {
        let pointer = item("/mounts", index);
        let options = MountOptions::of(mount, &pointer)?;
        if !options.is_bind() || options.flags & libc::MS_REMOUNT != 0 {
            continue;
        }
        let refuse = |what: &str| {
            let text = format!("criu does not restore {what}");
            Err(Error::new(ErrorKind::Unsupported, text).at(pointer.as_str()))
        };
        let listed = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
        if options.id_map.is_some() || listed(mount.uid_mappings()) || listed(mount.gid_mappings())
        {
            return refuse("the ids of an id-mapped mount");
        }
        if options.source_nofollow || options.copy_symlink {
            return refuse("a mount of a symbolic link (src-nofollow, copy-symlink)");
        }
        let source = mount.source().as_deref().unwrap_or(Path::new(""));
        // criu wants the last component to be a name, which that of `.` is not.
        let source = bundle.join(source).components().collect();
        found.push(Bind { index, source, recursive: options.is_recursive() });
    }
    Ok(found)
}

pub(super) fn listed(spec: &Spec) -> &[Mount] {
    spec.mounts().as_deref().unwrap_or_default()
}

/// Where the service manager's socket is, if the container has one.
pub(super) fn notify() -> &'static Path {
    Path::new(process::NOTIFY_DIRECTORY)
}

/// Places of devices; in a user namespace those of the host are bound there.
pub(super) fn devices(spec: &Spec) -> Vec<PathBuf> {
    let listed = spec.linux().as_ref().and_then(|linux| linux.devices().as_deref());
    let (devices, _) = devices::resolve(listed.unwrap_or_default());
    devices.into_iter().map(|device| device.path).collect()
}

/// Places of masks; those of files are the host's /dev/null.
pub(super) fn masked(spec: &Spec) -> Vec<PathBuf> {
    let listed = spec.linux().as_ref().and_then(|linux| linux.masked_paths().as_ref());
    listed.into_iter().flatten().map(|path| below_root(Path::new(path))).collect()
}

/// Cgroups of v1 that are bound into the container, with their places: those of a
/// container without a cgroup namespace.
pub(super) fn cgroups(
    spec: &Spec,
    namespaces: &Namespaces,
    cgroup: Option<&Cgroup>,
) -> BTreeMap<PathBuf, PathBuf> {
    let Some(cgroup) = cgroup.filter(|cgroup| cgroup.mode != Mode::V2) else {
        return BTreeMap::new();
    };
    if namespaces.has(CLONE_NEWCGROUP) {
        return BTreeMap::new();
    }
    let mounts = listed(spec).iter().filter(|mount| mount.typ().as_deref() == Some("cgroup"));
    let below = |mount: &Mount| {
        let destination = below_root(mount.destination());
        let bound = cgroup.directories.iter().filter(|directory| !directory.is_v2());
        bound
            .filter_map(|directory| {
                let name = Path::new(&directory.mount).file_name()?;
                Some((destination.join(name), cgroup.absolute(directory)))
            })
            .collect::<Vec<_>>()
    };
    mounts.flat_map(below).collect()
}

/// A list without repetitions: criu wants each mount point once.
#[derive(Debug, Default)]
pub(super) struct Externals(BTreeMap<String, String>);

impl Externals {
    pub(super) fn add(&mut self, key: &Path, val: &Path) {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        self.0.entry(text(key)).or_insert_with(|| text(val));
    }

    pub(super) fn into_list(self) -> Vec<ExternalMount> {
        self.0.into_iter().map(|(key, val)| ExternalMount { key, val }).collect()
    }
}
