//! The root filesystem: mounts, devices and links, then the change of root.

use super::clone_flags::{CLONE_NEWCGROUP, CLONE_NEWNS, CLONE_NEWUSER};
use super::container::Parts;
use super::mounts::options::MountOptions;
use super::ops::Op;
use super::wire::Text;
use super::{Action, Plan};
use super::{devices, enter, mounts};
use crate::bundle::{below_root, item};
use crate::error::{Error, Result};
use libc::{MS_PRIVATE, MS_RDONLY, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE};
use oci_spec::runtime::{Mount, Process};
use std::path::Path;

/// Links of every container's /dev (config-linux.md, Default Devices, and /dev symbolic links).
const LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/core", "/proc/kcore"),
];

/// Mounts, device nodes, links, in the order of the configuration.
pub(super) fn build(plan: &mut Plan, parts: &Parts<'_>) -> Result<()> {
    refuse_private_without_pivot(parts)?;
    plan.init("", Op::Stdio {});
    open(plan, parts);
    let listed = parts.spec.mounts().as_deref().unwrap_or_default();
    let mut later = Vec::new();
    for (index, mount) in listed.iter().enumerate() {
        mounts::one(plan, parts, mount, &item("/mounts", index), &mut later)?;
    }
    if parts.request.notify {
        let source = parts.request.directory.join("notify");
        let options = MountOptions { flags: MS_RDONLY, ..MountOptions::default() };
        plan.init(
            "",
            mounts::bind_op(&source, Path::new(super::process::NOTIFY_DIRECTORY), &options),
        );
    }
    cgroup_joined(plan, parts)?;
    nodes(plan, parts, listed.iter().any(is_bound_dev));
    for (pointer, op) in later {
        place_of_console(plan, parts, &op);
        plan.init(pointer, op);
    }
    Ok(())
}

/// Where the terminal is shown, before a /dev becomes read-only.
fn place_of_console(plan: &mut Plan, parts: &Parts<'_>, next: &Op) {
    let terminal = parts.spec.process().as_ref().and_then(Process::terminal) == Some(true);
    let is_dev = matches!(next, Op::Remount { target, .. } if *target == Text::from("/dev"));
    if terminal && is_dev {
        plan.init("/process/terminal", Op::EmptyFile { path: "/dev/console".into() });
    }
}

fn open(plan: &mut Plan, parts: &Parts<'_>) {
    let rootfs = Text::from(parts.request.bundle.rootfs());
    if !parts.namespaces.has(CLONE_NEWNS) {
        plan.init("/root/path", Op::OpenRoot { path: rootfs });
        return;
    }
    let flags = while_mounting(propagation(parts), parts.request.no_pivot);
    let op = Op::RootPropagation { flags, parent: of_parent(flags), rootfs: rootfs.clone() };
    plan.init("/linux/rootfsPropagation", op);
    plan.init("/root/path", Op::OpenRootfs { path: rootfs });
    if parts
        .linux
        .is_some_and(|linux| linux.masked_paths().as_ref().is_some_and(|paths| !paths.is_empty()))
    {
        plan.init("/linux/maskedPaths", Op::OpenNull {});
    }
}

/// The propagation of the host's root until the container's has taken its place.
fn while_mounting(wanted: u64, no_pivot: bool) -> u64 {
    match wanted & !MS_REC {
        0 => MS_SLAVE | MS_REC,
        // What is unbindable could not be bound any more, the rootfs first of all.
        MS_UNBINDABLE => MS_PRIVATE | wanted & MS_REC,
        // What is moved over a shared root is moved over that of the host.
        MS_SHARED if no_pivot => MS_SLAVE,
        _ => wanted,
    }
}

/// Of the mount that holds the rootfs, where that may still be shared: the host would
/// get the container's mounts, and the kernel refuses to change the root. As a slave it
/// still gets those of the host.
fn of_parent(flags: u64) -> u64 {
    let leaves_none_shared = flags & MS_REC != 0 && flags & MS_SHARED == 0;
    match flags & MS_SLAVE {
        _ if leaves_none_shared => 0,
        0 => MS_PRIVATE,
        slave => slave,
    }
}

/// Without pivot_root the host's root stays below the container's. What is unmounted
/// on the host would stay mounted there, and in use.
fn refuse_private_without_pivot(parts: &Parts<'_>) -> Result<()> {
    if !parts.request.no_pivot || propagation(parts) & MS_PRIVATE == 0 {
        return Ok(());
    }
    let text = "rootfsPropagation of [r]private is not safe without pivot_root";
    Err(Error::config("/linux/rootfsPropagation", text).hint("use rslave, or leave --no-pivot out"))
}

/// `linux.rootfsPropagation` as flags; 0 when it is not set.
fn propagation(parts: &Parts<'_>) -> u64 {
    let wanted = parts.linux.and_then(|linux| linux.rootfs_propagation().as_deref());
    match wanted.unwrap_or_default() {
        "shared" => MS_SHARED,
        "rshared" => MS_SHARED | MS_REC,
        "slave" => MS_SLAVE,
        "rslave" => MS_SLAVE | MS_REC,
        "private" => MS_PRIVATE,
        "rprivate" => MS_PRIVATE | MS_REC,
        "unbindable" => MS_UNBINDABLE,
        "runbindable" => MS_UNBINDABLE | MS_REC,
        _ => 0,
    }
}

fn is_bound_dev(mount: &Mount) -> bool {
    let options = mount.options().as_deref().unwrap_or_default();
    let bound = mount.typ().as_deref() == Some("bind")
        || options.iter().any(|option| option == "bind" || option == "rbind");
    bound && below_root(mount.destination()) == Path::new("/dev")
}

/// From here on init is in its cgroups, and a cgroup namespace has the right root.
pub(super) fn cgroup_joined(plan: &mut Plan, parts: &Parts<'_>) -> Result<()> {
    if parts.request.live {
        return Ok(());
    }
    let has = |plan: &Plan, wanted: fn(&Op) -> bool| {
        plan.steps.iter().any(|step| matches!(&step.action, Action::Init(op) if wanted(op)))
    };
    if let Some(cgroup) = &parts.cgroup
        && !has(plan, |op| matches!(op, Op::JoinCgroups { .. }))
    {
        enter::join_made_cgroups(plan, cgroup)?;
    }
    if parts.namespaces.creates(CLONE_NEWCGROUP)
        && !has(plan, |op| matches!(op, Op::Unshare { flags: CLONE_NEWCGROUP }))
    {
        plan.init("/linux/namespaces", Op::Unshare { flags: CLONE_NEWCGROUP });
    }
    Ok(())
}

/// Nodes and links; where /dev is bound from elsewhere, only what is not in it.
fn nodes(plan: &mut Plan, parts: &Parts<'_>, bound_dev: bool) {
    let listed = parts.linux.and_then(|linux| linux.devices().as_deref()).unwrap_or_default();
    let (devices, notices) = devices::resolve(listed);
    plan.notices.extend(notices);
    // A user namespace may make pipes, but no device nodes: the host's are shown.
    let no_nodes = parts.namespaces.has(CLONE_NEWUSER);
    for device in devices.into_iter().filter(|one| !bound_dev || !one.path.starts_with("/dev")) {
        plan.init(
            device.pointer.as_str(),
            Op::Device {
                path: device.path.as_path().into(),
                mode: u64::from(device.kind.mode() | device.permissions),
                major: u64::from(device.major),
                minor: u64::from(device.minor),
                uid: u64::from(device.uid),
                gid: u64::from(device.gid),
                bind: u64::from(no_nodes && device.kind != devices::Kind::Fifo),
            },
        );
    }
    if bound_dev {
        return;
    }
    for (path, content) in LINKS {
        plan.init("", Op::Symlink { path: path.into(), content: content.into(), replace: 0 });
    }
    plan.init("", Op::Symlink { path: "/dev/ptmx".into(), content: "pts/ptmx".into(), replace: 1 });
}

/// The rootfs becomes the root.
pub(super) fn change(plan: &mut Plan, parts: &Parts<'_>) -> Result<()> {
    if !parts.namespaces.has(CLONE_NEWNS) {
        plan.init("/root/path", Op::Chroot {});
    } else if parts.request.no_pivot {
        plan.init("/root/path", Op::MoveRoot {});
    } else {
        plan.init("/root/path", Op::PivotRoot {});
    }
    if propagation(parts) & MS_UNBINDABLE == 0 {
        root_propagation(plan, parts);
    }
    Ok(())
}

/// What cannot be bound any more is so once nothing needs to be bound.
pub(super) fn settled(plan: &mut Plan, parts: &Parts<'_>) {
    if propagation(parts) & MS_UNBINDABLE != 0 {
        root_propagation(plan, parts);
    }
}

fn root_propagation(plan: &mut Plan, parts: &Parts<'_>) {
    let flags = propagation(parts);
    if flags != 0 && parts.namespaces.has(CLONE_NEWNS) {
        plan.init("/linux/rootfsPropagation", Op::RootfsPropagation { flags });
    }
}
