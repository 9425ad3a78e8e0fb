//! Terminals: handed over by socket, or joined to the caller's own.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::console::{Master, Receiver};
use crate::container::Container;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::process::{Run, Running};
use crate::{check, check_eq, family};

family!("terminal":
    console_socket_receives_a_master_that_talks_to_the_container,
    terminal_is_the_controlling_one_and_dev_console,
    console_size_is_set,
    terminal_belongs_to_the_user,
    foreground_run_joins_the_callers_terminal,
    foreground_terminal_is_raw_and_restored,
    window_size_follows_the_callers,
    interrupt_typed_by_the_user_reaches_the_container,
    exec_with_a_terminal_in_the_foreground,
    exec_with_a_console_socket,
    what_cannot_be_mounted_on_as_the_console_is_named,
);

fn with_terminal<'c>(ctx: &'c Context, commands: &[&str]) -> Outcome<Bundle<'c>> {
    Ok(Bundle::new(ctx)?.set("/process/terminal", json!(true)).payload(commands))
}

/// `create` and `start` with a console socket.
fn up(ctx: &Context, c: &Container<'_>) -> Outcome<Master> {
    let receiver = Receiver::new(&ctx.dir.join("console"))?;
    c.try_create(&["--console-socket", &receiver.path()])?.ok()?;
    let (fd, _) = receiver.receive()?;
    c.start()?;
    Master::new(fd)
}

/// What the payload reported on its terminal before it ended.
fn report(ctx: &Context, bundle: Bundle<'_>) -> Outcome<Vec<Value>> {
    let c = bundle.container()?;
    let mut master = up(ctx, &c)?;
    parse_lines(&master.until_end(|| c.ended())?)
}

fn console_socket_receives_a_master_that_talks_to_the_container(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .set("/process/terminal", json!(true))
        .args(&["sh", "-c", "read line; echo got $line"])
        .container()?;
    let mut master = up(ctx, &c)?;
    master.types("words\n")?;
    master.shows("got words")?;
    check_eq!(c.exit_code()?, 0, "exit code");
    Ok(())
}

fn terminal_is_the_controlling_one_and_dev_console(ctx: &Context) -> Outcome {
    let lines = report(ctx, with_terminal(ctx, &["facts", ",", "devices"])?)?;
    let tty = &lines[0]["tty"];
    for fd in 0..3 {
        check_eq!(tty["fds"][fd]["terminal"], json!(true), "descriptor {fd} is a terminal");
        let name = tty["fds"][fd]["name"].as_str().unwrap_or_default();
        check!(name == "/dev/pts/0" || name == "/dev/console", "descriptor {fd} is {name}");
    }
    check_eq!(tty["controlling"], json!(true), "controlling terminal");
    check_eq!(tty["console"], json!(true), "/dev/console");
    check_eq!(lines[1]["/dev/console"]["major"], json!(136), "major number of /dev/console");
    check_eq!(lines[0]["sid"], json!(1), "session");
    Ok(())
}

fn console_size_is_set(ctx: &Context) -> Outcome {
    let bundle = with_terminal(ctx, &["tty"])?
        .set("/process/consoleSize", json!({"height": 33, "width": 101}));
    let tty = report(ctx, bundle)?.remove(0);
    check_eq!(tty["fds"][0]["rows"], json!(33), "rows");
    check_eq!(tty["fds"][0]["columns"], json!(101), "columns");
    Ok(())
}

fn terminal_belongs_to_the_user(ctx: &Context) -> Outcome {
    let bundle =
        with_terminal(ctx, &["devices"])?.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let devices = report(ctx, bundle)?.remove(0);
    check_eq!(devices["/dev/pts/0"]["uid"], json!(1000), "owner of the terminal");
    Ok(())
}

/// Runs the runtime as the leader of a session on a terminal of its own.
fn on_terminal(ctx: &Context, args: &[&str], size: (u16, u16)) -> Outcome<(Master, Running)> {
    let (master, slave) = Master::open(size.0, size.1)?;
    let root = ctx.root();
    let (runtime, root) = (ctx.runtime.to_string_lossy(), root.to_string_lossy());
    let all = [&["ctty", &runtime, "--root", &root], args].concat();
    let run = Run::new(&ctx.payload, &all, &ctx.dir)?.terminal(&slave)?.start()?;
    Ok((master, run))
}

fn run_on_terminal(
    ctx: &Context,
    c: &Container<'_>,
    size: (u16, u16),
) -> Outcome<(Master, Running)> {
    on_terminal(ctx, &["run", "--bundle", &c.dir.to_string_lossy(), &c.id], size)
}

fn foreground_run_joins_the_callers_terminal(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .set("/process/terminal", json!(true))
        .args(&["sh", "-c", "read line; echo got $line; exit 7"])
        .container()?;
    let (mut master, run) = run_on_terminal(ctx, &c, (24, 80))?;
    master.types("words\n")?;
    master.shows("got words")?;
    run.done()?.exits(7).map(drop)
}

fn foreground_terminal_is_raw_and_restored(ctx: &Context) -> Outcome {
    let c = with_terminal(ctx, &["await-signal"])?.container()?;
    let (mut master, run) = run_on_terminal(ctx, &c, (24, 80))?;
    master.shows("ready")?;
    check!(!master.echoes()?, "the caller's terminal echoes while the container runs");
    c.kill("USR1")?.ok()?;
    run.done()?.ok()?;
    check!(master.echoes()?, "the caller's terminal does not echo afterwards");
    Ok(())
}

fn window_size_follows_the_callers(ctx: &Context) -> Outcome {
    let c = with_terminal(ctx, &["tty", ",", "await-resize"])?.container()?;
    let (mut master, run) = run_on_terminal(ctx, &c, (31, 97))?;
    master.shows("ready")?;
    let first = parse_lines(master.seen())?.remove(0);
    check_eq!(first["fds"][0]["rows"], json!(31), "rows at the start");
    check_eq!(first["fds"][0]["columns"], json!(97), "columns at the start");
    master.resize(44, 111)?;
    master.shows(r#"{"columns":111,"rows":44}"#)?;
    run.done()?.ok().map(drop)
}

fn interrupt_typed_by_the_user_reaches_the_container(ctx: &Context) -> Outcome {
    let c = with_terminal(ctx, &["await-signal"])?.container()?;
    let (mut master, run) = run_on_terminal(ctx, &c, (24, 80))?;
    master.shows("ready")?;
    master.types("\x03")?;
    master.shows(r#"{"signal":2}"#)?;
    run.done()?.ok().map(drop)
}

fn idle(ctx: &Context) -> Outcome<Container<'_>> {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    Ok(c)
}

fn exec_with_a_terminal_in_the_foreground(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let args = ["exec", "--tty", &c.id, "/bin/payload", "tty", ",", "exit", "5"];
    let (mut master, run) = on_terminal(ctx, &args, (30, 90))?;
    run.done()?.exits(5)?;
    let tty = parse_lines(master.seen())?.remove(0);
    check_eq!(tty["fds"][0]["rows"], json!(30), "rows");
    check_eq!(tty["controlling"], json!(true), "controlling terminal");
    Ok(())
}

fn exec_with_a_console_socket(ctx: &Context) -> Outcome {
    let c = idle(ctx)?;
    let receiver = Receiver::new(&ctx.dir.join("console"))?;
    let flags = ["--tty", "--console-socket", &receiver.path()];
    let pid = c.exec_detached(&flags, &["/bin/payload", "tty", ",", "sleep", "60000"])?;
    let mut master = Master::new(receiver.receive()?.0)?;
    master.shows("controlling")?;
    let tty = parse_lines(master.seen())?.remove(0);
    check_eq!(tty["fds"][0]["terminal"], json!(true), "standard input is a terminal");
    check_eq!(tty["controlling"], json!(true), "controlling terminal");
    check!(fs::metadata(format!("/proc/{pid}")).is_ok(), "the process is gone");
    Ok(())
}

fn what_cannot_be_mounted_on_as_the_console_is_named(ctx: &Context) -> Outcome {
    for (kind, words) in [("pipe", "named pipe"), ("link", "symbolic link")] {
        let mut bundle = with_terminal(ctx, &["true"])?;
        if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
            mounts.retain(|mount| mount["destination"] != "/dev");
        }
        let console = bundle.rootfs().join("dev/console");
        match kind {
            "pipe" => nix::unistd::mkfifo(&console, nix::sys::stat::Mode::S_IRWXU)?,
            _ => std::os::unix::fs::symlink("/etc/passwd", &console)?,
        }
        let c = bundle.container()?;
        let receiver = Receiver::new(&ctx.dir.join(format!("console-{kind}")))?;
        let done = c.try_create(&["--console-socket", &receiver.path()])?;
        done.exits(1)?.says(&[words])?.says(&["/process/terminal"])?.in_one_line()?;
    }
    Ok(())
}
