//! Propagation of the container's root, on a host whose mounts are shared as systemd has them.

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;

use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::expect::MountInfo;
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq, family};

family!("propagation":
    root_has_the_propagation_asked_for,
    root_has_the_propagation_asked_for_without_pivot,
    slave_root_sees_what_the_host_mounts,
    private_root_does_not_see_what_the_host_mounts,
    private_root_is_refused_without_pivot,
    hosts_mounts_stay_without_pivot,
    unbindable_root_lets_its_mounts_be_made,
    unknown_propagation_is_refused,
    without_a_mount_namespace_the_hosts_root_keeps_its_propagation,
);

/// A shared mount that stands for the host's root file system, with the bundle in it.
struct Host<'c> {
    ctx: &'c Context,
    bundle: Option<Bundle<'c>>,
    dir: std::path::PathBuf,
}

impl<'c> Host<'c> {
    fn new(ctx: &'c Context) -> Outcome<Self> {
        let bundle = Bundle::new(ctx)?;
        let dir = bundle.dir.clone();
        let none = None::<&str>;
        mount(Some(&dir), &dir, none, MsFlags::MS_BIND, none)?;
        let host = Self { ctx, bundle: Some(bundle), dir };
        mount(none, &host.dir, none, MsFlags::MS_SHARED, none)?;
        Ok(host)
    }

    fn bundle(&mut self, propagation: &str) -> Outcome<Bundle<'c>> {
        let bundle = self.bundle.take().ok_or_else(|| Stop::fail("one bundle a host"))?;
        Ok(match propagation {
            "" => bundle,
            wanted => bundle.set("/linux/rootfsPropagation", json!(wanted)),
        })
    }

    /// What is mounted below the host's mount, besides itself.
    fn leaked(&self) -> Outcome<Vec<String>> {
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        let below = points.filter(|point| Path::new(point).starts_with(&self.dir));
        Ok(below.skip(1).map(str::to_owned).collect())
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        while umount2(&self.dir, MntFlags::MNT_DETACH).is_ok() {}
        let _ = self.ctx;
    }
}

/// Runs a container and gives the propagation of its root.
fn root_of(ctx: &Context, propagation: &str, flags: &[&str]) -> Outcome<Vec<String>> {
    let mut host = Host::new(ctx)?;
    let c = host.bundle(propagation)?.payload(&["facts"]).container()?;
    let done = c.run(flags)?;
    check_eq!(host.leaked()?, [""; 0], "mounts on the host with {propagation:?} {flags:?}");
    let lines = crate::bundle::parse_lines(&done.ok()?.stdout)?;
    let table = MountInfo::table(&lines[0]);
    let root = table.into_iter().find(|mount| mount.point == "/");
    Ok(root.ok_or_else(|| Stop::fail("no root"))?.propagation)
}

fn looks(seen: &[String], wanted: &str) -> bool {
    match wanted.trim_start_matches('r') {
        "shared" => seen.iter().any(|p| p.starts_with("shared:")),
        "slave" | "" => {
            seen.iter().any(|p| p.starts_with("master:"))
                && !seen.iter().any(|p| p.starts_with("shared:"))
        }
        "private" => seen.is_empty(),
        "unbindable" => seen == ["unbindable"],
        _ => false,
    }
}

fn root_has_the_propagation_asked_for(ctx: &Context) -> Outcome {
    for wanted in [
        "",
        "shared",
        "rshared",
        "slave",
        "rslave",
        "private",
        "rprivate",
        "unbindable",
        "runbindable",
    ] {
        let seen = root_of(ctx, wanted, &[])?;
        check!(looks(&seen, wanted), "the root is {seen:?} where {wanted:?} is asked for");
    }
    Ok(())
}

fn root_has_the_propagation_asked_for_without_pivot(ctx: &Context) -> Outcome {
    for wanted in ["", "shared", "slave", "rslave", "unbindable"] {
        let seen = root_of(ctx, wanted, &["--no-pivot"])?;
        check!(looks(&seen, wanted), "the root is {seen:?} where {wanted:?} is asked for");
    }
    Ok(())
}

/// Whether a file system that the host mounts in the root, later, is seen inside.
fn late_mount_is_seen(ctx: &Context, propagation: &str) -> Outcome<bool> {
    let mut host = Host::new(ctx)?;
    let bundle = host.bundle(propagation)?;
    let late = bundle.rootfs().join("tmp");
    let c = bundle.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    mount(Some("late"), &late, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    fs::write(late.join("late"), "late")?;
    let seen = c.exec_report(&[], &["probe", "/tmp/late"]);
    umount2(&late, MntFlags::MNT_DETACH)?;
    Ok(seen?["kind"] == "file")
}

fn slave_root_sees_what_the_host_mounts(ctx: &Context) -> Outcome {
    for wanted in ["", "slave", "rslave"] {
        check!(late_mount_is_seen(ctx, wanted)?, "not seen with {wanted:?}");
    }
    Ok(())
}

fn private_root_does_not_see_what_the_host_mounts(ctx: &Context) -> Outcome {
    for wanted in ["private", "rprivate", "unbindable"] {
        check!(!late_mount_is_seen(ctx, wanted)?, "seen with {wanted:?}");
    }
    Ok(())
}

fn private_root_is_refused_without_pivot(ctx: &Context) -> Outcome {
    for wanted in ["private", "rprivate"] {
        let c = Bundle::new(ctx)?.set("/linux/rootfsPropagation", json!(wanted)).container()?;
        let refused = c.run(&["--no-pivot"])?;
        let words = "rootfsPropagation of [r]private is not safe without pivot_root";
        check!(refused.code != 0 && refused.stderr.contains(words), "{}", refused.stderr);
    }
    Ok(())
}

fn unbindable_root_lets_its_mounts_be_made(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("source");
    fs::create_dir(&source)?;
    fs::write(source.join("file"), "words")?;
    for wanted in ["unbindable", "runbindable"] {
        let bundle = Bundle::new(ctx)?.set("/linux/rootfsPropagation", json!(wanted)).bind(
            &source,
            "/tmp",
            &["rbind"],
        );
        check_eq!(bundle.report(&["cat", "/tmp/file"])?["text"], "words", "{wanted}");
    }
    Ok(())
}

fn unknown_propagation_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.set("/linux/rootfsPropagation", json!("sideways")).container()?;
    let refused = c.try_create(&[])?;
    check!(refused.code != 0, "it was taken");
    check!(
        refused.stderr.contains("rootfsPropagation=sideways is not supported"),
        "{}",
        refused.stderr
    );
    if ctx.kind == Kind::Tare {
        check!(refused.stderr.contains("/linux/rootfsPropagation"), "{}", refused.stderr);
    }
    Ok(())
}

fn without_a_mount_namespace_the_hosts_root_keeps_its_propagation(ctx: &Context) -> Outcome {
    let root = || -> Outcome<Option<String>> {
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(table.lines().find(|line| line.split(' ').nth(4) == Some("/")).map(str::to_owned))
    };
    let before = root()?;
    let c = Bundle::new(ctx)?
        .without_namespace("mount")
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
        .set("/mounts", json!([]))
        .set("/linux/rootfsPropagation", json!("shared"))
        .args(&["/bin/true"])
        .container()?;
    c.run(&[])?.ok()?;
    check_eq!(root()?, before, "the host's root");
    Ok(())
}

/// /proc and /sys of the host are in the way of a root that is moved, and must go without the
/// host's going too: with /sys it would lose /sys/fs/cgroup.
fn hosts_mounts_stay_without_pivot(ctx: &Context) -> Outcome {
    let (before, after) = (ctx.dir.join("before"), ctx.dir.join("after"));
    let runtime = ctx.dir.join("in-shared-mounts");
    let script = format!(
        "#!/bin/sh\nexec {busybox} unshare -m --propagation shared /bin/sh -c '\
         cat /proc/self/mountinfo >{before}\n{runtime} \"$@\"\ncode=$?\n\
         {busybox} cat /proc/$$/mountinfo >{after} || {busybox} touch {after}\nexit $code' sh \"$@\"\n",
        busybox = ctx.busybox.display(),
        runtime = ctx.runtime.display(),
        before = before.display(),
        after = after.display(),
    );
    crate::bundle::script(&runtime, &script)?;
    let shared = ctx.through(runtime)?;
    let points = |file: &Path| -> Outcome<Vec<String>> {
        let table = fs::read_to_string(file)?;
        Ok(table.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned).collect())
    };
    for wanted in ["", "shared", "rshared", "slave", "unbindable"] {
        let bundle = Bundle::new(&shared)?.args(&["/bin/true"]);
        let bundle = match wanted {
            "" => bundle,
            wanted => bundle.set("/linux/rootfsPropagation", json!(wanted)),
        };
        let c = bundle.container()?;
        c.run(&["--no-pivot"])?.ok()?;
        check_eq!(points(&after)?, points(&before)?, "mounts of the host after {wanted:?}");
        shared.done(&["delete", "--force", &c.id])?;
    }
    Ok(())
}
