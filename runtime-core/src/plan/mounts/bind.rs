//! Bind mounts.

use super::options::MountOptions;
use super::{destination, mapped, propagation_word};
use crate::bundle::item;
use crate::error::{Error, Result};
use crate::plan::clone_flags::CLONE_NEWUSER;
use crate::plan::container::Parts;
use crate::plan::ops::{NO_SLOT, Op, link};
use crate::plan::{Descriptor, Plan, Tree, enter};
use libc::{MS_BIND, MS_REC, MS_REMOUNT};
use oci_spec::runtime::Mount;
use std::path::Path;

pub(super) fn bind(
    plan: &mut Plan,
    parts: &Parts<'_>,
    mount: &Mount,
    options: &MountOptions,
    target: &Path,
    pointer: &str,
) -> Result<Op> {
    let source = mount.source().as_ref().filter(|source| !source.as_os_str().is_empty());
    let source = source.ok_or_else(|| {
        Error::config(pointer, "a bind mount needs a source")
            .hint("set source to a path of the host")
    })?;
    let source = parts.request.bundle.dir().join(source);
    let id_map = mapped::of(plan, parts, mount, options, pointer)?;
    let mut op = bind_op(&source, target, options);
    // The root of a user namespace may not reach what the host's root can, nor map
    // the ids of the host's mounts: the host side, where it is that, takes a copy of the tree for it.
    // A container that is there has no way to the host's any more.
    if let Op::MountBind { slot, recursive, links, .. } = &mut op
        && (parts.request.live
            || parts.namespaces.has(CLONE_NEWUSER)
                && enter::is_privileged(parts)
                && !is_mounted_here(parts, &source, pointer)
            || id_map.is_some())
    {
        *slot = plan.descriptor(Descriptor::Tree(Tree {
            source,
            recursive: *recursive == 1,
            no_follow: *links & (link::COPY | link::SOURCE) != 0,
            id_map,
            pointer: pointer.to_owned(),
        }));
    }
    Ok(op)
}

/// Whether `source` leads to what an earlier entry of `mounts` has put into the rootfs: only
/// init has that.
fn is_mounted_here(parts: &Parts<'_>, source: &Path, pointer: &str) -> bool {
    let rootfs = parts.request.bundle.rootfs();
    let Ok(inside) = source.strip_prefix(rootfs) else { return false };
    let inside = Path::new("/").join(inside);
    let listed = parts.spec.mounts().as_deref().unwrap_or_default();
    let earlier =
        listed.iter().enumerate().take_while(|(index, _)| item("/mounts", *index) != pointer);
    earlier.map(|(_, mount)| destination(rootfs, mount)).any(|place| inside.starts_with(place))
}

/// The mount of `source`, a path of the host.
pub(in crate::plan) fn bind_op(source: &Path, target: &Path, options: &MountOptions) -> Op {
    let bit = |wanted: bool, bit: u64| if wanted { bit } else { 0 };
    Op::MountBind {
        target: target.into(),
        source: source.into(),
        slot: NO_SLOT,
        recursive: u64::from(options.is_recursive()),
        directory: 0,
        links: bit(options.copy_symlink, link::COPY)
            | bit(options.source_nofollow, link::SOURCE)
            | bit(options.destination_nofollow, link::DESTINATION),
        set: options.flags & !(MS_BIND | MS_REC | MS_REMOUNT),
        clear: options.cleared,
        propagation: propagation_word(&options.propagation),
        attr_set: options.tree_set,
        attr_clear: options.tree_clear,
    }
}

/// What mount(8) calls `remount,bind`: other flags for the mount that is there.
pub(super) fn change(options: &MountOptions, target: &Path) -> Op {
    Op::RemountBind {
        target: target.into(),
        set: options.flags & !(MS_BIND | MS_REC | MS_REMOUNT),
        clear: options.cleared,
        propagation: propagation_word(&options.propagation),
        attr_set: options.tree_set,
        attr_clear: options.tree_clear,
    }
}
