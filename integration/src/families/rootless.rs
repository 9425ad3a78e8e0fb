//! Ordinary users: with and without ranges of ids, with and without a cgroup of their own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::json;

use crate::bundle::{Bundle, give_file, parse_lines};
use crate::cgroups;
use crate::console::{Master, Receiver};
use crate::context::{Context, Kind, Layout};
use crate::outcome::{Outcome, Stop};
use crate::process::{Run, wait_for};
use crate::user::{FIRST, ID, User};
use crate::{check, check_eq, family};

family!("rootless":
    bundle_of_spec_rootless_runs,
    user_without_ranges_goes_through_the_lifecycle,
    user_with_ranges_has_all_of_them,
    executed_process_of_a_user_with_ranges_has_its_ids,
    ranges_that_are_not_granted_are_refused_with_the_remedy,
    missing_helper_is_named,
    group_without_ranges_is_refused,
    process_user_that_is_not_mapped_is_refused,
    terminal_group_that_is_not_mapped_is_refused,
    configuration_without_a_user_namespace_is_refused,
    network_namespace_of_the_users_own_has_sysfs_and_loopback,
    oom_score_can_be_raised,
    oom_score_cannot_be_lowered,
    limits_of_resources_can_be_lowered,
    source_that_the_user_may_not_reach_is_refused,
    terminal_is_the_users,
    hooks_run_as_the_user,
    state_is_kept_in_the_runtime_directory_of_the_user,
    container_runs_without_a_cgroup_and_says_so,
    processes_without_a_cgroup_are_listed,
    processes_without_a_cgroup_or_pid_namespace_are_listed,
    limit_without_a_cgroup_is_refused,
    cgroup_of_somebody_else_is_refused,
    container_is_in_the_cgroup_that_is_given_to_the_user,
    limits_of_a_cgroup_that_is_given_to_the_user_bite,
    container_in_a_cgroup_of_the_users_is_paused_and_killed,
    cve_2023_25809_cgroups_of_the_host_are_not_in_the_container,
);

fn bundle_of_spec_rootless_runs(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let mut bundle = user.bundle()?;
    let dir = bundle.dir.to_string_lossy().into_owned();
    user.ctx.ok(&["spec", "--rootless", "--bundle", &dir])?;
    let text = fs::read(bundle.dir.join("config.json"))?;
    let mut config: serde_json::Value = serde_json::from_slice(&text)?;
    config["process"]["terminal"] = json!(false);
    if ctx.kind == Kind::Crun {
        config["ociVersion"] = json!("1.0.2");
    }
    bundle.config = config;
    let line = bundle.report(&["facts"])?;
    check_eq!(line["uids"], json!([0, 0, 0, 0]), "uids");
    Ok(())
}

fn user_without_ranges_goes_through_the_lifecycle(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let c = user.bundle()?.payload(&["put", "/made", "x", ",", "sleep", "60000"]).container()?;
    c.create()?;
    c.has_status("created")?;
    c.start()?;
    wait_for("the file", || Ok(c.rootfs().join("made").exists().then_some(())))?;
    c.has_status("running")?;
    let made = fs::metadata(c.rootfs().join("made"))?;
    check_eq!((made.uid(), made.gid()), (ID, ID), "owner on the host");
    let inside = c.exec_report(&[], &["facts"])?;
    check_eq!(inside["uids"], json!([0, 0, 0, 0]), "uids of the executed process");
    check_eq!(inside["groups"], json!([]), "its groups");
    let words = inside["uidMap"][0].as_str().unwrap_or_default().split_whitespace();
    check_eq!(words.collect::<Vec<_>>(), ["0", &ID.to_string(), "1"], "map");
    let list = user.ctx.ok(&["list", "--quiet"])?.stdout;
    check!(list.contains(&c.id), "list: {list}");
    c.kill("KILL")?.ok()?;
    check_eq!(c.exit_code()?, 137, "exit code");
    c.has_status("stopped")?;
    c.verb("delete")?.ok()?;
    check!(!c.verb("state")?.stdout.contains("stopped"), "there is a state after delete");
    Ok(())
}

fn user_with_ranges_has_all_of_them(ctx: &Context) -> Outcome {
    let user = User::new(ctx, true)?;
    let who = json!({"uid": 1000, "gid": 65_536, "additionalGids": [0, 5]});
    let c = user
        .bundle()?
        .set(
            "/process/user",
            if ctx.kind == Kind::Runc { json!({"uid": 1000, "gid": 65_536}) } else { who },
        )
        .payload(&["put", "/tmp/made", "x", ",", "facts"])
        .container()?;
    let facts = c.up_and_report()?.pop().unwrap_or_default();
    check_eq!(facts["uidMap"].as_array().map(Vec::len), Some(2), "ranges");
    check_eq!(facts["uids"], json!([1000, 1000, 1000, 1000]), "uids");
    if ctx.kind != Kind::Runc {
        check_eq!(facts["groups"], json!([0, 5]), "groups");
    }
    let made = fs::metadata(c.rootfs().join("tmp/made"))?;
    check_eq!((made.uid(), made.gid()), (FIRST + 999, FIRST + 65_535), "owner on the host");
    Ok(())
}

fn executed_process_of_a_user_with_ranges_has_its_ids(ctx: &Context) -> Outcome {
    let user = User::new(ctx, true)?;
    let c = user.bundle()?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let facts = c.exec_report(&["--user", "7:9"], &["facts"])?;
    check_eq!(facts["uids"], json!([7, 7, 7, 7]), "uids");
    check_eq!(facts["gids"], json!([9, 9, 9, 9]), "gids");
    c.kill_init()
}

/// `create` must fail and say one of these, and leave nothing.
fn refused(bundle: Bundle<'_>, phrases: &[&str]) -> Outcome<String> {
    let c = bundle.container()?;
    let done = c.try_create(&[])?;
    check!(done.code != 0, "it was created");
    Ok(done.says(phrases)?.stderr)
}

fn ranges_that_are_not_granted_are_refused_with_the_remedy(ctx: &Context) -> Outcome {
    let user = User::new(ctx, true)?;
    let bundle = user.bundle()?.set("/linux/uidMappings/1/hostID", json!(FIRST + 1));
    let said = refused(bundle, &["newuidmap", "new uid map"])?;
    tare_says(
        ctx,
        &said,
        &[
            "/linux/uidMappings",
            "/etc/subuid grants tareuser the uids 700000-765535",
            "usermod --add-subuids 700001-765536 tareuser",
        ],
    )?;
    let bundle = user.bundle()?.set("/linux/gidMappings/1/hostID", json!(FIRST + 1));
    let said = refused(bundle, &["newgidmap", "new gid map"])?;
    tare_says(ctx, &said, &["/linux/gidMappings", "usermod --add-subgids"])
}

/// What only this project's words have to hold.
fn tare_says(ctx: &Context, said: &str, phrases: &[&str]) -> Outcome {
    for phrase in phrases.iter().filter(|_| ctx.kind == Kind::Tare) {
        check!(said.contains(phrase), "no {phrase:?} in {said:?}");
    }
    Ok(())
}

fn missing_helper_is_named(ctx: &Context) -> Outcome {
    let user = User::new(ctx, true)?;
    let c = user.bundle()?.container()?;
    let done = c.finish_create(c.command("create", &[])?.env("PATH", "/nonexistent"))?;
    check!(done.code != 0, "it was created");
    let said = done.says(&["newuidmap", "mapping tool"])?.stderr;
    tare_says(ctx, &said, &["newuidmap not found in $PATH", "/linux/uidMappings", "package uidmap"])
}

fn group_without_ranges_is_refused(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let bundle = user.bundle()?.set("/process/user/additionalGids", json!([0]));
    let said = refused(bundle, &["cannot set any additional groups in a rootless container"])?;
    tare_says(ctx, &said, &["/process/user/additionalGids"])
}

fn process_user_that_is_not_mapped_is_refused(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let bundle = user.bundle()?.set("/process/user/uid", json!(1000));
    let said = refused(bundle, &["unmapped", "setuid", "setresuid", "invalid argument"])?;
    tare_says(ctx, &said, &["cannot setuid to unmapped uid 1000", "/process/user/uid"])?;
    let c = user.bundle()?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let done = c.exec(&["--user", "1000"], &["/bin/true"])?;
    check!(done.code != 0, "an unmapped user executes");
    tare_says(ctx, &done.stderr, &["not mapped in the container's user namespace"])?;
    c.kill_init()
}

fn terminal_group_that_is_not_mapped_is_refused(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let mut bundle = user.bundle()?;
    for mount in bundle.config["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/dev/pts" {
            mount["options"] = json!(["newinstance", "gid=5"]);
        }
    }
    let said = refused(bundle, &["gid=", "invalid argument", "devpts"])?;
    tare_says(
        ctx,
        &said,
        &["/mounts/2/options/1", "cannot specify gid=5 mount option for rootless container"],
    )
}

fn configuration_without_a_user_namespace_is_refused(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let bundle = user
        .bundle()?
        .without_namespace("user")
        .remove("/linux", "uidMappings")
        .remove("/linux", "gidMappings");
    let said = refused(bundle, &["rootless container requires user namespaces"])?;
    tare_says(ctx, &said, &["/linux/namespaces"])
}

fn network_namespace_of_the_users_own_has_sysfs_and_loopback(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let mut bundle = user.bundle()?.namespace("network", None);
    for mount in bundle.config["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/sys" {
            *mount = json!({"destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"]});
        }
    }
    let line = bundle.report(&["cat", "/sys/class/net/lo/flags"])?;
    check_eq!(line["text"], "0x9\n", "flags of lo");
    Ok(())
}

fn oom_score_can_be_raised(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let bundle = user.bundle()?.set("/process/oomScoreAdj", json!(1000));
    let c =
        bundle.payload(&["cat", "/proc/self/oom_score_adj", ",", "sleep", "60000"]).container()?;
    c.up()?;
    c.prints("1000\\n")?;
    let line = c.exec_report(&[], &["cat", "/proc/self/oom_score_adj"])?;
    check_eq!(line["text"], "1000\n", "score of the executed process");
    c.kill_init()
}

fn oom_score_cannot_be_lowered(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let bundle = user.bundle()?.set("/process/oomScoreAdj", json!(-1000));
    let said = refused(bundle, &["oom_score_adj"])?;
    tare_says(ctx, &said, &["/process/oomScoreAdj", "CAP_SYS_RESOURCE"])
}

fn limits_of_resources_can_be_lowered(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let limit = |soft: u64| json!([{"type": "RLIMIT_NOFILE", "hard": soft, "soft": soft}]);
    let line =
        user.bundle()?.set("/process/rlimits", limit(99)).report(&["cat", "/proc/self/limits"])?;
    let text = line["text"].as_str().unwrap_or_default();
    let row = text.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    check_eq!(row.split_whitespace().nth(3), Some("99"), "{row}");
    let hard = crate::host::hard_limit("RLIMIT_NOFILE")?;
    let bundle = user.bundle()?.set("/process/rlimits", limit(hard.saturating_add(1)));
    let said = refused(bundle, &["rlimit", "nofile"])?;
    tare_says(ctx, &said, &["/process/rlimits/0", "CAP_SYS_RESOURCE"])
}

fn source_that_the_user_may_not_reach_is_refused(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let closed = ctx.dir.join("closed");
    fs::create_dir(&closed)?;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
    fs::write(closed.join("file"), "words")?;
    let bundle = user.bundle()?.bind(&closed.join("file"), "/tmp/file", &["rbind"]);
    let said = refused(bundle, &["permission denied"])?;
    check!(said.contains("closed/file"), "the source is not named: {said}");
    Ok(())
}

fn terminal_is_the_users(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let receiver = Receiver::new(&user.home().join("console"))?;
    give_file(&user.home().join("console"), ID)?;
    let bundle = user.bundle()?.set("/process/terminal", json!(true));
    let c = bundle.payload(&["devices"]).container()?;
    c.try_create(&["--console-socket", &receiver.path()])?.ok()?;
    let mut master = Master::new(receiver.receive()?.0)?;
    c.start()?;
    let seen = parse_lines(&master.until_end(|| c.ended())?)?;
    check_eq!(seen[0]["/dev/pts/0"]["uid"], json!(0), "owner of the terminal");
    Ok(())
}

fn hooks_run_as_the_user(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let log = user.home().join("log");
    let hook = |name: &str| json!([{"path": ctx.payload, "args": ["payload", "hook", log, name]}]);
    let bundle = user.bundle()?.set("/hooks/createRuntime", hook("createRuntime"));
    bundle.set("/hooks/poststart", hook("poststart")).payload(&["true"]).output()?;
    let names: Vec<_> = parse_lines(&fs::read_to_string(&log)?)?
        .iter()
        .map(|line| (line["hook"].clone(), line["uids"][1].clone()))
        .collect();
    let expected = ["createRuntime", "poststart"].map(|name| (json!(name), json!(ID)));
    check_eq!(names, expected, "hooks");
    Ok(())
}

fn state_is_kept_in_the_runtime_directory_of_the_user(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let c = user.bundle()?.payload(&["sleep", "60000"]).container()?;
    let bundle = c.dir.to_string_lossy();
    let run = |args: &[&str]| Run::new(&user.ctx.runtime, args, &user.ctx.dir)?.ok();
    run(&["run", "--detach", "--bundle", &bundle, &c.id])?;
    let root = user.home().join(match ctx.kind {
        Kind::Tare => "tare",
        Kind::Runc => "runc",
        Kind::Crun => "crun",
        Kind::Youki => "youki",
    });
    let mode = fs::metadata(&root)?.mode() & 0o7777;
    check!(root.join(&c.id).is_dir(), "no state in {}", root.display());
    run(&["delete", "--force", &c.id])?;
    if ctx.kind != Kind::Crun {
        check_eq!(mode, 0o1700, "mode of {}", root.display());
    }
    Ok(())
}

fn container_runs_without_a_cgroup_and_says_so(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let c = user.bundle()?.payload(&["sleep", "60000"]).container()?;
    let said = c.try_create(&[])?.ok()?.stderr;
    tare_says(ctx, &said, &["no permission to make a cgroup", "/linux/cgroupsPath"])?;
    c.start()?;
    let own = fs::read_to_string("/proc/self/cgroup")?;
    check_eq!(fs::read_to_string(format!("/proc/{}/cgroup", c.pid()?))?, own, "cgroup");
    let paused = c.verb("pause")?;
    check!(paused.code != 0, "it was paused");
    tare_says(ctx, &paused.stderr, &["the container has no cgroup"])?;
    c.has_status("running")?;
    c.kill("TERM")?.ok()?;
    c.kill("KILL")?;
    c.exit_code()?;
    c.verb("delete")?.ok().map(drop)
}

fn processes_without_a_cgroup_are_listed(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    list_processes(&user, user.bundle()?)
}

fn processes_without_a_cgroup_or_pid_namespace_are_listed(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    // Who has no pid namespace of its own cannot mount a proc.
    let bundle = user.bundle()?.without_namespace("pid").set("/mounts", json!([]));
    list_processes(&user, bundle.bind("/proc".as_ref(), "/proc", &["rbind"]))
}

/// The first process with a child, and an executed one with another.
fn list_processes(user: &User, bundle: Bundle<'_>) -> Outcome {
    let c = bundle.payload(&["children", "1", ",", "sleep", "60000"]).container()?;
    c.up()?;
    let executed =
        c.exec_detached(&[], &["/bin/payload", "children", "1", ",", "sleep", "60000"])?;
    let all = || -> Outcome<Vec<i32>> {
        Ok(serde_json::from_str(&user.ctx.ok(&["ps", "--format", "json", &c.id])?.stdout)?)
    };
    let pids = wait_for("four processes", || Ok(Some(all()?).filter(|pids| pids.len() >= 4)))?;
    check_eq!(pids.len(), 4, "processes: {pids:?}");
    check!(pids.contains(&c.pid()?) && pids.contains(&executed), "{pids:?}");
    check!(pids.is_sorted(), "{pids:?}");
    let table = c.verb("ps")?.ok()?.stdout;
    check_eq!(table.lines().count(), 5, "lines of {table}");
    for pid in pids {
        // Without a pid namespace they would outlive their container; with one they may be gone.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
    }
    wait_for("the end of the executed", || Ok(c.reap_detached().then_some(())))?;
    c.exit_code()?;
    let listed = user.ctx.ok(&["ps", "--format", "json", &c.id])?.stdout;
    check_eq!(listed, "null\n", "processes of a stopped container");
    Ok(())
}

fn limit_without_a_cgroup_is_refused(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let bundle = user.bundle()?.set("/linux/resources/pids/limit", json!(10));
    let said = refused(
        bundle,
        &[
            "container could not join or create cgroup",
            "rootless needs no limits",
            "permission denied",
        ],
    )?;
    let words = "cannot set pids limit: container could not join or create cgroup";
    tare_says(ctx, &said, &[words, "/linux/resources/pids/limit"])
}

fn cgroup_of_somebody_else_is_refused(ctx: &Context) -> Outcome {
    let user = User::new(ctx, false)?;
    let path = format!("{}/x", ctx.cgroup);
    let said =
        refused(user.bundle()?.set("/linux/cgroupsPath", json!(path)), &["permission denied"])?;
    tare_says(ctx, &said, &["/linux/cgroupsPath"])
}

/// A bundle in the cgroup that the user has.
fn in_cgroup(user: &User) -> Outcome<Bundle<'_>> {
    let path = format!("{}/box", user.cgroup());
    Ok(user.bundle()?.set("/linux/cgroupsPath", json!(path)))
}

fn container_is_in_the_cgroup_that_is_given_to_the_user(ctx: &Context) -> Outcome {
    let user = User::with_cgroup(ctx)?;
    let c = in_cgroup(&user)?.payload(&["sleep", "60000"]).container()?;
    let said = c.try_create(&[])?.ok()?.stderr;
    check!(!said.contains("cgroup"), "{said}");
    c.start()?;
    let place = format!("{}/box", user.cgroup());
    let of = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cgroup"));
    check!(of(c.pid()?)?.trim_end().ends_with(&place), "{}", of(c.pid()?)?);
    let pid = c.exec_detached(&[], &["/bin/payload", "sleep", "60000"])?;
    check!(of(pid)?.trim_end().ends_with(&place), "executed: {}", of(pid)?);
    let listed = user.ctx.ok(&["ps", "--format", "json", &c.id])?.stdout;
    check!(listed.contains(&pid.to_string()), "ps: {listed}");
    c.kill("KILL")?.ok()?;
    wait_for("the end of the executed process", || Ok(c.reap_detached().then_some(())))?;
    user.ctx.ok(&["delete", "--force", &c.id])?;
    check!(cgroups::directories(ctx.layout, &place).is_empty(), "the cgroup is still there");
    Ok(())
}

fn limits_of_a_cgroup_that_is_given_to_the_user_bite(ctx: &Context) -> Outcome {
    let user = User::with_cgroup(ctx)?;
    let controllers = cgroups::read(Layout::V2, "", user.cgroup(), "cgroup.controllers")?;
    if !controllers.split_whitespace().any(|name| name == "pids") {
        return Err(Stop::skip("no pids controller here"));
    }
    let bundle = in_cgroup(&user)?.set("/linux/resources/pids/limit", json!(5));
    let line = bundle.report(&["fork-until-refused", "50"])?;
    check_eq!(line["forked"], json!(4), "children");
    Ok(())
}

fn container_in_a_cgroup_of_the_users_is_paused_and_killed(ctx: &Context) -> Outcome {
    let user = User::with_cgroup(ctx)?;
    let mut bundle = in_cgroup(&user)?.without_namespace("pid");
    // A new procfs takes a new pid namespace.
    bundle.config["mounts"][0] = json!({"destination": "/proc", "type": "none", "source": "/proc",
        "options": ["rbind"]});
    let bundle = bundle.payload(&["children", "3", ",", "sleep", "60000"]);
    let c = bundle.container()?;
    c.up()?;
    c.verb("pause")?.ok()?;
    c.has_status("paused")?;
    c.verb("resume")?.ok()?;
    c.has_status("running")?;
    user.ctx.ok(&["delete", "--force", &c.id])?;
    check_eq!(c.exit_code()?, 137, "exit code");
    Ok(())
}

fn cve_2023_25809_cgroups_of_the_host_are_not_in_the_container(ctx: &Context) -> Outcome {
    let user = User::with_cgroup(ctx)?;
    let show = |bundle: Bundle<'_>| {
        let script = "ls /sys/fs/cgroup; mkdir /sys/fs/cgroup/made && echo made";
        bundle.without_namespace("cgroup").args(&["/bin/sh", "-c", script]).container()?.run(&[])
    };
    let own = show(in_cgroup(&user)?)?;
    check!(own.stdout.contains("cgroup.procs"), "its own is not there: {}", own.stdout);
    check!(!own.stdout.contains("cgroup.controllers\ncaller"), "the host's tree: {}", own.stdout);
    check!(!own.stdout.contains("caller"), "the user's tree: {}", own.stdout);
    check!(!own.stdout.contains("made"), "written: {}", own.stdout);
    let without = User::new(ctx, false)?;
    let none = show(without.bundle()?)?;
    check!(!none.stdout.contains(ctx.cgroup.trim_matches('/')), "the host's tree: {}", none.stdout);
    check!(!none.stdout.contains("made"), "written: {}", none.stdout);
    Ok(())
}
