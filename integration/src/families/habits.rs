//! What users of runc are used to and the specification leaves open.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::bundle::Bundle;
use crate::context::{Context, Layout};
use crate::expect::MountInfo;
use crate::outcome::{Outcome, Stop};
use crate::{cgroups, check, check_eq, family};

use super::lifecycle::reap_orphans;

family!("habits":
    lines_of_a_foreground_terminal_end_as_the_program_ends_them,
    sigterm_ends_a_container_that_waits_for_start,
    other_signals_leave_a_container_that_waits_for_start,
    sigkill_reaches_every_process_without_a_pid_namespace,
    sigkill_reaches_what_the_first_process_has_left,
    start_container_hook_is_confined_by_the_filter,
    start_container_hook_runs_under_a_filter_without_poll,
    start_container_hook_without_an_environment_has_a_home,
    read_only_dev_still_has_a_console,
    destination_within_the_rootfs_of_the_host_is_one_inside,
    source_may_be_what_an_earlier_mount_put_into_the_rootfs,
    path_that_is_masked_twice_is_covered_once,
    container_that_waits_for_start_holds_no_file_of_the_image,
    exec_follows_a_container_whose_own_cgroup_is_gone,
    program_that_only_a_capability_opens_is_run,
);

fn lines_of_a_foreground_terminal_end_as_the_program_ends_them(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.set("/process/terminal", json!(true));
    let c = bundle.args(&["sh", "-c", "echo one; echo two"]).container()?;
    check_eq!(c.run(&[])?.ok()?.stdout, "one\ntwo\n", "output");
    Ok(())
}

fn sigterm_ends_a_container_that_waits_for_start(ctx: &Context) -> Outcome {
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
        c.create()?;
        c.kill(signal)?.ok()?;
        check!(c.exit_code()? != 0, "init ended as if it had done its work");
        c.has_status("stopped")?;
    }
    Ok(())
}

/// The kernel keeps them from the first process of a pid namespace. Without one the runtime must.
fn other_signals_leave_a_container_that_waits_for_start(ctx: &Context) -> Outcome {
    let signals =
        ["USR1", "USR2", "PIPE", "ALRM", "XCPU", "XFSZ", "VTALRM", "PROF", "IO", "PWR", "40"];
    for bundle in [Bundle::new(ctx)?, Bundle::new(ctx)?.without_namespace("pid")] {
        let c = bundle.payload(&["say", "up", ",", "sleep", "60000"]).container()?;
        c.create()?;
        for signal in signals {
            c.kill(signal)?.ok()?;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        c.has_status("created")?;
        // None of them is left for the program, which they end by default.
        c.start()?;
        c.prints("up")?;
        c.has_status("running")?;
    }
    let c =
        Bundle::new(ctx)?.without_namespace("pid").payload(&["say", "up", ",", "sleep", "60000"]);
    let c = c.container()?;
    c.up()?;
    c.prints("up")?;
    c.kill("USR1")?.ok()?;
    check_eq!(c.exit_code()?, 128 + 10, "exit code of the program after SIGUSR1");
    Ok(())
}

fn without_pids<'c>(ctx: &'c Context) -> Outcome<Bundle<'c>> {
    let bundle = Bundle::new(ctx)?.without_namespace("pid");
    Ok(bundle.payload(&["children", "3", ",", "say", "up", ",", "sleep", "60000"]))
}

fn sigkill_reaches_every_process_without_a_pid_namespace(ctx: &Context) -> Outcome {
    let c = without_pids(ctx)?.container()?;
    c.up()?;
    c.prints("up")?;
    c.kill("KILL")?.ok()?;
    c.exit_code()?;
    reap_orphans(3)
}

fn sigkill_reaches_what_the_first_process_has_left(ctx: &Context) -> Outcome {
    let c = without_pids(ctx)?.container()?;
    c.up()?;
    c.prints("up")?;
    c.kill_init()?;
    c.kill("KILL")?.ok()?;
    reap_orphans(3)
}

fn start_container_hook_is_confined_by_the_filter(ctx: &Context) -> Outcome {
    let filter = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
    });
    let hook = json!({"path": "/bin/busybox", "args": ["busybox", "mkdir", "/dev/shm/made"]});
    for no_new_privileges in [true, false] {
        let c = Bundle::new(ctx)?
            .payload(&["true"])
            .set("/process/noNewPrivileges", json!(no_new_privileges))
            .set("/linux/seccomp", filter.clone())
            .set("/hooks", json!({"startContainer": [hook]}))
            .container()?;
        c.run(&[])?.exits(1)?.says(&["hook"])?;
    }
    Ok(())
}

fn start_container_hook_without_an_environment_has_a_home(ctx: &Context) -> Outcome {
    let script = "test \"$HOME\" = /home/of/root || exit 3";
    let hook = json!({"path": "/bin/busybox", "args": ["sh", "-c", script]});
    let c = Bundle::new(ctx)?
        .file("/etc/passwd", "root:x:0:0:root:/home/of/root:/bin/sh\n")?
        .payload(&["true"])
        .set("/process/env", json!(["PATH=/bin"]))
        .set("/hooks", json!({"startContainer": [hook]}))
        .container()?;
    c.run(&[])?.ok().map(drop)
}

fn read_only_dev_still_has_a_console(ctx: &Context) -> Outcome {
    let mut bundle = Bundle::new(ctx)?.set("/process/terminal", json!(true)).args(&[
        "sh",
        "-c",
        "echo shown > /dev/console; echo 2>/dev/null > /dev/new || echo refused",
    ]);
    let mounts = bundle.config["mounts"].as_array_mut();
    let dev = mounts.and_then(|mounts| mounts.iter_mut().find(|m| m["destination"] == "/dev"));
    let options = dev.and_then(|dev| dev["options"].as_array_mut());
    options.ok_or_else(|| Stop::fail("the configuration has no /dev"))?.push(json!("ro"));
    let done = bundle.container()?.run(&[])?.ok()?;
    check_eq!(done.stdout, "shown\nrefused\n", "output");
    Ok(())
}

fn destination_within_the_rootfs_of_the_host_is_one_inside(ctx: &Context) -> Outcome {
    let source = ctx.dir.join("source");
    fs::create_dir_all(&source)?;
    fs::write(source.join("file"), "found")?;
    let bundle = Bundle::new(ctx)?.args(&["cat", "/inside/file"]);
    let destination = bundle.rootfs().join("inside");
    let c = bundle.bind(&source, &destination.to_string_lossy(), &["bind"]).container()?;
    check_eq!(c.run(&[])?.ok()?.stdout, "found", "file");
    Ok(())
}

fn source_may_be_what_an_earlier_mount_put_into_the_rootfs(ctx: &Context) -> Outcome {
    for user_namespace in [false, true] {
        let source = ctx.dir.join("earlier");
        fs::create_dir_all(source.join("below"))?;
        fs::write(source.join("below/file"), "found")?;
        let bundle = Bundle::new(ctx)?.args(&["cat", "/again/file"]);
        let earlier = bundle.rootfs().join("first/below");
        let bundle =
            bundle.bind(&source, "/first", &["rbind"]).bind(&earlier, "/again", &["rbind"]);
        let bundle = if user_namespace { bundle.user_namespace()? } else { bundle };
        check_eq!(bundle.container()?.run(&[])?.ok()?.stdout, "found", "file");
    }
    Ok(())
}

fn path_that_is_masked_twice_is_covered_once(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .file("/secret", "hidden")?
        .set("/linux/maskedPaths", json!(["/secret", "/secret", "/./secret"]));
    let table = MountInfo::seen(bundle)?;
    let covers = table.iter().filter(|mount| mount.point == "/secret").count();
    check_eq!(covers, 1, "mounts at /secret");
    Ok(())
}

fn container_that_waits_for_start_holds_no_file_of_the_image(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")?
        .payload(&["true"])
        .set("/process/env", json!(["PATH=/bin"]))
        .container()?;
    c.create()?;
    for entry in fs::read_dir(format!("/proc/{}/fd", c.pid()?))? {
        let target = fs::read_link(entry?.path())?;
        check!(!target.ends_with("passwd"), "{} is open", target.display());
    }
    Ok(())
}

fn exec_follows_a_container_whose_own_cgroup_is_gone(ctx: &Context) -> Outcome {
    if ctx.layout != Layout::V2 {
        return Err(Stop::skip("a process leaves one cgroup for another on v2 only"));
    }
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let own = cgroups::directories(ctx.layout, path).pop();
    let own = own.ok_or_else(|| Stop::fail("the container has no cgroup"))?;
    let other = own.with_file_name("moved");
    fs::create_dir(&other)?;
    fs::write(other.join("cgroup.procs"), c.pid()?.to_string())?;
    fs::remove_dir(&own)?;
    let done = c.exec(&[], &["cat", "/proc/self/cgroup"]);
    let deleted = ctx.done(&["delete", "--force", &c.id]);
    c.exit_code()?;
    fs::remove_dir(&other)?;
    done?.ok()?;
    deleted?.ok().map(drop)
}

fn program_that_only_a_capability_opens_is_run(ctx: &Context) -> Outcome {
    let with = |caps: &[&str]| -> Outcome<_> {
        let mut bundle = Bundle::new(ctx)?
            .payload(&["true"])
            .set("/process/user", json!({"uid": 1000, "gid": 1000}));
        for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
            bundle = bundle.set(&format!("/process/capabilities/{set}"), json!(caps));
        }
        let program = bundle.rootfs().join("bin/payload");
        fs::remove_file(&program)?;
        fs::copy(&ctx.payload, &program)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
        bundle.container()?.run(&[])
    };
    with(&[])?.exits(1)?.says(&["permission denied"])?;
    with(&["CAP_DAC_OVERRIDE"])?.ok().map(drop)
}

fn start_container_hook_runs_under_a_filter_without_poll(ctx: &Context) -> Outcome {
    let hooks = |more: serde_json::Value| {
        let mut hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo ran >/tmp/hook"]});
        for (name, value) in more.as_object().into_iter().flatten() {
            hook[name] = value.clone();
        }
        json!({"startContainer": [hook]})
    };
    for (names, more) in [
        (json!(["poll"]), json!({})),
        (json!(["poll"]), json!({"timeout": 5})),
        (json!(["poll", "ppoll"]), json!({})),
    ] {
        let filter = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": names, "action": "SCMP_ACT_ERRNO"}],
        });
        let bundle = Bundle::new(ctx)?.set("/linux/seccomp", filter).set("/hooks", hooks(more));
        let c = bundle.args(&["/bin/cat", "/tmp/hook"]).container()?;
        check_eq!(c.run(&[])?.ok()?.stdout, "ran\n", "without {names}");
    }
    Ok(())
}
