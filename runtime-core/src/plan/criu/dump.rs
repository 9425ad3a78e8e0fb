//! Saving a container.

use super::mounts::{self, Externals, Mounted};
use super::options::{CriuSwitches, DumpSwitches};
use super::rpc::{Opts, PageServer};
use super::{DUMP_LOG, check_external, common, external_key, namespaces};
use crate::error::Result;
use crate::plan::cgroup::{Cgroup, Mode};
use crate::plan::namespaces::Namespaces;
use oci_spec::runtime::Spec;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What a dump is decided from.
#[derive(Debug)]
pub(crate) struct Dump<'a> {
    /// The configuration as it was at creation.
    pub(crate) spec: &'a Spec,
    /// What its relative paths are relative to.
    pub(crate) bundle: &'a Path,
    /// Its root file system.
    pub(crate) rootfs: &'a Path,
    /// Its first process.
    pub(crate) pid: i32,
    /// Its cgroup.
    pub(crate) cgroup: Option<&'a Cgroup>,
    /// What is mounted in it.
    pub(crate) mounted: &'a [Mounted],
    /// Where each of `mounts` leads to, links in the root file system being followed.
    pub(crate) destinations: &'a [PathBuf],
    /// The number of each joined namespace, in the order of the configuration's.
    pub(crate) joined: &'a [u64],
    /// Which criu it is.
    pub(crate) version: i32,
    /// What is chosen.
    pub(crate) switches: &'a CriuSwitches,
    /// What is chosen about a dump.
    pub(crate) dump: &'a DumpSwitches,
}

/// The options of a dump, but for descriptors.
///
/// # Errors
/// What criu cannot save.
pub(crate) fn dump(request: &Dump<'_>) -> Result<Opts> {
    let namespaces = namespaces(request.spec)?;
    let mut opts = common(request.spec, request.switches, DUMP_LOG);
    opts.pid = Some(request.pid);
    opts.root = Some(request.rootfs.to_string_lossy().into_owned());
    opts.leave_running = Some(request.dump.leave_running);
    opts.tcp_skip_in_flight = Some(request.dump.tcp_skip_in_flight);
    opts.link_remap = Some(request.dump.link_remap);
    opts.freeze_cgroup = freezer(request);
    opts.external = externals(&namespaces, request)?;
    if let Some(parent) = &request.dump.parent_path {
        opts.parent_img = Some(parent.to_string_lossy().into_owned());
        opts.track_mem = Some(true);
    }
    if let Some((address, port)) = &request.dump.page_server {
        opts.ps = Some(PageServer { address: Some(address.clone()), port: Some((*port).into()) });
    }
    if !request.dump.pre_dump {
        opts.ext_mnt = external_mounts(&namespaces, request)?.into_list();
    }
    Ok(opts)
}

/// criu stops processes one by one without it. That of v2 is known to criu 3.14.
fn freezer(request: &Dump<'_>) -> Option<String> {
    let cgroup = request.cgroup?;
    let of_v2 = || cgroup.v2_directory().filter(|_| request.version >= 31_400);
    let directory = match cgroup.mode {
        Mode::V2 => of_v2(),
        Mode::V1 | Mode::Hybrid => cgroup.directory_of("freezer").or_else(of_v2),
    }?;
    Some(cgroup.absolute(directory).to_string_lossy().into_owned())
}

/// Namespaces that are not the container's own stay as they are.
fn externals(namespaces: &Namespaces, request: &Dump<'_>) -> Result<Vec<String>> {
    let mut list = Vec::new();
    for (join, number) in namespaces.join.iter().zip(request.joined) {
        let Some(key) = external_key(join) else { continue };
        check_external(join, request.version)?;
        list.push(format!("{}[{number}]:{key}", join.kind.file));
    }
    Ok(list)
}

/// Each under the name of its place, and the masks of files under that of what covers them.
fn external_mounts(namespaces: &Namespaces, request: &Dump<'_>) -> Result<Externals> {
    let Dump { spec, mounted, .. } = request;
    let mut externals = Externals::default();
    let places: HashSet<&Path> = mounted.iter().map(|mount| mount.point.as_path()).collect();
    let listed: HashSet<&Path> = request.destinations.iter().map(PathBuf::as_path).collect();
    for bind in mounts::binds(spec, request.bundle)? {
        let Some(place) = request.destinations.get(bind.index) else { continue };
        externals.add(place, place);
        // What the host had mounted below its source.
        let below = places
            .iter()
            .filter(|point| bind.recursive && point.starts_with(place) && !listed.contains(*point));
        below.for_each(|point| externals.add(point, point));
    }
    for place in mounts::cgroups(spec, namespaces, request.cgroup).into_keys() {
        externals.add(&place, &place);
    }
    let is_null = |path: &Path| {
        mounted.iter().any(|mount| mount.point == *path && mount.root.ends_with("/null"))
    };
    for place in mounts::masked(spec).iter().filter(|path| is_null(path)) {
        externals.add(place, Path::new("/dev/null"));
    }
    let others = mounts::devices(spec).into_iter().chain([mounts::notify().to_owned()]);
    for place in others.filter(|place| places.contains(place.as_path())) {
        externals.add(&place, &place);
    }
    Ok(externals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::criu::mount_table;
    use crate::plan::criu::rpc::ExternalMount;

    const CONFIG: &str = r#"{
        "ociVersion": "1.3.0", "root": {"path": "rootfs"},
        "annotations": {"org.criu.config": "/my.conf"},
        "mounts": [
            {"destination": "/data", "type": "bind", "source": "shared", "options": ["rbind"]},
            {"destination": "/proc", "type": "proc", "source": "proc"}
        ],
        "linux": {
            "namespaces": [
                {"type": "mount"}, {"type": "network", "path": "/run/netns/a"},
                {"type": "ipc", "path": "/proc/7/ns/ipc"}
            ],
            "maskedPaths": ["/proc/kcore", "/proc/scsi"]
        }
    }"#;

    const MOUNTED: &str = "\
        40 1 8:1 /b/rootfs / rw - ext4 /dev/vda rw\n\
        41 40 8:1 /shared /real/data rw - ext4 /dev/vda rw\n\
        42 41 0:30 / /real/data/below rw - tmpfs x rw\n\
        43 40 0:40 / /proc rw - proc proc rw\n\
        44 43 0:5 /null /proc/kcore rw - devtmpfs dev rw\n\
        45 43 0:41 / /proc/scsi ro - tmpfs tmpfs ro\n";

    fn opts(version: i32, switches: &DumpSwitches) -> Result<Opts> {
        let spec: Spec = serde_json::from_str(CONFIG).unwrap();
        dump(&Dump {
            spec: &spec,
            bundle: Path::new("/b"),
            rootfs: Path::new("/b/rootfs"),
            pid: 7,
            cgroup: None,
            mounted: &mount_table(MOUNTED),
            destinations: &["/real/data".into(), "/proc".into()],
            joined: &[11, 22],
            version,
            switches: &CriuSwitches::default(),
            dump: switches,
        })
    }

    #[test]
    fn what_comes_from_outside_is_named() {
        let opts = opts(40_201, &DumpSwitches::default()).unwrap();
        let mount = |key: &str, val: &str| ExternalMount { key: key.into(), val: val.into() };
        let expected = [
            mount("/proc/kcore", "/dev/null"),
            mount("/real/data", "/real/data"),
            mount("/real/data/below", "/real/data/below"),
        ];
        assert_eq!(opts.ext_mnt, expected);
        // Joined in the order ipc, network; criu joins the one by its path.
        assert_eq!(opts.external, ["net[22]:extRootNetNS"]);
        assert_eq!(opts.config_file.as_deref(), Some("/my.conf"));
        assert_eq!((opts.pid, opts.empty_ns), (Some(7), Some(0x4000_0000)));
    }

    #[test]
    fn a_dump_of_memory_names_no_mounts_and_keeps_its_parent() {
        let switches = DumpSwitches {
            pre_dump: true,
            parent_path: Some("../before".into()),
            ..DumpSwitches::default()
        };
        let opts = opts(40_201, &switches).unwrap();
        assert!(opts.ext_mnt.is_empty());
        assert_eq!(opts.parent_img.as_deref(), Some("../before"));
        assert_eq!(opts.track_mem, Some(true));
    }

    #[test]
    fn an_old_criu_cannot_leave_a_namespace_alone() {
        let error = opts(31_000, &DumpSwitches::default()).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/namespaces/1"));
        assert!(error.to_string().contains("criu 3.11 can"), "{error}");
    }
}
