//! containerd's shim, and Docker and CRI through it: whole tasks in the words of go-runc.

use std::fs;

use serde_json::{Value, json};

use super::engine::{Engine, process_file, text};
use super::row::{Group, row};
use crate::bundle::{Bundle, parse_lines};
use crate::cgroups::needs;
use crate::console::{Master, Receiver};
use crate::container::read_pid;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::systemd::needs_systemd;
use crate::{check, check_eq};

const BY: &str = "containerd";

pub(super) fn group() -> Group {
    let rows = vec![
        row("a task: create, start, exec, kill, delete", BY, |ctx| {
            task(&Engine::containerd(ctx), None)
        }),
        row("a task with `--systemd-cgroup` before each command", BY, |ctx| {
            needs_systemd(ctx)?;
            let name = format!("system.slice:contract:{}", std::process::id());
            task(&Engine::containerd(ctx).systemd(), Some(&name))
        }),
        row("a task with `--no-pivot --no-new-keyring`", BY, |ctx| {
            let engine = Engine::containerd(ctx);
            let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
            engine.create(&c, &["--no-pivot", "--no-new-keyring"])?;
            engine.ok(&["start", &c.id])?;
            check_eq!(c.exit_code()?, 3, "exit code");
            engine.ok(&["delete", &c.id]).map(drop)
        }),
        row("a task with a terminal, and an exec with one", BY, with_terminals),
        row("a task that is never started is deleted", BY, |ctx| {
            let engine = Engine::containerd(ctx);
            let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
            engine.create(&c, &[])?;
            engine.ok(&["delete", &c.id])?;
            c.exit_code().map(drop)
        }),
        row("a create that fails is followed by `delete --force ID`", "containerd", |ctx| {
            let engine = Engine::containerd(ctx);
            let c = Bundle::new(ctx)?.args(&["nowhere"]).container()?;
            engine
                .done(&[
                    "create",
                    "--bundle",
                    &text(&c.dir),
                    "--pid-file",
                    &text(&c.pid_file()),
                    &c.id,
                ])?
                .exits(1)?;
            let said = engine.last_error()?;
            check!(said.contains("nowhere") && said.contains("not found"), "the log says {said:?}");
            engine.ok(&["delete", "--force", &c.id]).map(drop)
        }),
        row("a start that fails is followed by `delete --force ID`", "containerd", |ctx| {
            let engine = Engine::containerd(ctx);
            let hook = json!({"path": "/bin/payload", "args": ["payload", "exit", "1"]});
            let c =
                Bundle::new(ctx)?.set("/hooks", json!({"startContainer": [hook]})).container()?;
            engine.create(&c, &[])?;
            // runc 1.1 tells of it later, in the exit code of init.
            engine.done(&["start", &c.id])?;
            check!(c.exit_code()? != 0, "init ended as if its hook had succeeded");
            engine.ok(&["delete", "--force", &c.id]).map(drop)
        }),
        row("pause, ps, update, resume", BY, |ctx| {
            needs(ctx.layout, "pids")?;
            let engine = Engine::containerd(ctx);
            let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
            engine.create(&c, &[])?;
            engine.ok(&["start", &c.id])?;
            engine.ok(&["pause", &c.id])?;
            let pids: Vec<i32> =
                serde_json::from_str(&engine.ok(&["ps", "--format", "json", &c.id])?.stdout)?;
            check_eq!(pids, [c.pid()?], "pids");
            let file = ctx.dir.join("resources");
            fs::write(&file, json!({"pids": {"limit": 55}}).to_string() + "\n")?;
            engine.cmd(&["update", "--resources=-", &c.id])?.stdin(fs::File::open(&file)?).ok()?;
            engine.ok(&["resume", &c.id])?;
            let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
            check_eq!(crate::cgroups::read(ctx.layout, "pids", path, "pids.max")?, "55", "limit");
            engine.ok(&["kill", &c.id, "9"])?;
            c.exit_code()?;
            engine.ok(&["delete", &c.id]).map(drop)
        }),
        row("init ends in a pid namespace of others: `kill --all ID 9`, then delete", BY, |ctx| {
            let engine = Engine::containerd(ctx);
            let commands = ["children", "2", ",", "say", "up", ",", "exit", "3"];
            let c = Bundle::new(ctx)?.without_namespace("pid").payload(&commands).container()?;
            engine.create(&c, &[])?;
            engine.ok(&["start", &c.id])?;
            check_eq!(c.exit_code()?, 3, "exit code");
            engine.ok(&["kill", "--all", &c.id, "9"])?;
            crate::families::lifecycle::reap_orphans(2)?;
            engine.ok(&["delete", &c.id]).map(drop)
        }),
        row("kill of an ended task, and of none: both are told apart from failures", BY, |ctx| {
            let engine = Engine::containerd(ctx);
            let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
            engine.create(&c, &[])?;
            engine.ok(&["start", &c.id])?;
            c.exit_code()?;
            engine.done(&["kill", &c.id, "15"])?.exits(1)?;
            let said = engine.last_error()?.replace("No such process", "no such process");
            let gone = ["os: process already finished", "container not running", "no such process"];
            check!(gone.iter().any(|p| said.contains(p)), "of an ended one: {said:?}");
            engine.ok(&["delete", &c.id])?;
            engine.done(&["kill", &c.id, "15"])?.exits(1)?;
            let said = engine.last_error()?;
            check!(said.contains("does not exist"), "of none: {said:?}");
            Ok(())
        }),
        row("an exec that fails: no pid file, and the last error of the log", BY, |ctx| {
            let engine = Engine::containerd(ctx);
            let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
            engine.create(&c, &[])?;
            engine.ok(&["start", &c.id])?;
            let file = process_file(ctx, &c, &["nowhere"], false)?;
            let pid_file = text(&ctx.dir.join("e.pid"));
            let args = ["exec", "--process", &file, "--detach", "--pid-file", &pid_file, &c.id];
            let done = engine.done(&args)?;
            check!(done.code != 0, "it succeeds");
            let said = engine.last_error()?;
            check!(said.contains("nowhere") && said.contains("not found"), "the log says {said:?}");
            check!(read_pid(pid_file.as_ref()).is_none(), "there is a pid file");
            Ok(())
        }),
        row("a shared pod: namespaces of another container's init by path", "CRI", |ctx| {
            let engine = Engine::containerd(ctx);
            let pod = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
            engine.create(&pod, &[])?;
            engine.ok(&["start", &pod.id])?;
            let mut bundle = Bundle::new(ctx)?.remove("", "hostname").payload(&["facts"]);
            for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")]
            {
                bundle = bundle.namespace(kind, Some(&format!("/proc/{}/ns/{file}", pod.pid()?)));
            }
            let c = bundle.container()?;
            engine.create(&c, &[])?;
            engine.ok(&["start", &c.id])?;
            c.exit_code()?;
            let facts = parse_lines(&c.printed())?.remove(0);
            for kind in ["net", "ipc", "uts", "pid"] {
                let theirs = fs::read_link(format!("/proc/{}/ns/{kind}", pod.pid()?))?;
                check_eq!(facts["namespaces"][kind], json!(theirs), "{kind} namespace");
            }
            engine.ok(&["delete", &c.id]).map(drop)
        }),
        row("`features` before anything else, without a state directory", "containerd", |ctx| {
            let engine = Engine::containerd(ctx);
            let features: Value = serde_json::from_str(&engine.ok(&["features"])?.stdout)?;
            check!(features["ociVersionMin"].is_string(), "{features}");
            Ok(())
        }),
    ];
    Group { title: "containerd, whole", rows }
}

fn task(engine: &Engine<'_>, cgroup: Option<&str>) -> Outcome {
    let ctx = engine.ctx;
    let mut bundle = Bundle::new(ctx)?.payload(&["await-signal"]);
    if let Some(cgroup) = cgroup {
        bundle = bundle.set("/linux/cgroupsPath", json!(cgroup));
    }
    let c = bundle.container()?;
    engine.create(&c, &[])?;
    engine.ok(&["start", &c.id])?;
    c.prints("ready")?;
    let file = process_file(ctx, &c, &["/bin/payload", "exit", "5"], false)?;
    let pid_file = ctx.dir.join("e.pid");
    let args = ["exec", "--process", &file, "--detach", "--pid-file", &text(&pid_file), &c.id];
    engine.ok(&args)?;
    fs::remove_file(&file)?;
    let pid = read_pid(&pid_file).ok_or_else(|| Stop::fail("no pid file was written"))?;
    let pid = nix::unistd::Pid::from_raw(pid);
    let status = nix::sys::wait::waitpid(pid, None)?;
    check_eq!(status, nix::sys::wait::WaitStatus::Exited(pid, 5), "end of the exec");
    engine.ok(&["kill", &c.id, "15"])?;
    c.prints(r#"{"signal":15}"#)?;
    check_eq!(c.exit_code()?, 0, "exit code");
    engine.ok(&["delete", &c.id])?;
    let log = fs::read_to_string(super::engine::log(ctx)).unwrap_or_default();
    check_eq!(log, "", "the log");
    Ok(())
}

fn with_terminals(ctx: &Context) -> Outcome {
    let engine = Engine::containerd(ctx);
    let bundle = Bundle::new(ctx)?.set("/process/terminal", json!(true));
    let c = bundle.args(&["sh", "-c", "read line; echo got $line; sleep 60"]).container()?;
    let receiver = Receiver::new(&ctx.dir.join("init"))?;
    engine.create(&c, &["--console-socket", &receiver.path()])?;
    let mut master = Master::new(receiver.receive()?.0)?;
    engine.ok(&["start", &c.id])?;
    master.types("words\n")?;
    master.shows("got words")?;
    let receiver = Receiver::new(&ctx.dir.join("exec"))?;
    let file = process_file(ctx, &c, &["sh", "-c", "read line; echo exec $line"], true)?;
    let pid_file = ctx.dir.join("e.pid");
    let args = [
        "exec",
        "--process",
        &file,
        "--console-socket",
        &receiver.path(),
        "--detach",
        "--pid-file",
        &text(&pid_file),
        &c.id,
    ];
    engine.ok(&args)?;
    let mut master = Master::new(receiver.receive()?.0)?;
    master.types("again\n")?;
    master.shows("exec again")?;
    let pid = read_pid(&pid_file).ok_or_else(|| Stop::fail("no pid file was written"))?;
    nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None)?;
    engine.ok(&["kill", "--all", &c.id, "9"])?;
    c.exit_code()?;
    engine.ok(&["delete", &c.id]).map(drop)
}
