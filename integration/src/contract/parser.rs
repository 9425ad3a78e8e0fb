//! How the command line is read: Go's rules, and the texts that probes look for.

use super::engine::text;
use super::idle;
use super::row::{ALL, CONMON, GO_RUNC, Group, PEOPLE, row, tested};
use crate::bundle::Bundle;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq};

pub(super) fn group() -> Group {
    let rows = vec![
        row("a value follows its option or an equals sign", ALL, values_in_both_ways),
        row("long options with one dash, as go-runc's `-no-subreaper`", "containerd", |ctx| {
            let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
            let bundle = text(&c.dir);
            ctx.done(&["run", "-bundle", &bundle, "-no-subreaper", &c.id])?.exits(3)?;
            ctx.done(&["run", &format!("-bundle={bundle}"), &c.id])?.exits(3).map(drop)
        }),
        row("`exec ID ls -l`: the command keeps its options", ALL, command_keeps_its_options),
        row("`delete ID --force`: options may follow the id", PEOPLE, options_after_the_id),
        row("options that repeat add up", PEOPLE, repeated_options),
        row("`-e A=1,2`: a comma separates nothing", PEOPLE, commas),
        row(
            "a wrong count of arguments: `requires exactly 1 argument(s)`, 1",
            PEOPLE,
            wrong_counts,
        ),
        row("an unknown option is named, and fails", ALL, unknown_option),
        row("an unknown command fails", GO_RUNC, |ctx| {
            let done = ctx.done(&["no-such-command"])?;
            check!(done.code != 0, "it succeeds");
            Ok(())
        }),
        row("`checkpoint --help` succeeds", CONMON, |ctx| {
            ctx.ok(&["checkpoint", "--help"]).map(drop)
        }),
        row(
            "`restore --lsm-mount-context`: it wants a value, in words that podman knows",
            CONMON,
            probe_of_pods,
        ),
        row("`--version` as go-runc reads it", GO_RUNC, version_for_go_runc),
        row("`--version` as dockerd reads it", "dockerd", version_for_dockerd),
        row("`-v` is `--version`", PEOPLE, |ctx| {
            check_eq!(ctx.ok(&["-v"])?.stdout, ctx.ok(&["--version"])?.stdout, "output");
            Ok(())
        }),
        tested("`--help`, and `--help` of each command", PEOPLE, "lifecycle::help_succeeds"),
    ];
    Group { title: "How the command line is read", rows }
}

fn values_in_both_ways(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["exit", "3"]).container()?;
    let bundle = text(&c.dir);
    ctx.done(&["run", "--bundle", &bundle, &c.id])?.exits(3)?;
    ctx.done(&["run", &format!("--bundle={bundle}"), &c.id])?.exits(3)?;
    ctx.done(&["run", "-b", &bundle, &c.id])?.exits(3).map(drop)
}

fn command_keeps_its_options(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let done = c.exec(&[], &["/bin/payload", "say", "-e", "--detach", "--", "-x"])?.ok()?;
    check_eq!(done.stdout, "-e --detach -- -x\n", "arguments");
    Ok(())
}

fn options_after_the_id(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    ctx.ok(&["delete", &c.id, "--force"])?;
    check_eq!(c.exit_code()?, 137, "exit code of init");
    let bundle = text(&c.dir);
    ctx.ok(&["create", &c.id, "--bundle", &bundle, "--pid-file", &text(&c.pid_file())])?;
    c.verb("delete")?.ok().map(drop)
}

fn repeated_options(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let done =
        c.exec(&["-e", "A=1", "-e", "B=2", "-e", "C=3"], &["/bin/sh", "-c", "echo $A$B$C"])?;
    check_eq!(done.ok()?.stdout, "123\n", "variables");
    Ok(())
}

fn commas(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let done = c.exec(&["-e", "A=1,2"], &["/bin/sh", "-c", "echo $A"])?.ok()?;
    check_eq!(done.stdout, "1,2\n", "variable");
    Ok(())
}

fn wrong_counts(ctx: &Context) -> Outcome {
    for args in [&["start"][..], &["start", "a", "b"], &["state"], &["create"]] {
        let wanted = format!("\"{}\" requires exactly 1 argument(s)", args[0]);
        // The text is quoted in a log line.
        let done = ctx.done(args)?.exits(1)?;
        let said = done.stderr.replace("\\\"", "\"");
        check!(said.contains(&wanted), "{args:?}: {said:?}");
    }
    ctx.done(&["exec"])?.exits(1)?.says(&["requires a minimum of 1 argument(s)"]).map(drop)
}

fn unknown_option(ctx: &Context) -> Outcome {
    for args in [&["start", "--nope", "id"][..], &["--nope", "list"]] {
        let done = ctx.done(args)?;
        check!(done.code != 0, "{args:?} succeeds");
        let said = done.stdout + &done.stderr;
        check!(said.contains("-nope"), "{args:?}: {said:?}");
    }
    Ok(())
}

/// What decides whether podman restores a container into a pod.
fn probe_of_pods(ctx: &Context) -> Outcome {
    let done = ctx.done(&["restore", "--lsm-mount-context"])?;
    check!(done.code != 0, "it succeeds");
    let said = done.stdout + &done.stderr;
    let phrases = ["flag needs an argument", "requires an argument"];
    check!(phrases.iter().any(|p| said.contains(p)), "it says {said:?}");
    Ok(())
}

/// go-runc takes the name `runc` only, and does without the version of another runtime.
fn version_for_go_runc(ctx: &Context) -> Outcome {
    let text = ctx.ok(&["--version"])?.stdout;
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default();
    let version = first.split_once(" version ").map(|(_, version)| version);
    check!(version.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit())), "{first:?}");
    for prefix in ["commit: ", "spec: "] {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(prefix));
        let value = values.next().ok_or_else(|| Stop::fail(format!("no line {prefix:?}")))?;
        check!(!value.is_empty() && values.next().is_none(), "{prefix:?} in {text:?}");
    }
    Ok(())
}

/// dockerd takes the last line that has the word `version` in it.
fn version_for_dockerd(ctx: &Context) -> Outcome {
    let text = ctx.ok(&["--version"])?.stdout;
    let name = ctx.runtime.file_name().map(|name| name.to_string_lossy().into_owned());
    let (mut runtime, mut version, mut commit) = (String::new(), String::new(), String::new());
    for line in text.trim().lines() {
        if line.contains("version") {
            let parts: Vec<&str> = line.split("version").collect();
            runtime = parts[0].trim().to_owned();
            version = parts[parts.len() - 1].trim().to_owned();
        } else if let Some(rest) = line.strip_prefix("commit:") {
            commit = rest.trim().to_owned();
        }
    }
    check_eq!(Some(runtime), name, "name");
    check!(version.starts_with(|c: char| c.is_ascii_digit()), "version {version:?}");
    check!(!commit.is_empty(), "no commit in {text:?}");
    Ok(())
}
