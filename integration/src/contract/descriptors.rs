//! Descriptors: standard streams, those that are handed over, and no others.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use super::engine::{root, text};
use super::row::{ALL, CONMON, Group, row, tested};
use super::{idle, waiting};
use crate::bundle::{Bundle, parse_lines};
use crate::context::Context;
use crate::outcome::Outcome;
use crate::process::{Run, read_to_end};
use crate::{check, check_eq};

pub(super) fn group() -> Group {
    let rows = vec![
        tested(
            "only the standard streams are open",
            ALL,
            "process::only_standard_descriptors_are_open",
        ),
        row("descriptors of the caller stay outside of `create`", CONMON, |ctx| {
            let c = Bundle::new(ctx)?.container()?;
            let names = descriptors(ctx, &["run", "--bundle", &text(&c.dir), &c.id])?;
            check_eq!(names, ["0", "1", "2"], "descriptors inside");
            Ok(())
        }),
        row("descriptors of the caller stay outside of `exec`", CONMON, |ctx| {
            let c = idle(ctx)?;
            let names = descriptors(ctx, &["exec", &c.id, "/bin/payload", "facts"])?;
            check_eq!(names, ["0", "1", "2"], "descriptors inside");
            Ok(())
        }),
        tested(
            "`--preserve-fds N`: from 3 on, in their order",
            "podman",
            "sockets::preserved_descriptors_are_passed",
        ),
        tested(
            "a preserved one that is missing: `unable to stat preserved-fd`",
            "podman",
            "sockets::preserved_descriptor_that_is_missing_is_an_error",
        ),
        row(
            "standard streams of `create` are the container's, as they are",
            ALL,
            streams_as_they_are,
        ),
        row(
            "a pipe as standard output ends when the container does",
            "conmon, containerd, buildah",
            end_of_pipes,
        ),
        row(
            "a pipe as standard output of `exec --detach` ends when the process does",
            CONMON,
            |ctx| {
                let c = idle(ctx)?;
                let (reader, writer) = std::io::pipe()?;
                let file = ctx.dir.join("e.pid");
                let pid_file = text(&file);
                let flags = ["--detach", "--pid-file", &pid_file];
                let run = c.exec_command(&flags, &["/bin/payload", "say", "words"])?.stdout(writer);
                run.start()?.done()?.ok()?;
                let text = read_to_end(reader)?;
                check_eq!(text, "words\n", "output");
                let pid = crate::container::read_pid(&file).unwrap_or_default();
                nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None)?;
                Ok(())
            },
        ),
        row("`start` and `kill` keep nothing of their caller's open", "containerd", |ctx| {
            let c = waiting(ctx)?;
            let (reader, writer) = std::io::pipe()?;
            ctx.cmd(&["start", &c.id])?.stdout(writer.try_clone()?).stderr(writer).done()?;
            let text = read_to_end(reader)?;
            check_eq!(text, "", "output");
            check_eq!(c.exit_code()?, 0, "exit code");
            Ok(())
        }),
        tested(
            "standard input reaches a container in the foreground",
            "buildkit",
            "process::standard_input_reaches_the_container_in_the_foreground",
        ),
        row("the end of standard input reaches a container in the foreground", "buildkit", |ctx| {
            let input = ctx.dir.join("input");
            fs::write(&input, "one\ntwo\n")?;
            let c = Bundle::new(ctx)?.args(&["cat"]).container()?;
            let done = c.command("run", &[])?.stdin(fs::File::open(&input)?).ok()?;
            check_eq!(done.stdout, "one\ntwo\n", "output");
            Ok(())
        }),
        row("a megabyte of output arrives whole", "buildkit", |ctx| {
            let script = "s=0123456789abcdef; s=$s$s$s$s; s=${s%?}; i=0; \
                          while [ $i -lt 16384 ]; do echo $s; i=$((i+1)); done";
            let c = Bundle::new(ctx)?.args(&["sh", "-c", script]).container()?;
            check_eq!(c.run(&[])?.ok()?.stdout.len(), 1 << 20, "bytes");
            Ok(())
        }),
    ];
    Group { title: "Descriptors", rows }
}

/// The descriptors inside when the caller of the runtime has more open.
fn descriptors(ctx: &Context, args: &[&str]) -> Outcome<Vec<String>> {
    let file = ctx.dir.join("handed");
    fs::write(&file, "")?;
    let (file, runtime, root) = (text(&file), text(&ctx.runtime), root(ctx));
    let head = ["with-fds", &file, &file, &file, "--", &runtime, "--root", &root];
    let done = Run::new(&ctx.payload, &[&head[..], args].concat(), &ctx.dir)?.ok()?;
    let facts = parse_lines(&done.stdout)?.remove(0);
    let fds = facts["fds"].as_object().cloned().unwrap_or_default();
    Ok(fds.into_iter().map(|(fd, _)| fd).collect())
}

fn streams_as_they_are(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["probe", "/proc/self/fd/1", ",", "facts"]).container()?;
    let out = ctx.dir.join("output");
    let run = c.command("create", &[])?.stdout(fs::File::create(&out)?);
    c.finish_create(run)?.ok()?;
    c.start()?;
    c.exit_code()?;
    let text = fs::read_to_string(&out)?;
    let facts: Value = parse_lines(&text)?.remove(1);
    let target = facts["fds"]["1"].as_str().unwrap_or_default();
    check!(target.ends_with("output"), "standard output is {target:?}");
    check_eq!(fs::metadata(&out)?.uid(), 0, "owner of the file");
    Ok(())
}

fn end_of_pipes(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["say", "words"]).container()?;
    let (reader, writer) = std::io::pipe()?;
    let run = c.command("create", &[])?.stdout(writer.try_clone()?).stderr(writer);
    c.finish_create(run)?.ok()?;
    c.start()?;
    c.exit_code()?;
    let text = read_to_end(reader)?;
    check_eq!(text, "words\n", "output");
    Ok(())
}
