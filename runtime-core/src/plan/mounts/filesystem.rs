//! Mounts of filesystems.

use super::options::MountOptions;
use super::{Later, propagation_word};
use crate::bundle::member;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::plan::annotations::{self, MOUNT_CONTEXT_TYPE};
use crate::plan::container::Parts;
use crate::plan::ops::{Op, inherit};
use libc::MS_RDONLY;
use oci_spec::runtime::{Mount, Spec};
use std::path::Path;

/// The options of SELinux that the label of mounts can go into.
const CONTEXT_TYPES: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

pub(super) fn mount(
    plan: &mut Plan,
    parts: &Parts<'_>,
    mount: &Mount,
    options: &MountOptions,
    target: &Path,
    pointer: &str,
    later: &mut Later,
) -> Result<()> {
    let fstype = mount.typ().as_deref().filter(|fstype| !fstype.is_empty()).ok_or_else(|| {
        Error::config(member(pointer, "type"), "a mount that is no bind mount needs a type")
            .hint("name the filesystem, or add bind to the options")
    })?;
    let data = labelled(parts, &options.data, fstype)?;
    let mut flags = options.flags;
    let copy_up = options.copy_up && fstype == "tmpfs";
    // Filled before it becomes read-only.
    if (copy_up || target == Path::new("/dev")) && flags & MS_RDONLY != 0 {
        let op = Op::Remount { target: target.into(), flags, data: data.as_str().into() };
        later.push((pointer.to_owned(), op));
        flags &= !MS_RDONLY;
    }
    let source = mount.source().as_deref().filter(|source| !source.as_os_str().is_empty());
    plan.init(
        pointer,
        Op::MountFs {
            target: target.into(),
            source: source.unwrap_or(Path::new(fstype)).into(),
            fstype: fstype.into(),
            flags,
            inherit: inherited(fstype, &data, copy_up),
            data: data.into(),
            propagation: propagation_word(&options.propagation),
            attr_set: options.tree_set,
            attr_clear: options.tree_clear,
            copy_up: u64::from(copy_up),
        },
    );
    Ok(())
}

/// What a tmpfs takes over from the directory that it covers, unless its data says it.
fn inherited(fstype: &str, data: &str, copy_up: bool) -> u64 {
    if fstype != "tmpfs" {
        return 0;
    }
    let says = |name: &str| {
        data.split(',')
            .any(|word| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
    };
    let mode = if says("mode") { 0 } else { inherit::MODE };
    let owner = if !copy_up || says("uid") || says("gid") { 0 } else { inherit::OWNER };
    mode | owner
}

/// SELinux: every filesystem that takes a context gets the container's.
fn labelled(parts: &Parts<'_>, data: &str, fstype: &str) -> Result<String> {
    let label = parts.linux.and_then(|linux| linux.mount_label().as_deref()).unwrap_or_default();
    if label.is_empty() || matches!(fstype, "proc" | "sysfs" | "mqueue") {
        return Ok(data.to_owned());
    }
    let context = context_type(parts.spec)?;
    let separator = if data.is_empty() { "" } else { "," };
    Ok(format!("{data}{separator}{context}=\"{label}\""))
}

fn context_type(spec: &Spec) -> Result<&str> {
    let Some(asked) = annotations::value(spec, MOUNT_CONTEXT_TYPE) else { return Ok("context") };
    let known = CONTEXT_TYPES.iter().find(|known| **known == asked);
    known.copied().ok_or_else(|| {
        let message = format!("invalid mount context type {asked:?}");
        Error::config(annotations::pointer(MOUNT_CONTEXT_TYPE), message)
            .hint(format!("use one of {}", CONTEXT_TYPES.join(", ")))
    })
}

/// A filesystem that the runtime itself asks for.
pub(super) fn plain(
    target: &Path,
    fstype: &str,
    source: &str,
    flags: u64,
    data: &str,
    propagation: &[u64],
) -> Op {
    Op::MountFs {
        target: target.into(),
        source: source.into(),
        fstype: fstype.into(),
        flags,
        data: data.into(),
        propagation: propagation_word(propagation),
        attr_set: 0,
        attr_clear: 0,
        copy_up: 0,
        inherit: 0,
    }
}
