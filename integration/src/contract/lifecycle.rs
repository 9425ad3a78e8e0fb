//! `start`, `state`, `kill` and `delete`.

use serde_json::Value;

use super::engine::is_rfc3339;
use super::row::{ALL, CONMON, GO_RUNC, Group, PEOPLE, Row, row, tested};
use super::{ended, idle, waiting};
use crate::bundle::Bundle;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::{check, check_eq};

pub(super) fn group() -> Group {
    let mut rows = start();
    rows.extend(state());
    rows.extend(kill());
    rows.extend(delete());
    Group { title: "start, state, kill and delete", rows }
}

fn start() -> Vec<Row> {
    vec![
        row("`start` returns while the container runs", ALL, |ctx| {
            idle(ctx)?.has_status("running")
        }),
        tested(
            "`start` of a running one: `cannot start an already running container`",
            PEOPLE,
            "lifecycle::start_of_a_running_container_is_refused",
        ),
        tested(
            "`start` of one that has ended: `cannot start a container that has stopped`",
            PEOPLE,
            "lifecycle::start_of_a_stopped_container_is_refused",
        ),
        row("`start` when init was killed before: fails, 1", "containerd", |ctx| {
            let c = waiting(ctx)?;
            c.kill_init()?;
            c.verb("start")?.exits(1)?.says(&["stopped", "not running"]).map(drop)
        }),
    ]
}

fn state() -> Vec<Row> {
    vec![
        row("`state`: id, pid, status, bundle", ALL, |ctx| {
            let c = waiting(ctx)?;
            let state = c.state()?;
            check_eq!(state["id"], c.id.as_str(), "id");
            check_eq!(state["pid"], c.pid()?, "pid");
            check_eq!(state["status"], "created", "status");
            check_eq!(state["bundle"], *c.dir.to_string_lossy(), "bundle");
            Ok(())
        }),
        row("`state`: rootfs", "buildkit", |ctx| {
            let c = waiting(ctx)?;
            check_eq!(c.state()?["rootfs"], *c.rootfs().to_string_lossy(), "rootfs");
            Ok(())
        }),
        tested(
            "`state` is written as runc writes it",
            PEOPLE,
            "output::state_is_written_like_that_of_runc",
        ),
        row("`state`: `created` is an RFC 3339 time", "CRI-O, buildkit", |ctx| {
            let state = waiting(ctx)?.state()?;
            let time = state["created"].as_str().unwrap_or_default();
            check!(is_rfc3339(time) && time.ends_with('Z'), "created: {time:?}");
            Ok(())
        }),
        row(
            "`state`: `created`, `running`, `paused`, `stopped`",
            "podman, CRI-O, buildah",
            words_of_the_state,
        ),
        tested(
            "`state` of a stopped one: pid 0",
            "podman, CRI-O",
            "lifecycle::state_of_a_stopped_container_has_pid_zero",
        ),
        tested("`state` has the annotations", "CRI-O", "lifecycle::state_carries_annotations"),
        tested(
            "`state` is as the specification's schema has it",
            ALL,
            "lifecycle::state_is_as_the_schema_of_the_spec_wants_it",
        ),
        row("`state` says `running` at once when `start` has returned", "buildah", |ctx| {
            for _ in 0..5 {
                idle(ctx)?.has_status("running")?;
            }
            Ok(())
        }),
        row("`state` of an ended one that nobody has waited for: `stopped`", CONMON, |ctx| {
            let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
            c.up()?;
            crate::process::wait_for("the state stopped", || {
                Ok((c.status()? == "stopped").then_some(()))
            })
        }),
    ]
}

fn words_of_the_state(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.create()?;
    c.has_status("created")?;
    c.start()?;
    c.has_status("running")?;
    c.verb("pause")?.ok()?;
    c.has_status("paused")?;
    c.verb("resume")?.ok()?;
    c.kill("KILL")?.ok()?;
    c.exit_code()?;
    c.has_status("stopped")
}

fn kill() -> Vec<Row> {
    vec![
        tested(
            "`kill ID SIGNAL`: a number or a name, with SIG or without, in any case",
            ALL,
            "lifecycle::kill_takes_signals_by_number_and_by_name",
        ),
        tested("`kill ID`: SIGTERM", "buildah", "lifecycle::kill_sends_sigterm_by_default"),
        row("`kill ID 37`: a real-time signal", "Docker, podman", |ctx| {
            let c = Bundle::new(ctx)?.payload(&["await-signal"]).container()?;
            c.up()?;
            c.prints("ready")?;
            c.kill("37")?.ok()?;
            c.prints(r#"{"signal":37}"#)
        }),
        tested(
            "`kill` of an unknown signal: `unknown signal`",
            PEOPLE,
            "lifecycle::kill_of_an_unknown_signal_is_refused",
        ),
        tested(
            "`kill` of one that waits for start",
            ALL,
            "lifecycle::kill_of_a_created_container_ends_it",
        ),
        tested(
            "SIGTERM ends one that waits for start",
            CONMON,
            "habits::sigterm_ends_a_container_that_waits_for_start",
        ),
        tested(
            "`kill` of an ended one: `container not running` or `no such process`",
            ALL,
            "lifecycle::kill_of_a_stopped_container_says_that_it_is_not_running",
        ),
        row(
            "`kill --all ID N` and `kill -a ID N` of a running one",
            "containerd, podman, CRI-O",
            |ctx| {
                for flag in ["--all", "-a"] {
                    let c = idle(ctx)?;
                    ctx.ok(&["kill", flag, &c.id, "9"])?;
                    check_eq!(c.exit_code()?, 137, "exit code");
                }
                Ok(())
            },
        ),
        tested(
            "`kill --all` of an ended one succeeds",
            "containerd",
            "lifecycle::kill_all_of_a_stopped_container_succeeds",
        ),
        tested(
            "`kill --all ID KILL` reaches every process without a pid namespace",
            "containerd, CRI-O",
            "lifecycle::kill_all_reaches_every_process_without_a_pid_namespace",
        ),
        row("and those that init has left behind", "containerd, CRI-O", |ctx| {
            let c = Bundle::new(ctx)?
                .without_namespace("pid")
                .payload(&["children", "3", ",", "say", "up", ",", "sleep", "60000"])
                .container()?;
            c.up()?;
            c.prints("up")?;
            c.kill_init()?;
            ctx.ok(&["kill", "--all", &c.id, "9"])?;
            crate::families::lifecycle::reap_orphans(3)
        }),
        row("`kill` of a paused one: SIGKILL takes effect", ALL, |ctx| {
            let c = idle(ctx)?;
            c.verb("pause")?.ok()?;
            c.kill("KILL")?.ok()?;
            check_eq!(c.exit_code()?, 137, "exit code");
            Ok(())
        }),
    ]
}

fn delete() -> Vec<Row> {
    vec![
        row("`delete` of an ended one: no state is left", ALL, |ctx| {
            let c = ended(ctx)?;
            c.verb("delete")?.ok()?;
            check!(!ctx.root().join(&c.id).exists(), "its directory is left");
            c.verb("state")?.exits(1).map(drop)
        }),
        row("its cgroup is gone", ALL, |ctx| {
            let c = ended(ctx)?;
            c.verb("delete")?.ok()?;
            let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
            check_eq!(crate::cgroups::directories(ctx.layout, path).len(), 0, "cgroups");
            Ok(())
        }),
        tested(
            "`delete` of one that waits for start",
            ALL,
            "lifecycle::delete_of_a_created_container_kills_init",
        ),
        tested(
            "`delete` of a running one: `cannot delete container ID that is not stopped: running`",
            PEOPLE,
            "lifecycle::delete_of_a_running_container_needs_force",
        ),
        tested(
            "`delete --force` of a paused one",
            ALL,
            "lifecycle::delete_force_ends_a_paused_container",
        ),
        row("`delete --force` kills a process that ignores SIGTERM", ALL, |ctx| {
            let c = Bundle::new(ctx)?.args(&["sh", "-c", "trap '' TERM; sleep 60"]).container()?;
            c.up()?;
            ctx.ok(&["delete", "--force", &c.id])?;
            check_eq!(c.exit_code()?, 137, "exit code");
            Ok(())
        }),
        tested(
            "`delete --force` of an unknown one succeeds",
            "podman, CRI-O, containerd",
            "lifecycle::forced_delete_of_an_unknown_container_succeeds",
        ),
        row("`delete` of an unknown one fails, 1: `does not exist`", GO_RUNC, |ctx| {
            ctx.done(&["delete", "nobody"])?.exits(1)?.says(&["does not exist"]).map(drop)
        }),
        tested(
            "`delete --force` of one whose record is damaged",
            ALL,
            "lifecycle::forced_delete_removes_a_corrupt_container",
        ),
        row("the id can be used again", ALL, |ctx| {
            let c = ended(ctx)?;
            c.verb("delete")?.ok()?;
            c.create()?;
            c.has_status("created")
        }),
        row(
            "`kill`, `state`, `start`, `pause` of an unknown one: `does not exist`, 1",
            ALL,
            |ctx| {
                for verb in ["kill", "state", "start", "pause", "resume", "ps"] {
                    ctx.done(&[verb, "nobody"])?.exits(1)?.says(&["does not exist"])?;
                }
                Ok(())
            },
        ),
        row("what is printed on success is nothing", ALL, silence),
    ]
}

fn silence(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    let mut said = vec![c.try_create(&[])?.ok()?];
    for verb in ["start", "pause", "resume"] {
        said.push(c.verb(verb)?.ok()?);
    }
    said.push(c.kill("KILL")?.ok()?);
    c.exit_code()?;
    said.push(c.verb("delete")?.ok()?);
    let words: Vec<Value> = said.iter().map(|d| (d.stdout.clone() + &d.stderr).into()).collect();
    check!(words.iter().all(|text| *text == ""), "printed: {words:?}");
    Ok(())
}
