//! Decisions about mounts.

mod bind;
mod cgroup;
mod filesystem;
pub mod id_map;
mod mapped;
pub mod options;

pub(super) use bind::bind_op;

use super::container::Parts;
use super::ops::Op;
use super::{Plan, rootfs};
use crate::bundle::below_root;
use crate::error::{Notice, Result};
use libc::{MS_BIND, MS_REC, MS_REMOUNT};
use oci_spec::runtime::Mount;
use options::MountOptions;
use std::path::{Path, PathBuf};

/// What waits until everything is mounted and filled.
type Later = Vec<(String, Op)>;

/// One entry of `mounts`, the object at the JSON pointer `pointer`.
pub(super) fn one(
    plan: &mut Plan,
    parts: &Parts<'_>,
    mount: &Mount,
    pointer: &str,
    later: &mut Later,
) -> Result<()> {
    let options = MountOptions::of(mount, pointer)?;
    let target = destination(parts.request.bundle.rootfs(), mount);
    plan.notices.extend(options.without_effect().map(|what| Notice::new(pointer, what)));
    match mount.typ().as_deref() {
        Some("cgroup") => return cgroup::mount(plan, parts, &target, &options, pointer, later),
        // What it shows is what its maker's namespace has, which must not be the host's.
        Some("cgroup2") => rootfs::cgroup_joined(plan, parts)?,
        _ => {}
    }
    if options.flags & (MS_BIND | MS_REMOUNT) == MS_BIND | MS_REMOUNT {
        plan.init(pointer, bind::change(&options, &target));
        return Ok(());
    }
    if options.is_bind() {
        let op = bind::bind(plan, parts, mount, &options, &target, pointer)?;
        plan.init(pointer, op);
        return Ok(());
    }
    if options.flags & MS_REMOUNT != 0 {
        let op = Op::Remount {
            target: target.as_path().into(),
            flags: options.flags,
            data: options.data.into(),
        };
        plan.init(pointer, op);
        return Ok(());
    }
    filesystem::mount(plan, parts, mount, &options, &target, pointer, later)
}

/// Where a mount goes, inside. As with runc a path of the host that leads into the rootfs
/// stands for the one inside.
fn destination(rootfs: &Path, mount: &Mount) -> PathBuf {
    let path = below_root(mount.destination());
    match path.strip_prefix(rootfs) {
        Ok(inside) => Path::new("/").join(inside),
        Err(_) => path,
    }
}

/// Five bits a change, the first one lowest; see `Op::MountFs`.
fn propagation_word(changes: &[u64]) -> u64 {
    const MOST: usize = 12;
    let one = |flags: &u64| ((flags >> 17) & 0xf) | if flags & MS_REC != 0 { 0x10 } else { 0 };
    changes.iter().take(MOST).map(one).rev().fold(0, |word, bits| word << 5 | bits)
}
