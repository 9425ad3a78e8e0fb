//! Hooks of the runtime namespace: prestart, createRuntime, poststart, poststop.

use super::record::Record;
use crate::error::{Error, Result, signal_text};
use crate::plan::HostHook;
use crate::plan::hooks::OutputFile;
use crate::state;
use crate::sys::pidfd;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a hook reads of the container; without a pid when it is 0.
pub(crate) fn state_of(record: &Record, status: &str, pid: i32) -> String {
    let Record { oci_version, id, bundle, annotations, .. } = record;
    state::with_pid(oci_version, id, status, pid, bundle, annotations)
}

/// Runs one hook with `state` on its standard input. Input and output are files,
/// in memory unless others are named: a hook that does not read, or leaves a
/// daemon with its output open, makes nobody wait.
pub(crate) fn run(hook: &HostHook, state: &str, directory: &Path) -> Result<()> {
    let mut input = memory_file()?;
    let (output, errors) = (Sink::open(&hook.output.stdout)?, Sink::open(&hook.output.stderr)?);
    input.write_all(state.as_bytes()).map_err(io)?;
    input.rewind().map_err(io)?;
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    if let Some(env) = &hook.env {
        command.env_clear();
        command.envs(env.iter().map(|pair| pair.split_once('=').unwrap_or((pair, ""))));
    }
    // The bundle may be gone by the time of the poststop hooks.
    if directory.is_dir() {
        command.current_dir(directory);
    }
    command.stdin(Stdio::from(input));
    command.stdout(output.stdio()?).stderr(errors.stdio()?);
    let why = match wait(command, hook.timeout_ms)? {
        Outcome::Ended(status) if status.success() => return Ok(()),
        Outcome::Ended(status) => status_text(status),
        Outcome::TimedOut(milliseconds) => HostHook::past_timeout(milliseconds),
        Outcome::NotStarted(error) => {
            let reason = crate::error::errno_text(error.raw_os_error().unwrap_or(0));
            format!("{}: {reason}", hook.path)
        }
    };
    Err(hook.failed(&why, &output.text(), &errors.text()))
}

/// What a hook writes to.
enum Sink {
    /// Kept for the error of a hook that fails.
    Memory(File),
    /// The user's to read.
    Named(File),
}

impl Sink {
    fn open(named: &Option<OutputFile>) -> Result<Self> {
        match named {
            Some(file) => open_output(file).map(Self::Named),
            None => memory_file().map(Self::Memory),
        }
    }

    fn stdio(&self) -> Result<Stdio> {
        let (Self::Memory(file) | Self::Named(file)) = self;
        file.try_clone().map(Stdio::from).map_err(io)
    }

    /// The start of what the hook wrote.
    fn text(self) -> String {
        const MOST: u64 = 4096;
        let Self::Memory(mut file) = self else { return String::new() };
        let mut bytes = Vec::new();
        let _ = file.rewind().and_then(|()| file.take(MOST).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }
}

/// A file that hooks append to. One that would have to be waited for, a fifo
/// without a reader, is refused.
pub(crate) fn open_output(output: &OutputFile) -> Result<File> {
    let fault = |error: std::io::Error| {
        Error::io("open", &error)
            .path(&output.path)
            .at(output.pointer.as_str())
            .context("opening the output of hooks")
    };
    let mut options = File::options();
    options.append(true).create(true).mode(0o700).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(&output.path).map_err(fault)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND)).map_err(|errno| fault(errno.into()))?;
    Ok(file)
}

/// How a program ended, or did not.
pub(super) enum Outcome {
    Ended(ExitStatus),
    /// After so many milliseconds.
    TimedOut(u64),
    NotStarted(std::io::Error),
}

/// Runs a program to its end, or to its deadline.
pub(super) fn wait(mut command: Command, timeout_ms: Option<u64>) -> Result<Outcome> {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Outcome::NotStarted(error)),
    };
    if let Some(timeout) = timeout_ms {
        let deadline = Instant::now() + Duration::from_millis(timeout);
        let ended = pidfd::open(child.id().cast_signed())
            .and_then(|pidfd| pidfd::wait_ended(pidfd.as_fd(), deadline));
        if ended != Ok(true) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(Outcome::TimedOut(timeout));
        }
    }
    child.wait().map(Outcome::Ended).map_err(|error| Error::io("waitid", &error))
}

fn io(error: std::io::Error) -> Error {
    Error::io("memfd", &error)
}

pub(super) fn memory_file() -> Result<File> {
    memfd_create(c"hook", MFdFlags::MFD_CLOEXEC)
        .map(File::from)
        .map_err(|errno| Error::os("memfd_create", errno as i32))
}

pub(super) fn status_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => signal_text(signal),
        (None, None) => "unknown status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::hooks::Output;

    fn hook(script: &str, timeout_ms: Option<u64>) -> HostHook {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        HostHook {
            kind: "prestart",
            index: 1,
            path: "/bin/sh".to_owned(),
            args,
            env: None,
            timeout_ms,
            output: Output::default(),
        }
    }

    #[test]
    fn the_state_is_on_standard_input() {
        run(&hook("grep -q creating", None), r#"{"status":"creating"}"#, Path::new("/")).unwrap();
    }

    #[test]
    fn a_failing_hook_is_named_with_what_it_wrote() {
        let error =
            run(&hook("echo out; echo err >&2; exit 3", None), "{}", Path::new("/")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "error running prestart hook #1: exit status 3, stdout: out, stderr: err (config.json /hooks/prestart/1)"
        );
    }

    #[test]
    fn a_hook_that_hangs_is_killed_at_its_timeout() {
        let start = Instant::now();
        let error = run(&hook("exec sleep 30", Some(100)), "{}", Path::new("/")).unwrap_err();
        assert!(error.to_string().contains("hook ran past specified timeout of 0.1s"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
