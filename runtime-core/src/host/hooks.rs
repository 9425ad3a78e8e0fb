//! Hooks of the runtime namespace: prestart, createRuntime, poststart, poststop.

use super::record::Record;
use crate::error::{Error, Result};
use crate::plan::HostHook;
use crate::state;
use crate::sys::pidfd;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a hook reads of the container; without a pid when it is 0.
pub(crate) fn state_of(record: &Record, status: &str, pid: i32) -> String {
    let Record { oci_version, id, bundle, annotations, .. } = record;
    state::with_pid(oci_version, id, status, pid, bundle, annotations)
}

/// Runs one hook with `state` on its standard input. Input and output are files
/// in memory: a hook that does not read, or leaves a daemon with its output open,
/// makes nobody wait.
pub(crate) fn run(hook: &HostHook, state: &str, directory: &Path) -> Result<()> {
    let mut input = memory_file()?;
    let (output, errors) = (memory_file()?, memory_file()?);
    let io = |error: std::io::Error| Error::io("memfd", &error);
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
    command.stdout(Stdio::from(output.try_clone().map_err(io)?));
    command.stderr(Stdio::from(errors.try_clone().map_err(io)?));
    match wait(command, hook.timeout_ms)? {
        Outcome::Ended(status) if status.success() => Ok(()),
        Outcome::Ended(status) => {
            Err(hook.failed(&status_text(status), &text(output), &text(errors)))
        }
        Outcome::TimedOut(after) => {
            let why = format!("hook ran past specified timeout of {:.1}s", after.as_secs_f64());
            Err(hook.failed(&why, &text(output), &text(errors)))
        }
        Outcome::NotStarted(error) => {
            let why = format!(
                "{}: {}",
                hook.path,
                crate::error::errno_text(error.raw_os_error().unwrap_or(0))
            );
            Err(hook.failed(&why, "", ""))
        }
    }
}

enum Outcome {
    Ended(ExitStatus),
    TimedOut(Duration),
    NotStarted(std::io::Error),
}

fn wait(mut command: Command, timeout_ms: Option<u64>) -> Result<Outcome> {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Outcome::NotStarted(error)),
    };
    if let Some(timeout) = timeout_ms.map(Duration::from_millis) {
        let ended = pidfd::open(child.id().cast_signed())
            .and_then(|pidfd| pidfd::wait_ended(pidfd.as_fd(), Instant::now() + timeout));
        if ended != Ok(true) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(Outcome::TimedOut(timeout));
        }
    }
    child.wait().map(Outcome::Ended).map_err(|error| Error::io("waitid", &error))
}

fn memory_file() -> Result<File> {
    memfd_create(c"hook", MFdFlags::MFD_CLOEXEC)
        .map(File::from)
        .map_err(|errno| Error::os("memfd_create", errno as i32))
}

/// The start of what a hook wrote.
fn text(mut file: File) -> String {
    const MOST: u64 = 4096;
    let mut bytes = Vec::new();
    let _ = file.rewind().and_then(|()| file.take(MOST).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

fn status_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(script: &str, timeout_ms: Option<u64>) -> HostHook {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        HostHook {
            kind: "prestart",
            index: 1,
            path: "/bin/sh".to_owned(),
            args,
            env: None,
            timeout_ms,
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
        let error = run(&hook("sleep 30", Some(100)), "{}", Path::new("/")).unwrap_err();
        assert!(error.to_string().contains("hook ran past specified timeout of 0.1s"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
