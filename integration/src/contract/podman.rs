//! podman: creates and executes through conmon, and calls the runtime itself for the rest.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::engine::{Engine, log, process_file, root, text};
use super::row::{Group, row};
use crate::bundle::{Bundle, parse_lines};
use crate::cgroups::needs;
use crate::console::{Master, Receiver};
use crate::container::{Container, read_pid};
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::process::{Run, read_to_end};
use crate::systemd::needs_systemd;
use crate::{check, check_eq};

const BY: &str = "podman";

pub(super) fn group() -> Group {
    let rows = vec![
        row(
            "conmon's `create --bundle B --pid-file F`, then start, state, kill, delete --force",
            BY,
            |ctx| life(&Engine::conmon_of_podman(ctx), &Engine::podman(ctx), None),
        ),
        row("conmon's `--systemd-cgroup` before `create` alone", BY, |ctx| {
            needs_systemd(ctx)?;
            let name = format!("system.slice:contract:{}", std::process::id());
            life(&Engine::conmon_of_podman(ctx).systemd(), &Engine::podman(ctx), Some(&name))
        }),
        row("conmon's exec: `exec --pid-file F --process F --detach ID`", BY, |ctx| {
            let engine = Engine::conmon_of_podman(ctx);
            let c = running(ctx)?;
            check_eq!(exec(ctx, &engine, &c, &["/bin/payload", "exit", "6"], &[])?, 6, "exit code");
            Ok(())
        }),
        row("conmon's exec with a terminal", BY, |ctx| {
            let engine = Engine::conmon_of_podman(ctx);
            let c = running(ctx)?;
            let receiver = Receiver::new(&ctx.dir.join("console"))?;
            let file = process_file(ctx, &c, &["sh", "-c", "read line; echo got $line"], true)?;
            let pid_file = ctx.dir.join("e.pid");
            let path = text(&pid_file);
            let args = ["exec", "--pid-file", &path, "--process", &file, "--detach"];
            engine.ok(&[&args[..], &["--console-socket", &receiver.path(), &c.id]].concat())?;
            let mut master = Master::new(receiver.receive()?.0)?;
            master.types("words\n")?;
            master.shows("got words")?;
            reap(&pid_file).map(drop)
        }),
        row("conmon's exec that fails: no pid file, and one error in the log", BY, |ctx| {
            let engine = Engine::conmon_of_podman(ctx);
            let c = running(ctx)?;
            let file = process_file(ctx, &c, &["nowhere"], false)?;
            let path = text(&ctx.dir.join("e.pid"));
            let args = ["exec", "--pid-file", &path, "--process", &file, "--detach", &c.id];
            let done = engine.done(&args)?;
            check!(done.code != 0 && !Path::new(&path).exists(), "exit code {}", done.code);
            let said = engine.only_error()?.to_lowercase();
            let wanted = ["executable file not found in", "no such file or directory"];
            check!(wanted.iter().any(|p| said.contains(p)), "the log says {said:?}");
            Ok(())
        }),
        row("conmon's create that fails: the log's words become the exit code 127", BY, |ctx| {
            let engine = Engine::conmon_of_podman(ctx);
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
            let said = engine.only_error()?.to_lowercase();
            let wanted =
                ["executable file not found in", "no such file or directory", "open executable"];
            check!(wanted.iter().any(|p| said.contains(p)), "the log says {said:?}");
            Ok(())
        }),
        row("conmon's pipes: stderr has the error of a failed create", "podman, CRI-O", |ctx| {
            let c = Bundle::new(ctx)?.args(&["nowhere"]).container()?;
            let (reader, writer) = std::io::pipe()?;
            let run = Engine::conmon_of_crio(ctx).cmd(&[
                "create",
                "--bundle",
                &text(&c.dir),
                "--pid-file",
                &text(&c.pid_file()),
                &c.id,
            ])?;
            let done = run.stderr(writer).done()?;
            check!(done.code != 0, "it succeeds");
            let said = read_to_end(reader)?;
            check!(said.contains("nowhere") && said.contains("not found"), "stderr is {said:?}");
            Ok(())
        }),
        row("`create --preserve-fds N` with the options of conmon", BY, |ctx| {
            let c = Bundle::new(ctx)?.payload(&["facts"]).container()?;
            let file = text(&ctx.dir.join("handed"));
            fs::write(&file, "")?;
            let (runtime, root) = (text(&ctx.runtime), format!("--root={}", root(ctx)));
            let log = log(ctx);
            let head =
                ["with-fds", &file, &file, "--", &runtime, &root, "--log-format=json", "--log"];
            let (bundle, pid_file) = (text(&c.dir), text(&c.pid_file()));
            let create =
                ["create", "--bundle", &bundle, "--pid-file", &pid_file, "--no-new-keyring"];
            let args =
                [&head[..], &[log.as_str()], &create, &["--preserve-fds", "2", &c.id]].concat();
            c.finish_create(Run::new(&ctx.payload, &args, &ctx.dir)?)?.ok()?;
            c.start()?;
            c.exit_code()?;
            let facts = parse_lines(&c.printed())?.remove(0);
            check_eq!(facts["fds"].as_object().map_or(0, serde_json::Map::len), 5, "descriptors");
            Ok(())
        }),
        row("`kill --all ID N`", BY, |ctx| {
            let engine = Engine::podman(ctx);
            let c = running(ctx)?;
            engine.ok(&["kill", "--all", &c.id, "15"])?;
            engine.ok(&["kill", "--all", &c.id, "9"])?;
            check!(c.exit_code()? > 128, "exit code");
            Ok(())
        }),
        row("`kill` of one that has ended: it is gone, whatever the answer", BY, |ctx| {
            let engine = Engine::podman(ctx);
            let c = running(ctx)?;
            c.kill_init()?;
            engine.done(&["kill", &c.id, "15"])?.exits(1)?;
            check_eq!(engine.status(&c.id)?, "stopped", "status");
            Ok(())
        }),
        row("`state ID` of one that is gone: `does not exist` or `No such file`", BY, |ctx| {
            let said = Engine::podman(ctx).done(&["state", "nobody"])?.exits(1)?.stderr;
            let phrases = ["does not exist", "No such file"];
            check!(phrases.iter().any(|p| said.contains(p)), "it says {said:?}");
            Ok(())
        }),
        row("`delete --force ID` twice", BY, |ctx| {
            let engine = Engine::podman(ctx);
            let c = running(ctx)?;
            engine.ok(&["delete", "--force", &c.id])?;
            c.exit_code()?;
            engine.ok(&["delete", "--force", &c.id]).map(drop)
        }),
        row("pause, `update --resources=F`, resume", BY, |ctx| {
            needs(ctx.layout, "pids")?;
            let engine = Engine::podman(ctx);
            let c = running(ctx)?;
            engine.ok(&["pause", &c.id])?;
            check_eq!(engine.status(&c.id)?, "paused", "status");
            let file = text(&ctx.dir.join("resources"));
            fs::write(&file, json!({"pids": {"limit": 66}}).to_string())?;
            engine.ok(&["update", &format!("--resources={file}"), &c.id])?;
            engine.ok(&["resume", &c.id])?;
            check_eq!(engine.status(&c.id)?, "running", "status");
            Ok(())
        }),
        row("`--cgroup-manager disabled` before `create`", "podman (crun)", |ctx| {
            let c = Bundle::new(ctx)?
                .remove("/linux", "resources")
                .payload(&["exit", "3"])
                .container()?;
            let args = [
                "--cgroup-manager",
                "disabled",
                "create",
                "--bundle",
                &text(&c.dir),
                "--pid-file",
                &text(&c.pid_file()),
                &c.id,
            ];
            c.finish_create(Engine::conmon_of_podman(ctx).cmd(&args)?)?.ok()?;
            c.start()?;
            check_eq!(c.exit_code()?, 3, "exit code");
            Ok(())
        }),
        row("`--version` is printed in full by `podman info`", BY, |ctx| {
            let text = Engine::podman(ctx).ok(&["--version"])?.stdout;
            check!(text.ends_with('\n') && text.lines().count() >= 2, "version {text:?}");
            Ok(())
        }),
    ];
    Group { title: "podman, whole", rows }
}

fn running(ctx: &Context) -> Outcome<Container<'_>> {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    Engine::conmon_of_podman(ctx).create(&c, &["--no-new-keyring"])?;
    Engine::podman(ctx).ok(&["start", &c.id])?;
    Ok(c)
}

fn life(conmon: &Engine<'_>, podman: &Engine<'_>, cgroup: Option<&str>) -> Outcome {
    let ctx = conmon.ctx;
    let mut bundle = Bundle::new(ctx)?.payload(&["await-signal"]);
    if let Some(cgroup) = cgroup {
        bundle = bundle.set("/linux/cgroupsPath", json!(cgroup));
    }
    let c = bundle.container()?;
    conmon.create(&c, &["--no-new-keyring"])?;
    check_eq!(podman.status(&c.id)?, "created", "status");
    podman.ok(&["start", &c.id])?;
    c.prints("ready")?;
    let state: Value = serde_json::from_str(&podman.ok(&["state", &c.id])?.stdout)?;
    check_eq!(state["pid"], json!(c.pid()?), "pid");
    podman.ok(&["kill", &c.id, "15"])?;
    c.prints(r#"{"signal":15}"#)?;
    check_eq!(c.exit_code()?, 0, "exit code");
    check_eq!(podman.status(&c.id)?, "stopped", "status");
    podman.ok(&["delete", "--force", &c.id])?;
    let text = fs::read_to_string(log(ctx)).unwrap_or_default();
    check_eq!(text, "", "the log");
    Ok(())
}

/// What conmon calls for an exec, and its exit code as conmon waits for it.
pub(super) fn exec(
    ctx: &Context,
    engine: &Engine<'_>,
    c: &Container<'_>,
    command: &[&str],
    options: &[&str],
) -> Outcome<i32> {
    let file = process_file(ctx, c, command, false)?;
    let pid_file = ctx.dir.join("e.pid");
    let path = text(&pid_file);
    let args = ["exec", "--pid-file", &path, "--process", &file, "--detach"];
    engine.ok(&[&args[..], options, &[&c.id]].concat())?;
    reap(&pid_file)
}

/// Waits for the process of a pid file and gives its exit code.
fn reap(pid_file: &Path) -> Outcome<i32> {
    let pid = read_pid(pid_file).ok_or_else(|| Stop::fail("no pid file was written"))?;
    let pid = nix::unistd::Pid::from_raw(pid);
    match nix::sys::wait::waitpid(pid, None)? {
        nix::sys::wait::WaitStatus::Exited(_, code) => Ok(code),
        other => Err(Stop::fail(format!("the process ended so: {other:?}"))),
    }
}
