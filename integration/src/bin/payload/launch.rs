//! Helpers for the outside: hooks, and programs that need a terminal, descriptors or namespaces.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use serde_json::{Value, json};

use crate::{arg, number, sys};

/// `hook FILE NAME [EXIT-CODE [SLEEP-MS]]`: appends one line about how it was called to FILE.
pub(crate) fn hook(args: &[String]) -> Result<u8, String> {
    let mut state = String::new();
    std::io::stdin().read_to_string(&mut state).map_err(|e| e.to_string())?;
    let mut seen = crate::facts::all();
    seen["hook"] = json!(arg(args, 1)?);
    seen["state"] = serde_json::from_str(&state).unwrap_or(Value::String(state));
    let mut log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(arg(args, 0)?)
        .map_err(|e| format!("{}: {e}", args[0]))?;
    writeln!(log, "{seen}").map_err(|e| e.to_string())?;
    std::thread::sleep(std::time::Duration::from_millis(number(args, 3).unwrap_or(0)));
    u8::try_from(number(args, 2).unwrap_or(0)).map_err(|e| e.to_string())
}

/// `ctty PROG ARGS`: a new session whose controlling terminal is standard input.
pub(crate) fn with_controlling_terminal(args: &[String]) -> Result<u8, String> {
    sys::take_terminal().map_err(|e| e.to_string())?;
    exec(args)
}

/// `with-fds FILE … -- PROG ARGS`: the files are open from descriptor 3 on; `-` leaves a gap.
///
/// `LISTEN_PID` is set when `LISTEN_FDS` is, as the socket-activation protocol asks.
pub(crate) fn with_fds(args: &[String]) -> Result<u8, String> {
    let split = args.iter().position(|a| a == "--").ok_or("no --")?;
    let files: Vec<(i32, File)> = (3..)
        .zip(&args[..split])
        .filter(|(_, path)| *path != "-")
        .map(|(fd, path)| Ok((fd, File::open(path).map_err(|e| format!("{path}: {e}"))?)))
        .collect::<Result<_, String>>()?;
    for (fd, file) in files.iter().rev() {
        sys::place_fd(file.as_raw_fd(), *fd).map_err(|e| e.to_string())?;
    }
    exec(&args[split + 1..])
}

/// `as-user ID DIR CGROUP PROG ARGS`: becomes an ordinary user, from within a cgroup unless that
/// is empty. The files of DIR stand in for those of /etc, for this program alone.
pub(crate) fn as_user(args: &[String]) -> Result<u8, String> {
    const NONE: Option<&str> = None;
    let id = u32::try_from(number(args, 0)?).map_err(|e| e.to_string())?;
    let failed = |e: nix::Error| e.to_string();
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).map_err(failed)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).map_err(failed)?;
    for entry in std::fs::read_dir(arg(args, 1)?).map_err(|e| e.to_string())?.flatten() {
        let target = std::path::Path::new("/etc").join(entry.file_name());
        mount(Some(&entry.path()), &target, NONE, MsFlags::MS_BIND, NONE)
            .map_err(|e| format!("{}: {e}", target.display()))?;
    }
    match arg(args, 2)? {
        "" => {}
        cgroup => std::fs::write(format!("{cgroup}/cgroup.procs"), "0")
            .map_err(|e| format!("{cgroup}: {e}"))?,
    }
    nix::unistd::setgroups(&[]).map_err(failed)?;
    nix::unistd::setgid(id.into()).map_err(failed)?;
    nix::unistd::setuid(id.into()).map_err(failed)?;
    exec(&args[3..])
}

/// `with-binds FROM TO … -- PROG ARGS`: each FROM is seen at TO, by this program alone.
pub(crate) fn with_binds(args: &[String]) -> Result<u8, String> {
    const NONE: Option<&str> = None;
    let split = args.iter().position(|a| a == "--").ok_or("no --")?;
    let failed = |e: nix::Error| e.to_string();
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).map_err(failed)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).map_err(failed)?;
    for pair in args[..split].chunks(2) {
        let target = arg(pair, 1)?;
        mount(Some(pair[0].as_str()), target, NONE, MsFlags::MS_BIND, NONE)
            .map_err(|e| format!("{target}: {e}"))?;
    }
    exec(&args[split + 1..])
}

fn exec(args: &[String]) -> Result<u8, String> {
    let program = arg(args, 0)?;
    let mut command = Command::new(program);
    command.args(&args[1..]);
    if std::env::var_os("LISTEN_FDS").is_some() {
        command.env("LISTEN_PID", std::process::id().to_string());
    }
    Err(format!("{program}: {}", command.exec()))
}

/// `hold-namespaces TYPE …`: makes new namespaces and keeps them until it is killed.
pub(crate) fn hold_namespaces(types: &[String]) -> Result<(), String> {
    let mut flags = CloneFlags::empty();
    for name in types {
        flags |= match name.as_str() {
            "cgroup" => CloneFlags::CLONE_NEWCGROUP,
            "ipc" => CloneFlags::CLONE_NEWIPC,
            "mount" => CloneFlags::CLONE_NEWNS,
            "network" => CloneFlags::CLONE_NEWNET,
            "pid" => CloneFlags::CLONE_NEWPID,
            "time" => CloneFlags::from_bits_retain(libc::CLONE_NEWTIME),
            "user" => CloneFlags::CLONE_NEWUSER,
            "uts" => CloneFlags::CLONE_NEWUTS,
            other => return Err(format!("{other}: unknown namespace")),
        };
    }
    nix::sched::unshare(flags).map_err(|e| format!("unshare: {e}"))?;
    // The first child is what a pid namespace begins with; it ends when its parent does.
    let child = sys::fork(|| {
        let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
        nix::unistd::pause();
        0
    });
    println!("{}", child.map_err(|e| e.to_string())?);
    nix::unistd::pause();
    Ok(())
}

/// `peak-memory PROG ARGS`: runs a program and reports how it ended and the most memory that it or
/// a descendant had resident, in kB.
pub(crate) fn peak_memory(args: &[String]) -> Result<Value, String> {
    let status =
        Command::new(arg(args, 0)?).args(&args[1..]).status().map_err(|e| e.to_string())?;
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
        .map_err(|e| e.to_string())?;
    Ok(json!({"code": status.code(), "peak": usage.max_rss()}))
}
