//! Exit codes.

use super::engine::missing;
use super::row::{ALL, Group, row, tested};
use super::{ended, idle};
use crate::bundle::Bundle;
use crate::context::Context;
use crate::outcome::Outcome;

pub(super) fn group() -> Group {
    let rows = vec![
        tested(
            "`run`: the container's",
            "buildkit",
            "lifecycle::run_gives_the_exit_code_of_the_container",
        ),
        tested(
            "`run`: 128 and the signal's number",
            "buildkit",
            "lifecycle::run_gives_128_and_the_signal_that_ended_the_container",
        ),
        row("`run` that fails before the start: 1", "buildkit", |ctx| {
            Bundle::new(ctx)?.args(&["/nowhere"]).container()?.run(&[])?.exits(1).map(drop)
        }),
        tested(
            "`exec`: the process's, or 128 and the signal's number",
            "CRI-O, buildkit",
            "exec::exit_code_and_signal_are_passed_on",
        ),
        tested(
            "`exec` that fails before its process runs: 255",
            ALL,
            "exec::failure_before_the_process_runs_is_255",
        ),
        row("`exec --detach`: 0, whatever becomes of the process", ALL, |ctx| {
            let c = idle(ctx)?;
            let pid = c.exec_detached(&[], &["/bin/payload", "exit", "3"])?;
            nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None)?;
            Ok(())
        }),
        row("`exec` in an unknown container: 255", ALL, |ctx| {
            ctx.done(&["exec", "nobody", "true"])?.exits(255).map(drop)
        }),
        row("`create`, `start`, `kill`, `delete`, `state` that fail: 1", ALL, failures),
        row("of init, by waitpid: the program's own, or its signal", ALL, |ctx| {
            // The first process of a pid namespace is spared its own signals.
            let bundle = Bundle::new(ctx)?.without_namespace("pid");
            let c = bundle.payload(&["raise", "15"]).container()?;
            c.up()?;
            crate::check_eq!(c.exit_code()?, 143, "exit code");
            Ok(())
        }),
    ];
    Group { title: "Exit codes", rows }
}

fn failures(ctx: &Context) -> Outcome {
    ctx.done(&["create", "--bundle", &missing(ctx), "nobody"])?.exits(1)?;
    for verb in ["start", "kill", "delete", "state"] {
        ctx.done(&[verb, "nobody"])?.exits(1)?;
    }
    let c = ended(ctx)?;
    c.verb("start")?.exits(1)?;
    c.kill("TERM")?.exits(1).map(drop)
}
