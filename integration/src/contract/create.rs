//! `create` and `run`, option by option.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::engine::{missing, text};
use super::row::{ALL, CONMON, GO_RUNC, Group, PEOPLE, row, tested};
use super::waiting;
use crate::bundle::{Bundle, parse_lines};
use crate::container::read_pid;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::{check, check_eq, leftovers};

pub(super) fn group() -> Group {
    let rows = vec![
        row("the bundle is where the caller is, unless it is named", PEOPLE, bundle_is_here),
        row("`--bundle DIR`, relative to the caller", PEOPLE, relative_bundle),
        row("`root.path` is relative to the bundle", ALL, |ctx| {
            let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
            c.command("run", &[])?.cwd("/".as_ref()).done()?.exits(3).map(drop)
        }),
        row("a bundle without a config.json fails, 1, and names the file", ALL, |ctx| {
            let dir = text(&ctx.dir);
            ctx.done(&["create", "--bundle", &dir, "nobody"])?
                .exits(1)?
                .says(&["config.json"])
                .map(drop)
        }),
        tested(
            "`--pid-file FILE`: the host's pid, digits and nothing else",
            ALL,
            "lifecycle::pid_file_holds_only_digits",
        ),
        row("`--pid-file FILE`, relative to the caller", PEOPLE, relative_pid_file),
        row("`--pid-file FILE` takes the place of a file", CONMON, pid_file_is_replaced),
        row("a pid file that cannot be written fails, and leaves no container", ALL, no_pid_file),
        row("init is the caller's child once `create` returns", ALL, init_is_adopted),
        row("nothing of the runtime runs on after `create`", ALL, nothing_else_runs),
        tested(
            "nothing of the container runs before `start`",
            ALL,
            "lifecycle::create_runs_nothing_of_the_container_before_start",
        ),
        row("init is in its cgroup when `create` returns", "containerd, podman", cgroup_is_there),
        row(
            "the state directory of a container is passable for others (0711)",
            PEOPLE,
            state_modes,
        ),
        row("`--no-pivot`", GO_RUNC, |ctx| {
            let c =
                Bundle::new(ctx)?.file("/mark", "inside")?.args(&["cat", "/mark"]).container()?;
            check_eq!(c.run(&["--no-pivot"])?.ok()?.stdout, "inside", "file of the root");
            let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
            c.try_create(&["--no-pivot"])?.ok()?;
            c.start()?;
            check_eq!(
                c.exec(&[], &["ls", "/"])?.ok()?.stdout.contains("proc"),
                true,
                "root of exec"
            );
            Ok(())
        }),
        row("a session keyring of its own", ALL, |ctx| {
            let c = Bundle::new(ctx)?.container()?;
            let facts = parse_lines(&c.run(&[])?.ok()?.stdout)?.remove(0);
            let keyring = facts["keyring"].as_str().unwrap_or_default();
            check!(keyring.contains(&c.id), "it is {keyring:?}");
            Ok(())
        }),
        tested(
            "`--no-new-keyring`",
            "containerd, podman",
            "process::session_keyring_is_shared_on_request",
        ),
        tested(
            "a second container with the id: `container with given ID already exists`",
            ALL,
            "lifecycle::second_create_with_the_same_id_is_refused",
        ),
        tested(
            "ids with other characters: `invalid container ID format`",
            ALL,
            "lifecycle::ids_with_strange_characters_are_refused",
        ),
        row("ids with `_`, `+`, `-` and `.`", ALL, |ctx| {
            let mut bundle = Bundle::new(ctx)?.payload(&["exit", "3"]);
            bundle.id = "A-z_0+9.x".to_owned();
            bundle.container()?.run(&[])?.exits(3).map(drop)
        }),
        row("ids of 64 hexadecimal digits", "Docker, podman, CRI-O", |ctx| {
            let mut bundle = Bundle::new(ctx)?.payload(&["exit", "3"]);
            bundle.id = "0123456789abcdef".repeat(4);
            bundle.container()?.run(&[])?.exits(3).map(drop)
        }),
        row("a `create` that fails leaves no container", ALL, failure_leaves_nothing),
        tested(
            "`run` forwards signals",
            "buildkit",
            "lifecycle::run_forwards_signals_to_the_container",
        ),
        tested(
            "`run` deletes the container",
            "buildkit",
            "lifecycle::run_deletes_the_container_when_it_ends",
        ),
        tested(
            "`run --keep` does not",
            "buildkit",
            "lifecycle::run_keep_leaves_a_stopped_container",
        ),
        tested(
            "`run --detach` returns while the container runs",
            PEOPLE,
            "lifecycle::run_detached_returns_while_the_container_runs",
        ),
        row("`run --no-subreaper`", PEOPLE, |ctx| {
            let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
            c.run(&["--no-subreaper"])?.exits(3).map(drop)
        }),
    ];
    Group { title: "create and run", rows }
}

fn bundle_is_here(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
    ctx.cmd(&["run", &c.id])?.cwd(&c.dir).done()?.exits(3).map(drop)
}

fn relative_bundle(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let name = c.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let pid_file = text(&c.pid_file());
    let args = ["create", "--bundle", &name, "--pid-file", &pid_file, &c.id];
    c.finish_create(ctx.cmd(&args)?.cwd(&ctx.dir))?.ok()?;
    check_eq!(c.state()?["bundle"], text(&c.dir), "bundle in the state");
    Ok(())
}

fn relative_pid_file(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let args = ["create", "--bundle", &text(&c.dir), "--pid-file", "here.pid", &c.id];
    let done = ctx.cmd(&args)?.cwd(&ctx.dir).done()?;
    let pid = read_pid(&ctx.dir.join("here.pid"));
    done.ok()?;
    check!(pid.is_some(), "there is no pid file where the caller is");
    check_eq!(c.state()?["pid"], pid.unwrap_or_default(), "pid");
    Ok(())
}

fn pid_file_is_replaced(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
    fs::write(c.pid_file(), "1234567890 and more")?;
    c.up()?;
    check_eq!(c.exit_code()?, 3, "exit code of the process that the file names");
    Ok(())
}

fn no_pid_file(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let args = ["create", "--bundle", &text(&c.dir), "--pid-file", &missing(ctx), &c.id];
    ctx.done(&args)?.exits(1)?.says(&["no such file or directory"])?;
    c.verb("state")?.exits(1).map(drop)
}

fn init_is_adopted(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["exit", "7"]).container()?;
    c.up()?;
    check_eq!(c.exit_code()?, 7, "what waitpid gives");
    Ok(())
}

fn nothing_else_runs(ctx: &Context) -> Outcome {
    let c = waiting(ctx)?;
    check_eq!(leftovers::children(), [c.pid()?], "processes");
    Ok(())
}

fn cgroup_is_there(ctx: &Context) -> Outcome {
    let c = waiting(ctx)?;
    let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let lines = fs::read_to_string(format!("/proc/{}/cgroup", c.pid()?))?;
    check!(lines.lines().any(|line| line.ends_with(path)), "init is in {lines}");
    Ok(())
}

fn state_modes(ctx: &Context) -> Outcome {
    let c = waiting(ctx)?;
    check_eq!(fs::metadata(ctx.root().join(&c.id))?.mode() & 0o7777, 0o711, "mode");
    Ok(())
}

fn failure_leaves_nothing(ctx: &Context) -> Outcome {
    let unmade = Bundle::new(ctx)?.bind("/not/there".as_ref(), "/m", &["bind"]).container()?;
    unmade.try_create(&[])?.exits(1)?;
    unmade.verb("state")?.exits(1)?.says(&["does not exist", "no such file"])?;
    let absent = Bundle::new(ctx)?.args(&["nowhere"]).container()?;
    absent.try_create(&[])?.exits(1)?;
    absent.verb("state")?.exits(1)?.says(&["does not exist", "no such file"])?;
    check_eq!(leftovers::children(), [0; 0], "processes");
    Ok(())
}
