//! User namespaces in every form: the maps, joined ones, and a runtime that is inside one itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::host::Holder;
use crate::outcome::Outcome;
use crate::{check, check_eq, expect, family};

family!("user_namespaces":
    ids_stand_for_themselves,
    groups_are_mapped_otherwise_than_users,
    map_has_as_many_lines_as_the_kernel_takes,
    map_that_is_longer_than_a_page_is_refused_with_the_reason,
    joined_namespace_has_new_ones_below_it,
    executed_process_of_a_joined_namespace_stands_there_too,
    time_is_set_in_a_new_namespace_of_another_user,
    limits_can_be_raised_in_a_user_namespace,
    root_of_a_user_namespace_runs_containers,
    root_of_a_user_namespace_makes_another,
    root_of_a_user_namespace_keeps_devices_that_are_bound,
);

fn mapped(ctx: &Context, uids: &Value, gids: &Value) -> Outcome<Value> {
    Bundle::new(ctx)?
        .user_namespace()?
        .set("/linux/uidMappings", uids.clone())
        .set("/linux/gidMappings", gids.clone())
        .set("/process/user", json!({"uid": 0, "gid": 0}))
        .facts()
}

fn ids_stand_for_themselves(ctx: &Context) -> Outcome {
    let whole = json!([{"containerID": 0, "hostID": 0, "size": 4_294_967_295_u32}]);
    let bundle = Bundle::new(ctx)?.namespace("user", None);
    let bundle = bundle.set("/linux/uidMappings", whole.clone()).set("/linux/gidMappings", whole);
    let config = bundle.config.clone();
    let facts = bundle.facts()?;
    expect::namespaces(&config, &facts)?;
    expect::identity(&config, &facts)
}

fn groups_are_mapped_otherwise_than_users(ctx: &Context) -> Outcome {
    let uids = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let gids = json!([{"containerID": 0, "hostID": 300_000, "size": 10}]);
    let facts = mapped(ctx, &uids, &gids)?;
    let words = |map: &str| {
        let line = facts[map][0].as_str().unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    check_eq!(words("uidMap"), ["0", "100000", "65536"], "users");
    check_eq!(words("gidMap"), ["0", "300000", "10"], "groups");
    Ok(())
}

/// As many ranges of one id as asked for, every other id of the host from `first` on.
fn ranges(count: u32, first: u32) -> Value {
    (0..count).map(|n| json!({"containerID": n, "hostID": first + 2 * n, "size": 1})).collect()
}

fn map_has_as_many_lines_as_the_kernel_takes(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .user_namespace()?
        .set("/linux/uidMappings", ranges(340, 1000))
        .set("/linux/gidMappings", ranges(340, 1000));
    c.give_rootfs_to(1000)?;
    let facts = c.facts()?;
    check_eq!(facts["uidMap"].as_array().map(Vec::len), Some(340), "lines");
    Ok(())
}

fn map_that_is_longer_than_a_page_is_refused_with_the_reason(ctx: &Context) -> Outcome {
    let map = ranges(340, 1_000_000);
    let bundle = Bundle::new(ctx)?.user_namespace()?.set("/linux/uidMappings", map.clone());
    let done = bundle.set("/linux/gidMappings", map).container()?.try_create(&[])?;
    check!(done.code != 0, "it was created");
    if ctx.kind == Kind::Tare {
        done.says(&["one page of text"])?.says(&["/linux/uidMappings"])?;
    }
    Ok(())
}

/// A user namespace to join, mapped as [`Bundle::user_namespace`] maps.
fn holder(ctx: &Context) -> Outcome<Holder> {
    let holder = Holder::new(ctx, &["user"])?;
    let path = holder.path("user");
    let process = path.trim_end_matches("/ns/user");
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("{process}/{map}"), "0 100000 65536")?;
    }
    Ok(holder)
}

fn in_joined<'c>(ctx: &'c Context, holder: &Holder) -> Outcome<Bundle<'c>> {
    let bundle = Bundle::new(ctx)?.namespace("user", Some(&holder.path("user")));
    bundle.give_rootfs_to(100_000)?;
    Ok(bundle.namespace("cgroup", None))
}

fn joined_namespace_has_new_ones_below_it(ctx: &Context) -> Outcome {
    let holder = holder(ctx)?;
    let bundle = in_joined(ctx, &holder)?;
    let bundle = bundle.set("/process/user", json!({"uid": 7, "gid": 8, "additionalGids": [9]}));
    let config = bundle.config.clone();
    let facts = bundle.facts()?;
    expect::namespaces(&config, &facts)?;
    check_eq!(facts["uids"], json!([7, 7, 7, 7]), "uids");
    check_eq!(facts["groups"], json!([9]), "groups");
    Ok(())
}

fn executed_process_of_a_joined_namespace_stands_there_too(ctx: &Context) -> Outcome {
    let holder = holder(ctx)?;
    let c = in_joined(ctx, &holder)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let facts = c.exec_report(&["--user", "7:8"], &["facts"])?;
    check_eq!(facts["uids"], json!([7, 7, 7, 7]), "uids");
    let line = facts["uidMap"][0].as_str().unwrap_or_default().split_whitespace();
    check_eq!(line.collect::<Vec<_>>(), ["0", "100000", "65536"], "map");
    c.kill_init()
}

fn time_is_set_in_a_new_namespace_of_another_user(ctx: &Context) -> Outcome {
    let offsets = json!({"monotonic": {"secs": 172_800, "nanosecs": 0}});
    let bundle = Bundle::new(ctx)?.user_namespace()?.namespace("time", None);
    let facts = bundle.set("/linux/timeOffsets", offsets).facts()?;
    let lines = facts["timeOffsets"].to_string();
    check!(lines.contains("172800"), "offsets: {lines}");
    Ok(())
}

fn limits_can_be_raised_in_a_user_namespace(ctx: &Context) -> Outcome {
    let hard = crate::host::hard_limit("RLIMIT_NOFILE")?;
    let limit = json!([{"type": "RLIMIT_NOFILE", "hard": hard, "soft": hard}]);
    let bundle = Bundle::new(ctx)?.user_namespace()?.set("/process/rlimits", limit);
    let line = bundle.report(&["cat", "/proc/self/limits"])?;
    let text = line["text"].as_str().unwrap_or_default();
    let row = text.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    check_eq!(row.split_whitespace().nth(3), Some(hard.to_string().as_str()), "{row}");
    Ok(())
}

/// The runtime as root of a user namespace calls it, which has that one id and its own mounts.
fn nested(ctx: &Context) -> Outcome<Context> {
    let wrapper = ctx.dir.join("nested");
    let script = format!(
        "#!/bin/sh\nexec unshare --user --map-root-user --mount -- {} \"$@\"\n",
        ctx.runtime.display()
    );
    fs::write(&wrapper, script)?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    ctx.through(wrapper)
}

/// Without the group of terminals, which is not mapped there.
fn without_groups(mut bundle: Bundle<'_>) -> Bundle<'_> {
    for mount in bundle.config["mounts"].as_array_mut().into_iter().flatten() {
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|option| option != "gid=5");
        }
    }
    bundle
}

fn root_of_a_user_namespace_runs_containers(ctx: &Context) -> Outcome {
    let nested = nested(ctx)?;
    let commands = ["facts", ",", "put", "/dev/null", "x"];
    let lines = without_groups(Bundle::new(&nested)?).reports(&commands)?;
    check_eq!(lines[0]["uids"], json!([0, 0, 0, 0]), "uids");
    check_eq!(lines[1]["errno"], json!(0), "writing to /dev/null");
    Ok(())
}

fn root_of_a_user_namespace_makes_another(ctx: &Context) -> Outcome {
    let nested = nested(ctx)?;
    let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    let bundle = without_groups(Bundle::new(&nested)?)
        .namespace("user", None)
        .set("/linux/uidMappings", map.clone())
        .set("/linux/gidMappings", map);
    check_eq!(bundle.facts()?["uids"], json!([0, 0, 0, 0]), "uids");
    Ok(())
}

/// As rootless Podman has it with `--privileged`: the nodes are of somebody who is not mapped.
fn root_of_a_user_namespace_keeps_devices_that_are_bound(ctx: &Context) -> Outcome {
    let node = ctx.dir.join("full");
    mknod(&node, SFlag::S_IFCHR, Mode::empty(), makedev(1, 7))?;
    fs::set_permissions(&node, fs::Permissions::from_mode(0o666))?;
    std::os::unix::fs::chown(&node, Some(1234), Some(1234))?;
    let nested = nested(ctx)?;
    let bundle = without_groups(Bundle::new(&nested)?).bind(&node, "/dev/full", &["bind"]);
    let line = bundle.report(&["put", "/dev/full", "x"])?;
    check_eq!(line["errno"], json!(libc::ENOSPC), "writing to /dev/full");
    Ok(())
}
