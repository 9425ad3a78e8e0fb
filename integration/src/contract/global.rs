//! The options before the command.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use super::engine::{is_rfc3339, log, missing, text};
use super::row::{ALL, GO_RUNC, Group, PEOPLE, row, tested};
use crate::bundle::Bundle;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::process::Run;
use crate::systemd::needs_systemd;
use crate::{check, check_eq};

pub(super) fn group() -> Group {
    let rows = vec![
        row("`--root DIR` is made when it is missing, for root alone (0700)", ALL, root_is_made),
        row("`--root DIR`, relative to the caller", PEOPLE, relative_root),
        row("`--root /` is refused", PEOPLE, |ctx| {
            let done = Run::new(&ctx.runtime, &["--root", "/", "list"], &ctx.dir)?.done()?;
            done.exits(1)?.says(&["should not be set to /"]).map(drop)
        }),
        row("without `--root` the state is in /run/NAME", "buildkit, podman", default_root),
        tested(
            "of an ordinary user it is in $XDG_RUNTIME_DIR/NAME",
            "podman",
            "rootless::state_is_kept_in_the_runtime_directory_of_the_user",
        ),
        row("`--log FILE` is made, with mode 0644", ALL, log_is_made),
        row("`--log FILE` is added to", GO_RUNC, log_is_added_to),
        row("`--log FILE` that cannot be opened fails, 1", ALL, |ctx| {
            let place = missing(ctx);
            ctx.done(&["--log", &place, "list"])?.exits(1)?.says(&[&place]).map(drop)
        }),
        row("`--log-format xml` is refused: `invalid log-format`", PEOPLE, |ctx| {
            ctx.done(&["--log-format", "xml", "list"])?
                .exits(1)?
                .says(&["invalid log-format"])
                .map(drop)
        }),
        tested(
            "the log is text unless asked for otherwise",
            PEOPLE,
            "lifecycle::text_log_is_the_default",
        ),
        row("`--debug` writes more lines, all of the same format", GO_RUNC, debug),
        row("`--rootless=true`, `=false`, `=auto`", GO_RUNC, rootless),
        row(
            "`--systemd-cgroup` wants `slice:prefix:name`, and says so",
            "containerd, podman, CRI-O",
            form_of_the_path,
        ),
        tested(
            "`--systemd-cgroup`: a unit from create to delete",
            "containerd, podman, CRI-O",
            "systemd::container_is_a_unit_from_create_to_delete",
        ),
        tested(
            "`--cgroup-manager disabled`: no cgroups are made",
            "podman",
            "crun_options::disabled_cgroup_manager_leaves_the_container_where_its_caller_is",
        ),
    ];
    Group { title: "Options before the command", rows }
}

fn mode(path: &Path) -> Outcome<u32> {
    Ok(fs::metadata(path)?.mode() & 0o7777)
}

fn root_is_made(ctx: &Context) -> Outcome {
    let root = ctx.dir.join("deep/er");
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let (bundle, place) = (text(&c.dir), text(&root));
    let run =
        |args: &[&str]| Run::new(&ctx.runtime, &[&["--root", &place], args].concat(), &ctx.dir);
    run(&["list"]).and_then(Run::done)?;
    let pid_file = text(&c.pid_file());
    c.finish_create(run(&["create", "-b", &bundle, "--pid-file", &pid_file, &c.id])?)?.ok()?;
    check_eq!(mode(&root)?, 0o700, "mode of the directory");
    check!(root.join(&c.id).is_dir(), "the container has no directory in it");
    run(&["delete", "--force", &c.id])?.ok()?;
    check!(!root.join(&c.id).exists(), "its directory is left");
    c.exit_code().map(drop)
}

fn relative_root(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["exit", "4"]).container()?;
    let bundle = text(&c.dir);
    let args = ["--root", "here", "run", "--keep", "--bundle", &bundle, &c.id];
    Run::new(&ctx.runtime, &args, &ctx.dir)?.cwd(&ctx.dir).done()?.exits(4)?;
    check!(ctx.dir.join("here").join(&c.id).is_dir(), "it is not where the caller is");
    let place = text(&ctx.dir.join("here"));
    Run::new(&ctx.runtime, &["--root", &place, "delete", &c.id], &ctx.dir)?.ok().map(drop)
}

/// In a mount namespace where nothing else is in /run.
fn default_root(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let name = ctx.runtime.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let script = format!(
        "mount -t tmpfs none /run || exit 9; {runtime} create --bundle {bundle} --pid-file \
         {pid} {id} || exit 8; stat -c %a /run/{name} && test -d /run/{name}/{id}; kept=$?; \
         {runtime} delete --force {id}; exit $kept",
        runtime = ctx.runtime.display(),
        bundle = c.dir.display(),
        pid = c.pid_file().display(),
        id = c.id,
    );
    let run = Run::new(Path::new("/usr/bin/unshare"), &["-m", "sh", "-c", &script], &ctx.dir)?;
    let done = c.finish_create(run)?;
    c.exit_code()?;
    let mode = done.ok()?.stdout;
    check!(mode.starts_with("700") || mode.starts_with("1700"), "mode of the directory: {mode}");
    Ok(())
}

fn failing(ctx: &Context) -> Outcome {
    let (log, dir) = (log(ctx), text(&ctx.dir));
    let args = ["--log", &log, "--log-format", "json", "create", "--bundle", &dir, "nobody"];
    ctx.done(&args)?.exits(1).map(drop)
}

fn log_is_made(ctx: &Context) -> Outcome {
    failing(ctx)?;
    check_eq!(mode(Path::new(&log(ctx)))?, 0o644, "mode of the log");
    Ok(())
}

fn log_is_added_to(ctx: &Context) -> Outcome {
    fs::write(log(ctx), "{\"level\":\"info\"}\n")?;
    failing(ctx)?;
    failing(ctx)?;
    let text = fs::read_to_string(log(ctx))?;
    check_eq!(text.lines().next(), Some("{\"level\":\"info\"}"), "first line");
    check_eq!(text.lines().count(), 3, "lines of {text:?}");
    Ok(())
}

fn debug(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let (log, bundle) = (log(ctx), text(&c.dir));
    let args =
        ["--debug", "--log", &log, "--log-format", "json", "run", "--bundle", &bundle, &c.id];
    ctx.ok(&args)?;
    let mut levels = Vec::new();
    for line in fs::read_to_string(&log)?.lines() {
        let entry: Value =
            serde_json::from_str(line).map_err(|e| Stop::fail(format!("{e}: {line}")))?;
        check!(is_rfc3339(entry["time"].as_str().unwrap_or_default()), "time in {line}");
        check!(entry["msg"].is_string(), "no message in {line}");
        levels.push(entry["level"].clone());
    }
    check!(levels.contains(&json!("debug")), "no line of {} is for debugging", levels.len());
    check!(!levels.contains(&json!("error")), "an error in the log of what succeeds");
    Ok(())
}

fn rootless(ctx: &Context) -> Outcome {
    for value in ["false", "auto", "true"] {
        let c = Bundle::new(ctx)?.payload(&["exit", "5"]).container()?;
        let (flag, bundle) = (format!("--rootless={value}"), text(&c.dir));
        ctx.done(&[&flag, "run", "--bundle", &bundle, &c.id])?.exits(5)?;
    }
    Ok(())
}

fn form_of_the_path(ctx: &Context) -> Outcome {
    needs_systemd(ctx)?;
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let done = ctx.done(&["--systemd-cgroup", "run", "--bundle", &text(&c.dir), &c.id])?;
    let said = done.exits(1)?.stderr.replace("\\\"", "\"");
    let wanted = "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups";
    check!(said.contains(wanted), "it says {said:?}");
    Ok(())
}
