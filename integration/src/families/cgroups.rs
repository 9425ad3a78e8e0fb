//! Cgroups: where they are, whose they are, and that they are removed.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::cgroups::directories;
use crate::context::{Context, Layout};
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq, family};

family!("cgroups":
    cgroup_with_children_is_removed,
    cgroup_with_stragglers_is_removed,
    container_without_a_path_gets_a_cgroup_of_its_own,
    user_inside_owns_a_cgroup_that_is_mounted_writable,
    cgroup_that_is_mounted_read_only_stays_with_the_caller,
    cgroup_without_a_namespace_of_its_own_stays_with_the_caller,
    user_inside_can_make_cgroups_below_its_own,
);

fn cgroup_with_children_is_removed(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned();
    for dir in directories(ctx.layout, &cgroup) {
        fs::create_dir_all(dir.join("a/b"))?;
    }
    c.kill_init()?;
    c.verb("delete")?.ok()?;
    check!(directories(ctx.layout, &cgroup).is_empty(), "the cgroup is still there");
    Ok(())
}

fn cgroup_with_stragglers_is_removed(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .without_namespace("pid")
        .payload(&["children", "4", ",", "say", "up", ",", "sleep", "60000"])
        .container()?;
    c.up()?;
    c.prints("up")?;
    ctx.ok(&["delete", "--force", &c.id])?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    check!(directories(ctx.layout, cgroup).is_empty(), "the cgroup is still there");
    Ok(())
}

fn container_without_a_path_gets_a_cgroup_of_its_own(ctx: &Context) -> Outcome {
    // On v1 it would stand below this process's own cgroup, which may not have children.
    if ctx.layout != Layout::V2 {
        return Err(Stop::skip("tried on v2 only"));
    }
    let bundle = Bundle::new(ctx)?.remove("/linux", "cgroupsPath").without_namespace("cgroup");
    let (id, facts) = (bundle.id.clone(), bundle.facts()?);
    let lines = facts["cgroups"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let line = lines.into_iter().find(|l| l.starts_with("0::")).unwrap_or_default();
    check!(line.ends_with(&id), "the process is in {line}");
    check!(directories(ctx.layout, &id).is_empty(), "the cgroup is still there");
    Ok(())
}

/// The user namespace's root is 100000 on the host.
fn in_user_namespace<'c>(ctx: &'c Context, cgroup_options: &[&str]) -> Outcome<Bundle<'c>> {
    if ctx.layout != Layout::V2 {
        return Err(Stop::skip("only cgroups of v2 are given away"));
    }
    let bundle = Bundle::new(ctx)?.user_namespace()?;
    let mounts = bundle.config["mounts"].as_array().into_iter().flatten();
    let index = mounts.into_iter().position(|m| m["type"] == "cgroup").unwrap_or_default();
    Ok(bundle.set(&format!("/mounts/{index}/options"), json!(cgroup_options)))
}

/// Who owns the cgroup, the file that moves processes, and one that limits.
fn owners(bundle: Bundle<'_>) -> Outcome<[u32; 3]> {
    let c = bundle.container()?;
    c.create()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned();
    let dir = directories(Layout::V2, &cgroup).pop().unwrap_or_default();
    let owner = |name: &str| fs::metadata(dir.join(name)).map(|meta| meta.uid());
    Ok([owner("")?, owner("cgroup.procs")?, owner("cgroup.max.depth")?])
}

fn user_inside_owns_a_cgroup_that_is_mounted_writable(ctx: &Context) -> Outcome {
    let owned = owners(in_user_namespace(ctx, &["nosuid", "rw"])?)?;
    check_eq!(owned, [100_000, 100_000, 0], "owners with root inside");
    let bundle = in_user_namespace(ctx, &[])?.set("/process/user/uid", json!(7));
    check_eq!(owners(bundle)?, [100_007, 100_007, 0], "owners with user 7 inside");
    Ok(())
}

fn cgroup_that_is_mounted_read_only_stays_with_the_caller(ctx: &Context) -> Outcome {
    check_eq!(owners(in_user_namespace(ctx, &["ro"])?)?, [0, 0, 0], "owners");
    Ok(())
}

fn cgroup_without_a_namespace_of_its_own_stays_with_the_caller(ctx: &Context) -> Outcome {
    let bundle = in_user_namespace(ctx, &[])?.without_namespace("cgroup");
    check_eq!(owners(bundle)?, [0, 0, 0], "owners");
    Ok(())
}

fn user_inside_can_make_cgroups_below_its_own(ctx: &Context) -> Outcome {
    let script = "cd /sys/fs/cgroup && /bin/busybox mkdir sub && echo 0 >sub/cgroup.procs && \
                  cat /proc/self/cgroup; echo 1 >cgroup.max.depth";
    let bundle = in_user_namespace(ctx, &[])?.args(&["/bin/sh", "-c", script]);
    let done = bundle.container()?.run(&[])?;
    let inside = done.stdout.lines().any(|line| line == "0::/sub");
    check!(inside, "the process is in {}; {}", done.stdout, done.stderr);
    done.exits(1)?.says(&["permission denied"]).map(drop)
}
