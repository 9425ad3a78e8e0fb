//! Running one program of the suite with one runtime, and cleaning up behind both.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tap::Tap;
use super::verdict::Verdict;
use crate::leftovers;
use crate::outcome::{Outcome, Stop};
use crate::process::Run;

/// Names of cgroups that the programs choose; those of containers without one are their ids.
const CGROUPS: [&str; 3] = ["cgrouptest", "testdir", "runtime-test"];

/// The suite as it was built, and how its programs are run.
#[derive(Debug)]
pub struct Checkout {
    pub dir: PathBuf,
    /// What an own mount namespace looks like: `host`, `v1` or `v2`.
    pub layout: String,
    /// `private`, `slave` or `shared`.
    pub propagation: String,
    pub deadline: Duration,
}

/// How a program ended, and what it or the runtime left behind.
#[derive(Debug)]
pub struct Ran {
    pub verdict: Verdict,
    pub left: Vec<String>,
}

impl Checkout {
    /// The names of all programs, in order.
    pub fn programs(&self) -> Outcome<Vec<String>> {
        let validation = self.dir.join("validation");
        let entries = fs::read_dir(&validation)
            .map_err(|e| Stop::fail(format!("{}: {e}", validation.display())))?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .filter(|name| self.path(name).exists())
            .collect();
        names.sort();
        if names.is_empty() || !self.dir.join("runtimetest").exists() {
            let dir = self.dir.display();
            return Err(Stop::fail(format!(
                "{dir} is not built: `make runtimetest validation-executables`"
            )));
        }
        Ok(names)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join("validation").join(name).join(format!("{name}.t"))
    }

    /// Runs a program with files below `dir`, in a mount namespace of its own.
    pub fn run(&self, name: &str, runtime: &Path, dir: &Path) -> Outcome<Ran> {
        let (state, scratch) = (dir.join("state"), dir.join("tmp"));
        // Not this program's, whoever left them.
        leftovers::remove_cgroups(|name| CGROUPS.contains(&name));
        fs::create_dir_all(&state)?;
        fs::create_dir_all(&scratch)?;
        // The suite gives no --root; with one of its own, what is left can be found.
        let wrapper = dir.join("runtime");
        let script =
            format!("#!/bin/sh\nexec {} --root {} \"$@\"\n", runtime.display(), state.display());
        fs::write(&wrapper, script)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        let program = self.path(name);
        let args = ["inside", &self.layout, &self.propagation, &program.to_string_lossy()]
            .map(str::to_owned);
        let mut running = Run::new(&std::env::current_exe()?, &args, dir)?
            .cwd(&self.dir)
            .env("RUNTIME", &wrapper)
            .env("TMPDIR", &scratch)
            .deadline(self.deadline)
            .start()?;
        let ended = running.ended_in_time()?;
        let done = running.output()?;
        let code = ended.then_some(done.code);
        let verdict = Verdict::of(&Tap::parse(&done.stdout), code, &done.stderr);
        let left = clean(runtime, dir, &state);
        fs::remove_dir_all(dir)?;
        Ok(Ran { verdict, left })
    }
}

/// Removes containers, processes and cgroups that are left, and names them.
fn clean(runtime: &Path, dir: &Path, state: &Path) -> Vec<String> {
    let ids: Vec<String> = fs::read_dir(state)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    let mut left: Vec<String> = ids.iter().map(|id| format!("container {id}")).collect();
    for id in &ids {
        let root = state.to_string_lossy();
        let args = ["--root", &root, "delete", "--force", id];
        // One that cannot be deleted shows as a process or a cgroup.
        let _ = Run::new(runtime, &args, dir).and_then(Run::done);
    }
    left.extend(leftovers::end_processes());
    left.extend(leftovers::remove_cgroups(|name| {
        CGROUPS.contains(&name) || ids.iter().any(|id| id == name)
    }));
    left
}
