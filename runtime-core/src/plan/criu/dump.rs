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
