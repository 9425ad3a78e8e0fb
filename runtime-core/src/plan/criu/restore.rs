//! Bringing a container back.

use super::mounts::{self, Externals, Mounted};
use super::options::{CriuSwitches, RestoreSwitches};
use super::rpc::{InheritFd, JoinNamespace, Opts};
use super::{RESTORE_LOG, check_external, common, external_key, namespaces, too_old};
use crate::bundle::{below_root, item};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::Cgroup;
use crate::plan::clone_flags::{CLONE_NEWCGROUP, CLONE_NEWTIME, CLONE_NEWUSER};
use crate::plan::namespaces::{Join, Namespaces};
use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Mount, Spec};
use std::path::{Path, PathBuf};

/// What a restore is decided from.
#[derive(Debug)]
pub(crate) struct Restore<'a> {
    /// The configuration.
    pub(crate) spec: &'a Spec,
    /// What its relative paths are relative to.
    pub(crate) bundle: &'a Path,
    /// The container's directory.
    pub(crate) directory: &'a Path,
    /// Where its root file system is bound for criu.
    pub(crate) root: &'a Path,
    /// Its cgroup.
    pub(crate) cgroup: Option<&'a Cgroup>,
    /// What is mounted on the host.
    pub(crate) mounted: &'a [Mounted],
    /// Where each of `mounts` leads to, links in the root file system being followed.
    pub(crate) destinations: &'a [PathBuf],
    /// What the standard streams were (`descriptors.json`).
    pub(crate) streams: &'a [String],
    /// Which criu it is.
    pub(crate) version: i32,
    /// What is chosen.
    pub(crate) switches: &'a CriuSwitches,
    /// What is chosen about a restore.
    pub(crate) restore: &'a RestoreSwitches,
}

/// The options of a restore, but for descriptors; and the namespaces that are handed to
/// criu as descriptors, each with its name in the images.
///
/// # Errors
/// What criu cannot bring back.
pub(crate) fn restore(request: &Restore<'_>) -> Result<(Opts, Vec<(Join, &'static str)>)> {
    let namespaces = namespaces(request.spec)?;
    let mut opts = common(request.spec, request.switches, RESTORE_LOG);
    opts.root = Some(request.root.to_string_lossy().into_owned());
    opts.evasive_devices = Some(true);
    opts.rst_sibling = Some(true);
    opts.tcp_close = Some(request.restore.tcp_close);
    opts.lsm_profile = labelled(request.restore.lsm_profile.as_ref(), "--lsm-profile", request)?;
    opts.lsm_mount_context =
        labelled(request.restore.lsm_mount_context.as_ref(), "--lsm-mount-context", request)?;
    opts.ext_mnt = external_mounts(&namespaces, request)?.into_list();
    opts.inherit_fd = streams(request.streams);
    let mut handed = Vec::new();
    for join in namespaces.join {
        match external_key(&join) {
            Some(key) => {
                check_external(&join, request.version)?;
                handed.push((join, key));
            }
            None => opts.join_ns.push(joined(&join)?),
        }
    }
    Ok((opts, handed))
}

/// A pipe that a standard stream was is the stream of that number now.
fn streams(streams: &[String]) -> Vec<InheritFd> {
    let mut list: Vec<InheritFd> = Vec::new();
    for (fd, key) in (0..).zip(streams) {
        if key.starts_with("pipe:") && !list.iter().any(|one| one.key == *key) {
            list.push(InheritFd { key: key.clone(), fd });
        }
    }
    list
}

fn joined(join: &Join) -> Result<JoinNamespace> {
    if join.kind.flag == CLONE_NEWCGROUP {
        let text = "criu cannot restore into a cgroup namespace that is there";
        return Err(Error::new(ErrorKind::Unsupported, text).at(join.pointer.as_str()));
    }
    Ok(JoinNamespace {
        ns: join.kind.file.to_owned(),
        ns_file: join.path.to_string_lossy().into_owned(),
    })
}

fn labelled(value: Option<&String>, option: &str, request: &Restore<'_>) -> Result<Option<String>> {
    const OLDEST: i32 = 31_600;
    match value {
        Some(_) if request.version < OLDEST => {
            Err(too_old(format!("{option} requires at least CRIU 3.16"), OLDEST))
        }
        value => Ok(value.cloned()),
    }
}

/// What stands for each name that a dump gave.
fn external_mounts(namespaces: &Namespaces, request: &Restore<'_>) -> Result<Externals> {
    let Restore { spec, .. } = request;
    let mut externals = Externals::default();
    for bind in mounts::binds(spec, request.bundle)? {
        let Some(place) = request.destinations.get(bind.index) else { continue };
        externals.add(place, &bind.source);
        let below = request.mounted.iter().filter(|_| bind.recursive);
        for mount in below {
            if let Ok(rest) = mount.point.strip_prefix(&bind.source)
                && rest != Path::new("")
            {
                externals.add(&place.join(rest), &mount.point);
            }
        }
    }
    for (place, source) in mounts::cgroups(spec, namespaces, request.cgroup) {
        externals.add(&place, &source);
    }
    if !mounts::masked(spec).is_empty() {
        externals.add(Path::new("/dev/null"), Path::new("/dev/null"));
    }
    if namespaces.has(CLONE_NEWUSER) {
        mounts::devices(spec).iter().for_each(|place| externals.add(place, place));
    }
    externals.add(mounts::notify(), &request.directory.join("notify"));
    Ok(externals)
}

/// A place of a mount of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// As it is written.
    pub(crate) destination: PathBuf,
    /// What is bound there; `None` where criu mounts a file system.
    pub(crate) source: Option<PathBuf>,
    /// Where the configuration says so.
    pub(crate) pointer: String,
}

/// The places of `mounts`, in its order.
///
/// # Errors
/// A mount that criu does not restore.
pub(crate) fn places(spec: &Spec, bundle: &Path) -> Result<Vec<Place>> {
    let binds = mounts::binds(spec, bundle)?;
    let source = |index| binds.iter().find(|bind| bind.index == index);
    let place = |(index, mount): (usize, &Mount)| Place {
        destination: below_root(mount.destination()),
        source: source(index).map(|bind| bind.source.clone()),
        pointer: item("/mounts", index),
    };
    Ok(mounts::listed(spec).iter().enumerate().map(place).collect())
}

/// The configuration with a time namespace, as JSON; `None` where it has one.
pub(crate) fn with_time_namespace(spec: &Spec) -> Option<Vec<u8>> {
    let mut spec = spec.clone();
    let linux = spec.linux_mut().as_mut()?;
    let namespaces = linux.namespaces_mut().get_or_insert_default();
    if Namespaces::of(namespaces).has(CLONE_NEWTIME) {
        return None;
    }
    let mut time = LinuxNamespace::default();
    time.set_typ(LinuxNamespaceType::Time).set_path(None);
    namespaces.push(time);
    serde_json::to_vec(&spec).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::criu::mount_table;

    fn opts(config: &str) -> Result<(Opts, Vec<(Join, &'static str)>)> {
        let spec: Spec = serde_json::from_str(config).unwrap();
        let count = mounts::listed(&spec).len();
        let table =
            mount_table("1 0 8:1 / / rw - ext4 x rw\n2 1 0:9 / /b/shared/below rw - tmpfs x rw\n");
        restore(&Restore {
            spec: &spec,
            bundle: Path::new("/b"),
            directory: Path::new("/run/tare/c"),
            root: Path::new("/run/tare/c/criu-root"),
            cgroup: None,
            mounted: &table,
            destinations: &vec![PathBuf::from("/data"); count],
            streams: &["/dev/null", "pipe:[5]", "pipe:[5]"].map(str::to_owned),
            version: 40_201,
            switches: &CriuSwitches::default(),
            restore: &RestoreSwitches::default(),
        })
    }

    #[test]
    fn names_of_a_dump_stand_for_what_the_host_has() {
        let (opts, handed) = opts(
            r#"{"ociVersion": "1.3.0",
                "mounts": [{"destination": "/data", "source": "./shared/.", "options": ["rbind"]}],
                "linux": {"maskedPaths": ["/x"], "namespaces": [
                    {"type": "mount"}, {"type": "pid", "path": "/proc/7/ns/pid"},
                    {"type": "uts", "path": "/proc/7/ns/uts"}]}}"#,
        )
        .unwrap();
        let mounts: Vec<_> =
            opts.ext_mnt.iter().map(|mount| (mount.key.as_str(), mount.val.as_str())).collect();
        let expected = [
            ("/data", "/b/shared"),
            ("/data/below", "/b/shared/below"),
            ("/dev/null", "/dev/null"),
            ("/run/notify", "/run/tare/c/notify"),
        ];
        assert_eq!(mounts, expected);
        assert_eq!(handed.iter().map(|(_, key)| *key).collect::<Vec<_>>(), ["extRootPidNS"]);
        assert_eq!(opts.join_ns[0].ns, "uts");
        // A pipe that was two streams is the first of them.
        assert_eq!(opts.inherit_fd, [InheritFd { key: "pipe:[5]".to_owned(), fd: 1 }]);
    }

    #[test]
    fn what_criu_cannot_bring_back_is_refused() {
        for (config, pointer) in [
            (r#"{"ociVersion": "1.3.0", "linux": {}}"#, "/linux/namespaces"),
            (
                r#"{"ociVersion": "1.3.0", "linux": {"namespaces": [
                    {"type": "mount"}, {"type": "cgroup", "path": "/x"}]}}"#,
                "/linux/namespaces/1",
            ),
            (
                r#"{"ociVersion": "1.3.0", "linux": {"namespaces": [{"type": "mount"}]},
                    "mounts": [{"destination": "/d", "source": "/s", "options": ["bind", "idmap"]}]}"#,
                "/mounts/0",
            ),
        ] {
            let error = opts(config).map(drop).unwrap_err();
            assert_eq!(error.pointer(), Some(pointer), "{error}");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn a_time_namespace_is_added_once() {
        let spec: Spec =
            serde_json::from_str(r#"{"ociVersion": "1.3.0", "linux": {"namespaces": []}}"#)
                .unwrap();
        let added = with_time_namespace(&spec).unwrap();
        let spec: Spec = serde_json::from_slice(&added).unwrap();
        let namespaces = spec.linux().as_ref().unwrap().namespaces().as_deref().unwrap();
        assert!(Namespaces::of(namespaces).creates(CLONE_NEWTIME));
        assert_eq!(with_time_namespace(&spec), None);
    }
}
