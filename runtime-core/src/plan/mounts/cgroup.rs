//! The mount of type cgroup.

use super::options::MountOptions;
use super::{Later, bind_op, filesystem, propagation_word};
use crate::error::Result;
use crate::plan::cgroup::{Cgroup, Mode};
use crate::plan::clone_flags::{CLONE_NEWCGROUP, CLONE_NEWUSER};
use crate::plan::container::Parts;
use crate::plan::ops::Op;
use crate::plan::wire::{List, Text};
use crate::plan::{Plan, rootfs};
use libc::MS_RDONLY;
use std::path::{Path, PathBuf};

const V2_MOUNT: &str = "/sys/fs/cgroup";

pub(super) fn mount(
    plan: &mut Plan,
    parts: &Parts<'_>,
    target: &Path,
    options: &MountOptions,
    pointer: &str,
    later: &mut Later,
) -> Result<()> {
    rootfs::cgroup_joined(plan, parts)?;
    match &parts.cgroup {
        Some(cgroup) if cgroup.mode == Mode::V2 => {
            let op = v2(parts, cgroup, target, options);
            plan.init(pointer, op);
        }
        Some(cgroup) => v1(plan, parts, cgroup, target, options, pointer, later),
        None if shown_without_cgroup(parts) => {
            let op = mount_v2(target, options, "".into(), 1);
            plan.init(pointer, op);
        }
        None => {}
    }
    Ok(())
}

/// A container that gets no cgroup sees what the namespace of its caller, or its own, shows.
/// On v1 that would be one mount a hierarchy, of which none is the container's.
fn shown_without_cgroup(parts: &Parts<'_>) -> bool {
    parts.request.facts.v2_without_cgroup
        && (parts.namespaces.has(CLONE_NEWCGROUP) || !parts.namespaces.has(CLONE_NEWUSER))
}

/// The one hierarchy. Where the kernel refuses that, as in a user namespace
/// without a cgroup namespace or in a container that shows only a part of it,
/// what the host has there is bound: the container's own part of it if a cgroup
/// namespace would have shown no more.
fn v2(parts: &Parts<'_>, cgroup: &Cgroup, target: &Path, options: &MountOptions) -> Op {
    let own_namespace = parts.namespaces.has(CLONE_NEWCGROUP);
    let in_user_namespace = parts.namespaces.has(CLONE_NEWUSER);
    let rootless = parts.request.rootless == Some(true);
    let own = cgroup.v2_directory().map(|directory| cgroup.absolute(directory));
    let own = own.filter(|_| own_namespace || in_user_namespace);
    let fallback = own.unwrap_or_else(|| PathBuf::from(V2_MOUNT));
    if !own_namespace && in_user_namespace && !rootless {
        return bind_op(&fallback, target, options);
    }
    // The host's tree must not show through a /sys that is bound (CVE-2023-25809).
    mount_v2(target, options, fallback.as_path().into(), u64::from(rootless))
}

/// `fallback` is bound where the kernel refuses the mount; if it is not there either, and `mask`
/// is set, the target is an empty directory.
fn mount_v2(target: &Path, options: &MountOptions, fallback: Text, mask: u64) -> Op {
    Op::MountCgroup2 {
        target: target.into(),
        flags: options.flags,
        data: options.data.as_str().into(),
        propagation: propagation_word(&options.propagation),
        attr_set: options.tree_set,
        attr_clear: options.tree_clear,
        fallback,
        mask,
    }
}

/// A tmpfs with a mount for each hierarchy, of the namespace's own view or, without
/// a namespace, bound to the container's part. The unified hierarchy of a hybrid
/// layout is left out, as it always was.
fn v1(
    plan: &mut Plan,
    parts: &Parts<'_>,
    cgroup: &Cgroup,
    target: &Path,
    options: &MountOptions,
    pointer: &str,
    later: &mut Later,
) {
    let own_namespace = parts.namespaces.has(CLONE_NEWCGROUP);
    let may_be_missing = plan.cgroup.as_ref().is_some_and(|plan| plan.may_be_denied);
    let flags = options.flags & !MS_RDONLY;
    let tmpfs =
        filesystem::plain(target, "tmpfs", "tmpfs", flags, "mode=755", &options.propagation);
    plan.init(pointer, tmpfs);
    let mut below = List::new();
    for directory in cgroup.directories.iter().filter(|directory| !directory.is_v2()) {
        let name = Path::new(&directory.mount).file_name().map_or_else(PathBuf::new, PathBuf::from);
        let place = target.join(&name);
        let controllers = directory.controllers.join(",");
        let op = if own_namespace {
            filesystem::plain(&place, "cgroup", "cgroup", flags, &controllers, &[])
        } else {
            bind_directory(&cgroup.absolute(directory), &place, may_be_missing)
        };
        plan.init(pointer, op);
        below.push(place.as_path().into());
        for controller in directory.controllers.iter().filter(|_| directory.controllers.len() > 1) {
            let path = target.join(controller).as_path().into();
            let op = Op::Symlink { path, content: name.as_path().into(), replace: 0 };
            plan.init(pointer, op);
        }
    }
    // Writable until everything is in it.
    let op = Op::TreeFlags { target: target.into(), below, flags: options.flags };
    later.push((pointer.to_owned(), op));
}

/// The mount of a directory as it is. One that the host may have denied is shown empty then.
fn bind_directory(source: &Path, target: &Path, may_be_missing: bool) -> Op {
    let mut op = bind_op(source, target, &MountOptions::default());
    if let Op::MountBind { directory, .. } = &mut op {
        *directory = if may_be_missing { 2 } else { 1 };
    }
    op
}
