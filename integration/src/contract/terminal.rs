//! Terminals: sent by a socket, or the caller's own.

use serde_json::json;

use super::engine::{missing, root, text};
use super::idle;
use super::row::{ALL, CONMON, Group, PEOPLE, row, tested};
use crate::bundle::{Bundle, parse_lines};
use crate::console::{Master, Receiver};
use crate::container::Container;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::process::Run;
use crate::{check, check_eq};

const SOCKET: &str = "containerd, podman, CRI-O, buildah";

pub(super) fn group() -> Group {
    let rows = vec![
        tested(
            "`--console-socket`: the master end, which talks to the container",
            SOCKET,
            "terminal::console_socket_receives_a_master_that_talks_to_the_container",
        ),
        row("the message with it is the terminal's name", PEOPLE, |ctx| {
            let (c, receiver) = with_terminal(ctx, &["true"])?;
            c.try_create(&["--console-socket", &receiver.path()])?.ok()?;
            let name = receiver.receive()?.1;
            check!(name.contains("/dev/pt"), "the message is {name:?}");
            Ok(())
        }),
        row("the message with it is not empty, and shorter than conmon's 4096", CONMON, |ctx| {
            let (c, receiver) = with_terminal(ctx, &["true"])?;
            c.try_create(&["--console-socket", &receiver.path()])?.ok()?;
            let name = receiver.receive()?.1;
            check!((1..4096).contains(&name.len()), "{} bytes", name.len());
            Ok(())
        }),
        tested(
            "it is the controlling terminal, and /dev/console",
            ALL,
            "terminal::terminal_is_the_controlling_one_and_dev_console",
        ),
        tested("`process.consoleSize`", "Docker", "terminal::console_size_is_set"),
        tested(
            "it belongs to the user of the process",
            ALL,
            "terminal::terminal_belongs_to_the_user",
        ),
        row("a new size on the master end reaches the container", SOCKET, |ctx| {
            let (c, receiver) = with_terminal(ctx, &["await-resize"])?;
            c.try_create(&["--console-socket", &receiver.path()])?.ok()?;
            let mut master = Master::new(receiver.receive()?.0)?;
            c.start()?;
            master.shows("ready")?;
            master.resize(44, 111)?;
            master.shows(r#"{"columns":111,"rows":44}"#)
        }),
        row("a master end that is closed: the program hears SIGHUP", SOCKET, hang_up),
        row("`create` with a terminal and without a socket is refused", ALL, |ctx| {
            let c = Bundle::new(ctx)?.set("/process/terminal", json!(true)).container()?;
            c.try_create(&[])?.exits(1)?.says(&["console socket", "console-socket"]).map(drop)
        }),
        row("`create` with a socket and without a terminal is refused", ALL, |ctx| {
            let receiver = Receiver::new(&ctx.dir.join("console"))?;
            let c = Bundle::new(ctx)?.container()?;
            c.try_create(&["--console-socket", &receiver.path()])?
                .exits(1)?
                .says(&["will not detach or allocate tty"])
                .map(drop)
        }),
        row("a socket where nobody listens fails, and leaves no container", ALL, |ctx| {
            let c = Bundle::new(ctx)?.set("/process/terminal", json!(true)).container()?;
            let place = missing(ctx);
            c.try_create(&["--console-socket", &place])?
                .exits(1)?
                .says(&["no such file", &place])?;
            c.verb("state")?.exits(1).map(drop)
        }),
        tested("`exec --tty --console-socket`", PEOPLE, "terminal::exec_with_a_console_socket"),
        row(
            "`exec --process FILE --console-socket` of a process with a terminal",
            "containerd, podman",
            |ctx| {
                let c = idle(ctx)?;
                let receiver = Receiver::new(&ctx.dir.join("console"))?;
                let file = super::engine::process_file(
                    ctx,
                    &c,
                    &["/bin/payload", "tty", ",", "sleep", "60000"],
                    true,
                )?;
                let flags = ["--process", &file, "--console-socket", &receiver.path()];
                c.exec_detached(&flags, &[])?;
                let mut master = Master::new(receiver.receive()?.0)?;
                master.shows("controlling")?;
                let tty = parse_lines(master.seen())?.remove(0);
                check_eq!(tty["controlling"], json!(true), "controlling terminal");
                Ok(())
            },
        ),
        tested(
            "`run` joins the caller's terminal",
            PEOPLE,
            "terminal::foreground_run_joins_the_callers_terminal",
        ),
        tested(
            "which is raw meanwhile, and restored",
            PEOPLE,
            "terminal::foreground_terminal_is_raw_and_restored",
        ),
        tested("its size follows", PEOPLE, "terminal::window_size_follows_the_callers"),
        row(
            "`run` on a terminal that does not control its caller, and SIGWINCH",
            "buildkit",
            foreign_terminal,
        ),
        tested(
            "`exec --tty` in the foreground",
            PEOPLE,
            "terminal::exec_with_a_terminal_in_the_foreground",
        ),
    ];
    Group { title: "Terminals", rows }
}

fn with_terminal<'c>(ctx: &'c Context, commands: &[&str]) -> Outcome<(Container<'c>, Receiver)> {
    let receiver = Receiver::new(&ctx.dir.join("console"))?;
    let bundle = Bundle::new(ctx)?.set("/process/terminal", json!(true)).payload(commands);
    Ok((bundle.container()?, receiver))
}

fn hang_up(ctx: &Context) -> Outcome {
    let receiver = Receiver::new(&ctx.dir.join("console"))?;
    let bundle = Bundle::new(ctx)?.set("/process/terminal", json!(true));
    let c =
        bundle.args(&["sh", "-c", "trap 'exit 5' HUP; echo up; sleep 60 & wait"]).container()?;
    c.try_create(&["--console-socket", &receiver.path()])?.ok()?;
    let mut master = Master::new(receiver.receive()?.0)?;
    c.start()?;
    master.shows("up")?;
    drop(master);
    check_eq!(c.exit_code()?, 5, "exit code");
    Ok(())
}

/// As buildkit does it: the slave end as standard streams, no session of its own, and a signal to
/// the runtime when the size has changed.
fn foreign_terminal(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.set("/process/terminal", json!(true));
    let c = bundle.payload(&["tty", ",", "await-resize", ",", "exit", "7"]).container()?;
    let (mut master, slave) = Master::open(31, 97)?;
    let args = ["--root", &root(ctx), "run", "--bundle", &text(&c.dir), &c.id];
    let run = Run::new(&ctx.runtime, &args, &ctx.dir)?.terminal(&slave)?.start()?;
    drop(slave);
    master.shows("ready")?;
    master.resize(44, 111)?;
    let pid = nix::unistd::Pid::from_raw(run.pid());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGWINCH)?;
    master.shows(r#"{"columns":111,"rows":44}"#)?;
    run.done()?.exits(7).map(drop)
}
