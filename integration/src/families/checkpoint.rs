//! Checkpoint and restore: what a program has goes on where it was.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use serde_json::json;

use crate::bundle::Bundle;
use crate::console::{Master, Receiver};
use crate::context::Context;
use crate::criu::{
    self, FOREVER, LONG, UNTIL_GO, checkpoint, go, images, reports, restore, restoring,
    there_and_back, try_checkpoint,
};
use crate::outcome::Outcome;
use crate::process::wait_for;
use crate::{cgroups, check, check_eq, family, host};

family!("checkpoint":
    memory_and_open_files_go_on_where_they_were,
    container_is_gone_after_its_checkpoint,
    container_left_running_goes_on,
    container_is_restored_more_than_once,
    restored_container_is_like_any_other,
    paused_container_can_be_saved,
    processes_that_were_executed_come_back,
    terminal_is_handed_to_the_console_socket,
    pipes_of_the_standard_streams_are_those_of_the_restorer,
    foreground_restore_ends_with_the_containers_code,
    pid_file_names_the_restored_process,
    file_locks_need_to_be_allowed,
    unlinked_file_comes_back,
    privileges_are_as_they_were,
    hooks_of_the_host_run_again,
    clock_goes_on_where_it_stopped,
    names_of_the_default_directory_and_logs,
);

fn memory_and_open_files_go_on_where_they_were(ctx: &Context) -> Outcome {
    let script = format!(
        "token=$RANDOM; exec 3</data 4>>/log; read a <&3; echo $token > /token; \
         {UNTIL_GO}; read b <&3; echo more >&4; echo $token $a $b > /result; read x <&9"
    );
    let bundle = Bundle::new(ctx)?.args(&["sh", "-c", &script]);
    let c = criu::started(ctx, bundle.file("/data", "one\ntwo\n")?.file("/log", "old\n")?)?;
    let token = wait_for("the token", || {
        let text = fs::read_to_string(c.rootfs().join("token")).unwrap_or_default();
        Ok(text.ends_with('\n').then_some(text))
    })?;
    there_and_back(ctx, &c, &[])?;
    go(&c)?;
    reports(&c, "result", &format!("{} one two", token.trim()))?;
    reports(&c, "log", "old\nmore")
}

fn container_is_gone_after_its_checkpoint(ctx: &Context) -> Outcome {
    let hook = ctx.dir.join("poststop");
    let touch = json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("echo ran > {}", hook.display())]}]);
    let bundle = Bundle::new(ctx)?.payload(&LONG).set("/hooks/poststop", touch);
    let c = criu::started(ctx, bundle)?;
    let (pid, cgroup) = (c.pid()?, cgroup_of(&c.config));
    checkpoint(ctx, &c, &[])?;
    c.verb("state")?.exits(1)?.says(&["does not exist"])?;
    check_eq!(c.exit_code()?, 137, "exit code of process {pid}");
    check!(cgroups::directories(ctx.layout, &cgroup).is_empty(), "the cgroup is left");
    check!(hook.exists(), "the poststop hook did not run");
    for file in ["inventory.img", "descriptors.json"] {
        check!(images(&c).join(file).exists(), "{file} is missing");
    }
    Ok(())
}

fn cgroup_of(config: &serde_json::Value) -> String {
    config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned()
}

fn container_left_running_goes_on(ctx: &Context) -> Outcome {
    let c = criu::running(ctx, &format!("{UNTIL_GO}; echo gone > /result; read x <&9"))?;
    let pid = c.pid()?;
    checkpoint(ctx, &c, &["--leave-running"])?;
    c.has_status("running")?;
    check_eq!(c.state()?["pid"], json!(pid), "pid");
    go(&c)?;
    reports(&c, "result", "gone")
}

fn container_is_restored_more_than_once(ctx: &Context) -> Outcome {
    let c = criu::running(ctx, &format!("{UNTIL_GO}; echo went > /result; read x <&9"))?;
    for _ in 0..2 {
        there_and_back(ctx, &c, &[])?;
        c.has_status("running")?;
    }
    go(&c)?;
    reports(&c, "result", "went")
}

fn restored_container_is_like_any_other(ctx: &Context) -> Outcome {
    let c = criu::running(
        ctx,
        "trap 'echo asked > /result; exit 3' TERM; busybox mkfifo /pipe; exec 9<>/pipe; read x <&9",
    )?;
    let facts = |c: &crate::container::Container<'_>| c.exec_report(&[], &["facts"]);
    let before = facts(&c)?;
    there_and_back(ctx, &c, &[])?;
    let state = c.state()?;
    check_eq!(state["status"], json!("running"), "status");
    check_eq!(state["pid"], json!(c.pid()?), "pid");
    check_eq!(state["bundle"], json!(c.dir.to_string_lossy()), "bundle");
    check!(ctx.ok(&["list"])?.stdout.contains(&c.id), "it is not listed");
    check!(ctx.ok(&["ps", &c.id])?.stdout.contains("sh"), "its processes are not listed");
    let after = facts(&c)?;
    for fact in ["uids", "gids", "caps", "noNewPrivileges", "cwd", "umask", "env"] {
        check_eq!(after[fact], before[fact], "{fact} of an executed process");
    }
    c.verb("pause")?.ok()?;
    c.has_status("paused")?;
    c.verb("resume")?.ok()?;
    c.kill("TERM")?.ok()?;
    reports(&c, "result", "asked")?;
    check_eq!(c.exit_code()?, 3, "exit code");
    c.has_status("stopped")?;
    c.verb("delete")?.ok().map(drop)
}

fn paused_container_can_be_saved(ctx: &Context) -> Outcome {
    let c = criu::running(ctx, &format!("{UNTIL_GO}; echo went > /result; read x <&9"))?;
    c.verb("pause")?.ok()?;
    checkpoint(ctx, &c, &["--leave-running"])?;
    c.has_status("paused")?;
    checkpoint(ctx, &c, &[])?;
    restore(&c, &[])?;
    c.has_status("running")?;
    go(&c)?;
    reports(&c, "result", "went")
}

fn processes_that_were_executed_come_back(ctx: &Context) -> Outcome {
    let c = criu::running(ctx, FOREVER)?;
    let script =
        format!("({UNTIL_GO}; echo child > /result; read x <&9) </dev/null >/dev/null 2>&1 &");
    c.exec(&[], &["sh", "-c", &script])?.ok()?;
    there_and_back(ctx, &c, &[])?;
    go(&c)?;
    reports(&c, "result", "child")
}

fn terminal_is_handed_to_the_console_socket(ctx: &Context) -> Outcome {
    criu::needs(ctx)?;
    let c = Bundle::new(ctx)?
        .set("/process/terminal", json!(true))
        .args(&["sh", "-c", "while read line; do echo got $line; done"])
        .container()?;
    let first = Receiver::new(&ctx.dir.join("first"))?;
    let run = c.command("run", &["--detach", "--console-socket", &first.path()])?;
    c.finish_create(run)?.ok()?;
    let mut master = Master::new(first.receive()?.0)?;
    master.types("words\n")?;
    master.shows("got words")?;
    checkpoint(ctx, &c, &[])?;
    let second = Receiver::new(&ctx.dir.join("second"))?;
    restore(&c, &["--console-socket", &second.path()])?;
    let (fd, name) = second.receive()?;
    check!(name.contains("/dev/pt") || !name.is_empty(), "the message says {name:?}");
    let mut master = Master::new(fd)?;
    master.types("again\n")?;
    master.shows("got again")
}

/// A pipe: its reader, and a writer for a container.
fn pipe() -> Outcome<(fs::File, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok((fs::File::from(reader), writer))
}

fn pipes_of_the_standard_streams_are_those_of_the_restorer(ctx: &Context) -> Outcome {
    criu::needs(ctx)?;
    let c = Bundle::new(ctx)?
        .args(&["sh", "-c", "while read line; do echo got $line; done; echo end >&2"])
        .container()?;
    let start =
        |run: crate::process::Run| -> Outcome<(fs::File, fs::File, fs::File, crate::process::Run)> {
            let (input, to) = pipe()?;
            let (from, output) = pipe()?;
            let (errors, error_output) = pipe()?;
            Ok((fs::File::from(to), from, errors, run.stdio(input, output, error_output)))
        };
    let (_first, _, _, run) = start(c.command("run", &["--detach"])?)?;
    c.finish_create(run)?.ok()?;
    checkpoint(ctx, &c, &[])?;
    let (mut input, mut output, mut errors, run) = start(restoring(&c, &["--detach"])?)?;
    c.finish_restore(run)?.ok()?;
    input.write_all(b"words\n")?;
    drop(input);
    let mut text = String::new();
    output.read_to_string(&mut text)?;
    check_eq!(text, "got words\n", "standard output");
    text.clear();
    errors.read_to_string(&mut text)?;
    check_eq!(text, "end\n", "standard error");
    check_eq!(c.exit_code()?, 0, "exit code");
    Ok(())
}

fn foreground_restore_ends_with_the_containers_code(ctx: &Context) -> Outcome {
    let c = criu::running(ctx, &format!("{UNTIL_GO}; exit 7"))?;
    checkpoint(ctx, &c, &[])?;
    c.ended()?;
    let run = restoring(&c, &[])?.start()?;
    wait_for("the restored container", || {
        let done = c.verb("state")?;
        Ok(done.stdout.contains("\"running\"").then_some(()))
    })?;
    go(&c)?;
    run.done()?.exits(7)?;
    c.verb("state")?.exits(1).map(drop)
}

fn pid_file_names_the_restored_process(ctx: &Context) -> Outcome {
    let c = criu::running(ctx, FOREVER)?;
    checkpoint(ctx, &c, &[])?;
    fs::remove_file(c.pid_file())?;
    restore(&c, &[])?;
    check_eq!(c.state()?["pid"], json!(c.pid()?), "pid");
    let name = fs::read_to_string(format!("/proc/{}/comm", c.pid()?))?;
    check!(["sh\n", "sleep\n", "busybox\n"].contains(&name.as_str()), "it is {name:?}");
    Ok(())
}

fn file_locks_need_to_be_allowed(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?
        .payload(&["lock", "/lock", ",", "put", "/state", "held", ",", LONG[0], LONG[1]]);
    let c = criu::started(ctx, bundle)?;
    reports(&c, "state", "held")?;
    try_checkpoint(ctx, &c, &[])?.exits(1)?;
    c.has_status("running")?;
    there_and_back(ctx, &c, &["--file-locks"])?;
    let taken = c.exec_report(&[], &["lock", "/lock"])?;
    check_eq!(taken["locked"], json!(false), "whether the lock can be taken");
    Ok(())
}

fn unlinked_file_comes_back(ctx: &Context) -> Outcome {
    let script = format!(
        "echo kept > /file; exec 3</file; busybox rm /file; echo done > /state; {UNTIL_GO}; cat <&3 > /result; read x <&9"
    );
    let c = criu::running(ctx, &script)?;
    reports(&c, "state", "done")?;
    there_and_back(ctx, &c, &[])?;
    go(&c)?;
    reports(&c, "result", "kept")
}

fn privileges_are_as_they_were(ctx: &Context) -> Outcome {
    // criu asks for the limits of a process of another user.
    host::needs_capability(caps::Capability::CAP_SYS_RESOURCE)?;
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30}],
    });
    let script = format!(
        "{UNTIL_GO}; busybox mkdir /tmp/x 2>&1 | cat > /tmp/why; busybox grep -E '^(Cap|NoNew|Uid|Groups)' /proc/self/status > /tmp/result; read x <&9"
    );
    let bundle = Bundle::new(ctx)?
        .args(&["sh", "-c", &script])
        .set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [7]}))
        .set("/process/noNewPrivileges", json!(true))
        .set("/linux/seccomp", profile);
    let c = criu::started(ctx, bundle)?;
    let wanted = |pid: i32| -> Outcome<String> {
        let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let lines = text.lines().filter(|line| {
            ["Cap", "NoNew", "Uid", "Groups"].iter().any(|start| line.starts_with(start))
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    };
    let before = wanted(c.pid()?)?;
    there_and_back(ctx, &c, &[])?;
    check_eq!(wanted(c.pid()?)?, before, "privileges of the restored process");
    go(&c)?;
    reports(&c, "tmp/why", "mkdir: can't create directory '/tmp/x': Read-only file system")?;
    wait_for("the result", || Ok(c.rootfs().join("tmp/result").exists().then_some(())))
}

fn hooks_of_the_host_run_again(ctx: &Context) -> Outcome {
    let log = ctx.dir.join("hooks");
    let hook = |kind: &str| {
        let text =
            format!("echo {kind} $(cat | busybox grep -o '\"pid\":[0-9]*') >> {}", log.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", text], "env": ["PATH=/usr/bin:/bin"]}])
    };
    let mut bundle = Bundle::new(ctx)?.payload(&LONG);
    for kind in ["prestart", "createRuntime", "poststart"] {
        bundle = bundle.set(&format!("/hooks/{kind}"), hook(kind));
    }
    let c = criu::started(ctx, bundle)?;
    checkpoint(ctx, &c, &[])?;
    fs::remove_file(&log)?;
    restore(&c, &[])?;
    let pid = c.pid()?;
    let expected = format!("prestart \"pid\":{pid}\ncreateRuntime \"pid\":{pid}\n");
    check_eq!(fs::read_to_string(&log)?, expected, "hooks");
    Ok(())
}

fn clock_goes_on_where_it_stopped(ctx: &Context) -> Outcome {
    let c = criu::running(ctx, FOREVER)?;
    let uptime = |c: &crate::container::Container<'_>| -> Outcome<f64> {
        let done = c.exec(&[], &["cat", "/proc/uptime"])?.ok()?;
        Ok(done.stdout.split_whitespace().next().unwrap_or_default().parse()?)
    };
    let before = uptime(&c)?;
    checkpoint(ctx, &c, &[])?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    restore(&c, &[])?;
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/time"));
    if namespace(c.pid()?).ok() == namespace(std::process::id().cast_signed()).ok() {
        return Err(crate::outcome::Stop::skip("this criu restores no clocks"));
    }
    // What is executed is in the time namespace of the container, too.
    let pid = c.exec_detached(&[], &["/bin/payload", LONG[0], LONG[1]])?;
    check_eq!(namespace(pid)?, namespace(c.pid()?)?, "time namespace of an executed process");
    let after = uptime(&c)?;
    check!(after >= before && after - before < 60.0, "uptime was {before}, is {after}");
    Ok(())
}

fn names_of_the_default_directory_and_logs(ctx: &Context) -> Outcome {
    let c = criu::running(ctx, FOREVER)?;
    let work = c.dir.join("work");
    let work_text = work.to_string_lossy().into_owned();
    ctx.cmd(&["checkpoint", "--work-path", &work_text, &c.id])?
        .cwd(&c.dir)
        .deadline(criu::DEADLINE)
        .ok()?;
    check!(c.dir.join("checkpoint/inventory.img").exists(), "no images in ./checkpoint");
    check!(work.join("dump.log").exists(), "no log in the work path");
    c.ended()?;
    let run = c.command("restore", &["--detach", "--work-path", &work_text])?.cwd(&c.dir);
    c.finish_restore(run.deadline(criu::DEADLINE))?.ok()?;
    check!(work.join("restore.log").exists(), "no log in the work path");
    c.has_status("running")
}
