//! Mounts: order, types, every option of the specification's table.

use std::fs;

use serde_json::{Value, json};

use super::needs::Need;
use super::row::{Row, row};
use crate::bundle::Bundle;
use crate::check;
use crate::context::Context;
use crate::expect::MountInfo;
use crate::host::HostTree;
use crate::outcome::{Outcome, Stop};

const MOUNTS: &str = "config.md#mounts";
const OPTIONS: &str = "config.md#linux-mount-options";
const POSIX: &str = "config.md#posix-platform-mounts";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = places();
    rows.extend(types());
    rows.extend(plain_options());
    rows.extend(recursive_options());
    rows.extend(propagation());
    rows.extend(id_mapped());
    rows
}

fn places() -> Vec<Row> {
    vec![
        row("/mounts, in order", MOUNTS)
            .with(|ctx, bundle| {
                let file = ctx.dir.join("file");
                fs::write(&file, "on top")?;
                Ok(bundle.mount("/m", "tmpfs", "t", &[]).bind(&file, "/m/file", &["bind"]))
            })
            .asks(&["cat", "/m/file"])
            .sees("/0/text", json!("on top")),
        row("/mounts/destination, missing directory", MOUNTS)
            .with(|_, bundle| Ok(bundle.mount("/not/there/yet", "tmpfs", "t", &[])))
            .asks(&["probe", "/not/there/yet"])
            .sees("/0/write", json!(0)),
        row("/mounts/destination, missing file", MOUNTS)
            .with(|ctx, bundle| {
                let file = ctx.dir.join("file");
                fs::write(&file, "of the host")?;
                Ok(bundle.bind(&file, "/etc/new/file", &["bind"]))
            })
            .asks(&["cat", "/etc/new/file"])
            .sees("/0/text", json!("of the host")),
        row("/mounts/destination, relative", MOUNTS)
            .with(|_, bundle| Ok(bundle.mount("m", "tmpfs", "t", &["size=64k"])))
            .holds_at("/m", |m| m.kind == "tmpfs"),
        row("/mounts/destination through a link", MOUNTS)
            .with(|_, bundle| {
                Ok(bundle.symlink("/link", "/tmp")?.mount("/link/m", "tmpfs", "t", &[]))
            })
            .holds_at("/tmp/m", |m| m.kind == "tmpfs"),
        row("/mounts/source, relative", MOUNTS)
            .with(|_, bundle| {
                fs::write(bundle.dir.join("data"), "of the bundle")?;
                Ok(bundle.mount("/m", "bind", "data", &["bind"]))
            })
            .asks(&["cat", "/m"])
            .sees("/0/text", json!("of the bundle")),
        row("/mounts/source, missing", MOUNTS)
            .with(|_, bundle| Ok(bundle.mount("/m", "bind", "/not/there", &["bind"])))
            .refused("/mounts/7"),
        row("/mounts/type, absent for a bind", POSIX)
            .with(|ctx, bundle| {
                let file = ctx.dir.join("file");
                fs::write(&file, "of the host")?;
                let mount = json!({"destination": "/m", "source": file, "options": ["bind"]});
                Ok(bundle.push("/mounts", mount))
            })
            .asks(&["cat", "/m"])
            .sees("/0/text", json!("of the host")),
    ]
}

fn types() -> Vec<Row> {
    let kind = |name: &'static str| row(format!("/mounts/type {name}"), POSIX);
    vec![
        kind("tmpfs").mount("tmpfs", vec!["size=64k", "mode=700"]).holds_at("/m", |m| {
            m.kind == "tmpfs"
                && m.super_options.contains(&"size=64k".to_owned())
                && m.super_options.contains(&"mode=700".to_owned())
        }),
        kind("proc").holds_at("/proc", |m| m.kind == "proc"),
        kind("sysfs").holds_at("/sys", |m| m.kind == "sysfs"),
        kind("mqueue").holds_at("/dev/mqueue", |m| m.kind == "mqueue"),
        kind("devpts").holds_at("/dev/pts", |m| m.kind == "devpts"),
        kind("ramfs").mount("ramfs", vec!["mode=700"]).holds_at("/m", |m| m.kind == "ramfs"),
        kind("overlay")
            .with(|_, bundle| {
                let bundle = bundle.file("/lower/file", "x")?.file("/second/other", "y")?;
                let root = bundle.rootfs();
                let data = format!(
                    "lowerdir={}:{}",
                    root.join("lower").display(),
                    root.join("second").display()
                );
                Ok(bundle.mount("/m", "overlay", "overlay", &[&data]))
            })
            .asks(&["probe", "/m"])
            .sees("/0/read/count", json!(2)),
        kind("cgroup").asks(&["probe", "/sys/fs/cgroup"]).meets(|lines| {
            let count = lines.first().and_then(|l| l["read"]["count"].as_u64());
            check!(count > Some(0), "/sys/fs/cgroup is empty");
            Ok(())
        }),
        kind("unknown to the kernel").mount("nofs", vec![]).refused("/mounts/7"),
    ]
}

/// Options of a mount of its own, and what the mount table says of them.
fn plain_options() -> Vec<Row> {
    let shown =
        |m: &MountInfo, flag: &str| m.has(flag) || m.super_options.iter().any(|o| o == flag);
    let mut rows = Vec::new();
    // Options that show.
    for (option, flag) in [
        ("ro", "ro"),
        ("rw", "rw"),
        ("nosuid", "nosuid"),
        ("nodev", "nodev"),
        ("noexec", "noexec"),
        ("noatime", "noatime"),
        ("nodiratime", "nodiratime"),
        ("relatime", "relatime"),
        ("sync", "sync"),
        ("dirsync", "dirsync"),
        ("lazytime", "lazytime"),
    ] {
        let row = row(format!("/mounts/options {option}"), OPTIONS)
            .mount("tmpfs", vec![option])
            .at("/m", move |m| shown(m, flag), format!("{flag} is shown"));
        rows.push(row);
    }
    rows.push(
        row("/mounts/options nosymfollow", OPTIONS)
            .needs(Need::Linux(5, 10))
            .mount("tmpfs", vec!["nosymfollow"])
            .at("/m", move |m| shown(m, "nosymfollow"), "nosymfollow is shown".to_owned()),
    );
    rows.push(row("/mounts/options mand", OPTIONS).mount("tmpfs", vec!["mand", "size=64k"]).at(
        "/m",
        |m| m.kind == "tmpfs",
        "it is mounted".to_owned(),
    ));
    // Options that take back what came before them.
    for (before, option, flag) in [
        ("nosuid", "suid", "nosuid"),
        ("nodev", "dev", "nodev"),
        ("noexec", "exec", "noexec"),
        ("sync", "async", "sync"),
        ("noatime", "atime", "noatime"),
        ("nodiratime", "diratime", "nodiratime"),
        ("relatime", "norelatime", "noatime"),
        ("lazytime", "nolazytime", "lazytime"),
        ("nosymfollow", "symfollow", "nosymfollow"),
        ("strictatime", "nostrictatime", "noatime"),
    ] {
        let row = row(format!("/mounts/options {option} after {before}"), OPTIONS)
            .mount("tmpfs", vec![before, option])
            .at("/m", move |m| !shown(m, flag), format!("{flag} is not shown"));
        rows.push(if option == "symfollow" { row.needs(Need::Linux(5, 10)) } else { row });
    }
    rows.push(row("/mounts/options strictatime", OPTIONS).mount("tmpfs", vec!["strictatime"]).at(
        "/m",
        move |m| !shown(m, "relatime"),
        "relatime is not shown".to_owned(),
    ));
    // Options that the table does not show: they must not reach the file system as data.
    for option in ["defaults", "nomand", "iversion", "noiversion", "silent", "loud"] {
        let row = row(format!("/mounts/options {option}"), OPTIONS)
            .mount("tmpfs", vec![option, "size=64k"])
            .at("/m", |m| m.kind == "tmpfs", "it is mounted".to_owned());
        rows.push(row);
    }
    rows.push(
        row("/mounts/options remount", OPTIONS)
            .mount("tmpfs", vec!["nodev"])
            .mount("tmpfs", vec!["remount", "ro", "nodev"])
            .at("/m", move |m| shown(m, "ro"), "ro is shown".to_owned()),
    );
    rows.push(
        row("/mounts/options tmpcopyup", OPTIONS)
            .with(|_, bundle| {
                Ok(bundle.file("/m/file", "below")?.mount("/m", "tmpfs", "t", &["tmpcopyup"]))
            })
            .asks(&["cat", "/m/file"])
            .sees("/0/text", json!("below")),
    );
    rows.push(
        row("/mounts/options unknown to the file system", OPTIONS)
            .mount("tmpfs", vec!["no-such-option"])
            .refused("/mounts/7"),
    );
    rows
}

/// Recursive attributes, on a tree with a mount below; and what plain ones leave alone.
fn recursive_options() -> Vec<Row> {
    let mut rows = Vec::new();
    for (option, flag) in [
        ("rro", "ro"),
        ("rnosuid", "nosuid"),
        ("rnodev", "nodev"),
        ("rnoexec", "noexec"),
        ("rnodiratime", "nodiratime"),
        ("rnoatime", "noatime"),
        ("rrelatime", "relatime"),
        ("rnosymfollow", "nosymfollow"),
    ] {
        rows.push(recursive(option, vec![option], move |m| m.has(flag)));
    }
    for (before, option, flag) in [
        ("rro", "rrw", "ro"),
        ("rnosuid", "rsuid", "nosuid"),
        ("rnodev", "rdev", "nodev"),
        ("rnoexec", "rexec", "noexec"),
        ("rnodiratime", "rdiratime", "nodiratime"),
        ("rnoatime", "ratime", "noatime"),
        ("rrelatime", "rnorelatime", "noatime"),
        ("rstrictatime", "rnostrictatime", "noatime"),
        ("rnosymfollow", "rsymfollow", "nosymfollow"),
    ] {
        rows.push(recursive(option, vec![before, option], move |m| !m.has(flag)));
    }
    rows.push(recursive("rstrictatime", vec!["rstrictatime"], |m| !m.has("relatime")));
    rows.push(recursive("rbind", vec![], |_| true));
    rows.push(row("/mounts/options bind", OPTIONS).proves(|ctx| {
        let table = tree_in(ctx, &["bind"])?;
        check!(MountInfo::at(&table, "/m").is_some(), "nothing is mounted");
        check!(MountInfo::at(&table, "/m/below").is_none(), "what is mounted below came along");
        Ok(())
    }));
    rows
}

fn recursive(
    option: &'static str,
    options: Vec<&'static str>,
    holds: impl Fn(&MountInfo) -> bool + 'static,
) -> Row {
    row(format!("/mounts/options {option}"), OPTIONS).needs(Need::Linux(5, 12)).proves(move |ctx| {
        let table = tree_in(ctx, &[vec!["rbind"], options.clone()].concat())?;
        for point in ["/m", "/m/below"] {
            let mount = MountInfo::at(&table, point)
                .ok_or_else(|| Stop::fail(format!("nothing is mounted at {point}")))?;
            check!(holds(mount), "{point} has {:?}", mount.options);
        }
        Ok(())
    })
}

/// The mount table of a container with a tree of the host at /m.
fn tree_in(ctx: &Context, options: &[&str]) -> Outcome<Vec<MountInfo>> {
    let tree = HostTree::new(ctx)?;
    Ok(MountInfo::table(&Bundle::new(ctx)?.bind(&tree.dir, "/m", options).facts()?))
}

fn propagation() -> Vec<Row> {
    let mut rows = Vec::new();
    for (option, word) in [
        ("private", ""),
        ("rprivate", ""),
        ("shared", "shared:"),
        ("rshared", "shared:"),
        ("slave", "master:"),
        ("rslave", "master:"),
        ("unbindable", "unbindable"),
        ("runbindable", "unbindable"),
    ] {
        let below = option.starts_with('r');
        rows.push(
            row(format!("/mounts/options {option}"), OPTIONS)
                .proves(move |ctx| propagates(ctx, option, word, below)),
        );
    }
    rows
}

/// A mount whose source is shared on the host, as the container's table shows it.
fn propagates(ctx: &Context, option: &str, word: &str, below: bool) -> Outcome {
    use nix::mount::{MsFlags, mount};
    let tree = HostTree::new(ctx)?;
    let none: Option<&str> = None;
    mount(none, &tree.dir, none, MsFlags::MS_REC | MsFlags::MS_SHARED, none)?;
    let bundle = Bundle::new(ctx)?.bind(&tree.dir, "/m", &["rbind", option]);
    let table = MountInfo::table(&bundle.facts()?);
    let points: &[&str] = if below { &["/m", "/m/below"] } else { &["/m"] };
    for point in points {
        let mount = MountInfo::at(&table, point)
            .ok_or_else(|| Stop::fail(format!("nothing is mounted at {point}")))?;
        let holds = match word {
            "" => mount.propagation.is_empty(),
            word => mount.propagation.iter().any(|p| p.starts_with(word)),
        };
        check!(holds, "{point} is {:?}", mount.propagation);
    }
    Ok(())
}

/// A file of user 7 appears as one of the mapping's users.
fn id_mapped() -> Vec<Row> {
    let mapped = |name: &str, options: &'static [&'static str], uid: u32| {
        row(name, MOUNTS).needs(Need::Linux(5, 12)).proves(move |ctx| {
            let mapping = json!([{"containerID": 0, "hostID": 1000, "size": 100}]);
            let mount = |source: Value| {
                json!({
                    "destination": "/m", "type": "bind", "source": source, "options": options,
                    "uidMappings": mapping, "gidMappings": mapping,
                })
            };
            owner(ctx, |bundle, source| Ok(bundle.push("/mounts", mount(source))), uid)
        })
    };
    let by_namespace = |name: &str, option: &'static str| {
        row(name, OPTIONS).needs(Need::Linux(5, 12)).proves(move |ctx| {
            let mount = |source: Value| {
                json!({
                    "destination": "/m", "type": "bind", "source": source,
                    "options": ["rbind", option],
                })
            };
            // The container's own mapping brings the host's user 7 back to 7.
            owner(ctx, |b, source| Ok(b.user_namespace()?.push("/mounts", mount(source))), 7)
        })
    };
    vec![
        mapped("/mounts/uidMappings, /mounts/gidMappings", &["bind"], 1007),
        mapped("/mounts/uidMappings with idmap", &["rbind", "idmap"], 1007),
        mapped("/mounts/uidMappings with ridmap", &["rbind", "ridmap"], 1007),
        by_namespace("/mounts/options idmap", "idmap"),
        by_namespace("/mounts/options ridmap", "ridmap"),
    ]
}

fn owner(
    ctx: &Context,
    add: impl for<'c> Fn(Bundle<'c>, Value) -> Outcome<Bundle<'c>>,
    uid: u32,
) -> Outcome {
    let tree = HostTree::new(ctx)?;
    let file = tree.dir.join("owned");
    fs::write(&file, "x")?;
    std::os::unix::fs::chown(&file, Some(7), Some(7))?;
    let line = add(Bundle::new(ctx)?, json!(tree.dir))?.report(&["probe", "/m/owned"])?;
    check!(
        line["uid"] == uid && line["gid"] == uid,
        "{}:{}, expected {uid}",
        line["uid"],
        line["gid"]
    );
    Ok(())
}

impl Row {
    /// A condition on the mount at a point.
    fn at(
        self,
        point: &'static str,
        holds: impl Fn(&MountInfo) -> bool + 'static,
        words: String,
    ) -> Self {
        self.meets(move |lines| {
            let facts = lines.first().ok_or_else(|| Stop::fail("no facts"))?;
            let table = MountInfo::table(facts);
            let mount = MountInfo::at(&table, point)
                .ok_or_else(|| Stop::fail(format!("nothing is mounted at {point}")))?;
            check!(
                holds(mount),
                "not so that {words}: {:?} {:?}",
                mount.options,
                mount.super_options
            );
            Ok(())
        })
    }

    fn holds_at(self, point: &'static str, holds: fn(&MountInfo) -> bool) -> Self {
        self.at(point, holds, "it is as asked".to_owned())
    }
}
