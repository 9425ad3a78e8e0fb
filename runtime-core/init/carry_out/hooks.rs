//! Hooks that run inside: createContainer and startContainer.

use super::program;
use crate::host::{During, Fault, Host};
use crate::ops::Call;
use crate::path::Buffer;
use crate::sys::{self, Fd, List, flag};
use crate::wire;
use core::ffi::CStr;

pub struct Hook {
    pub path: &'static CStr,
    pub args: List,
    pub env: List,
    pub timeout_ms: u64,
    pub state_head: &'static CStr,
    pub state_tail: &'static CStr,
}

/// Files of the host that hooks write to instead.
#[derive(Default)]
pub struct Output {
    stdout: Option<i32>,
    stderr: Option<i32>,
}

impl Output {
    pub fn new(stdout: u64, stderr: u64) -> Self {
        Self { stdout: wire::descriptor(stdout), stderr: wire::descriptor(stderr) }
    }
}

/// What a hook reads and writes: files in memory, so that neither a hook that
/// does not read nor one that writes too much can make anybody wait.
struct Streams {
    state: Fd,
    stdout: Fd,
    stderr: Fd,
    /// The errno, when it could not be executed.
    failure: Fd,
}

pub fn run(hook: &Hook, directory: Option<i32>, output: &Output, host: &Host) -> Result<(), Fault> {
    let streams = Streams::new(hook)?;
    let Some((pid, pidfd)) = sys::fork_with_pidfd().during(Call::Clone)? else {
        become_hook(hook, directory, &streams, output)
    };
    let timeout = if hook.timeout_ms == 0 { -1 } else { i32::try_from(hook.timeout_ms).unwrap_or(i32::MAX) };
    let [ended, alone] = match sys::poll_either([pidfd.raw(), host.socket()], timeout) {
        // A filter forbids it: where there is no limit to keep, waiting for the hook alone will do.
        Err(_) if timeout < 0 => [true, false],
        answer => answer.during(Call::Poll)?,
    };
    if !ended {
        let _ = sys::kill(pid, flag::SIGKILL);
    }
    let status = sys::wait(pid).during(Call::Wait)?;
    if alone && !ended {
        // The host side was killed: nobody will ever let this container go on.
        sys::exit(1);
    }
    let fault = match (ended, streams.exec_errno(), status) {
        (false, ..) => Fault::new(Call::HookTimeout, 0),
        (true, Some(errno), _) => Fault::new(Call::Execve, errno),
        (true, None, 0) => return Ok(()),
        (true, None, status) => Fault { call: Call::HookExit, errno: 0, value: status as u64 },
    };
    streams.report(host, fault)
}

impl Streams {
    fn new(hook: &Hook) -> Result<Self, Fault> {
        let file = || sys::memory_file(c"hook").during(Call::Open);
        let streams = Self { state: file()?, stdout: file()?, stderr: file()?, failure: file()? };
        let mut pid = Buffer::new();
        pid.push_number(u64::from(sys::getpid())).during(Call::Write)?;
        for part in [hook.state_head.to_bytes(), pid.as_bytes(), hook.state_tail.to_bytes()] {
            sys::write(streams.state.raw(), part).during(Call::Write)?;
        }
        sys::rewind(streams.state.raw()).during(Call::Write)?;
        Ok(streams)
    }

    fn exec_errno(&self) -> Option<i32> {
        let mut bytes = [0u8; 4];
        (sys::pread(self.failure.raw(), &mut bytes, 0) == Ok(4)).then(|| i32::from_le_bytes(bytes))
    }

    /// The failure goes to the host side with the start of both outputs, a NUL between.
    fn report(&self, host: &Host, fault: Fault) -> Result<(), Fault> {
        const MOST: usize = 2048;
        let mut words = [0u8; 2 * MOST + 1];
        let count = sys::pread(self.stdout.raw(), &mut words[..MOST], 0).unwrap_or(0);
        words[count] = 0;
        let more = sys::pread(self.stderr.raw(), &mut words[count + 1..], 0).unwrap_or(0);
        host.failed_saying(fault, &words[..count + 1 + more]);
        sys::exit(1)
    }
}

fn become_hook(hook: &Hook, directory: Option<i32>, streams: &Streams, output: &Output) -> ! {
    let errno = match prepare(directory, streams, output) {
        Ok(()) => sys::execve(hook.path, &hook.args, &hook.env),
        Err(fault) => fault.errno,
    };
    let _ = sys::write(streams.failure.raw(), &errno.to_le_bytes());
    sys::exit(127)
}

fn prepare(directory: Option<i32>, streams: &Streams, output: &Output) -> Result<(), Fault> {
    if let Some(directory) = directory {
        sys::fchdir(directory).during(Call::Chdir)?;
    }
    let stdout = output.stdout.unwrap_or(streams.stdout.raw());
    let stderr = output.stderr.unwrap_or(streams.stderr.raw());
    for (stream, file) in [(0, streams.state.raw()), (1, stdout), (2, stderr)] {
        sys::dup_to(file, stream).during(Call::Dup)?;
    }
    sys::umask(0o022);
    program::close_range(3, u32::MAX, true)
}

