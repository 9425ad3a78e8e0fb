//! Options that crun has and runc has not.

use std::fs;

use serde_json::json;

use crate::bundle::{Bundle, parse_lines};
use crate::container::Container;
use crate::context::{Context, Kind, Layout};
use crate::expect::MountInfo;
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq, family};

family!("crun_options":
    disabled_cgroup_manager_leaves_the_container_where_its_caller_is,
    disabled_cgroup_manager_refuses_limits_and_passes_over_device_rules,
    disabled_cgroup_manager_shows_the_unified_hierarchy,
    what_cannot_be_reached_without_cgroups_is_told,
    cgroup_manager_of_another_name_is_refused,
    configuration_may_be_another_file,
    configuration_that_is_missing_is_named,
    delete_takes_all_that_match,
    kill_reaches_all_that_match,
    expression_that_is_none_is_refused,
);

/// Runs a verb with the global option for no cgroups.
fn without_cgroups(ctx: &Context, c: &Container<'_>, verb: &str) -> Outcome<crate::process::Done> {
    let (bundle, pid_file) = (c.dir.to_string_lossy(), c.pid_file());
    let pid_file = pid_file.to_string_lossy();
    let global = ["--cgroup-manager", "disabled", verb, "--bundle", &bundle];
    let args = [&global[..], &["--pid-file", &pid_file, &c.id]].concat();
    c.finish_create(ctx.cmd(&args)?)
}

fn disabled_cgroup_manager_leaves_the_container_where_its_caller_is(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .without_namespace("cgroup")
        .remove("/linux", "resources")
        .payload(&["sleep", "60000"])
        .container()?;
    without_cgroups(ctx, &c, "create")?.ok()?;
    c.start()?;
    let theirs = fs::read_to_string(format!("/proc/{}/cgroup", c.pid()?))?;
    check_eq!(theirs, fs::read_to_string("/proc/self/cgroup")?, "cgroups");
    c.exec(&[], &["/bin/payload", "true"])?.ok()?;
    c.kill_init()?;
    c.verb("delete")?.ok().map(drop)
}

fn disabled_cgroup_manager_refuses_limits_and_passes_over_device_rules(ctx: &Context) -> Outcome {
    let limited = Bundle::new(ctx)?.set("/linux/resources/pids", json!({"limit": 100}));
    without_cgroups(ctx, &limited.container()?, "create")?
        .exits(1)?
        .says(&["cgroups are disabled", "/linux/resources/pids/limit"])?;
    let rules = json!([{"allow": false, "access": "rwm"}]);
    let ruled = Bundle::new(ctx)?.set("/linux/resources", json!({"devices": rules}));
    let done = without_cgroups(ctx, &ruled.container()?, "create")?.ok()?;
    check_eq!(done.stderr, "", "what Podman would show its user");
    Ok(())
}

/// On v1 there is one hierarchy for each controller, and none of them is the container's.
fn disabled_cgroup_manager_shows_the_unified_hierarchy(ctx: &Context) -> Outcome {
    for own_namespace in [false, true] {
        let mut bundle =
            Bundle::new(ctx)?.remove("/linux", "resources").without_namespace("cgroup");
        if own_namespace {
            bundle = bundle.namespace("cgroup", None);
        }
        let c = bundle.payload(&["facts"]).container()?;
        let done = without_cgroups(ctx, &c, "run")?.ok()?;
        check_eq!(done.stderr, "", "what Podman would show its user");
        let table = MountInfo::table(&parse_lines(&done.stdout)?[0]);
        let kinds: Vec<&str> = table
            .iter()
            .filter(|one| one.point.starts_with("/sys/fs/cgroup"))
            .map(|one| one.kind.as_str())
            .collect();
        let wanted: &[&str] = if ctx.layout == Layout::V2 { &["cgroup2"] } else { &[] };
        check_eq!(kinds, wanted, "what is mounted");
    }
    Ok(())
}

fn what_cannot_be_reached_without_cgroups_is_told(ctx: &Context) -> Outcome {
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("crun says nothing of it"));
    }
    let container = || -> Outcome<Container<'_>> {
        let bundle = Bundle::new(ctx)?.without_namespace("cgroup").without_namespace("pid");
        let c = bundle.remove("/linux", "resources").payload(&["sleep", "60000"]).container()?;
        let done = without_cgroups(ctx, &c, "create")?.ok()?;
        done.says(&["kill and delete reach the container's first process alone"])?;
        c.start()?;
        Ok(c)
    };
    let c = container()?;
    c.kill("USR1")?.ok()?;
    c.exit_code()?;
    let c = container()?;
    let done = ctx.done(&["kill", "--all", &c.id, "KILL"])?.ok()?;
    done.says(&["only the first process was signalled"])?;
    c.exit_code()?;
    let c = container()?;
    let done = ctx.done(&["delete", "--force", &c.id])?.ok()?;
    done.says(&["only the first process was signalled"])?;
    // One with a pid namespace ends as a whole.
    let c = Bundle::new(ctx)?.without_namespace("cgroup").remove("/linux", "resources");
    let c = c.payload(&["sleep", "60000"]).container()?;
    let said = without_cgroups(ctx, &c, "create")?.ok()?.stderr;
    check!(!said.contains("first process"), "{said}");
    check_eq!(c.kill("KILL")?.ok()?.stderr, "", "stderr");
    c.exit_code().map(drop)
}

fn cgroup_manager_of_another_name_is_refused(ctx: &Context) -> Outcome {
    ctx.done(&["--cgroup-manager", "none", "list"])?
        .exits(1)?
        .says(&["cgroupfs, systemd or disabled"])
        .map(drop)
}

fn configuration_may_be_another_file(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
    let file = ctx.dir.join("other.json");
    fs::rename(c.dir.join("config.json"), &file)?;
    c.run(&["--config", &file.to_string_lossy()])?.exits(3)?;
    // From where the runtime is called, as other paths of the command line.
    c.command("run", &["--config", "other.json"])?.cwd(&ctx.dir).done()?.exits(3).map(drop)
}

fn configuration_that_is_missing_is_named(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let missing = "/nowhere/other.json";
    c.run(&["--config", missing])?.exits(1)?.says(&["other.json not found", "/nowhere"]).map(drop)
}

fn trio(ctx: &Context) -> Outcome<[Container<'_>; 3]> {
    let one = |name: &str| -> Outcome<Container<'_>> {
        let mut bundle = Bundle::new(ctx)?.payload(&["sleep", "60000"]);
        bundle.id = format!("{}-{name}", bundle.id);
        let c = bundle.container()?;
        c.up()?;
        Ok(c)
    };
    Ok([one("red-1")?, one("red-2")?, one("blue")?])
}

fn delete_takes_all_that_match(ctx: &Context) -> Outcome {
    let [one, two, other] = trio(ctx)?;
    ctx.done(&["delete", "--regex", "red-[0-9]$"])?.exits(1)?.says(&["not stopped", "red-1"])?;
    ctx.ok(&["delete", "--force", "--regex", "red-[0-9]$"])?;
    for gone in [&one, &two] {
        gone.verb("state")?.exits(1)?.says(&["does not exist"])?;
    }
    other.has_status("running")?;
    ctx.ok(&["delete", "--force", "--regex", "nobody"]).map(drop)
}

fn kill_reaches_all_that_match(ctx: &Context) -> Outcome {
    let [one, two, other] = trio(ctx)?;
    ctx.ok(&["kill", "--regex", "red", "KILL"])?;
    for ended in [&one, &two] {
        check_eq!(ended.exit_code()?, 137, "exit code of init");
        ended.has_status("stopped")?;
    }
    other.has_status("running")
}

fn expression_that_is_none_is_refused(ctx: &Context) -> Outcome {
    for verb in ["delete", "kill"] {
        let done = ctx.done(&[verb, "--regex", "red("])?;
        check!(done.code == 1, "{verb} takes an expression that is none");
        done.says(&["invalid regular expression"])?;
    }
    Ok(())
}
