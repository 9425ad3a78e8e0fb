//! Where `--log` leads: a file, the journal, syslog.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::outcome::{Outcome, Stop};
use crate::process::{Done, Run, wait_for};
use crate::{check, check_eq, family};

family!("logging":
    file_may_be_named_as_one,
    path_may_hold_a_colon,
    failure_goes_to_the_journal_with_identifier_and_container,
    failure_goes_to_the_journal_as_json,
    warning_and_debug_lines_have_their_priorities,
    failure_goes_to_syslog,
    daemon_that_does_not_listen_is_an_error_before_anything_is_done,
    daemon_that_does_not_read_holds_nothing_up_for_long,
    entry_is_found_in_the_real_journal,
);

/// A socket in the place of a daemon's, seen by the runtime alone.
struct Daemon {
    socket: UnixDatagram,
    dir: PathBuf,
    target: &'static str,
}

impl Daemon {
    fn journald(ctx: &Context) -> Outcome<Self> {
        Self::new(ctx, "systemd/journal/socket", "/run")
    }

    fn syslog(ctx: &Context) -> Outcome<Self> {
        Self::new(ctx, "log", "/dev")
    }

    fn new(ctx: &Context, name: &str, target: &'static str) -> Outcome<Self> {
        if ctx.kind == Kind::Runc {
            return Err(Stop::skip("runc logs to files only"));
        }
        let dir = ctx.dir.join(format!("daemon{}", ctx.number()));
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&dir))?;
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self { socket, dir, target })
    }

    fn command(&self, ctx: &Context, args: &[&str]) -> Outcome<Run> {
        let (dir, root) = (self.dir.to_string_lossy(), ctx.root());
        let (root, runtime) = (root.to_string_lossy(), ctx.runtime.to_string_lossy());
        let head = ["with-binds", &dir, self.target, "--", &runtime, "--root", &root];
        ctx.helper(&[&head[..], args].concat())
    }

    fn run(&self, ctx: &Context, args: &[&str]) -> Outcome<Done> {
        self.command(ctx, args)?.done()
    }

    /// The next message.
    fn next(&self) -> Outcome<String> {
        let mut message = vec![0; 1 << 16];
        let length = self.socket.recv(&mut message)?;
        Ok(String::from_utf8_lossy(&message[..length]).into_owned())
    }
}

/// Whether it is told that there is no container nobody, in the words of this runtime or that.
fn says_why(text: &str) -> bool {
    ["does not exist", "nobody/status"].iter().any(|words| text.contains(words))
}

fn field<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

fn file_may_be_named_as_one(ctx: &Context) -> Outcome {
    if ctx.kind == Kind::Runc {
        return Err(Stop::skip("runc takes the prefix for a part of the path"));
    }
    let log = ctx.dir.join("log");
    let place = format!("file:{}", log.display());
    ctx.done(&["--log", &place, "state", "nobody"])?.exits(1)?;
    let lines = fs::read_to_string(log)?;
    check!(says_why(&lines), "log: {lines:?}");
    Ok(())
}

fn path_may_hold_a_colon(ctx: &Context) -> Outcome {
    let log = ctx.dir.join("a:b");
    ctx.done(&["--log", &log.to_string_lossy(), "state", "nobody"])?.exits(1)?;
    check!(says_why(&fs::read_to_string(log)?), "the log has no line");
    Ok(())
}

fn failure_goes_to_the_journal_with_identifier_and_container(ctx: &Context) -> Outcome {
    let journald = Daemon::journald(ctx)?;
    let done = journald.run(ctx, &["--log", "journald:boxes", "state", "nobody"])?.exits(1)?;
    let entry = journald.next()?;
    check_eq!(field(&entry, "PRIORITY"), Some("3"), "priority in {entry}");
    check_eq!(field(&entry, "ID"), Some("nobody"), "container in {entry}");
    if ctx.kind == Kind::Tare {
        check_eq!(field(&entry, "SYSLOG_IDENTIFIER"), Some("boxes"), "identifier in {entry}");
        // What callers look for on stderr stays there.
        check_eq!(done.stderr, "container does not exist\n", "stderr");
        check_eq!(field(&entry, "MESSAGE"), Some("container does not exist"), "message");
    }
    journald.run(ctx, &["--log", "journald:", "state", "nobody"])?.exits(1)?;
    let entry = journald.next()?;
    let name = ctx.runtime.file_name().unwrap_or_default().to_string_lossy();
    check_eq!(field(&entry, "SYSLOG_IDENTIFIER"), Some(&*name), "identifier in {entry}");
    Ok(())
}

fn failure_goes_to_the_journal_as_json(ctx: &Context) -> Outcome {
    let journald = Daemon::journald(ctx)?;
    let flags = ["--log", "journald:", "--log-format", "json", "state", "nobody"];
    journald.run(ctx, &flags)?.exits(1)?;
    let entry = journald.next()?;
    let message: Value = serde_json::from_str(field(&entry, "MESSAGE").unwrap_or_default())?;
    check_eq!(message["level"], "error", "level in {entry}");
    check!(message["msg"].as_str().is_some_and(says_why), "{message}");
    Ok(())
}

fn warning_and_debug_lines_have_their_priorities(ctx: &Context) -> Outcome {
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("these are the lines of tare"));
    }
    let journald = Daemon::journald(ctx)?;
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let log = ["--log", "journald:"];
    let flags = ["update", "--kernel-memory", "1g", &c.id];
    let done = journald.run(ctx, &[&log[..], &flags].concat())?.ok()?;
    check_eq!(done.stderr, "", "a warning goes to the journal alone");
    let entry = journald.next()?;
    check_eq!(field(&entry, "PRIORITY"), Some("4"), "priority of {entry}");
    check_eq!(field(&entry, "ID"), Some(&*c.id), "container of {entry}");
    journald.run(ctx, &["--log", "journald:", "--debug", "state", &c.id])?.ok()?;
    let entry = journald.next()?;
    check_eq!(field(&entry, "PRIORITY"), Some("7"), "priority of {entry}");
    Ok(())
}

fn failure_goes_to_syslog(ctx: &Context) -> Outcome {
    let syslog = Daemon::syslog(ctx)?;
    for (place, identifier) in [("syslog:boxes", "boxes"), ("syslog:", "nobody")] {
        syslog.run(ctx, &["--log", place, "state", "nobody"])?.exits(1)?;
        let message = syslog.next()?;
        check!(message.starts_with("<11>"), "facility and severity of {message}");
        check!(message.contains(identifier), "identifier of {message}");
        check!(says_why(&message), "text of {message}");
        if ctx.kind == Kind::Tare {
            check!(message.starts_with(&format!("<11>{identifier}[")), "{message}");
            check!(message.ends_with("]: container does not exist"), "{message}");
        }
    }
    Ok(())
}

fn daemon_that_does_not_listen_is_an_error_before_anything_is_done(ctx: &Context) -> Outcome {
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("crun goes on without a log"));
    }
    let c = Bundle::new(ctx)?.container()?;
    for (daemon, place, socket) in [
        (Daemon::journald(ctx)?, "journald:x", "systemd/journal/socket"),
        (Daemon::syslog(ctx)?, "syslog:x", "log"),
    ] {
        let path = Path::new(daemon.target).join(socket);
        let bundle = c.dir.to_string_lossy();
        let args = ["--log", place, "create", "--bundle", &bundle, &c.id];
        let refused = |word: &str| -> Outcome {
            let done = daemon.run(ctx, &args)?.exits(1)?.says(&[word])?;
            let done = done.says(&[&path.to_string_lossy()])?;
            done.in_one_line()?.says(&["listens there"]).map(drop)
        };
        // The socket of a daemon that has ended, then none.
        let file = daemon.dir.join(socket);
        fs::remove_file(&file)?;
        drop(UnixDatagram::bind(&file)?);
        refused("connection refused")?;
        fs::remove_file(&file)?;
        refused("no such file or directory")?;
    }
    check!(!ctx.root().join(&c.id).exists(), "a container was made");
    Ok(())
}

fn daemon_that_does_not_read_holds_nothing_up_for_long(ctx: &Context) -> Outcome {
    let journald = Daemon::journald(ctx)?;
    // As many messages as the kernel keeps for a socket, and one more.
    let filler = UnixDatagram::unbound()?;
    filler.set_nonblocking(true)?;
    while filler.send_to(b"MESSAGE=x\n", journald.dir.join("systemd/journal/socket")).is_ok() {}
    let run = journald.command(ctx, &["--log", "journald:", "state", "nobody"])?;
    if ctx.kind == Kind::Crun {
        return Err(Stop::skip("crun waits for the daemon"));
    }
    run.deadline(Duration::from_secs(5)).done()?.exits(1)?.says(&["does not exist"]).map(drop)
}

fn entry_is_found_in_the_real_journal(ctx: &Context) -> Outcome {
    if !Path::new("/run/systemd/journal/socket").exists() {
        return Err(Stop::skip("no journald here"));
    }
    if ctx.kind == Kind::Runc {
        return Err(Stop::skip("runc logs to files only"));
    }
    let id = format!("nobody{}", std::process::id());
    ctx.done(&["--log", "journald:boxes", "state", &id])?.exits(1)?;
    let wanted = format!("ID={id}");
    let entry = wait_for("the entry", || {
        let output =
            Command::new("journalctl").args(["-o", "json", "-n", "1", &wanted]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(serde_json::from_str::<Value>(text.trim()).ok())
    })?;
    check_eq!(entry["PRIORITY"], "3", "priority of {entry}");
    check!(entry["MESSAGE"].as_str().is_some_and(says_why), "{entry}");
    if ctx.kind == Kind::Tare {
        check_eq!(entry["SYSLOG_IDENTIFIER"], "boxes", "identifier of {entry}");
    }
    Ok(())
}
