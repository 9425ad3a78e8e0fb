//! Log lines, and what stands on stderr.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::engine::{Engine, log, missing, text};
use super::row::{ALL, CONMON, GO_RUNC, Group, row};
use super::{ended, idle};
use crate::bundle::Bundle;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::{check, check_eq};

pub(super) fn group() -> Group {
    let rows = vec![
        row("a failed `create`: the log is one JSON object", "podman", |ctx| {
            only_one(ctx, &["create", "--bundle", &missing(ctx), "nobody"])
        }),
        row("a `create` that fails inside: the log is one JSON object", "podman", |ctx| {
            let c = Bundle::new(ctx)?.args(&["nowhere"]).container()?;
            only_one(ctx, &["create", "--bundle", &text(&c.dir), &c.id])
        }),
        row(
            "a failed `start`, `exec`, `kill`, `delete`: the log is one JSON object",
            "podman",
            |ctx| {
                only_one(ctx, &["start", "nobody"])?;
                only_one(ctx, &["exec", "nobody", "true"])?;
                only_one(ctx, &["kill", "nobody", "9"])?;
                only_one(ctx, &["delete", "nobody"])
            },
        ),
        row("an `exec` that fails inside: the log is one JSON object", "podman", |ctx| {
            let c = idle(ctx)?;
            only_one(ctx, &["exec", &c.id, "nowhere"])
        }),
        row("what is a warning does not stand before the error", "podman", warnings),
        row("with a log, a warning does not get into the container's stderr", ALL, |ctx| {
            let c = Bundle::new(ctx)?
                .push("/process/capabilities/bounding", json!("CAP_FROM_THE_FUTURE"))
                .payload(&["true"])
                .container()?;
            let args = ["create", "--bundle", &text(&c.dir), "--pid-file", &text(&c.pid_file())];
            let engine = Engine::containerd(ctx);
            let done = c.finish_create(engine.cmd(&[&args[..], &[&c.id]].concat())?)?.ok()?;
            check_eq!(done.stderr, "", "stderr");
            engine.ok(&["start", &c.id])?;
            c.exit_code().map(drop)
        }),
        row("`level`, `msg`, and `time` as RFC 3339", GO_RUNC, |ctx| {
            let engine = Engine::containerd(ctx);
            engine.done(&["start", "nobody"])?.exits(1)?;
            check!(!engine.last_error()?.is_empty(), "no error in the log");
            Ok(())
        }),
        row("the last error of a log counts", "containerd", |ctx| {
            let engine = Engine::containerd(ctx);
            engine.done(&["start", "nobody"])?.exits(1)?;
            let c = ended(ctx)?;
            let first = engine.last_error()?;
            engine.done(&["kill", &c.id, "9"])?.exits(1)?;
            check!(engine.last_error()? != first, "the last error is still {first:?}");
            Ok(())
        }),
        row("the message stands on stderr, too", ALL, |ctx| {
            let engine = Engine::containerd(ctx);
            let c = Bundle::new(ctx)?.args(&["nowhere"]).container()?;
            let done = engine.done(&["create", "--bundle", &text(&c.dir), &c.id])?.exits(1)?;
            let message = engine.last_error()?;
            check!(
                done.stderr.contains(&message),
                "stderr is {:?}, the log {message:?}",
                done.stderr
            );
            Ok(())
        }),
        row("without a log it stands on stderr, in one line", CONMON, |ctx| {
            let done = ctx.done(&["start", "nobody"])?.exits(1)?;
            done.in_one_line().map(drop)
        }),
        row("a command that succeeds writes nothing to the log", "podman", silence),
        row("every message of a failure is one line", ALL, |ctx| {
            let engine = Engine::containerd(ctx);
            let c = Bundle::new(ctx)?.args(&["no\nwhere"]).container()?;
            engine.done(&["create", "--bundle", &text(&c.dir), &c.id])?.exits(1)?;
            check_eq!(fs::read_to_string(log(ctx))?.lines().count(), 1, "lines of the log");
            engine.last_error().map(drop)
        }),
        row("a failed `create` writes nothing to stdout", ALL, |ctx| {
            let c = Bundle::new(ctx)?.args(&["nowhere"]).container()?;
            check_eq!(c.try_create(&[])?.exits(1)?.stdout, "", "stdout");
            Ok(())
        }),
    ];
    Group { title: "Log lines", rows }
}

/// A command that must fail, after which the log is one object.
fn only_one(ctx: &Context, args: &[&str]) -> Outcome {
    if Path::new(&log(ctx)).exists() {
        fs::remove_file(log(ctx))?;
    }
    let engine = Engine::conmon_of_podman(ctx);
    let done = engine.done(args)?;
    check!(done.code != 0, "{args:?} succeeds");
    check!(!engine.only_error()?.is_empty(), "{args:?}: no message");
    Ok(())
}

fn warnings(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .push("/process/capabilities/bounding", json!("CAP_FROM_THE_FUTURE"))
        .args(&["nowhere"])
        .container()?;
    only_one(ctx, &["create", "--bundle", &text(&c.dir), &c.id])
}

fn silence(ctx: &Context) -> Outcome {
    let engine = Engine::conmon_of_podman(ctx);
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    engine.create(&c, &[])?;
    engine.ok(&["start", &c.id])?;
    engine.ok(&["exec", &c.id, "/bin/payload", "true"])?;
    engine.ok(&["kill", &c.id, "9"])?;
    c.exit_code()?;
    engine.ok(&["delete", &c.id])?;
    let text = fs::read_to_string(log(ctx)).unwrap_or_default();
    check_eq!(text, "", "the log");
    Ok(())
}
