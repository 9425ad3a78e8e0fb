//! CRI-O: creates through conmon, executes by conmon or by itself, and calls the runtime itself for
//! the rest.

use std::fs;

use serde_json::{Value, json};

use super::engine::{Engine, is_rfc3339, process_file};
use super::podman::exec;
use super::row::{Group, row};
use crate::bundle::Bundle;
use crate::cgroups::needs;
use crate::container::Container;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::systemd::needs_systemd;
use crate::{check, check_eq};

const BY: &str = "CRI-O";

pub(super) fn group() -> Group {
    let rows = vec![
        row(
            "a container: create, start, state, `kill ID TERM`, `kill ID KILL`, delete --force",
            BY,
            |ctx| life(&Engine::conmon_of_crio(ctx), &Engine::crio(ctx), None),
        ),
        row("the same with `--systemd-cgroup` before each command", BY, |ctx| {
            needs_systemd(ctx)?;
            let name = format!("system.slice:crio:{}", std::process::id());
            life(&Engine::conmon_of_crio(ctx).systemd(), &Engine::crio(ctx).systemd(), Some(&name))
        }),
        row("attached: `exec --process F ID`, with its streams and exit code", BY, |ctx| {
            let c = running(ctx)?;
            let input = ctx.dir.join("input");
            fs::write(&input, "words")?;
            let file = process_file(ctx, &c, &["sh", "-c", "cat; echo err >&2; exit 5"], false)?;
            let run = Engine::crio(ctx).cmd(&["exec", "--process", &file, &c.id])?;
            let done = run.stdin(fs::File::open(&input)?).done()?.exits(5)?;
            check_eq!((done.stdout.as_str(), done.stderr.as_str()), ("words", "err\n"), "output");
            Ok(())
        }),
        row("by conmon: `exec --pid-file F --process F --detach ID`", BY, |ctx| {
            let c = running(ctx)?;
            let code =
                exec(ctx, &Engine::conmon_of_crio(ctx), &c, &["/bin/payload", "exit", "6"], &[])?;
            check_eq!(code, 6, "exit code");
            Ok(())
        }),
        row("`state` decodes into id, pid, status, created", BY, |ctx| {
            let c = running(ctx)?;
            let state: Value =
                serde_json::from_str(&Engine::crio(ctx).ok(&["state", &c.id])?.stdout)?;
            check!(state["pid"].is_i64() && state["status"] == "running", "{state}");
            check!(is_rfc3339(state["created"].as_str().unwrap_or_default()), "{state}");
            Ok(())
        }),
        row("in a pid namespace of the node: `kill -a ID 9` once it has ended", BY, |ctx| {
            let commands = ["children", "2", ",", "exit", "3"];
            let c = Bundle::new(ctx)?.without_namespace("pid").payload(&commands).container()?;
            Engine::conmon_of_crio(ctx).create(&c, &[])?;
            Engine::crio(ctx).ok(&["start", &c.id])?;
            check_eq!(c.exit_code()?, 3, "exit code");
            Engine::crio(ctx).ok(&["kill", "-a", &c.id, "9"])?;
            crate::families::lifecycle::reap_orphans(2)
        }),
        row("stop of a paused one: resume, `kill ID SIGTERM`", BY, |ctx| {
            let c = running(ctx)?;
            let engine = Engine::crio(ctx);
            engine.ok(&["pause", &c.id])?;
            engine.ok(&["resume", &c.id])?;
            engine.ok(&["kill", &c.id, "SIGTERM"])?;
            engine.ok(&["kill", &c.id, "KILL"])?;
            check_eq!(c.exit_code()?, 137, "exit code");
            Ok(())
        }),
        row("`update --resources - ID`", BY, |ctx| {
            needs(ctx.layout, "pids")?;
            let c = running(ctx)?;
            let file = ctx.dir.join("resources");
            fs::write(&file, json!({"pids": {"limit": 44}, "cpu": {}, "memory": {}}).to_string())?;
            let run = Engine::crio(ctx).cmd(&["update", "--resources", "-", &c.id])?;
            run.stdin(fs::File::open(&file)?).ok()?;
            let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
            check_eq!(crate::cgroups::read(ctx.layout, "pids", path, "pids.max")?, "44", "limit");
            Ok(())
        }),
        row("`kill` of an ended one: exit code 1, and words that mean gone", BY, |ctx| {
            let c = running(ctx)?;
            c.kill_init()?;
            let said = Engine::crio(ctx).done(&["kill", &c.id, "KILL"])?.exits(1)?.stderr;
            let phrases = ["no such process", "container not running", "invalid process"];
            check!(phrases.iter().any(|p| said.contains(p)), "it says {said:?}");
            Ok(())
        }),
        row("`delete --force` of a container whose init was killed from outside", BY, |ctx| {
            let c = running(ctx)?;
            c.kill_init()?;
            Engine::crio(ctx).ok(&["delete", "--force", &c.id])?;
            c.verb("state")?.exits(1).map(drop)
        }),
    ];
    Group { title: "CRI-O, whole", rows }
}

fn running(ctx: &Context) -> Outcome<Container<'_>> {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    Engine::conmon_of_crio(ctx).create(&c, &[])?;
    Engine::crio(ctx).ok(&["start", &c.id])?;
    Ok(c)
}

fn life(conmon: &Engine<'_>, crio: &Engine<'_>, cgroup: Option<&str>) -> Outcome {
    let mut bundle =
        Bundle::new(conmon.ctx)?.args(&["sh", "-c", "trap '' TERM; echo up; sleep 60"]);
    if let Some(cgroup) = cgroup {
        bundle = bundle.set("/linux/cgroupsPath", json!(cgroup));
    }
    let c = bundle.container()?;
    conmon.create(&c, &[])?;
    check_eq!(crio.status(&c.id)?, "created", "status");
    crio.ok(&["start", &c.id])?;
    c.prints("up")?;
    crio.ok(&["kill", &c.id, "TERM"])?;
    check_eq!(crio.status(&c.id)?, "running", "status");
    crio.ok(&["kill", &c.id, "KILL"])?;
    check_eq!(c.exit_code()?, 137, "exit code");
    check_eq!(crio.status(&c.id)?, "stopped", "status");
    crio.ok(&["delete", "--force", &c.id])?;
    crio.ok(&["delete", "--force", &c.id]).map(drop)
}
