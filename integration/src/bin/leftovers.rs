//! `leftovers PROGRAM [ARG …]`: runs a program, and fails when something stays after it: a process,
//! a mount, a cgroup, a file in the temporary directory, which is a new one, or a container's state.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, io};

use integration::outcome::{Outcome, Stop};
use integration::{host, leftovers};
use nix::sys::wait::{WaitStatus, waitpid};

/// Where tare keeps the state of containers when no other place is told.
const STATE: &str = "/run/tare";

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(Stop::Fail(message) | Stop::Skip(message)) => {
            eprintln!("leftovers: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The exit code is the program's, unless it has left something.
fn run() -> Outcome<u8> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().ok_or_else(|| Stop::fail("no program is given"))?;
    let files = std::env::temp_dir().join(format!("tare-test-{}", std::process::id()));
    fs::create_dir_all(&files)?;
    let before = Before { cgroups: leftovers::cgroups_of_tests(), states: names(Path::new(STATE)) };
    host::adopt_orphans()?;
    let child = Command::new(program).args(args).env("TMPDIR", &files).spawn()?;
    let code = wait(i32::try_from(child.id())?)?;
    let left = look(&files, &before);
    remove(&files);
    if !left.is_empty() {
        return Err(Stop::fail(format!("left behind: {}", left.join(", "))));
    }
    Ok(code)
}

/// The exit code of the program. What it has orphaned is waited for as well: as a zombie it would
/// seem to be there still.
fn wait(program: i32) -> Outcome<u8> {
    loop {
        let code = match waitpid(None, None)? {
            WaitStatus::Exited(pid, code) if pid.as_raw() == program => code,
            WaitStatus::Signaled(pid, signal, _) if pid.as_raw() == program => 128 + signal as i32,
            _ => continue,
        };
        return Ok(u8::try_from(code).unwrap_or(1));
    }
}

/// What others may have on this machine.
struct Before {
    cgroups: BTreeSet<PathBuf>,
    states: BTreeSet<PathBuf>,
}

fn look(files: &Path, before: &Before) -> Vec<String> {
    let mut left = leftovers::end_processes();
    left.extend(leftovers::mounts(files));
    left.extend(shown("file", &names(files)));
    left.extend(shown("state", &(&names(Path::new(STATE)) - &before.states)));
    let cgroups = &leftovers::cgroups_of_tests() - &before.cgroups;
    cgroups.iter().for_each(|dir| integration::cgroups::remove_tree(dir));
    left.extend(shown("cgroup", &cgroups));
    left
}

fn shown(kind: &str, paths: &BTreeSet<PathBuf>) -> Vec<String> {
    paths.iter().map(|path| format!("{kind} {}", path.display())).collect()
}

fn names(dir: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn remove(files: &Path) {
    for mount in leftovers::mounts(files).iter().rev().filter_map(|m| m.strip_prefix("mount ")) {
        let _ = nix::mount::umount2(mount, nix::mount::MntFlags::MNT_DETACH);
    }
    if let Err(e) = fs::remove_dir_all(files)
        && e.kind() != io::ErrorKind::NotFound
    {
        eprintln!("leftovers: {}: {e}", files.display());
    }
}
