//! Processes, signals and namespaces.

use super::{Answer, Errno, Fd, List, check, exit, flag, nr, syscall};
use core::ffi::CStr;

pub fn setns(fd: i32, kind: u64) -> Answer<usize> {
    call!(nr::SETNS, fd, kind)
}

pub fn unshare(flags: u64) -> Answer<usize> {
    call!(nr::UNSHARE, flags)
}

/// A copy of this process; 0 in the copy.
pub fn fork(flags: u64) -> Answer<usize> {
    call!(nr::CLONE, flags as usize | flag::SIGCHLD, 0, 0, 0, 0)
}

/// A copy of this process with a descriptor for it; `None` in the copy.
pub fn fork_with_pidfd() -> Answer<Option<(i32, Fd)>> {
    let mut pidfd = -1i32;
    let pid = call!(nr::CLONE, flag::CLONE_PIDFD | flag::SIGCHLD, 0, &raw mut pidfd, 0, 0)?;
    Ok((pid != 0).then(|| (pid as i32, Fd(pidfd))))
}

/// The wait status of a child that has ended.
pub fn wait(pid: i32) -> Answer<i32> {
    let mut status = 0i32;
    call!(nr::WAIT4, pid as isize, &raw mut status, 0, 0)?;
    Ok(status)
}

pub fn kill(pid: i32, signal: usize) -> Answer<usize> {
    call!(nr::KILL, pid, signal)
}

pub fn getpid() -> u32 {
    call0!(nr::GETPID).unwrap_or(0) as u32
}

pub fn setsid() -> Answer<usize> {
    call0!(nr::SETSID)
}

pub fn execve(path: &CStr, args: &List, env: &List) -> Errno {
    match call!(nr::EXECVE, path.as_ptr(), args.array, env.array) {
        Ok(_) => 0,
        Err(errno) => errno,
    }
}

pub fn unblock_signals() -> Answer<usize> {
    const SIG_SETMASK: usize = 2;
    let none = 0u64;
    call!(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const none, 0, 8)
}

/// Keeps the signals of this set pending.
pub fn block_signals(set: u64) -> Answer<usize> {
    const SIG_SETMASK: usize = 2;
    call!(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const set, 0, 8)
}

/// Takes one of these signals that is pending; EAGAIN without any.
pub fn take_signal(set: u64) -> Answer<usize> {
    let at_once = [0u64; 2];
    call!(nr::RT_SIGTIMEDWAIT, &raw const set, 0, at_once.as_ptr(), 8)
}

/// The default action for `signal`.
pub fn default_signal(signal: u32) -> Answer<usize> {
    let action = [0u64; 4];
    call!(nr::RT_SIGACTION, signal, action.as_ptr(), 0, 8)
}

/// Ends init at `signal`. In a pid namespace of its own the kernel would keep from it
/// what has no handler.
pub fn end_at(signal: u32) -> Answer<usize> {
    // The kernel wants a way back from a handler, also for one that never goes back.
    const SA_RESTORER: u64 = 0x0400_0000;
    extern "C" fn ended(signal: i32) -> ! {
        exit(128 + signal)
    }
    let handler = ended as extern "C" fn(i32) -> ! as usize as u64;
    let action = [handler, SA_RESTORER, handler, 0];
    call!(nr::RT_SIGACTION, signal, action.as_ptr(), 0, 8)
}
