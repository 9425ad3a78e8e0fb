//! The environment, the signals and the place that an engine gives to the runtime.

use serde_json::json;

use super::engine::{Engine, root, text};
use super::row::{ALL, CONMON, GO_RUNC, Group, row, tested};
use super::{idle, waiting};
use crate::bundle::{Bundle, parse_lines};
use crate::context::Context;
use crate::leftovers;
use crate::outcome::Outcome;
use crate::process::Run;
use crate::{check, check_eq};

pub(super) fn group() -> Group {
    let rows = vec![
        row("an environment of XDG_RUNTIME_DIR alone, from create to delete", "CRI-O", |ctx| {
            life(&Engine::crio(ctx))
        }),
        row("an environment of XDG_RUNTIME_DIR and PATH, from create to delete", "podman", |ctx| {
            life(&Engine::podman(ctx))
        }),
        row("an empty environment", ALL, |ctx| {
            let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
            c.command("run", &[])?.only_env(&[]).done()?.exits(3).map(drop)
        }),
        row("nothing of the environment gets into the container", ALL, |ctx| {
            let c = Bundle::new(ctx)?.payload(&["facts"]).container()?;
            is_clean(&c.command("run", &[])?.env("SECRET_OF_THE_HOST", "1").ok()?.stdout)
        }),
        row("nor into a process that `exec` starts", ALL, |ctx| {
            let c = idle(ctx)?;
            let exec = c.exec_command(&[], &["/bin/payload", "facts"])?;
            is_clean(&exec.env("SECRET_OF_THE_HOST", "1").ok()?.stdout)
        }),
        tested(
            "signals that the caller ignores are not ignored inside",
            ALL,
            "process::ignored_signals_of_the_caller_do_not_reach_the_container",
        ),
        tested("no signal is blocked inside", CONMON, "process::signals_are_clean_at_the_start"),
        tested(
            "no signal comes to init when the runtime ends",
            GO_RUNC,
            "process::parent_death_signal_is_not_left_behind",
        ),
        row("the caller's umask is not the container's", ALL, |ctx| {
            let c = Bundle::new(ctx)?.payload(&["facts"]).container()?;
            let script = format!(
                "umask 077; exec {} --root {} run --bundle {} {}",
                ctx.runtime.display(),
                root(ctx),
                c.dir.display(),
                c.id,
            );
            let done = Run::new("/bin/sh".as_ref(), &["-c", &script], &ctx.dir)?.ok()?;
            check_eq!(parse_lines(&done.stdout)?[0]["umask"], json!(0o022), "umask");
            Ok(())
        }),
        row(
            "the caller's oom_score_adj reaches a container that has none of its own",
            CONMON,
            |ctx| {
                let c = Bundle::new(ctx)?.payload(&["facts"]).container()?;
                let script = format!(
                    "echo 137 >/proc/self/oom_score_adj; exec {} --root {} run --bundle {} {}",
                    ctx.runtime.display(),
                    root(ctx),
                    c.dir.display(),
                    c.id,
                );
                let done = Run::new("/bin/sh".as_ref(), &["-c", &script], &ctx.dir)?.ok()?;
                check_eq!(
                    parse_lines(&done.stdout)?[0]["oomScoreAdj"],
                    json!(137),
                    "oom_score_adj"
                );
                Ok(())
            },
        ),
        row(
            "the caller may be in the bundle, and in a process group of its own",
            "CRI-O, buildah",
            |ctx| {
                let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
                let args = [
                    "create",
                    "--bundle",
                    &text(&c.dir),
                    "--pid-file",
                    &text(&c.pid_file()),
                    &c.id,
                ];
                c.finish_create(ctx.cmd(&args)?.cwd(&c.dir))?.ok()?;
                ctx.cmd(&["start", &c.id])?.cwd(&c.dir).ok()?;
                check_eq!(c.exit_code()?, 3, "exit code");
                Ok(())
            },
        ),
        row(
            "a `create` that is killed leaves what `delete --force` removes",
            GO_RUNC,
            killed_create,
        ),
    ];
    Group { title: "Environment and signals", rows }
}

/// The report must have an environment, and nothing of the host's in it.
fn is_clean(report: &str) -> Outcome {
    let env = parse_lines(report)?.pop().unwrap_or_default()["env"].to_string();
    check!(env.contains("TERM=xterm") && !env.contains("SECRET"), "the environment is {env}");
    Ok(())
}

fn life(engine: &Engine<'_>) -> Outcome {
    let ctx = engine.ctx;
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    engine.create(&c, &[])?;
    engine.ok(&["start", &c.id])?;
    check_eq!(engine.status(&c.id)?, "running", "status");
    let file = super::engine::process_file(ctx, &c, &["/bin/payload", "exit", "4"], false)?;
    engine.done(&["exec", "--process", &file, &c.id])?.exits(4)?;
    engine.ok(&["kill", &c.id, "KILL"])?;
    check_eq!(c.exit_code()?, 137, "exit code");
    engine.ok(&["delete", "--force", &c.id]).map(drop)
}

/// go-runc has the runtime killed when its caller ends.
fn killed_create(ctx: &Context) -> Outcome {
    for milliseconds in [0, 1, 2, 4, 8, 16] {
        let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
        let mut create = c.command("create", &[])?.start()?;
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        // It may have been done already.
        let _ = create.kill();
        create.done()?;
        ctx.ok(&["delete", "--force", &c.id])?;
        check!(!ctx.root().join(&c.id).exists(), "state is left after {milliseconds} ms");
        let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
        let cgroups = crate::cgroups::directories(ctx.layout, path);
        check!(cgroups.is_empty(), "cgroups are left after {milliseconds} ms: {cgroups:?}");
        let left = leftovers::end_processes();
        check!(left.is_empty(), "left after {milliseconds} ms: {left:?}");
    }
    waiting(ctx)?.has_status("created")
}
