//! Checkpoint and restore of memory in parts: before the rest, or after it.

use std::fs;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::container::Container;
use crate::context::Context;
use crate::criu::{
    self, FOREVER, UNTIL_GO, checkpoint, go, images, null, reports, restore, try_checkpoint,
};
use crate::outcome::{Outcome, Stop};
use crate::process::{Run, Running, wait_for};
use crate::{check, check_eq, family};

family!("checkpoint_memory":
    memory_is_saved_before_the_rest,
    parent_must_be_relative_and_there,
    pages_come_later,
    pages_go_to_a_page_server,
);

/// A program with a variable of 64 kB, which it compares with itself afterwards.
fn with_memory(ctx: &Context) -> Outcome<Container<'_>> {
    let script = format!(
        "a=$(busybox seq 1 12000); b=$a; echo ready > /state; {UNTIL_GO}; \
         [ \"$a\" = \"$b\" ] && echo same ${{#a}} > /result; read x <&9"
    );
    let c = criu::running(ctx, &script)?;
    reports(&c, "state", "ready")?;
    Ok(c)
}

/// The number of bytes in that variable.
const LENGTH: &str = "same 60893";

fn is_unchanged(c: &Container<'_>) -> Outcome {
    go(c)?;
    reports(c, "result", LENGTH)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Skips the test where criu says that it lacks something.
fn needs_feature(ctx: &Context, feature: &str) -> Outcome {
    criu::needs(ctx)?;
    let check = Run::new(Path::new("criu"), &["check", "--feature", feature], &ctx.dir)?;
    match check.deadline(criu::DEADLINE).done()?.code {
        0 => Ok(()),
        _ => Err(Stop::skip(format!("criu lacks {feature} here"))),
    }
}

fn memory_is_saved_before_the_rest(ctx: &Context) -> Outcome {
    needs_feature(ctx, "mem_dirty_track")?;
    let c = with_memory(ctx)?;
    for (parent, place) in [(None, "first"), (Some("../first"), "second")] {
        let place = text(&c.dir.join(place));
        let mut args = vec!["checkpoint", "--pre-dump", "--image-path", &place];
        args.extend(parent.iter().flat_map(|parent| ["--parent-path", parent]));
        args.push(&c.id);
        ctx.cmd(&args)?.deadline(criu::DEADLINE).ok()?;
        c.has_status("running")?;
    }
    check!(!c.dir.join("first/descriptors.json").exists(), "it is a whole checkpoint");
    checkpoint(ctx, &c, &["--parent-path", "../second"])?;
    check_eq!(fs::read_link(images(&c).join("parent"))?, Path::new("../second"), "parent");
    restore(&c, &[])?;
    is_unchanged(&c)
}

fn parent_must_be_relative_and_there(ctx: &Context) -> Outcome {
    let c = criu::running(ctx, FOREVER)?;
    let absolute = text(&c.dir);
    for parent in [absolute.as_str(), "../none", "../config.json"] {
        let done = try_checkpoint(ctx, &c, &["--parent-path", parent])?;
        done.exits(1)?.says(&["--parent-path"])?;
        c.has_status("running")?;
    }
    Ok(())
}

/// A port of this host that nobody has.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn criu_program(ctx: &Context, args: &[&str]) -> Outcome<Running> {
    Run::new(Path::new("criu"), args, &ctx.dir)?.deadline(criu::DEADLINE).start()
}

fn pages_come_later(ctx: &Context) -> Outcome {
    needs_feature(ctx, "uffd-noncoop")?;
    let c = with_memory(ctx)?;
    let place = text(&images(&c));
    let server = format!("127.0.0.1:{}", free_port()?);
    let (_, port) = server.split_once(':').unwrap_or_default();
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::empty())?;
    let fd = writer.as_raw_fd().to_string();
    let args = [
        "checkpoint",
        "--lazy-pages",
        "--page-server",
        &server,
        "--status-fd",
        &fd,
        "--manage-cgroups-mode",
        "ignore",
        "--image-path",
        &place,
        &c.id,
    ];
    let saving = ctx.cmd(&args)?.deadline(criu::DEADLINE).start()?;
    drop(writer);
    let mut byte = [1_u8; 1];
    check_eq!(nix::unistd::read(&reader, &mut byte)?, 1, "bytes on the status descriptor");
    check_eq!(byte, [0], "byte on the status descriptor");
    drop(reader);
    check!(images(&c).join("inventory.img").exists(), "no inventory yet");
    let pages = criu_program(
        ctx,
        &["lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", port, "-D", &place],
    )?;
    wait_for("the socket of criu lazy-pages", || {
        Ok(images(&c).join("lazy-pages.socket").exists().then_some(()))
    })?;
    // The first one is there until its last page has come.
    let other = c.as_another(ctx)?;
    let flags =
        ["--detach", "--lazy-pages", "--manage-cgroups-mode", "ignore", "--image-path", &place];
    let run = other.command("restore", &flags)?.terminal(&null()?)?;
    other.finish_restore(run.deadline(criu::DEADLINE))?.ok()?;
    saving.done()?.ok()?;
    pages.done()?.ok()?;
    c.verb("state")?.exits(1)?;
    is_unchanged(&other)
}

fn pages_go_to_a_page_server(ctx: &Context) -> Outcome {
    let c = with_memory(ctx)?;
    let place = text(&images(&c));
    fs::create_dir(images(&c))?;
    let port = free_port()?.to_string();
    let server = criu_program(
        ctx,
        &["page-server", "--images-dir", &place, "--address", "127.0.0.1", "--port", &port],
    )?;
    let address = format!("127.0.0.1:{port}");
    wait_for("the page server", || Ok(listens(&port)?.then_some(())))?;
    checkpoint(ctx, &c, &["--page-server", &address])?;
    server.done()?.ok()?;
    restore(&c, &[])?;
    is_unchanged(&c)
}

/// Whether somebody listens at this port; not by connecting, which would be the one connection.
fn listens(port: &str) -> Outcome<bool> {
    let wanted = format!(":{:04X} 00000000:0000 0A", port.parse::<u16>()?);
    Ok(fs::read_to_string("/proc/net/tcp")?.contains(&wanted))
}
