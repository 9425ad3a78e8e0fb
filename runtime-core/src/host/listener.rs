//! The seccomp listener: fetched from init, sent to the agent that answers for
//! the filter (config-linux.md, "The Container Process State").

use super::hooks;
use super::record::Record;
use super::sockets;
use super::spawn::Init;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys;
use serde::Serialize;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long init may take to load the filter that it has announced.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the agent is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'static str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: serde_json::Value,
}

/// Fetches descriptor `number` of init once it is there, and sends it to `socket`.
pub(crate) fn pass(
    init: &Init,
    number: i32,
    socket: &Path,
    metadata: &str,
    record: &Record,
) -> Result<()> {
    let listener = fetch(init, number)?;
    let state = hooks::state_of(record, "creating", init.pid);
    let message = ProcessState {
        oci_version: &record.oci_version,
        fds: ["seccompFd"],
        pid: init.pid,
        metadata,
        state: serde_json::from_slice(state.as_bytes()).unwrap_or_default(),
    };
    let text = serde_json::to_string(&message).map_err(|error| {
        Error::new(ErrorKind::System, format!("container process state: {error}"))
    })?;
    sockets::send_descriptor(socket, text.as_bytes(), listener.as_fd())
        .context(|| "failed to connect with seccomp agent".to_owned())
}

/// Init cannot say when the filter is loaded: the filter may keep it from speaking.
fn fetch(init: &Init, number: i32) -> Result<OwnedFd> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match sys::fd::of_process(init.pidfd.as_fd(), number) {
            Ok(listener) => return Ok(listener),
            Err(error)
                if error.raw_os_error() == Some(libc::EBADF) && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(error) => {
                let error =
                    Error::io("pidfd_getfd", &error).context("fetching the seccomp listener");
                return Err(match error.errno() {
                    Some(libc::ENOSYS) => error.hint("SCMP_ACT_NOTIFY needs Linux 5.6"),
                    _ => error,
                });
            }
        }
    }
}
