//! Descriptors and sockets that engines hand over: activation, notification, pidfd.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::console::Receiver;
use crate::container::Container;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::process::{Done, Run};
use crate::{check, check_eq, family};

family!("sockets":
    preserved_descriptors_are_passed,
    preserved_descriptors_may_have_gaps,
    preserved_descriptor_that_is_missing_is_an_error,
    activation_descriptors_are_passed_with_their_variables,
    activation_and_preserved_descriptors_stand_in_that_order,
    readiness_is_relayed_to_the_service_manager,
    pidfd_is_sent,
    annotation_names_a_receiver_of_the_pidfd,
);

/// Runs a container with two files open from descriptor 3 on.
fn run_with_fds(
    ctx: &Context,
    c: &Container<'_>,
    flags: &[&str],
    listen: Option<&str>,
) -> Outcome<Done> {
    run_with(ctx, c, &["first", "second"], flags, listen)
}

/// Runs a container with files of these names open from descriptor 3 on; `-` is none.
fn run_with(
    ctx: &Context,
    c: &Container<'_>,
    names: &[&str],
    flags: &[&str],
    listen: Option<&str>,
) -> Outcome<Done> {
    let mut files = Vec::new();
    for name in names {
        let path = ctx.dir.join(name);
        if *name != "-" {
            fs::write(&path, name)?;
        }
        files.push(if *name == "-" { "-".into() } else { path.to_string_lossy().into_owned() });
    }
    let (runtime, root, dir) = (ctx.runtime.to_string_lossy(), ctx.root(), c.dir.to_string_lossy());
    let root = root.to_string_lossy();
    let mut args: Vec<&str> = vec!["with-fds"];
    args.extend(files.iter().map(String::as_str));
    args.extend(["--", &runtime, "--root", &root, "run", "--bundle", &dir]);
    args.extend(flags.iter().chain(&[c.id.as_str()]));
    let mut run = Run::new(&ctx.payload, &args, &ctx.dir)?;
    if let Some(count) = listen {
        run = run.env("LISTEN_FDS", count);
    }
    run.done()
}

/// The names of the files behind descriptors 3 and up.
fn passed(facts: &Value) -> Vec<String> {
    let fds = facts["fds"].as_object().into_iter().flatten();
    let name = |target: &Value| {
        let target = target.as_str().unwrap_or_default();
        target.rsplit('/').next().unwrap_or_default().to_owned()
    };
    fds.filter(|(fd, _)| fd.parse().is_ok_and(|n: u32| n > 2)).map(|(_, t)| name(t)).collect()
}

fn preserved_descriptors_are_passed(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let done = run_with_fds(ctx, &c, &["--preserve-fds", "2"], None)?.ok()?;
    check_eq!(passed(&parse_lines(&done.stdout)?[0]), ["first", "second"], "files");
    let done = run_with_fds(ctx, &c, &["--preserve-fds", "1"], None)?.ok()?;
    check_eq!(passed(&parse_lines(&done.stdout)?[0]), ["first"], "files");
    Ok(())
}

/// As Podman's `--preserve-fd 3,9` has it.
fn preserved_descriptors_may_have_gaps(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let names = ["first", "-", "-", "-", "-", "-", "second"];
    let done = run_with(ctx, &c, &names, &["--preserve-fds", "7"], None)?.ok()?;
    let facts = &parse_lines(&done.stdout)?[0];
    check_eq!(passed(facts), ["first", "second"], "files");
    check!(facts["fds"]["9"].is_string(), "not at 9: {}", facts["fds"]);
    Ok(())
}

fn preserved_descriptor_that_is_missing_is_an_error(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let done = run_with_fds(ctx, &c, &["--preserve-fds", "20"], None)?;
    done.exits(1)?.says(&["unable to stat preserved-fd"]).map(drop)
}

fn activation_descriptors_are_passed_with_their_variables(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let done = run_with_fds(ctx, &c, &[], Some("2"))?.ok()?;
    let facts = &parse_lines(&done.stdout)?[0];
    check_eq!(passed(facts), ["first", "second"], "files");
    let env = facts["env"].as_array().cloned().unwrap_or_default();
    for variable in ["LISTEN_FDS=2", "LISTEN_PID=1"] {
        check!(env.contains(&json!(variable)), "{variable} is missing from {env:?}");
    }
    Ok(())
}

fn activation_and_preserved_descriptors_stand_in_that_order(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let done = run_with_fds(ctx, &c, &["--preserve-fds", "1"], Some("1"))?.ok()?;
    let facts = &parse_lines(&done.stdout)?[0];
    check_eq!(passed(facts), ["first", "second"], "files");
    check!(facts["env"].to_string().contains("LISTEN_FDS=1"), "{}", facts["env"]);
    Ok(())
}

fn readiness_is_relayed_to_the_service_manager(ctx: &Context) -> Outcome {
    let path = ctx.dir.join("manager");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_read_timeout(Some(Duration::from_secs(5)))?;
    let c =
        Bundle::new(ctx)?.payload(&["notify", "READY=1\n", ",", "sleep", "60000"]).container()?;
    c.finish_create(c.command("create", &[])?.env("NOTIFY_SOCKET", &path))?.ok()?;
    let start = ctx.cmd(&["start", &c.id])?.env("NOTIFY_SOCKET", &path).start()?;
    let heard = until_barrier(&manager).map_err(|stop| match stop {
        Stop::Fail(message) => Stop::Fail(format!("{message}; inside: {}", c.printed())),
        skip @ Stop::Skip(_) => skip,
    })?;
    start.done()?.ok()?;
    check!(heard.contains("READY=1"), "the manager heard {heard:?}");
    check!(heard.contains(&format!("MAINPID={}", c.pid()?)), "the manager heard {heard:?}");
    c.prints("path")?;
    let inside = &parse_lines(&c.printed())?[0]["path"];
    check_eq!(*inside, json!("/run/notify/notify.sock"), "NOTIFY_SOCKET inside");
    Ok(())
}

/// All messages up to the barrier, which is over when its descriptor is closed: receiving without
/// room for it does that.
fn until_barrier(manager: &UnixDatagram) -> Outcome<String> {
    let mut heard = String::new();
    while !heard.contains("BARRIER=1") {
        let mut bytes = [0_u8; 4096];
        let count = manager
            .recv(&mut bytes)
            .map_err(|e| Stop::fail(format!("{e}; the manager heard {heard:?}")))?;
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        heard.push('\n');
    }
    Ok(heard)
}

fn pidfd_is_sent(ctx: &Context) -> Outcome {
    let receiver = Receiver::new(&ctx.dir.join("pidfd"))?;
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.try_create(&["--pidfd-socket", &receiver.path()])?.ok()?;
    let (fd, text) = receiver.receive()?;
    check_eq!(text, "standard", "the message");
    check_eq!(process_of(&fd)?, c.pid()?, "process of the descriptor");
    Ok(())
}

fn annotation_names_a_receiver_of_the_pidfd(ctx: &Context) -> Outcome {
    let receiver = Receiver::new(&ctx.dir.join("pidfd"))?;
    let annotations = json!({"run.oci.pidfd_receiver": receiver.path()});
    let c = Bundle::new(ctx)?.payload(&["true"]).set("/annotations", annotations).container()?;
    c.create()?;
    let (fd, _) = receiver.receive()?;
    check_eq!(process_of(&fd)?, c.pid()?, "process of the descriptor");
    let annotations = json!({"run.oci.pidfd_receiver": "/no/such/socket"});
    let c = Bundle::new(ctx)?.payload(&["true"]).set("/annotations", annotations).container()?;
    let done = c.try_create(&[])?;
    check!(done.code != 0, "a socket that is not there was taken");
    done.says(&["/no/such/socket"]).map(drop)
}

/// The pid behind a pidfd.
fn process_of(fd: &impl AsRawFd) -> Outcome<i32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let pid = info.lines().find_map(|l| l.strip_prefix("Pid:")).map(str::trim);
    pid.and_then(|pid| pid.parse().ok()).ok_or_else(|| Stop::fail(format!("no pidfd: {info}")))
}
