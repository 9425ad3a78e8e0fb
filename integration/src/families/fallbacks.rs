//! Older kernels: what the runtime does without a feature that this kernel has. The oldest is
//! Linux 5.4; what that has (the mount calls of 5.2, pidfds) is not taken away.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount, umount};
use serde_json::json;

use crate::bundle::Bundle;
use crate::context::{Context, Kind, Layout};
use crate::families::ALL;
use crate::outcome::{Outcome, Stop};
use crate::process::Run;
use crate::runner::Test;
use crate::{check, check_eq, family, leftovers};

family!("fallbacks":
    paths_are_walked_without_openat2,
    paths_are_walked_when_openat2_is_denied,
    mounts_are_remounted_without_mount_setattr,
    mounts_are_remounted_when_mount_setattr_is_denied,
    options_of_a_whole_tree_are_refused_with_the_reason_without_mount_setattr,
    id_map_is_refused_with_the_reason_without_mount_setattr,
    failure_of_a_mount_is_told_without_fsopen,
    descriptors_are_closed_one_by_one_without_close_range,
    descriptors_are_marked_one_by_one_without_the_flag_of_close_range,
    clone_does_for_clone3,
    clone_does_for_clone3_that_is_denied,
    init_joins_its_cgroup_when_clone3_knows_no_such_flag,
    init_joins_its_cgroup_when_clone3_knows_no_such_field,
    namespaces_are_joined_one_by_one_without_setns_of_a_pidfd,
    program_in_memory_needs_no_flag,
    program_on_disk_does_for_one_in_memory,
    program_on_disk_does_where_the_kernel_forbids_one_in_memory,
    program_that_can_be_nowhere_is_refused_with_the_remedy,
    session_keyring_is_left_out_without_keyctl,
    descriptors_are_closed_by_number_without_a_proc,
    seccomp_listener_without_pidfd_getfd_is_refused_with_the_reason,
    exec_goes_where_init_is_when_the_cgroup_takes_no_processes,
    exec_joins_where_init_is_when_clone3_knows_no_cgroups,
    v2_hierarchy_under_another_mount_is_left_alone,
    linux_5_4_is_enough,
);

/// What every fallback must leave in force.
const SCENARIOS: &[&str] = &[
    "process::default_bundle_is_in_force",
    "process::only_standard_descriptors_are_open",
    "process::sysctl_is_written_in_the_containers_namespaces",
    "mounts::masked_paths_hide_and_missing_ones_are_ignored",
    "mounts::readonly_paths_refuse_writes",
    "mounts::read_only_root_cannot_be_written",
    "mounts::read_only_bind_mount_cannot_be_written",
    "mounts::bind_keeps_flags_of_its_source",
    "mounts::bind_mount_of_a_directory_makes_its_destination",
    "mounts::destination_through_a_symlink_stays_inside",
    "attacks::cve_2019_18837_destination_through_links_stays_inside",
    "attacks::cve_2024_21626_directory_of_a_descriptor_is_no_way_out",
    "live_mounts::read_only_bind_mount_cannot_be_written",
    "live_mounts::destination_through_a_link_stays_inside",
    "live_mounts::container_without_proc_takes_mounts",
    "terminal::terminal_is_the_controlling_one_and_dev_console",
    "terminal::exec_with_a_console_socket",
    "namespaces::several_are_joined_at_once",
    "namespaces::user_namespace_with_everything_else_works_like_the_default",
    "exec::executed_process_stands_where_the_container_does",
    "exec::executed_process_has_the_privileges_of_the_configuration",
    "exec::preserved_descriptors_are_passed",
    "exec::exec_joins_a_user_namespace",
    "hooks::hooks_run_in_the_namespaces_that_the_spec_names",
];

/// Runs the scenarios where all this is missing.
fn without(ctx: &Context, missing: &[&str]) -> Outcome {
    tare_only(ctx)?;
    let runtime = wrapper(ctx, missing)?;
    SCENARIOS.iter().try_for_each(|name| scenario(ctx, &runtime, name))
}

fn tare_only(ctx: &Context) -> Outcome {
    if ctx.kind == Kind::Tare {
        return Ok(());
    }
    Err(Stop::skip("the fallbacks of another runtime are its own"))
}

/// A program that acts as the runtime on a kernel without all this.
fn wrapper(ctx: &Context, missing: &[&str]) -> Outcome<PathBuf> {
    let without = std::env::current_exe()?.with_file_name("without");
    let script = format!(
        "#!/bin/sh\nexec '{}' {} -- '{}' \"$@\"\n",
        without.display(),
        missing.join(" "),
        ctx.runtime.display(),
    );
    let path = ctx.dir.join("older");
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn scenario(ctx: &Context, runtime: &Path, name: &str) -> Outcome {
    let test = find(name)?;
    let inner = ctx.behind_filter(runtime.to_owned())?;
    match (test.run)(&inner).and_then(|()| nothing_left(&inner)) {
        Err(Stop::Fail(message)) => Err(Stop::fail(format!("{name}: {message}"))),
        Ok(()) | Err(Stop::Skip(_)) => Ok(()),
    }
}

fn nothing_left(ctx: &Context) -> Outcome {
    let left = leftovers::take(ctx);
    check!(left.is_empty(), "left behind: {}", left.join(", "));
    Ok(())
}

fn find(name: &str) -> Outcome<&'static Test> {
    let (family, name) = name.split_once("::").unwrap_or_default();
    let tests = ALL.iter().filter(|other| other.name == family).flat_map(|family| family.tests);
    let mut tests = tests.filter(|test| test.name == name);
    tests.next().ok_or_else(|| Stop::fail(format!("{family}::{name}: no such test")))
}

fn paths_are_walked_without_openat2(ctx: &Context) -> Outcome {
    without(ctx, &["openat2"])
}

fn paths_are_walked_when_openat2_is_denied(ctx: &Context) -> Outcome {
    without(ctx, &["openat2=EPERM"])
}

fn mounts_are_remounted_without_mount_setattr(ctx: &Context) -> Outcome {
    without(ctx, &["mount_setattr"])
}

fn mounts_are_remounted_when_mount_setattr_is_denied(ctx: &Context) -> Outcome {
    without(ctx, &["mount_setattr=EPERM"])
}

fn options_of_a_whole_tree_are_refused_with_the_reason_without_mount_setattr(
    ctx: &Context,
) -> Outcome {
    tare_only(ctx)?;
    let inner = ctx.behind_filter(wrapper(ctx, &["mount_setattr"])?)?;
    let c =
        Bundle::new(&inner)?.mount("/m", "tmpfs", "m", &["rro"]).payload(&["true"]).container()?;
    c.run(&[])?.exits(1)?.says(&["need Linux 5.12"])?;
    drop(c);
    nothing_left(&inner)
}

fn id_map_is_refused_with_the_reason_without_mount_setattr(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let inner = ctx.behind_filter(wrapper(ctx, &["mount_setattr"])?)?;
    let ids = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    let mount = json!({
        "destination": "/m", "type": "bind", "source": ctx.dir, "options": ["bind"],
        "uidMappings": ids, "gidMappings": ids,
    });
    let c = Bundle::new(&inner)?.push("/mounts", mount).payload(&["true"]).container()?;
    c.run(&[])?.exits(1)?.says(&["id-mapped mounts need Linux 5.12"])?;
    drop(c);
    nothing_left(&inner)
}

fn failure_of_a_mount_is_told_without_fsopen(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let inner = ctx.behind_filter(wrapper(ctx, &["fsopen"])?)?;
    let bundle = Bundle::new(&inner)?.mount("/m", "tmpfs", "m", &["fluffy"]);
    let c = bundle.payload(&["true"]).container()?;
    c.run(&[])?.exits(1)?.says(&["invalid argument"])?.says(&["refused an option"])?;
    drop(c);
    nothing_left(&inner)
}

fn descriptors_are_closed_one_by_one_without_close_range(ctx: &Context) -> Outcome {
    without(ctx, &["close_range"])?;
    without(ctx, &["close_range=EPERM"])
}

fn descriptors_are_marked_one_by_one_without_the_flag_of_close_range(ctx: &Context) -> Outcome {
    without(ctx, &["close-range-cloexec"])
}

fn clone_does_for_clone3(ctx: &Context) -> Outcome {
    without(ctx, &["clone3"])
}

/// As container profiles do that are older than the call.
fn clone_does_for_clone3_that_is_denied(ctx: &Context) -> Outcome {
    without(ctx, &["clone3=EPERM"])
}

/// Linux 5.5 and 5.6.
fn init_joins_its_cgroup_when_clone3_knows_no_such_flag(ctx: &Context) -> Outcome {
    without(ctx, &["clone3=EINVAL"])
}

/// Linux 5.4, whose arguments of clone3 are shorter.
fn init_joins_its_cgroup_when_clone3_knows_no_such_field(ctx: &Context) -> Outcome {
    without(ctx, &["clone3=E2BIG"])
}

fn namespaces_are_joined_one_by_one_without_setns_of_a_pidfd(ctx: &Context) -> Outcome {
    without(ctx, &["setns-pidfd"])
}

fn program_in_memory_needs_no_flag(ctx: &Context) -> Outcome {
    without(ctx, &["memfd-exec"])
}

fn program_on_disk_does_for_one_in_memory(ctx: &Context) -> Outcome {
    without(ctx, &["memfd-program"])
}

fn session_keyring_is_left_out_without_keyctl(ctx: &Context) -> Outcome {
    without(ctx, &["keyctl"])
}

/// As `vm.memfd_noexec=2` says of a pid namespace and those below it (Linux 6.3).
fn program_on_disk_does_where_the_kernel_forbids_one_in_memory(ctx: &Context) -> Outcome {
    if !Path::new("/proc/sys/vm/memfd_noexec").exists() {
        return Err(Stop::skip("this kernel cannot forbid programs in memory"));
    }
    let set = "mount -t proc proc /proc && echo 2 >/proc/sys/vm/memfd_noexec && exec \"$@\"";
    let c = Bundle::new(ctx)?.payload(&["say", "here"]).container()?;
    let (runtime, root) = (ctx.runtime.to_string_lossy(), ctx.root());
    let (root, bundle) = (root.to_string_lossy(), c.dir.to_string_lossy());
    let args = ["--pid", "--mount", "--fork", "sh", "-c", set, "sh", &runtime, "--root", &root];
    let args = [&args[..], &["run", "--bundle", &bundle, &c.id]].concat();
    let done = Run::new(Path::new("/usr/bin/unshare"), &args, &ctx.dir)?.ok()?;
    check_eq!(done.stdout, "here\n", "output");
    Ok(())
}

fn program_that_can_be_nowhere_is_refused_with_the_remedy(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let inner = ctx.behind_filter(wrapper(ctx, &["memfd-program"])?)?;
    let none: Option<&str> = None;
    let root = inner.root();
    mount(none, &root, Some("tmpfs"), MsFlags::MS_NOEXEC, none)?;
    let ran = Bundle::new(&inner)?.payload(&["true"]).container().and_then(|c| c.run(&[]));
    umount(&root)?;
    ran?.exits(1)?.says(&["put --root on a filesystem mounted with exec"])?;
    nothing_left(&inner)
}

/// A directory of the image that looks like one without open files is not believed.
fn descriptors_are_closed_by_number_without_a_proc(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let inner = ctx.behind_filter(wrapper(ctx, &["close_range"])?)?;
    let mut bundle = Bundle::new(&inner)?;
    let mounts = bundle.config["mounts"].as_array_mut();
    mounts.into_iter().for_each(|mounts| mounts.retain(|mount| mount["destination"] != "/proc"));
    for paths in ["maskedPaths", "readonlyPaths"] {
        bundle.config["linux"][paths] = json!([]);
    }
    let c = bundle
        .args(&["sh", "-c", "for fd in 3 4 5 6 7 8 9; do (: >&$fd) && echo $fd; done"])
        .container()?;
    fs::create_dir_all(c.rootfs().join("proc/self/fd"))?;
    let done = c.run(&[])?;
    check_eq!(done.stdout, "", "open descriptors");
    done.says(&["bad file descriptor"])?;
    drop(c);
    nothing_left(&inner)
}

fn seccomp_listener_without_pidfd_getfd_is_refused_with_the_reason(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let inner = ctx.behind_filter(wrapper(ctx, &["pidfd_getfd"])?)?;
    let socket = inner.dir.join("agent");
    let _agent = std::os::unix::net::UnixListener::bind(&socket)?;
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": socket,
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    });
    let c = Bundle::new(&inner)?.set("/linux/seccomp", profile).payload(&["true"]).container()?;
    c.run(&[])?.exits(1)?.says(&["needs Linux 5.6"])?;
    drop(c);
    nothing_left(&inner)
}

/// Makes the container's cgroup one that passes a controller on, with init in a cgroup below it,
/// as systemd does in a container; an executed process goes to init's.
fn executed_beside_init(ctx: &Context) -> Outcome {
    if ctx.layout == Layout::V1 {
        return Err(Stop::skip("no v2 hierarchy"));
    }
    let mount = Path::new("/sys/fs/cgroup");
    let mount = if ctx.layout == Layout::V2 { mount.to_owned() } else { mount.join("unified") };
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let own = mount.join(cgroup.trim_start_matches('/'));
    let available = fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
    let Some(controller) = available.split_whitespace().next() else {
        return Err(Stop::skip("no controller of v2 here"));
    };
    fs::create_dir(own.join("inner"))?;
    fs::write(own.join("inner/cgroup.procs"), c.pid()?.to_string())?;
    fs::write(own.join("cgroup.subtree_control"), format!("+{controller}"))?;
    let pid = c.exec_detached(&[], &["/bin/payload", "sleep", "60000"])?;
    let place = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let expected = format!("0::{cgroup}/inner");
    check!(place.lines().any(|line| line == expected), "the process is in {place}");
    Ok(())
}

fn exec_goes_where_init_is_when_the_cgroup_takes_no_processes(ctx: &Context) -> Outcome {
    executed_beside_init(ctx)
}

fn exec_joins_where_init_is_when_clone3_knows_no_cgroups(ctx: &Context) -> Outcome {
    tare_only(ctx)?;
    let inner = ctx.behind_filter(wrapper(ctx, &["clone3=E2BIG"])?)?;
    executed_beside_init(&inner)?;
    nothing_left(&inner)
}

/// The mount table still lists the hierarchy, and its path leads elsewhere.
fn v2_hierarchy_under_another_mount_is_left_alone(ctx: &Context) -> Outcome {
    let mount = Path::new("/sys/fs/cgroup/unified");
    if ctx.layout != Layout::Host || !mount.is_dir() {
        return Err(Stop::skip("no v2 hierarchy beside v1"));
    }
    let cover = "mount -t tmpfs none /sys/fs/cgroup/unified && \"$@\" && ls /sys/fs/cgroup/unified";
    let c = Bundle::new(ctx)?.payload(&["say", "here"]).container()?;
    let (runtime, root) = (ctx.runtime.to_string_lossy(), ctx.root());
    let (root, bundle) = (root.to_string_lossy(), c.dir.to_string_lossy());
    let args = ["--mount", "sh", "-c", cover, "sh", &runtime, "--root", &root];
    let args = [&args[..], &["run", "--bundle", &bundle, &c.id]].concat();
    let done = Run::new(Path::new("/usr/bin/unshare"), &args, &ctx.dir)?.ok()?;
    check_eq!(done.stdout, "here\n", "output, and what was made in the wrong place");
    Ok(())
}

fn linux_5_4_is_enough(ctx: &Context) -> Outcome {
    let newer = ["openat2", "mount_setattr", "close_range", "clone3=E2BIG", "setns-pidfd"];
    without(ctx, &[&newer[..], &["memfd-exec", "pidfd_getfd", "faccessat2"]].concat())
}
