//! `checkpoint` and `restore`, in the words of each engine.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use super::engine::{Engine, text};
use super::row::{Group, row};
use crate::bundle::Bundle;
use crate::check;
use crate::container::{Container, read_pid};
use crate::context::Context;
use crate::outcome::{Outcome, Stop};

pub(super) fn group() -> Group {
    let rows = vec![
        row("`checkpoint --image-path D --work-path D --leave-running ID`", "containerd", |ctx| {
            let engine = Engine::containerd(ctx);
            let c = saved(ctx, &engine)?;
            let (images, work) = (directory(ctx, "images")?, directory(ctx, "work")?);
            let flags = ["checkpoint", "--image-path", &images, "--work-path", &work];
            engine.ok(&[&flags[..], &["--leave-running", &c.id]].concat())?;
            has_images(&images)?;
            c.has_status("running")
        }),
        row("`checkpoint` ends the container", "containerd", |ctx| {
            let engine = Engine::containerd(ctx);
            let c = saved(ctx, &engine)?;
            let (images, work) = (directory(ctx, "images")?, directory(ctx, "work")?);
            engine.ok(&["checkpoint", "--image-path", &images, "--work-path", &work, &c.id])?;
            has_images(&images)?;
            c.exit_code().map(drop)
        }),
        row(
            "`restore … --detach --pid-file F -no-subreaper --bundle B ID`",
            "containerd",
            |ctx| {
                let engine = Engine::containerd(ctx);
                restored(
                    ctx,
                    &engine,
                    &["--work-path", "WORK"],
                    &["--detach", "--pid-file", "PID", "-no-subreaper", "--bundle", "BUNDLE"],
                )
            },
        ),
        row("`restore … --bundle B --pid-file F --detach ID`", "conmon", |ctx| {
            let engine = Engine::conmon_of_podman(ctx);
            restored(
                ctx,
                &engine,
                &["--work-path", "WORK"],
                &["--bundle", "BUNDLE", "--pid-file", "PID", "--detach"],
            )
        }),
        row("`checkpoint --file-locks --image-path D --work-path D ID`", "CRI-O", |ctx| {
            let engine = Engine::crio(ctx).with_environment();
            let c = saved(ctx, &engine)?;
            let (images, work) = (directory(ctx, "images")?, directory(ctx, "work")?);
            engine.ok(&[
                "checkpoint",
                "--file-locks",
                "--image-path",
                &images,
                "--work-path",
                &work,
                "--leave-running",
                &c.id,
            ])?;
            has_images(&images)
        }),
        row("`checkpoint` with all options that the shim may pass on", "containerd", |ctx| {
            let engine = Engine::containerd(ctx);
            let c = saved(ctx, &engine)?;
            let images = directory(ctx, "images")?;
            let options = [
                "--tcp-established",
                "--ext-unix-sk",
                "--shell-job",
                "--file-locks",
                "--empty-ns",
                "network",
            ];
            let args = [
                &["checkpoint", "--image-path", &images],
                &options[..],
                &["--leave-running", &c.id],
            ]
            .concat();
            engine.ok(&args)?;
            has_images(&images)
        }),
    ];
    Group { title: "checkpoint and restore", rows }
}

fn directory(ctx: &Context, name: &str) -> Outcome<String> {
    let dir = ctx.dir.join(name);
    fs::create_dir_all(&dir)?;
    Ok(text(&dir))
}

fn has_images(dir: &str) -> Outcome {
    check!(fs::metadata(format!("{dir}/inventory.img")).is_ok(), "no inventory.img in {dir}");
    Ok(())
}

/// A container that criu can save: its streams are devices.
fn saved<'c>(ctx: &'c Context, engine: &Engine<'_>) -> Outcome<Container<'c>> {
    needs_criu()?;
    let c = Bundle::new(ctx)?
        .set("/process/terminal", json!(false))
        .args(&["sh", "-c", "while :; do sleep 1; done"])
        .container()?;
    let null = || fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    let args = ["create", "--bundle", &text(&c.dir), "--pid-file", &text(&c.pid_file()), &c.id];
    let run = engine.cmd(&args)?.stdout(null()?).stderr(null()?);
    c.finish_create(run)?.ok()?;
    engine.ok(&["start", &c.id])?;
    Ok(c)
}

fn needs_criu() -> Outcome {
    let mut check = Command::new("criu");
    match check.arg("check").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Err(_) => Err(Stop::skip("no program criu")),
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Stop::skip("criu cannot work here")),
    }
}

/// Saves, deletes and restores a container; capitals stand for paths.
fn restored(ctx: &Context, engine: &Engine<'_>, first: &[&str], then: &[&str]) -> Outcome {
    let c = saved(ctx, engine)?;
    let (images, work) = (directory(ctx, "images")?, directory(ctx, "work")?);
    engine.ok(&["checkpoint", "--image-path", &images, "--work-path", &work, &c.id])?;
    c.exit_code()?;
    engine.ok(&["delete", "--force", &c.id])?;
    let (bundle, pid_file) = (text(&c.dir), text(&ctx.dir.join("restored.pid")));
    let word = |word: &&str| match *word {
        "WORK" => work.clone(),
        "PID" => pid_file.clone(),
        "BUNDLE" => bundle.clone(),
        other => other.to_owned(),
    };
    let mut args = vec!["restore".to_owned(), "--image-path".to_owned(), images.clone()];
    args.extend(first.iter().chain(then).map(word));
    args.push(c.id.clone());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let null = || fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    engine.cmd(&args)?.stdout(null()?).stderr(null()?).done()?.ok()?;
    let status = engine.status(&c.id);
    let pid = read_pid(pid_file.as_ref());
    engine.ok(&["delete", "--force", &c.id])?;
    let pid = pid.ok_or_else(|| Stop::fail("no pid file was written"))?;
    nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None)?;
    crate::check_eq!(status?, "running", "status of the restored container");
    Ok(())
}
