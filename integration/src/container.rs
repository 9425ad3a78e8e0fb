//! A container of the runtime under test, which is gone when the value is.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::Value;

use crate::bundle::{Bundle, parse_lines};
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::process::{Done, Run, wait_for};

/// A container of the runtime under test.
#[derive(Debug)]
pub struct Container<'c> {
    ctx: &'c Context,
    /// The bundle's directory.
    pub dir: PathBuf,
    /// The container's id.
    pub id: String,
    rootfs: PathBuf,
    /// The configuration as it was written.
    pub config: Value,
    pid: Cell<Option<i32>>,
    exit: Cell<Option<i32>>,
    detached: RefCell<Vec<Pid>>,
    output: RefCell<Option<PathBuf>>,
}

impl<'c> Container<'c> {
    pub(crate) fn new(ctx: &'c Context, bundle: Bundle<'c>) -> Self {
        let Bundle { dir, id, config, .. } = bundle;
        Self {
            ctx,
            rootfs: dir.join("rootfs"),
            dir,
            id,
            config,
            pid: Cell::new(None),
            exit: Cell::new(None),
            detached: RefCell::default(),
            output: RefCell::new(None),
        }
    }

    /// Another container of the same root file system, with a cgroup of its own.
    pub fn as_another(&self, ctx: &'c Context) -> Outcome<Self> {
        let mut bundle = Bundle::from_config(ctx, self.config.clone())?;
        bundle.config["root"]["path"] = self.rootfs().to_string_lossy().into();
        let mut other = bundle.container()?;
        other.rootfs = self.rootfs();
        Ok(other)
    }

    /// The root file system's directory.
    pub fn rootfs(&self) -> PathBuf {
        self.rootfs.clone()
    }

    /// Where the pid of init is written.
    pub fn pid_file(&self) -> PathBuf {
        self.dir.join("pid")
    }

    /// `create` or `run` with bundle and pid file, ready to be changed and started.
    pub fn command(&self, verb: &str, flags: &[&str]) -> Outcome<Run> {
        let (bundle, pid_file) = (self.dir.to_string_lossy(), self.pid_file());
        let pid_file = pid_file.to_string_lossy();
        let mut args = vec![verb, "--bundle", &bundle, "--pid-file", &pid_file];
        args.extend(flags);
        args.push(&self.id);
        self.ctx.cmd(&args)
    }

    /// `create`, with its answer.
    pub fn try_create(&self, flags: &[&str]) -> Outcome<Done> {
        self.finish_create(self.command("create", flags)?)
    }

    /// Runs a `create` or detached `run` that was changed and remembers what it started.
    pub fn finish_create(&self, run: Run) -> Outcome<Done> {
        let running = run.start()?;
        *self.output.borrow_mut() = Some(running.stdout().to_owned());
        let done = running.done()?;
        self.pid.set(self.read_pid());
        Ok(done)
    }

    /// Runs a `restore` and remembers what it brought back in the place of what has ended.
    pub fn finish_restore(&self, run: Run) -> Outcome<Done> {
        if let Some(pid) = self.pid.get() {
            // The process that was saved.
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
        self.exit.set(None);
        self.finish_create(run)
    }

    /// `create`, which must succeed.
    pub fn create(&self) -> Outcome {
        self.try_create(&[])?.ok().map(drop)
    }

    /// `start`, which must succeed.
    pub fn start(&self) -> Outcome {
        self.ctx.ok(&["start", &self.id]).map(drop)
    }

    /// `create` and `start`.
    pub fn up(&self) -> Outcome {
        self.create()?;
        self.start()
    }

    /// `run` in the foreground, with its answer.
    pub fn run(&self, flags: &[&str]) -> Outcome<Done> {
        self.command("run", flags)?.done()
    }

    /// `create`, `start`, and what the payload reports until it ends.
    pub fn up_and_report(&self) -> Outcome<Vec<Value>> {
        self.up()?;
        self.exit_code()?;
        parse_lines(&self.printed())
    }

    /// A command on this container with its id as the only argument.
    pub fn verb(&self, verb: &str) -> Outcome<Done> {
        self.ctx.done(&[verb, &self.id])
    }

    /// `kill` with a signal.
    pub fn kill(&self, signal: &str) -> Outcome<Done> {
        self.ctx.done(&["kill", &self.id, signal])
    }

    /// `exec` with flags before the id and a command after it.
    pub fn exec(&self, flags: &[&str], command: &[&str]) -> Outcome<Done> {
        self.exec_command(flags, command)?.done()
    }

    /// `exec`, ready to be changed and started.
    pub fn exec_command(&self, flags: &[&str], command: &[&str]) -> Outcome<Run> {
        let mut args = vec!["exec"];
        args.extend(flags);
        args.push(&self.id);
        args.extend(command);
        self.ctx.cmd(&args)
    }

    /// Executes a detached process, which must succeed, and gives its pid on the host.
    pub fn exec_detached(&self, flags: &[&str], command: &[&str]) -> Outcome<i32> {
        let file = self.dir.join(format!("exec{}.pid", self.ctx.number()));
        let file_text = file.to_string_lossy();
        let all = [flags, &["--detach", "--pid-file", &file_text]].concat();
        self.exec(&all, command)?.ok()?;
        let pid = read_pid(&file).ok_or_else(|| Stop::fail("no pid file was written"))?;
        self.detached.borrow_mut().push(Pid::from_raw(pid));
        Ok(pid)
    }

    /// Reaps executed processes that have ended, as an engine's shim does; whether none is left.
    pub fn reap_detached(&self) -> bool {
        let alive = |pid: &Pid| {
            matches!(waitpid(*pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive))
        };
        self.detached.borrow_mut().retain(alive);
        self.detached.borrow().is_empty()
    }

    /// Executes the payload and gives the JSON line of its last command.
    pub fn exec_report(&self, flags: &[&str], commands: &[&str]) -> Outcome<Value> {
        let mut command = vec!["/bin/payload"];
        command.extend(commands);
        let done = self.exec(flags, &command)?.ok()?;
        parse_lines(&done.stdout)?.pop().ok_or_else(|| Stop::fail("the payload said nothing"))
    }

    /// The document that `state` prints.
    pub fn state(&self) -> Outcome<Value> {
        Ok(serde_json::from_str(&self.ctx.ok(&["state", &self.id])?.stdout)?)
    }

    /// The status that `state` prints.
    pub fn status(&self) -> Outcome<String> {
        Ok(self.state()?["status"].as_str().unwrap_or_default().to_owned())
    }

    /// `state` must give this status.
    pub fn has_status(&self, status: &str) -> Outcome {
        crate::check_eq!(self.status()?, status, "status");
        Ok(())
    }

    /// The host's pid of init.
    pub fn pid(&self) -> Outcome<i32> {
        self.pid.get().ok_or_else(|| Stop::fail("no pid file was written"))
    }

    /// What the container has printed since `create`.
    pub fn printed(&self) -> String {
        let path = self.output.borrow();
        let bytes = path.as_ref().and_then(|p| fs::read(p).ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the container has printed a text.
    pub fn prints(&self, text: &str) -> Outcome {
        wait_for(&format!("output {text:?}"), || Ok(self.printed().contains(text).then_some(())))
    }

    /// Waits for init, which is this process's child since the runtime left, and gives its exit
    /// code or 128 + signal.
    pub fn exit_code(&self) -> Outcome<i32> {
        wait_for("the end of init", || self.ended().map(|_| self.exit.get()))
    }

    /// Whether init has ended; the first time, it is reaped.
    pub fn ended(&self) -> Outcome<bool> {
        if self.exit.get().is_none() {
            self.exit.set(match waitpid(Pid::from_raw(self.pid()?), Some(WaitPidFlag::WNOHANG))? {
                WaitStatus::Exited(_, code) => Some(code),
                WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
                _ => None,
            });
        }
        Ok(self.exit.get().is_some())
    }

    /// Kills init from outside and waits for it.
    pub fn kill_init(&self) -> Outcome {
        kill(Pid::from_raw(self.pid()?), Signal::SIGKILL)?;
        self.exit_code().map(drop)
    }

    fn read_pid(&self) -> Option<i32> {
        read_pid(&self.pid_file())
    }
}

/// The number in a pid file.
pub fn read_pid(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.parse().ok()
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // A pid namespace cannot end while a process in it waits for its parent outside.
        for pid in self.detached.borrow().iter() {
            let _ = kill(*pid, Signal::SIGKILL);
            let _ = waitpid(*pid, None);
        }
        // The test may have deleted it, and the runner looks for what stays behind.
        let _ = self.ctx.done(&["delete", "--force", &self.id]);
        if let Some(pid) = self.pid.get().or_else(|| self.read_pid()) {
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
    }
}
