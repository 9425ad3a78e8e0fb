//! buildkit and buildah: builders, which run a container for each step.

use std::fs;

use super::engine::{Engine, process_file, text};
use super::row::{Group, row};
use crate::bundle::Bundle;
use crate::container::read_pid;
use crate::outcome::Stop;
use crate::process::{read_to_end, wait_for};
use crate::{check, check_eq};

pub(super) fn group() -> Group {
    let rows = vec![
        row("`run --bundle B --keep ID`, then `delete ID`", "buildkit", |ctx| {
            let engine = Engine::buildkit(ctx);
            let c = Bundle::new(ctx)?
                .args(&["sh", "-c", "echo out; echo err >&2; exit 5"])
                .container()?;
            let done =
                engine.done(&["run", "--bundle", &text(&c.dir), "--keep", &c.id])?.exits(5)?;
            check_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"), "output");
            engine.ok(&["delete", &c.id]).map(drop)
        }),
        row("`run --bundle B --no-pivot ID`", "buildkit", |ctx| {
            let c = Bundle::new(ctx)?.payload(&["exit", "5"]).container()?;
            let args = ["run", "--bundle", &text(&c.dir), "--no-pivot", &c.id];
            Engine::buildkit(ctx).done(&args)?.exits(5).map(drop)
        }),
        row("a step that is cancelled: `kill ID 9` while `run` waits", "buildkit", |ctx| {
            let engine = Engine::buildkit(ctx);
            let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
            let run = engine.cmd(&["run", "--bundle", &text(&c.dir), "--keep", &c.id])?.start()?;
            wait_for("a running container", || {
                let state = engine.done(&["state", &c.id])?;
                Ok(state.stdout.contains("\"running\"").then_some(()))
            })?;
            engine.ok(&["kill", &c.id, "9"])?;
            run.done()?.exits(137)?;
            engine.ok(&["delete", &c.id]).map(drop)
        }),
        row(
            "an exec in a step, once `state` says running: Bundle and Rootfs are told",
            "buildkit",
            |ctx| {
                let engine = Engine::buildkit(ctx);
                let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
                let run =
                    engine.cmd(&["run", "--bundle", &text(&c.dir), "--keep", &c.id])?.start()?;
                let state: serde_json::Value = wait_for("a running container", || {
                    let state = engine.done(&["state", &c.id])?;
                    let running = state.stdout.contains("\"running\"");
                    Ok(running.then(|| serde_json::from_str(&state.stdout)).transpose()?)
                })?;
                check_eq!(state["bundle"], text(&c.dir), "bundle");
                check_eq!(state["rootfs"], text(&c.rootfs()), "rootfs");
                let file = process_file(ctx, &c, &["/bin/payload", "exit", "4"], false)?;
                let pid_file = ctx.dir.join("e.pid");
                engine
                    .done(&["exec", "--process", &file, "--pid-file", &text(&pid_file), &c.id])?
                    .exits(4)?;
                check!(read_pid(&pid_file).is_some(), "no pid file was written");
                engine.ok(&["kill", &c.id, "9"])?;
                run.done()?.exits(137)?;
                engine.ok(&["delete", &c.id]).map(drop)
            },
        ),
        row("SIGTERM to `run` reaches the step", "buildkit", |ctx| {
            let engine = Engine::buildkit(ctx);
            let c = Bundle::new(ctx)?.payload(&["await-signal"]).container()?;
            let run = engine.cmd(&["run", "--bundle", &text(&c.dir), &c.id])?.start()?;
            let out = run.stdout().to_owned();
            wait_for("readiness", || {
                Ok(fs::read_to_string(&out)?.contains("ready").then_some(()))
            })?;
            nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(run.pid()),
                nix::sys::signal::Signal::SIGTERM,
            )?;
            let done = run.done()?.exits(0)?;
            check!(done.stdout.contains(r#"{"signal":15}"#), "it saw {:?}", done.stdout);
            Ok(())
        }),
        row("a step: create, start, state until it says stopped, delete", "buildah", |ctx| {
            let engine = Engine::buildah(ctx);
            let c = Bundle::new(ctx)?.args(&["sh", "-c", "sleep 0.1; exit 5"]).container()?;
            engine.create(&c, &[])?;
            engine.ok(&["start", &c.id])?;
            wait_for("the state stopped", || match engine.status(&c.id)?.as_str() {
                "running" => Ok(None),
                "stopped" => Ok(Some(())),
                other => Err(Stop::fail(format!("buildah does not know {other:?}"))),
            })?;
            check_eq!(c.exit_code()?, 5, "exit code");
            engine.ok(&["delete", &c.id]).map(drop)
        }),
        row("an interrupted step: `kill ID SIGKILL`", "buildah", |ctx| {
            let engine = Engine::buildah(ctx);
            let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
            engine.create(&c, &[])?;
            engine.ok(&["start", &c.id])?;
            engine.ok(&["kill", &c.id, "SIGKILL"])?;
            check_eq!(c.exit_code()?, 137, "exit code");
            engine.ok(&["delete", &c.id]).map(drop)
        }),
        row("a step that cannot be made: the pipe of its output has the error", "buildah", |ctx| {
            let c = Bundle::new(ctx)?.args(&["nowhere"]).container()?;
            let (reader, writer) = std::io::pipe()?;
            let args =
                ["create", "--bundle", &text(&c.dir), "--pid-file", &text(&c.pid_file()), &c.id];
            let run = Engine::buildah(ctx).cmd(&args)?.stdout(writer.try_clone()?).stderr(writer);
            check!(run.done()?.code != 0, "it succeeds");
            let said = read_to_end(reader)?;
            check!(said.contains("nowhere") && said.contains("not found"), "the pipe has {said:?}");
            Ok(())
        }),
    ];
    Group { title: "buildkit and buildah, whole", rows }
}
