//! Sockets: activation, readiness, pidfds.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::idle;
use super::row::{Group, row, tested};
use crate::bundle::Bundle;
use crate::console::Receiver;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::{check, check_eq};

const UNITS: &str = "units of systemd, podman";

pub(super) fn group() -> Group {
    let rows = vec![
        tested(
            "LISTEN_FDS: the descriptors, and LISTEN_FDS and LISTEN_PID=1 inside",
            UNITS,
            "sockets::activation_descriptors_are_passed_with_their_variables",
        ),
        tested(
            "those of LISTEN_FDS stand before those of `--preserve-fds`",
            UNITS,
            "sockets::activation_and_preserved_descriptors_stand_in_that_order",
        ),
        tested(
            "NOTIFY_SOCKET: READY, MAINPID and BARRIER are relayed",
            UNITS,
            "sockets::readiness_is_relayed_to_the_service_manager",
        ),
        row("NOTIFY_SOCKET: READY and MAINPID are relayed", UNITS, readiness),
        row("NOTIFY_SOCKET of `create` is not the host's inside", UNITS, |ctx| {
            let path = ctx.dir.join("manager");
            let _manager = UnixDatagram::bind(&path)?;
            let c = Bundle::new(ctx)?.payload(&["facts"]).container()?;
            c.finish_create(c.command("create", &[])?.env("NOTIFY_SOCKET", &path))?.ok()?;
            c.start()?;
            c.exit_code()?;
            let printed = c.printed();
            check!(printed.contains("NOTIFY_SOCKET=/run/notify/notify.sock"), "it has {printed}");
            Ok(())
        }),
        tested("`create --pidfd-socket`: a pidfd of init", "go-runc", "sockets::pidfd_is_sent"),
        row("`exec --pidfd-socket`: a pidfd of the process", "go-runc", |ctx| {
            let c = idle(ctx)?;
            let receiver = Receiver::new(&ctx.dir.join("pidfd"))?;
            let flags = ["--pidfd-socket", &receiver.path()];
            let pid = c.exec_detached(&flags, &["/bin/payload", "sleep", "60000"])?;
            let (fd, _) = receiver.receive()?;
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
            check!(info.contains(&format!("Pid:\t{pid}\n")), "descriptor: {info}");
            Ok(())
        }),
        tested(
            "the annotation run.oci.pidfd_receiver",
            "podman (crun)",
            "sockets::annotation_names_a_receiver_of_the_pidfd",
        ),
    ];
    Group { title: "Sockets", rows }
}

/// What runc 1.1 relays, without the barrier.
fn readiness(ctx: &Context) -> Outcome {
    let path = ctx.dir.join("manager");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_read_timeout(Some(Duration::from_secs(5)))?;
    let c =
        Bundle::new(ctx)?.payload(&["notify", "READY=1\n", ",", "sleep", "60000"]).container()?;
    c.finish_create(c.command("create", &[])?.env("NOTIFY_SOCKET", &path))?.ok()?;
    let start = ctx.cmd(&["start", &c.id])?.env("NOTIFY_SOCKET", &path).start()?;
    let mut heard = String::new();
    while !heard.contains("MAINPID=") {
        let mut bytes = [0_u8; 4096];
        let count = manager.recv(&mut bytes)?;
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        heard.push('\n');
    }
    drop(manager);
    start.done()?;
    check!(heard.contains("READY=1"), "the manager heard {heard:?}");
    let told = heard.lines().find_map(|line| line.strip_prefix("MAINPID="));
    check_eq!(told, Some(c.pid()?.to_string().as_str()), "pid");
    Ok(())
}
