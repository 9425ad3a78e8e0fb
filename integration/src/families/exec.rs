//! `exec`: every flag, and the same privileges as the container's own process.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::{Context, Layout};
use crate::outcome::Outcome;
use crate::process::wait_for;
use crate::{check, check_eq, expect, family};

family!("exec":
    executed_process_stands_where_the_container_does,
    executed_process_has_the_privileges_of_the_configuration,
    exit_code_and_signal_are_passed_on,
    failure_before_the_process_runs_is_255,
    process_file_replaces_all_options,
    cwd_is_entered,
    env_is_added_and_replaces,
    user_and_groups_are_set,
    user_must_be_a_number,
    added_capabilities_are_never_inheritable,
    no_new_privileges_can_be_added,
    detached_process_is_named_by_its_pid_file,
    standard_streams_are_the_callers,
    exec_in_a_created_container_works,
    exec_in_a_stopped_container_is_refused,
    exec_in_a_paused_container_is_refused_unless_asked_for,
    exec_without_a_command_is_refused,
    sub_cgroup_is_entered,
    sub_cgroup_may_not_escape,
    preserved_descriptors_are_passed,
    exec_joins_a_user_namespace,
    signals_are_forwarded,
    deleting_the_container_ends_executed_processes,
);

/// A container that runs and does nothing.
fn idle(ctx: &Context) -> Outcome<Container<'_>> {
    up(Bundle::new(ctx)?)
}

fn up(bundle: Bundle<'_>) -> Outcome<Container<'_>> {
    let c = bundle.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    Ok(c)
}

fn executed_process_stands_where_the_container_does(ctx: &Context) -> Outcome {
    let c = up(Bundle::new(ctx)?.namespace("cgroup", None))?;
    let facts = c.exec_report(&[], &["facts"])?;
    for file in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let init = fs::read_link(format!("/proc/{}/ns/{file}", c.pid()?))?;
        check_eq!(facts["namespaces"][file], json!(init), "{file} namespace");
    }
    let own = fs::read_to_string(format!("/proc/{}/cgroup", c.pid()?))?;
    let other = c.exec_detached(&[], &["/bin/payload", "sleep", "60000"])?;
    let theirs = fs::read_to_string(format!("/proc/{other}/cgroup"))?;
    check_eq!(theirs, own, "cgroups");
    Ok(())
}

fn executed_process_has_the_privileges_of_the_configuration(ctx: &Context) -> Outcome {
    let user = json!({"uid": 1000, "gid": 100, "additionalGids": [7], "umask": 0o027});
    let bundle =
        Bundle::new(ctx)?.set("/process/user", user).set("/process/oomScoreAdj", json!(77)).set(
            "/linux/seccomp",
            json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}],
            }),
        );
    let config = bundle.config.clone();
    let c = up(bundle)?;
    let facts = c.exec_report(&[], &["facts"])?;
    // getcwd is what the profile forbids.
    let mut expected = config;
    expected["process"]["cwd"] = Value::Null;
    expect::identity(&expected, &facts)?;
    expect::capabilities(&expected, &facts)?;
    check_eq!(facts["seccomp"], json!(2), "seccomp mode");
    check_eq!(c.exec_report(&[], &["syscall", "79"])?["errno"], json!(99), "errno of getcwd");
    Ok(())
}

fn exit_code_and_signal_are_passed_on(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    c.exec(&[], &["/bin/payload", "exit", "42"])?.exits(42)?;
    c.exec(&[], &["/bin/payload", "raise", "9"])?.exits(137)?;
    c.exec(&[], &["/bin/payload", "raise", "15"])?.exits(143).map(drop)
}

fn failure_before_the_process_runs_is_255(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    c.exec(&[], &["nowhere"])?
        .exits(255)?
        .says(&["executable file not found in $PATH"])?
        .says(&["exec failed"])?;
    c.exec(&[], &["/nowhere"])?.exits(255)?.says(&["no such file or directory"])?;
    c.exec(&[], &["/etc/passwd"])?.exits(255)?.says(&["permission denied"])?;
    c.has_status("running")
}

fn process_file_replaces_all_options(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let process = json!({
        "user": {"uid": 5, "gid": 6, "additionalGids": [8]},
        "args": ["/bin/payload", "facts"],
        "env": ["PATH=/bin", "ONLY=this"],
        "cwd": "/tmp",
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}],
        "capabilities": {"bounding": ["CAP_KILL"]},
    });
    let file = ctx.dir.join("process.json");
    fs::write(&file, process.to_string())?;
    let done = ctx.ok(&["exec", "--process", &file.to_string_lossy(), &c.id])?;
    let facts = crate::bundle::parse_lines(&done.stdout)?.remove(0);
    let config = json!({"process": process});
    expect::identity(&config, &facts)?;
    expect::capabilities(&config, &facts)?;
    expect::environment(&config, &facts)?;
    check!(!facts["env"].to_string().contains("TERM="), "TERM is left: {}", facts["env"]);
    Ok(())
}

fn cwd_is_entered(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    check_eq!(c.exec_report(&["--cwd", "/tmp"], &["facts"])?["cwd"], "/tmp", "cwd");
    check_eq!(c.exec_report(&["--cwd=/etc"], &["facts"])?["cwd"], "/etc", "cwd");
    Ok(())
}

fn env_is_added_and_replaces(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let flags = ["--env", "A=1,2", "--env", "B=", "--env", "TERM=dumb"];
    let done = c.exec(&flags, &["sh", "-c", "echo $A; echo $TERM; echo $PATH"])?.ok()?;
    check_eq!(done.stdout, "1,2\ndumb\n/usr/sbin:/usr/bin:/sbin:/bin\n", "what a shell sees");
    let done = c.exec(&["-e", "A=short"], &["sh", "-c", "echo $A"])?.ok()?;
    check_eq!(done.stdout, "short\n", "what a shell sees");
    Ok(())
}

fn user_and_groups_are_set(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let facts = c.exec_report(&["--user", "1000:100", "-g", "7", "-g", "9"], &["facts"])?;
    check_eq!(facts["uids"], json!([1000, 1000, 1000, 1000]), "uids");
    check_eq!(facts["gids"], json!([100, 100, 100, 100]), "gids");
    check_eq!(facts["groups"], json!([7, 9]), "groups");
    let facts = c.exec_report(&["-u", "1"], &["facts"])?;
    check_eq!(facts["uids"], json!([1, 1, 1, 1]), "uids");
    check_eq!(facts["gids"], json!([0, 0, 0, 0]), "gids");
    Ok(())
}

fn user_must_be_a_number(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    for user in ["1x", "root", "1:1x", "-1", "4294967295", "4294967296", "0x1", ""] {
        let flag = format!("--user={user}");
        let done = c.exec(&[&flag], &["/bin/payload", "true"])?;
        // An empty value is as good as none.
        check!(done.code != 0 || user.is_empty(), "--user={user:?} was accepted");
    }
    Ok(())
}

fn added_capabilities_are_never_inheritable(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let facts = c.exec_report(&["--cap", "CAP_NET_RAW", "--cap", "CAP_CHOWN"], &["facts"])?;
    let added = (1 << 13) | 1;
    for set in ["bounding", "permitted", "effective"] {
        let mask = facts["caps"][set].as_u64().unwrap_or(0);
        check_eq!(mask & added, added, "{set} of {mask:#x}");
    }
    check_eq!(facts["caps"]["inheritable"], json!(0), "inheritable");
    check_eq!(facts["caps"]["ambient"], json!(0), "ambient");
    Ok(())
}

fn no_new_privileges_can_be_added(ctx: &Context) -> Outcome {
    let c = up(Bundle::new(ctx)?.set("/process/noNewPrivileges", json!(false)))?;
    check_eq!(c.exec_report(&[], &["facts"])?["noNewPrivileges"], json!(false), "without");
    let facts = c.exec_report(&["--no-new-privs"], &["facts"])?;
    check_eq!(facts["noNewPrivileges"], json!(true), "with the flag");
    Ok(())
}

fn detached_process_is_named_by_its_pid_file(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let pid = c.exec_detached(&[], &["/bin/payload", "sleep", "60000"])?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm"))?;
    check_eq!(name.trim(), "payload", "name of process {pid}");
    let pids: Vec<i32> = serde_json::from_str(&ctx.ok(&["ps", "-f", "json", &c.id])?.stdout)?;
    check!(pids.contains(&pid), "{pid} is missing from {pids:?}");
    Ok(())
}

fn standard_streams_are_the_callers(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let input = ctx.dir.join("input");
    fs::write(&input, "words")?;
    let run = c.exec_command(&[], &["sh", "-c", "cat; echo err >&2"])?;
    let done = run.stdin(fs::File::open(input)?).ok()?;
    check_eq!(done.stdout, "words", "standard output");
    check_eq!(done.stderr, "err\n", "standard error");
    Ok(())
}

fn exec_in_a_created_container_works(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.create()?;
    check_eq!(c.exec(&[], &["/bin/payload", "say", "early"])?.ok()?.stdout, "early\n", "output");
    c.has_status("created")
}

fn exec_in_a_stopped_container_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.up()?;
    c.exit_code()?;
    c.exec(&[], &["true"])?.exits(255)?.says(&["cannot exec in a stopped container"]).map(drop)
}

fn exec_in_a_paused_container_is_refused_unless_asked_for(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    c.verb("pause")?.ok()?;
    c.exec(&[], &["true"])?.exits(255)?.says(&["paused container"])?;
    let exec = c.exec_command(&["--ignore-paused"], &["/bin/payload", "true"])?.start()?;
    // Its process is frozen with the container.
    std::thread::sleep(std::time::Duration::from_millis(50));
    c.verb("resume")?.ok()?;
    exec.done()?.ok().map(drop)
}

fn exec_without_a_command_is_refused(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let done = c.exec(&[], &[])?;
    check!(done.code != 0, "exec without a command succeeded");
    done.says(&["args cannot be empty", "argument"]).map(drop)
}

fn sub_cgroup_is_entered(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned();
    for dir in crate::cgroups::directories(ctx.layout, &cgroup) {
        fs::create_dir(dir.join("sub"))?;
    }
    let flag = if ctx.layout == Layout::V2 { "sub" } else { "pids:sub" };
    let pid = c.exec_detached(&["--cgroup", flag], &["/bin/payload", "sleep", "60000"])?;
    let lines = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let entered = lines.lines().any(|l| l.ends_with(&format!("{cgroup}/sub")));
    check!(entered, "the process is in {lines}");
    Ok(())
}

fn sub_cgroup_may_not_escape(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let flag = if ctx.layout == Layout::V2 { "../.." } else { "pids:../.." };
    c.exec(&["--cgroup", flag], &["/bin/payload", "true"])?.exits(255)?.says(&["cgroup"]).map(drop)
}

fn preserved_descriptors_are_passed(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let file = ctx.dir.join("handed-over");
    fs::write(&file, "text")?;
    let path = file.to_string_lossy();
    let (runtime, root) = (ctx.runtime.to_string_lossy(), ctx.root());
    let root = root.to_string_lossy();
    let args = [
        "with-fds",
        &path,
        &path,
        "--",
        &runtime,
        "--root",
        &root,
        "exec",
        "--preserve-fds",
        "2",
        &c.id,
        "/bin/payload",
        "facts",
    ];
    let facts = crate::bundle::parse_lines(&ctx.helper(&args)?.ok()?.stdout)?.remove(0);
    let fds = facts["fds"].as_object().cloned().unwrap_or_default();
    check_eq!(fds.len(), 5, "open descriptors of {fds:?}");
    for fd in ["3", "4"] {
        let target = fds.get(fd).and_then(Value::as_str).unwrap_or_default();
        check!(target.ends_with("handed-over"), "descriptor {fd} is {target:?}");
    }
    Ok(())
}

fn exec_joins_a_user_namespace(ctx: &Context) -> Outcome {
    let c = up(Bundle::new(ctx)?.user_namespace()?)?;
    let facts = c.exec_report(&[], &["facts"])?;
    let init = fs::read_link(format!("/proc/{}/ns/user", c.pid()?))?;
    check_eq!(facts["namespaces"]["user"], json!(init), "user namespace");
    check_eq!(facts["uids"], json!([0, 0, 0, 0]), "uids");
    expect::capabilities(&c.config, &facts)
}

fn signals_are_forwarded(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let exec = c.exec_command(&[], &["/bin/payload", "await-signal"])?.start()?;
    let out = exec.stdout().to_owned();
    wait_for("readiness", || Ok(fs::read_to_string(&out)?.contains("ready").then_some(())))?;
    let usr1 = nix::sys::signal::Signal::SIGUSR1;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(exec.pid()), usr1)?;
    let output = exec.done()?.ok()?.stdout;
    check!(output.contains(r#"{"signal":10}"#), "the process saw {output:?}");
    Ok(())
}

fn deleting_the_container_ends_executed_processes(ctx: &Context) -> Outcome {
    let c = up(Bundle::new(ctx)?.without_namespace("pid"))?;
    c.exec_detached(&[], &["/bin/payload", "sleep", "60000"])?;
    ctx.ok(&["delete", "--force", &c.id])?;
    wait_for("the executed process's end", || Ok(c.reap_detached().then_some(())))
}
