//! `exec`, option by option.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;

use super::engine::{process_file, text};
use super::row::{ALL, GO_RUNC, Group, PEOPLE, row, tested};
use super::{idle, waiting};
use crate::bundle::Bundle;
use crate::container::read_pid;
use crate::context::Context;
use crate::leftovers;
use crate::outcome::{Outcome, Stop};
use crate::process::wait_for;
use crate::{check, check_eq};

pub(super) fn group() -> Group {
    let rows = vec![
        tested(
            "`--process FILE`: the whole process, in the place of all other options",
            ALL,
            "exec::process_file_replaces_all_options",
        ),
        row("`-p FILE`", PEOPLE, |ctx| {
            let c = idle(ctx)?;
            let file = process_file(ctx, &c, &["/bin/payload", "exit", "6"], false)?;
            ctx.done(&["exec", "-p", &file, &c.id])?.exits(6).map(drop)
        }),
        row("the file may be removed once `exec --detach` returns", GO_RUNC, file_is_read_at_once),
        row("`--detach` returns while the process runs", ALL, |ctx| {
            let c = idle(ctx)?;
            let pid = c.exec_detached(&[], &["/bin/payload", "sleep", "60000"])?;
            check!(fs::metadata(format!("/proc/{pid}")).is_ok(), "the process is gone");
            Ok(())
        }),
        tested(
            "`exec --pid-file FILE`: the host's pid, digits and nothing else",
            ALL,
            "exec::detached_process_is_named_by_its_pid_file",
        ),
        row("the process is the caller's child once `exec --detach` returns", ALL, |ctx| {
            let c = idle(ctx)?;
            let pid = c.exec_detached(&[], &["/bin/payload", "exit", "9"])?;
            let status = waitpid(Pid::from_raw(pid), None)?;
            let wanted = WaitStatus::Exited(Pid::from_raw(pid), 9);
            check_eq!(status, wanted, "what waitpid gives");
            Ok(())
        }),
        row("a foreground `exec` writes its pid file before the end", "buildkit", |ctx| {
            let c = idle(ctx)?;
            let file = ctx.dir.join("exec.pid");
            let flags = ["--pid-file", &text(&file)];
            let exec = c.exec_command(&flags, &["/bin/payload", "sleep", "60000"])?.start()?;
            let pid = wait_for("a pid file", || Ok(read_pid(&file)))?;
            kill(Pid::from_raw(pid), Signal::SIGKILL)?;
            exec.done()?.exits(137).map(drop)
        }),
        tested("`--cwd DIR`", PEOPLE, "exec::cwd_is_entered"),
        tested(
            "`--env NAME=VALUE` adds to the environment, and replaces",
            PEOPLE,
            "exec::env_is_added_and_replaces",
        ),
        tested(
            "`--user UID:GID` and `--additional-gids GID`",
            PEOPLE,
            "exec::user_and_groups_are_set",
        ),
        tested("a user that is no number is refused", PEOPLE, "exec::user_must_be_a_number"),
        tested(
            "`--cap CAP` adds to bounding, permitted and effective",
            PEOPLE,
            "exec::added_capabilities_are_never_inheritable",
        ),
        tested("`--no-new-privs`", PEOPLE, "exec::no_new_privileges_can_be_added"),
        tested("`--apparmor PROFILE`", PEOPLE, "labels::profile_of_an_exec_is_its_own"),
        row("`--process-label LABEL` is taken, and fails without SELinux", PEOPLE, |ctx| {
            let c = idle(ctx)?;
            if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
                return Err(Stop::skip("SELinux is here"));
            }
            let label = "system_u:system_r:container_t:s0";
            let done = c.exec(&["--process-label", label], &["/bin/payload", "true"])?;
            done.exits(255)?.says(&["selinux", "attr"]).map(drop)
        }),
        tested("`--cgroup PATH`", PEOPLE, "exec::sub_cgroup_is_entered"),
        tested(
            "a `--cgroup` outside of the container's is refused",
            PEOPLE,
            "exec::sub_cgroup_may_not_escape",
        ),
        tested("`--preserve-fds N`", "podman", "exec::preserved_descriptors_are_passed"),
        row("`--tty` alone gives a terminal; the configuration's is not inherited", ALL, |ctx| {
            let receiver = crate::console::Receiver::new(&ctx.dir.join("console"))?;
            let bundle = Bundle::new(ctx)?.set("/process/terminal", json!(true));
            let c = bundle.payload(&["sleep", "60000"]).container()?;
            c.try_create(&["--console-socket", &receiver.path()])?.ok()?;
            let _master = receiver.receive()?;
            c.start()?;
            let facts = c.exec_report(&[], &["facts"])?;
            check_eq!(facts["tty"]["controlling"], json!(false), "controlling terminal");
            Ok(())
        }),
        tested(
            "in a container that waits for start",
            ALL,
            "exec::exec_in_a_created_container_works",
        ),
        tested(
            "in an ended one: `cannot exec in a stopped container`, 255",
            ALL,
            "exec::exec_in_a_stopped_container_is_refused",
        ),
        tested(
            "in a paused one: refused, unless `--ignore-paused`",
            ALL,
            "exec::exec_in_a_paused_container_is_refused_unless_asked_for",
        ),
        tested("without a command: refused", PEOPLE, "exec::exec_without_a_command_is_refused"),
        row("`--process` with a file that is not there: 255", ALL, |ctx| {
            let c = waiting(ctx)?;
            ctx.done(&["exec", "--process", "/no/where.json", &c.id])?
                .exits(255)?
                .says(&["no such file or directory"])
                .map(drop)
        }),
        tested("standard streams are the caller's", ALL, "exec::standard_streams_are_the_callers"),
        tested(
            "a foreground `exec` forwards signals",
            "CRI-O, buildkit",
            "exec::signals_are_forwarded",
        ),
        row("a killed `exec` leaves its container running", "containerd, CRI-O", killed_exec),
    ];
    Group { title: "exec", rows }
}

fn file_is_read_at_once(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let file = process_file(ctx, &c, &["/bin/payload", "sleep", "60000"], false)?;
    let pid_file = text(&ctx.dir.join("e.pid"));
    ctx.ok(&["exec", "--process", &file, "--detach", "--pid-file", &pid_file, &c.id])?;
    fs::remove_file(&file)?;
    let pid = read_pid(pid_file.as_ref()).unwrap_or_default();
    wait_for("the program", || {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"))?;
        Ok((name.trim() == "payload").then_some(()))
    })?;
    kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    waitpid(Pid::from_raw(pid), None)?;
    Ok(())
}

fn killed_exec(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let mut exec = c.exec_command(&[], &["sh", "-c", "echo up; sleep 60"])?.start()?;
    let out = exec.stdout().to_owned();
    wait_for("the process", || Ok(fs::read_to_string(&out)?.contains("up").then_some(())))?;
    exec.kill()?;
    exec.done()?;
    let status = c.has_status("running");
    let another = c.exec(&[], &["/bin/payload", "exit", "3"]);
    // What the runtime left is this process's to wait for, or the container could not end.
    for pid in leftovers::children().into_iter().filter(|pid| Ok(*pid) != c.pid().map_err(drop)) {
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        waitpid(Pid::from_raw(pid), None)?;
    }
    status?;
    another?.exits(3).map(drop)
}
