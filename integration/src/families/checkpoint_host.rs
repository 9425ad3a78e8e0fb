//! Checkpoint and restore of what a container has of the host: mounts, namespaces, cgroups,
//! connections.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sched::{CloneFlags, setns};
use serde_json::json;

use super::net_devices::ip;
use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::{Context, Layout};
use crate::criu::{
    self, LONG, UNTIL_GO, checkpoint, go, images, reports, restore, there_and_back, try_checkpoint,
};
use crate::host::{Holder, HostTree};
use crate::outcome::{Outcome, Stop};
use crate::process::wait_for;
use crate::{cgroups, check, check_eq, family};

family!("checkpoint_host":
    bind_mounts_are_those_of_the_host,
    mount_points_are_made_again,
    mounts_below_a_bind_mount_come_along,
    filesystems_come_back_with_what_is_in_them,
    masked_and_read_only_paths_stay_so,
    host_sees_nothing_of_a_restore,
    network_namespace_is_joined_again,
    namespaces_of_others_are_joined_again,
    connection_outlives_its_container,
    connection_is_refused_unless_allowed,
    limits_are_those_of_the_configuration,
    container_is_restored_under_another_name_and_cgroup,
    user_namespace_comes_back,
    cgroup_namespace_and_mounts_come_back,
    readiness_socket_is_there_again,
);

fn idle(ctx: &Context) -> Outcome<Bundle<'_>> {
    Ok(Bundle::new(ctx)?.payload(&LONG))
}

/// What `path` has, seen from inside.
fn inside(c: &Container<'_>, path: &str) -> Outcome<String> {
    Ok(c.exec(&[], &["cat", path])?.ok()?.stdout)
}

fn bind_mounts_are_those_of_the_host(ctx: &Context) -> Outcome {
    let (directory, file) = (ctx.dir.join("shared"), ctx.dir.join("file"));
    fs::create_dir(&directory)?;
    fs::write(directory.join("text"), "before")?;
    fs::write(&file, "a file")?;
    let bundle = idle(ctx)?
        .symlink("/link", "/real/place")?
        .bind(&directory, "/data", &["rbind", "rw"])
        .bind(&directory, "/fixed", &["bind", "ro"])
        .bind(&directory, "/link", &["bind"])
        .bind(&file, "/etc/file", &["bind", "ro"]);
    let c = criu::started(ctx, bundle)?;
    for round in ["one", "two"] {
        there_and_back(ctx, &c, &[])?;
        fs::write(directory.join("text"), round)?;
        check_eq!(inside(&c, "/data/text")?, round, "the directory");
        check_eq!(inside(&c, "/real/place/text")?, round, "the directory behind a link");
        check_eq!(inside(&c, "/etc/file")?, "a file", "the file");
        c.exec(&[], &["sh", "-c", "echo new > /data/new"])?.ok()?;
        check!(
            c.exec(&[], &["sh", "-c", "echo new > /fixed/new"])?.code != 0,
            "/fixed is writable"
        );
        check!(
            c.exec(&[], &["sh", "-c", "echo new > /etc/file"])?.code != 0,
            "the file is writable"
        );
    }
    Ok(())
}

fn mount_points_are_made_again(ctx: &Context) -> Outcome {
    let (outer, inner) = (ctx.dir.join("outer"), ctx.dir.join("inner"));
    fs::create_dir(&outer)?;
    fs::create_dir(&inner)?;
    fs::write(inner.join("text"), "inner")?;
    let bundle = idle(ctx)?
        .bind(&outer, "/outer", &["bind"])
        .bind(&inner, "/outer/for/inner", &["bind"])
        .bind(&inner.join("text"), "/new/file", &["bind"]);
    let c = criu::started(ctx, bundle)?;
    checkpoint(ctx, &c, &[])?;
    fs::remove_dir_all(outer.join("for"))?;
    fs::remove_dir_all(c.rootfs().join("new"))?;
    restore(&c, &[])?;
    check_eq!(inside(&c, "/outer/for/inner/text")?, "inner", "the nested mount");
    check_eq!(inside(&c, "/new/file")?, "inner", "the file");
    Ok(())
}

fn mounts_below_a_bind_mount_come_along(ctx: &Context) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let bundle = idle(ctx)?.bind(&tree.dir, "/tree", &["rbind"]);
    let c = criu::started(ctx, bundle)?;
    there_and_back(ctx, &c, &[])?;
    check_eq!(inside(&c, "/tree/below/file")?, "below", "the mount below");
    // Gone before the tree is unmounted.
    c.verb("kill")?;
    ctx.ok(&["delete", "--force", &c.id]).map(drop)
}

fn filesystems_come_back_with_what_is_in_them(ctx: &Context) -> Outcome {
    let script = format!(
        "echo kept > /scratch/file; echo shared > /dev/shm/file; echo ready > /state; \
         {UNTIL_GO}; cat /scratch/file /dev/shm/file > /result; read x <&9"
    );
    let bundle = Bundle::new(ctx)?.args(&["sh", "-c", &script]).mount(
        "/scratch",
        "tmpfs",
        "tmpfs",
        &["size=64k", "noexec"],
    );
    let c = criu::started(ctx, bundle)?;
    reports(&c, "state", "ready")?;
    let mounts = |c: &Container<'_>| -> Outcome<Vec<String>> {
        let table = fs::read_to_string(format!("/proc/{}/mountinfo", c.pid()?))?;
        let line = |line: &str| {
            let (mount, kind) = line.split_once(" - ").unwrap_or_default();
            let mount: Vec<&str> = mount.split(' ').collect();
            format!("{} {} {}", mount[4], mount[5], kind.split(' ').next().unwrap_or_default())
        };
        let mut lines: Vec<String> = table.lines().map(line).collect();
        lines.sort();
        Ok(lines)
    };
    let before = mounts(&c)?;
    there_and_back(ctx, &c, &[])?;
    check_eq!(mounts(&c)?, before, "mounts");
    go(&c)?;
    reports(&c, "result", "kept\nshared")
}

fn masked_and_read_only_paths_stay_so(ctx: &Context) -> Outcome {
    let bundle = idle(ctx)?
        .set(
            "/linux/maskedPaths",
            json!(["/proc/version", "/proc/scsi", "/secret", "/hidden", "/none"]),
        )
        .set("/linux/readonlyPaths", json!(["/proc/sys", "/plain"]))
        .file("/secret", "secret")?
        .file("/hidden/file", "hidden")?
        .file("/plain/file", "plain")?;
    let c = criu::started(ctx, bundle)?;
    there_and_back(ctx, &c, &[])?;
    check_eq!(inside(&c, "/secret")?, "", "a masked file");
    check_eq!(inside(&c, "/proc/version")?, "", "/proc/version");
    check!(c.exec(&[], &["cat", "/hidden/file"])?.code != 0, "a masked directory shows");
    check_eq!(inside(&c, "/plain/file")?, "plain", "a read-only directory");
    check!(c.exec(&[], &["sh", "-c", "echo x > /plain/file"])?.code != 0, "/plain is writable");
    Ok(())
}

fn host_sees_nothing_of_a_restore(ctx: &Context) -> Outcome {
    let (source, rootfs_mark) = (ctx.dir.join("source"), "mark");
    fs::create_dir(&source)?;
    let c = criu::started(ctx, idle(ctx)?.bind(&source, "/data", &["rbind"]))?;
    fs::write(c.rootfs().join(rootfs_mark), "")?;
    let table = || fs::read_to_string("/proc/self/mountinfo");
    let before = table()?;
    there_and_back(ctx, &c, &[])?;
    check_eq!(table()?, before, "mounts of the host");
    ctx.ok(&["delete", "--force", &c.id])?;
    check!(c.rootfs().join(rootfs_mark).exists(), "the root file system is gone");
    Ok(())
}

/// A network namespace with its loopback device up.
fn network(ctx: &Context) -> Outcome<Holder> {
    let holder = Holder::new(ctx, &["network"])?;
    ip(ctx, &holder.path("network"), "link set lo up")?.ok()?;
    Ok(holder)
}

fn network_namespace_is_joined_again(ctx: &Context) -> Outcome {
    criu::needs(ctx)?;
    let holder = network(ctx)?;
    let path = holder.path("network");
    let c = criu::started(ctx, idle(ctx)?.namespace("network", Some(&path)))?;
    for _ in 0..2 {
        there_and_back(ctx, &c, &[])?;
        let theirs = fs::read_link(format!("/proc/{}/ns/net", c.pid()?))?;
        check_eq!(theirs, fs::read_link(&path)?, "network namespace");
    }
    Ok(())
}

fn namespaces_of_others_are_joined_again(ctx: &Context) -> Outcome {
    criu::needs(ctx)?;
    let holder = Holder::new(ctx, &["ipc", "uts"])?;
    let mut bundle = idle(ctx)?.remove("", "hostname");
    for kind in ["ipc", "uts"] {
        bundle = bundle.namespace(kind, Some(&holder.path(kind)));
    }
    let c = criu::started(ctx, bundle)?;
    there_and_back(ctx, &c, &[])?;
    for kind in ["ipc", "uts"] {
        let theirs = fs::read_link(format!("/proc/{}/ns/{kind}", c.pid()?))?;
        check_eq!(theirs, fs::read_link(holder.path(kind))?, "{kind} namespace");
    }
    Ok(())
}

const PORT: u16 = 4000;

/// A container that answers whatever it is told on a connection, and that connection.
fn connected<'c>(ctx: &'c Context, holder: &Holder) -> Outcome<(Container<'c>, TcpStream)> {
    let port = PORT.to_string();
    let bundle = Bundle::new(ctx)?
        .args(&["busybox", "nc", "-l", "-p", &port, "-e", "/bin/cat"])
        .namespace("network", Some(&holder.path("network")));
    let c = criu::started(ctx, bundle)?;
    let namespace = fs::File::open(holder.path("network"))?;
    let stream = wait_for("the container to listen", || {
        // A thread of its own: the others stay in their namespace.
        let connect = || -> std::io::Result<TcpStream> {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            TcpStream::connect(("127.0.0.1", PORT))
        };
        let connected = std::thread::scope(|scope| scope.spawn(connect).join());
        Ok(connected.ok().and_then(Result::ok))
    })?;
    stream.set_read_timeout(Some(criu::DEADLINE))?;
    Ok((c, stream))
}

fn echoes(stream: &mut TcpStream, text: &str) -> Outcome {
    stream.write_all(text.as_bytes())?;
    let mut bytes = vec![0; text.len()];
    stream.read_exact(&mut bytes)?;
    check_eq!(String::from_utf8_lossy(&bytes), text, "what came back");
    Ok(())
}

fn connection_outlives_its_container(ctx: &Context) -> Outcome {
    criu::needs(ctx)?;
    let holder = network(ctx)?;
    let (c, mut stream) = connected(ctx, &holder)?;
    echoes(&mut stream, "before\n")?;
    checkpoint(ctx, &c, &["--tcp-established"])?;
    // Sent while nobody is there: it arrives later.
    stream.write_all(b"meanwhile\n")?;
    restore(&c, &["--tcp-established"])?;
    let mut bytes = [0; 10];
    stream.read_exact(&mut bytes)?;
    check_eq!(&bytes, b"meanwhile\n", "what came back");
    echoes(&mut stream, "after\n")
}

fn connection_is_refused_unless_allowed(ctx: &Context) -> Outcome {
    criu::needs(ctx)?;
    let holder = network(ctx)?;
    let (c, mut stream) = connected(ctx, &holder)?;
    try_checkpoint(ctx, &c, &[])?.exits(1)?;
    c.has_status("running")?;
    echoes(&mut stream, "still there\n")
}

fn limits_are_those_of_the_configuration(ctx: &Context) -> Outcome {
    cgroups::needs(ctx.layout, "pids")?;
    cgroups::needs(ctx.layout, "memory")?;
    let bundle = idle(ctx)?
        .set("/linux/resources/pids/limit", json!(77))
        .set("/linux/resources/memory/limit", json!(64 << 20));
    let c = criu::started(ctx, bundle)?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned();
    let memory = if ctx.layout == Layout::V2 { "memory.max" } else { "memory.limit_in_bytes" };
    for _ in 0..2 {
        there_and_back(ctx, &c, &[])?;
        let pids = cgroups::read(ctx.layout, "pids", &cgroup, "pids.max")?;
        check_eq!(pids, "77", "limit of processes");
        let memory = cgroups::read(ctx.layout, "memory", &cgroup, memory)?;
        check_eq!(memory, (64 << 20).to_string(), "limit of memory");
        let members = cgroups::read(ctx.layout, "pids", &cgroup, "cgroup.procs")?;
        check_eq!(members, c.pid()?.to_string(), "processes in the cgroup");
    }
    ctx.ok(&["update", "--pids-limit", "66", &c.id])?;
    check_eq!(cgroups::read(ctx.layout, "pids", &cgroup, "pids.max")?, "66", "new limit");
    Ok(())
}

fn container_is_restored_under_another_name_and_cgroup(ctx: &Context) -> Outcome {
    let c = criu::started(ctx, idle(ctx)?)?;
    let ignore = ["--manage-cgroups-mode", "ignore"];
    checkpoint(ctx, &c, &ignore)?;
    c.ended()?;
    let other = c.as_another(ctx)?;
    let place = images(&c).to_string_lossy().into_owned();
    let flags = [&["--detach", "--image-path", &place], &ignore[..]].concat();
    let run = other.command("restore", &flags)?.deadline(criu::DEADLINE);
    other.finish_restore(run)?.ok()?;
    other.has_status("running")?;
    let path = |c: &Container<'_>| c.config["linux"]["cgroupsPath"].as_str().map(str::to_owned);
    let (old, new) = (path(&c).unwrap_or_default(), path(&other).unwrap_or_default());
    check!(cgroups::directories(ctx.layout, &old).is_empty(), "the old cgroup is there");
    let memberships = fs::read_to_string(format!("/proc/{}/cgroup", other.pid()?))?;
    check!(memberships.lines().any(|line| line.ends_with(&new)), "it is in {memberships}");
    Ok(())
}

fn user_namespace_comes_back(ctx: &Context) -> Outcome {
    let script = format!("{UNTIL_GO}; busybox id -u > /result; read x <&9");
    let bundle = Bundle::new(ctx)?.args(&["sh", "-c", &script]).user_namespace()?;
    let c = criu::started(ctx, bundle)?;
    let map = |c: &Container<'_>| -> Outcome<Vec<String>> {
        let text = fs::read_to_string(format!("/proc/{}/uid_map", c.pid()?))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    let before = map(&c)?;
    there_and_back(ctx, &c, &[])?;
    check_eq!(map(&c)?, before, "uid map");
    go(&c)?;
    reports(&c, "result", "0")
}

fn cgroup_namespace_and_mounts_come_back(ctx: &Context) -> Outcome {
    if ctx.layout == Layout::V2 && fs::read_to_string("/proc/self/cgroup")?.lines().count() > 1 {
        return Err(Stop::skip(
            "criu looks for the hierarchies of v1 that this machine has as well",
        ));
    }
    let options = ["nosuid", "noexec", "nodev", "ro"];
    for own in [true, false] {
        let mut bundle = idle(ctx)?.mount("/sys/fs/cgroup", "cgroup", "cgroup", &options);
        bundle = bundle.without_namespace("cgroup");
        if own {
            bundle = bundle.namespace("cgroup", None);
        }
        let c = criu::started(ctx, bundle)?;
        there_and_back(ctx, &c, &[])?;
        let host = fs::read_link("/proc/self/ns/cgroup")?;
        let theirs = fs::read_link(format!("/proc/{}/ns/cgroup", c.pid()?))?;
        check_eq!(theirs != host, own, "whether the cgroup namespace is its own");
        let seen = inside(&c, "/proc/self/cgroup")?;
        check_eq!(seen.lines().any(|line| line == "0::/"), own, "cgroup seen from inside: {seen}");
        let file = if ctx.layout == Layout::V2 { "cgroup.controllers" } else { "pids/pids.max" };
        inside(&c, &format!("/sys/fs/cgroup/{file}"))?;
        let written = c.exec(&[], &["busybox", "mkdir", "/sys/fs/cgroup/new"])?;
        check!(written.code != 0, "the cgroups are writable");
    }
    Ok(())
}

fn readiness_socket_is_there_again(ctx: &Context) -> Outcome {
    criu::needs(ctx)?;
    let socket = ctx.dir.join("supervisor");
    let _supervisor = std::os::unix::net::UnixDatagram::bind(&socket)?;
    let script = format!(
        "busybox ls /run/notify > /state; {UNTIL_GO}; busybox ls -d /run/notify > /result; read x <&9"
    );
    let c = Bundle::new(ctx)?.args(&["sh", "-c", &script]).container()?;
    let run = c.command("create", &[])?.terminal(&criu::null()?)?.env("NOTIFY_SOCKET", &socket);
    c.finish_create(run)?.ok()?;
    c.start()?;
    checkpoint(ctx, &c, &[])?;
    let run = criu::restoring(&c, &["--detach"])?.env("NOTIFY_SOCKET", &socket);
    c.finish_restore(run)?.ok()?;
    go(&c)?;
    reports(&c, "result", "/run/notify")
}
