//! The root filesystem: mounts, devices and links, then the change of root.

use super::clone_flags::{CLONE_NEWCGROUP, CLONE_NEWNS, CLONE_NEWUSER};
use super::container::Parts;
use super::mounts::options::MountOptions;
use super::ops::{NO_SLOT, Op};
use super::wire::{List, Text};
use super::{Action, Descriptor, Plan};
use super::{devices, enter};
use crate::bundle::{below_root, item};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::Mode;
use libc::{MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT, MS_SHARED, MS_SLAVE, MS_UNBINDABLE};
use oci_spec::runtime::Mount;
use std::path::{Path, PathBuf};

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
    let mounts = parts.spec.mounts().as_deref().unwrap_or_default();
    let mut later = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        one(plan, parts, mount, &item("/mounts", index), &mut later)?;
    }
    if parts.request.notify {
        let source = parts.request.directory.join("notify");
        let options = MountOptions { flags: MS_RDONLY, ..MountOptions::default() };
        plan.init("", bind_op(&source, Path::new(super::process::NOTIFY_DIRECTORY), &options));
    }
    cgroup_joined(plan, parts)?;
    nodes(plan, parts, mounts.iter().any(is_bound_dev));
    for (pointer, op) in later {
        plan.init(pointer, op);
    }
    Ok(())
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

fn one(
    plan: &mut Plan,
    parts: &Parts<'_>,
    mount: &Mount,
    pointer: &str,
    later: &mut Vec<(String, Op)>,
) -> Result<()> {
    let options = MountOptions::of(mount, pointer)?;
    refuse_id_map(mount, &options, pointer)?;
    let target = below_root(mount.destination());
    if mount.typ().as_deref() == Some("cgroup") {
        return cgroup_mount(plan, parts, &target, &options, pointer, later);
    }
    if options.is_bind() {
        let op = bind(plan, parts, mount, &options, &target, pointer)?;
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
    let fstype = mount.typ().as_deref().unwrap_or_default();
    let data = labelled(parts, &options.data, fstype);
    let mut flags = options.flags;
    // Filled before it becomes read-only.
    let filled = options.copy_up || target == Path::new("/dev");
    if filled && flags & MS_RDONLY != 0 {
        let op = Op::Remount { target: target.as_path().into(), flags, data: data.as_str().into() };
        later.push((pointer.to_owned(), op));
        flags &= !MS_RDONLY;
    }
    plan.init(
        pointer,
        Op::MountFs {
            target: target.as_path().into(),
            source: mount.source().as_deref().unwrap_or(Path::new(fstype)).into(),
            fstype: fstype.into(),
            flags,
            data: data.into(),
            propagation: propagation_word(&options.propagation),
            attr_set: options.tree_set,
            attr_clear: options.tree_clear,
            copy_up: u64::from(options.copy_up && fstype == "tmpfs"),
        },
    );
    Ok(())
}

fn refuse_id_map(mount: &Mount, options: &MountOptions, pointer: &str) -> Result<()> {
    if options.id_map.is_some() || mount.uid_mappings().is_some() || mount.gid_mappings().is_some()
    {
        return Err(
            Error::new(ErrorKind::Unsupported, "id-mapped mounts are not built yet").at(pointer)
        );
    }
    Ok(())
}

fn bind(
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
    let mut op = bind_op(&source, target, options);
    // The root of a user namespace may not reach what the host's root can: the host
    // side takes a copy of the tree for it.
    if let Op::MountBind { slot, recursive, .. } = &mut op
        && parts.namespaces.has(CLONE_NEWUSER)
    {
        *slot = plan.descriptor(Descriptor::Tree {
            source,
            recursive: *recursive == 1,
            pointer: pointer.to_owned(),
        });
    }
    Ok(op)
}

fn bind_op(source: &Path, target: &Path, options: &MountOptions) -> Op {
    Op::MountBind {
        target: target.into(),
        source: source.into(),
        slot: NO_SLOT,
        recursive: u64::from(options.is_recursive()),
        directory: 0,
        set: options.flags & !(libc::MS_BIND | MS_REC | MS_REMOUNT),
        clear: options.cleared,
        propagation: propagation_word(&options.propagation),
        attr_set: options.tree_set,
        attr_clear: options.tree_clear,
    }
}

/// Five bits a change, the first one lowest; see `Op::MountFs`.
fn propagation_word(changes: &[u64]) -> u64 {
    const MOST: usize = 12;
    let one = |flags: &u64| ((flags >> 17) & 0xf) | if flags & MS_REC != 0 { 0x10 } else { 0 };
    changes.iter().take(MOST).map(one).rev().fold(0, |word, bits| word << 5 | bits)
}

/// SELinux: every filesystem that takes a context gets the container's.
fn labelled(parts: &Parts<'_>, data: &str, fstype: &str) -> String {
    let label = parts.linux.and_then(|linux| linux.mount_label().as_deref()).unwrap_or_default();
    if label.is_empty() || matches!(fstype, "proc" | "sysfs" | "mqueue") {
        return data.to_owned();
    }
    let separator = if data.is_empty() { "" } else { "," };
    format!("{data}{separator}context=\"{label}\"")
}

fn is_bound_dev(mount: &Mount) -> bool {
    let options = mount.options().as_deref().unwrap_or_default();
    let bound = mount.typ().as_deref() == Some("bind")
        || options.iter().any(|option| option == "bind" || option == "rbind");
    bound && below_root(mount.destination()) == Path::new("/dev")
}

/// From here on init is in its cgroups, and a cgroup namespace has the right root.
fn cgroup_joined(plan: &mut Plan, parts: &Parts<'_>) -> Result<()> {
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

/// v2: the one hierarchy. v1: a tmpfs with a mount for each hierarchy, of the
/// namespace's own view or, without a namespace, bound to the container's part.
fn cgroup_mount(
    plan: &mut Plan,
    parts: &Parts<'_>,
    target: &Path,
    options: &MountOptions,
    pointer: &str,
    later: &mut Vec<(String, Op)>,
) -> Result<()> {
    cgroup_joined(plan, parts)?;
    let own_namespace = parts.namespaces.has(CLONE_NEWCGROUP);
    let Some(cgroup) = &parts.cgroup else { return Ok(()) };
    if cgroup.mode == Mode::V2 {
        let op = if own_namespace || !parts.namespaces.has(CLONE_NEWUSER) {
            filesystem(target, "cgroup2", "cgroup", options.flags, "", &options.propagation)
        } else {
            bind_op(Path::new("/sys/fs/cgroup"), target, options)
        };
        plan.init(pointer, op);
        return Ok(());
    }
    let plain = options.flags & !MS_RDONLY;
    let tmpfs = filesystem(target, "tmpfs", "tmpfs", plain, "mode=755", &options.propagation);
    plan.init(pointer, tmpfs);
    let mut below = List::new();
    for directory in cgroup.directories.iter().filter(|directory| !directory.is_v2()) {
        let name = Path::new(&directory.mount).file_name().map_or_else(PathBuf::new, PathBuf::from);
        let place = target.join(&name);
        let controllers = directory.controllers.join(",");
        let op = if own_namespace {
            filesystem(&place, "cgroup", "cgroup", plain, &controllers, &[])
        } else {
            bind_directory(&cgroup.absolute(directory), &place)
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
    Ok(())
}

/// The mount of a directory as it is.
fn bind_directory(source: &Path, target: &Path) -> Op {
    let mut op = bind_op(source, target, &MountOptions::default());
    if let Op::MountBind { directory, .. } = &mut op {
        *directory = 1;
    }
    op
}

fn filesystem(
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
    }
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
