//! What a container's process does when a test asks it to.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise as send_self, sigprocmask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, alarm};
use serde_json::{Value, json};

use crate::sys;

/// Makes a system call in a child and reports errno, or the signal that ended the child.
///
/// The child's exit status carries the errno; a call that blocks is ended by SIGALRM.
pub(crate) fn syscall(numbers: &[u64]) -> Value {
    let nr = numbers.first().copied().unwrap_or(u64::MAX);
    let mut args = [0_u64; 6];
    for (slot, value) in args.iter_mut().zip(numbers.iter().skip(1)) {
        *slot = *value;
    }
    in_child(nr, || {
        sys::syscall(nr.cast_signed(), args).map_or_else(|e| e.raw_os_error().unwrap_or(255), |_| 0)
    })
}

/// The same by the 32-bit x86 entry, with up to two arguments.
pub(crate) fn syscall_x86(numbers: &[u64]) -> Value {
    let small = |index: usize| {
        numbers.get(index).copied().and_then(|n| u32::try_from(n & 0xffff_ffff).ok()).unwrap_or(0)
    };
    let nr = small(0);
    in_child(u64::from(nr), || -sys::syscall_x86(nr, small(1), small(2)).min(0))
}

/// Makes a system call in a child that handles SIGSYS, and reports which call the signal was for.
///
/// The child's exit status carries the number, so it must be below 255.
pub(crate) fn syscall_trapped(nr: u64) -> Value {
    let line = in_child(nr, || sys::trapped_syscall(nr.cast_signed()).unwrap_or(255));
    json!({"nr": nr, "trapped": line["errno"], "signal": line["signal"]})
}

/// Makes a system call in a thread of a child, and reports whether the child outlives the thread.
pub(crate) fn syscall_in_thread(nr: u64) -> Value {
    let line = in_child(nr, || {
        let threads = || fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        std::thread::spawn(move || sys::syscall(nr.cast_signed(), [0; 6]));
        while threads() > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        0
    });
    json!({"nr": nr, "outlived": line["errno"] == 0, "signal": line["signal"]})
}

fn in_child(nr: u64, call: impl FnOnce() -> i32) -> Value {
    let forked = sys::fork(|| {
        alarm::set(2);
        call()
    });
    match forked.map(|pid| waitpid(Pid::from_raw(pid), None)) {
        Ok(Ok(WaitStatus::Exited(_, errno))) => json!({"nr": nr, "errno": errno}),
        Ok(Ok(WaitStatus::Signaled(_, signal, _))) => json!({"nr": nr, "signal": signal as i32}),
        other => json!({"nr": nr, "failed": format!("{other:?}")}),
    }
}

/// Forks children that wait, until the kernel refuses or `most` are there; then ends them.
pub(crate) fn fork_until_refused(most: u64) -> Value {
    let mut pids = Vec::new();
    let mut refused = 0;
    while (pids.len() as u64) < most {
        match sys::fork(wait_forever) {
            Ok(pid) => pids.push(pid),
            Err(error) => {
                refused = error.raw_os_error().unwrap_or(-1);
                break;
            }
        }
    }
    for pid in &pids {
        // A child that is gone needs no signal.
        let _ = nix::sys::signal::kill(Pid::from_raw(*pid), Signal::SIGKILL);
        let _ = waitpid(Pid::from_raw(*pid), None);
    }
    json!({"forked": pids.len(), "errno": refused})
}

/// Leaves `count` children behind that wait for a signal.
pub(crate) fn children(count: u64) -> Result<(), String> {
    for _ in 0..count {
        sys::fork(wait_forever).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn wait_forever() -> i32 {
    nix::unistd::pause();
    0
}

/// Touches memory page by page; under a limit the kernel ends this process.
pub(crate) fn allocate(bytes: u64) -> Value {
    let done = usize::try_from(bytes)
        .map_err(|e| e.to_string())
        .and_then(|n| sys::touch_memory(n).map_err(|e| e.to_string()));
    json!({"allocated": bytes, "error": done.err()})
}

/// The processors that this process may use.
pub(crate) fn affinity() -> Value {
    match nix::sched::sched_getaffinity(Pid::from_raw(0)) {
        Ok(set) => {
            let all = 0..nix::sched::CpuSet::count();
            let mine: Vec<usize> = all.filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect();
            json!({"cpus": mine})
        }
        Err(error) => json!({"failed": error.to_string()}),
    }
}

/// Keeps a processor busy for some milliseconds.
pub(crate) fn burn(milliseconds: u64) {
    let until = Instant::now() + Duration::from_millis(milliseconds);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Maps a huge page and writes to it in a child, whom the kernel may end with SIGBUS.
pub(crate) fn hugepage() -> Value {
    in_child(0, || match sys::touch_hugepage() {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(255),
    })
}

/// Says that it is ready, then waits for one signal and reports it.
pub(crate) fn await_signal() -> Value {
    let all = SigSet::all();
    if let Err(error) = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&all), None) {
        return json!({"failed": error.to_string()});
    }
    println!("ready");
    sys::wait_for_signal(&all)
        .map_or_else(|e| json!({"failed": e.to_string()}), |signal| json!({"signal": signal}))
}

/// Waits for a change of the window's size and reports the new one.
pub(crate) fn await_resize() -> Value {
    let mut set = SigSet::empty();
    set.add(Signal::SIGWINCH);
    if let Err(error) = set.thread_block() {
        return json!({"failed": error.to_string()});
    }
    println!("ready");
    match set.wait().map(|_| sys::window_size(0)) {
        Ok(Ok((rows, columns))) => json!({"rows": rows, "columns": columns}),
        other => json!({"failed": format!("{other:?}")}),
    }
}

/// Prints a line every 10 ms for as long as someone reads it.
pub(crate) fn print_forever() {
    let mut out = std::io::stdout();
    let mut line = 0_u64;
    while writeln!(out, "line {line}").is_ok() {
        line += 1;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Locks a file for as long as this process lives, unless somebody has it locked.
pub(crate) fn lock(path: &str) -> Value {
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    match file.map(|file| (file.try_lock(), file)) {
        Ok((locked, file)) => {
            std::mem::forget(file);
            json!({"locked": locked.is_ok()})
        }
        Err(error) => json!({"failed": error.to_string()}),
    }
}

/// Sends a signal to this process; one that is ignored does nothing.
pub(crate) fn raise(number: u64) {
    let signal = i32::try_from(number).ok().and_then(|n| Signal::try_from(n).ok());
    if let Some(signal) = signal {
        // A refused signal shows in the exit code that the test looks at.
        let _ = send_self(signal);
    }
}

/// Sends a message to the service manager at `NOTIFY_SOCKET`.
pub(crate) fn notify(message: &str) -> Value {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else { return json!({"failed": "not set"}) };
    let sent = UnixDatagram::unbound().and_then(|s| s.send_to(message.as_bytes(), &path));
    json!({"path": path, "error": sent.err().map(|e| e.to_string())})
}

/// Looks at the programs and descriptors of all other processes for some milliseconds.
pub(crate) fn spy(milliseconds: u64) -> Value {
    let until = Instant::now() + Duration::from_millis(milliseconds);
    let own = std::process::id().to_string();
    let (mut programs, mut descriptors) = (BTreeSet::new(), BTreeSet::new());
    while Instant::now() < until {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let number = name.to_string_lossy().bytes().all(|b| b.is_ascii_digit());
            if number && name.to_string_lossy() != own {
                programs.extend(target(&entry.path().join("exe")));
                let fds = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
                descriptors.extend(fds.filter_map(|fd| target(&fd.path())));
            }
        }
    }
    json!({"programs": programs, "descriptors": descriptors})
}

fn target(link: &std::path::Path) -> Option<String> {
    Some(fs::read_link(link).ok()?.to_string_lossy().into_owned())
}
