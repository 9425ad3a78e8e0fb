//! `doctor`: what a host or a bundle lacks.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::{Bundle, script};
use crate::cgroups;
use crate::context::{Context, Layout};
use crate::outcome::{Outcome, Stop};
use crate::user::User;
use crate::{check, check_eq, family};

family!("doctor":
    host_is_looked_at_from_all_sides,
    text_tells_the_same_as_json,
    good_bundle_has_no_fault,
    every_fault_of_a_bundle_is_told_with_its_remedy,
    every_value_of_the_wrong_type_is_told,
    bundle_that_cannot_be_read_is_a_problem,
    missing_cgroups_are_a_problem,
    forbidden_namespaces_are_a_problem,
    user_is_told_of_ranges,
    nothing_is_left_behind,
);

/// What `doctor --json` found, after its exit code was compared with that.
fn findings(ctx: &Context, flags: &[&str]) -> Outcome<Vec<Value>> {
    let done = ctx.done(&[&["doctor", "--json"], flags].concat())?;
    let all: Vec<Value> = serde_json::from_str(&done.stdout)
        .map_err(|error| Stop::fail(format!("{error}: {}{}", done.stdout, done.stderr)))?;
    let problem = all.iter().any(|finding| finding["verdict"] == "problem");
    check_eq!(done.code, i32::from(problem), "exit code for {}", done.stdout);
    Ok(all)
}

fn find<'f>(all: &'f [Value], area: &str, subject: &str) -> Outcome<&'f Value> {
    let found = all.iter().find(|it| it["area"] == area && it["subject"] == subject);
    found.ok_or_else(|| Stop::fail(format!("nothing of {subject} in {area}: {all:?}")))
}

fn host_is_looked_at_from_all_sides(ctx: &Context) -> Outcome {
    let all = findings(ctx, &[])?;
    for (area, subject) in [
        ("kernel", "version"),
        ("kernel", "pidfd"),
        ("kernel", "clone3"),
        ("kernel", "openat2"),
        ("kernel", "mount_setattr"),
        ("kernel", "close_range"),
        ("kernel", "memfd"),
        ("kernel", "seccomp"),
        ("cgroups", "mode"),
        ("cgroups", "controllers"),
        ("cgroups", "permission"),
        ("namespaces", "pid"),
        ("namespaces", "user"),
        ("namespaces", "unprivileged"),
        ("security", "capabilities"),
        ("security", "AppArmor"),
        ("tools", "CRIU"),
        ("tools", "systemd"),
    ] {
        find(&all, area, subject)?;
    }
    // Containers run here, as all other tests show.
    let problems: Vec<_> = all.iter().filter(|it| it["verdict"] == "problem").collect();
    check!(problems.is_empty(), "{problems:?}");
    for finding in &all {
        let helps = finding["verdict"] == "fine" || finding["remedy"].is_string();
        check!(helps, "no remedy for {finding}");
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let version = find(&all, "kernel", "version")?["text"].as_str().unwrap_or_default();
    check!(version.contains(release.trim()), "{version}");
    let mode = find(&all, "cgroups", "mode")?["text"].as_str().unwrap_or_default();
    check_eq!(mode.starts_with("v2"), ctx.layout == Layout::V2, "mode {mode}");
    let listed = find(&all, "cgroups", "controllers")?["text"].as_str().unwrap_or_default();
    let listed: Vec<&str> = listed.split(';').next().unwrap_or_default().split(' ').collect();
    for controller in ["memory", "pids"] {
        let has = cgroups::has(ctx.layout, controller);
        check_eq!(listed.contains(&controller), has, "{controller} in {listed:?}");
    }
    Ok(())
}

fn text_tells_the_same_as_json(ctx: &Context) -> Outcome {
    let all = findings(ctx, &[])?;
    let text = ctx.ok(&["doctor"])?.stdout;
    for finding in all {
        let told = finding["text"].as_str().unwrap_or_default();
        check!(text.contains(told), "{told:?} is not in {text}");
    }
    check!(text.lines().last().is_some_and(|line| line.starts_with("0 problems, ")), "{text}");
    Ok(())
}

fn good_bundle_has_no_fault(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let all = findings(ctx, &["--bundle", &c.dir.to_string_lossy()])?;
    let config = find(&all, "bundle", "config.json")?;
    check_eq!(config["verdict"], "fine", "verdict of {config}");
    // One that wants a terminal is no worse.
    let c = Bundle::new(ctx)?.set("/process/terminal", json!(true)).container()?;
    findings(ctx, &["--bundle", &c.dir.to_string_lossy()])?;
    Ok(())
}

fn every_value_of_the_wrong_type_is_told(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .set("/process/args", json!("sh"))
        .set("/hostname", json!(5))
        .set("/mounts/0/destination", json!(true))
        .set("/mounts/2/options", json!({}))
        .set("/linux/namespaces/0/type", json!("pidd"))
        .container()?;
    let all = findings(ctx, &["--bundle", &c.dir.to_string_lossy()])?;
    let mut places: Vec<&str> = all
        .iter()
        .filter(|it| it["area"] == "bundle" && it["verdict"] == "problem")
        .filter_map(|it| it["pointer"].as_str())
        .collect();
    places.sort_unstable();
    let wanted = [
        "/hostname",
        "/linux/namespaces/0/type",
        "/mounts/0/destination",
        "/mounts/2/options",
        "/process/args",
    ];
    check_eq!(places, wanted, "places of faults");
    Ok(())
}

fn every_fault_of_a_bundle_is_told_with_its_remedy(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .set("/process/cwd", json!("relative"))
        .set("/process/oomScoreAdj", json!(5000))
        .set("/root/path", json!("nowhere"))
        .set("/linux/namespaces/0/type", json!("pid"))
        .push("/linux/namespaces", json!({"type": "pid"}))
        .set("/ociVersion", json!("2.0.0"))
        .container()?;
    let all = findings(ctx, &["--bundle", &c.dir.to_string_lossy()])?;
    let faults: Vec<&Value> =
        all.iter().filter(|it| it["area"] == "bundle" && it["verdict"] == "problem").collect();
    for place in
        ["/ociVersion", "/process/cwd", "/process/oomScoreAdj", "/root/path", "/linux/namespaces/"]
    {
        let fault = faults.iter().find(|fault| {
            fault["pointer"].as_str().is_some_and(|pointer| pointer.starts_with(place))
        });
        let Some(fault) = fault else {
            return Err(Stop::fail(format!("nothing of {place} in {faults:?}")));
        };
        check!(fault["remedy"].is_string(), "no remedy for {fault}");
        let text = fault["text"].as_str().unwrap_or_default();
        check!(!text.is_empty() && !text.contains("(config.json"), "{text}");
    }
    check!(faults.len() >= 5, "{faults:?}");
    // `create` stops at the first of them.
    let bundle = c.dir.to_string_lossy();
    let args = ["--error-format", "json", "create", "--bundle", &bundle, &c.id];
    let failure: Value = serde_json::from_str(&ctx.done(&args)?.exits(1)?.stderr)?;
    check_eq!(failure["pointer"], faults[0]["pointer"], "the first of {faults:?}");
    check_eq!(failure["hint"], faults[0]["remedy"], "its remedy");
    Ok(())
}

fn bundle_that_cannot_be_read_is_a_problem(ctx: &Context) -> Outcome {
    let dir = ctx.dir.join("empty");
    fs::create_dir(&dir)?;
    let place = dir.to_string_lossy();
    let all = findings(ctx, &["--bundle", &place])?;
    check_eq!(find(&all, "bundle", "config.json")?["verdict"], "problem", "verdict");
    fs::write(dir.join("config.json"), r#"{"ociVersion": 5}"#)?;
    let all = findings(ctx, &["--bundle", &place])?;
    check_eq!(find(&all, "bundle", "/ociVersion")?["verdict"], "problem", "verdict");
    findings(ctx, &["--bundle", "/not/there"])?;
    ctx.done(&["doctor", "operand"])?.exits(1)?.says(&["requires exactly 0 argument"])?;
    Ok(())
}

/// The runtime in a mount namespace of its own, after `prepare`.
fn apart(ctx: &Context, prepare: &str) -> Outcome<Context> {
    let unshare =
        ["/usr/bin/unshare", "/bin/unshare"].into_iter().find(|it| Path::new(it).exists());
    let unshare = unshare.ok_or_else(|| Stop::skip("no unshare program here"))?;
    let runtime = ctx.dir.join("apart");
    let text = format!(
        "#!/bin/sh\nexec {unshare} -m sh -c '{prepare}; exec \"$0\" \"$@\"' {} \"$@\"\n",
        ctx.runtime.display()
    );
    script(&runtime, &text)?;
    ctx.through(runtime)
}

fn missing_cgroups_are_a_problem(ctx: &Context) -> Outcome {
    let all = findings(&apart(ctx, "umount -R /sys/fs/cgroup")?, &[])?;
    let mode = find(&all, "cgroups", "mode")?;
    check_eq!(mode["verdict"], "problem", "verdict of {mode}");
    check!(mode["remedy"].as_str().is_some_and(|it| it.contains("mount -t cgroup2")), "{mode}");
    Ok(())
}

fn forbidden_namespaces_are_a_problem(ctx: &Context) -> Outcome {
    let file = ctx.dir.join("none");
    fs::write(&file, "0\n")?;
    let limit = "/proc/sys/user/max_pid_namespaces";
    let prepare = format!("mount --bind {} {limit}", file.display());
    let all = findings(&apart(ctx, &prepare)?, &[])?;
    let pid = find(&all, "namespaces", "pid")?;
    check_eq!(pid["verdict"], "problem", "verdict of {pid}");
    check_eq!(find(&all, "namespaces", "uts")?["verdict"], "fine", "verdict of another");
    Ok(())
}

fn user_is_told_of_ranges(ctx: &Context) -> Outcome {
    for ranges in [false, true] {
        let user = User::new(ctx, ranges)?;
        let all = findings(&user.ctx, &[])?;
        for table in ["/etc/subuid", "/etc/subgid"] {
            let finding = find(&all, "namespaces", table)?;
            let verdict = if ranges { "fine" } else { "note" };
            check_eq!(finding["verdict"], verdict, "verdict of {finding}");
        }
        let capabilities = find(&all, "security", "capabilities")?;
        check!(capabilities["text"].as_str().is_some_and(|it| it.contains("user")), "{all:?}");
    }
    Ok(())
}

fn nothing_is_left_behind(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let root = ctx.dir.join("a-root");
    let place = root.to_string_lossy();
    let mounts = || fs::read_to_string("/proc/self/mountinfo");
    let (before, bundle) = (mounts()?, c.dir.to_string_lossy());
    let done = crate::process::Run::new(
        &ctx.runtime,
        &["--root", &place, "doctor", "--bundle", &bundle],
        &ctx.dir,
    )?;
    done.ok()?;
    check!(!root.exists(), "the state directory was made");
    check_eq!(mounts()?, before, "mounts");
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    check!(cgroups::directories(ctx.layout, cgroup).is_empty(), "a cgroup was made");
    Ok(())
}
