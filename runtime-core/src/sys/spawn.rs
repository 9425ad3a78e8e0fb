//! Starting init: a clone that shares memory until execveat, so that neither the
//! size of the calling program nor its threads matter, and no code of it runs in
//! the child.
#![allow(unsafe_code)]

use super::processor::{
    SYS_EXECVEAT, SYS_EXIT, SYS_FCNTL, clone_arguments, clone_calling, raw_syscall,
};
use std::ffi::{CStr, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

const CLONE_VM: u64 = 0x100;
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_VFORK: u64 = 0x4000;
// libc's constants of these two are 0: they do not fit its type.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

const STACK: usize = 16 * 1024;

/// What to start.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// The program.
    pub(crate) image: BorrowedFd<'a>,
    /// Descriptors that stay open across its start.
    pub(crate) keep: &'a [RawFd],
    /// CLONE_NEW* flags.
    pub(crate) namespaces: u64,
    /// A cgroup v2 directory to start in (Linux 5.7).
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
}

/// A process just started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// Why nothing was started: the call and its error.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) call: &'static str,
    pub(crate) error: io::Error,
}

impl Refusal {
    /// Whether clone3 failed because the kernel does not have it (ENOSYS, or EPERM
    /// from a container's profile that is older than it), a flag (EINVAL) or a
    /// field (E2BIG, on Linux 5.4 for that of the cgroup).
    pub(crate) fn is_too_new(&self) -> bool {
        const ERRNOS: [i32; 4] = [libc::ENOSYS, libc::EPERM, libc::EINVAL, libc::E2BIG];
        self.call == CLONE && self.error.raw_os_error().is_some_and(|errno| ERRNOS.contains(&errno))
    }
}

const CLONE: &str = "clone3";

/// What the child reads and writes; it lives on the parent's stack, and the parent waits.
#[repr(C)]
struct Child {
    image: i32,
    keep: *const RawFd,
    keep_count: usize,
    arguments: [*const u8; 2],
    environment: [*const u8; 1],
    errno: i32,
}

/// `struct clone_args` of clone3(2).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

#[repr(align(16))]
struct Stack(std::mem::MaybeUninit<[u8; STACK]>);

/// Starts the program. Comes back once it runs.
pub(crate) fn spawn(start: &Start<'_>) -> Result<Started, Refusal> {
    const NAME: &CStr = c"tare-init";
    let mut child = Child {
        image: start.image.as_raw_fd(),
        keep: start.keep.as_ptr(),
        keep_count: start.keep.len(),
        arguments: [NAME.as_ptr().cast(), std::ptr::null()],
        environment: [std::ptr::null()],
        errno: 0,
    };
    let (pid, pidfd) = clone(start, &mut child)?;
    if child.errno != 0 {
        // The child has ended without becoming the program.
        let pidfd = std::os::fd::AsFd::as_fd(&pidfd);
        let soon = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let _ = super::pidfd::wait_ended(pidfd, soon);
        let _ = super::pidfd::reap(pidfd);
        let error = io::Error::from_raw_os_error(child.errno);
        return Err(Refusal { call: "execveat", error });
    }
    Ok(Started { pid, pidfd })
}

/// The newest way the kernel takes; only that when a cgroup is asked for. clone
/// does not reset signal handlers, so no signal may arrive in the child: a handler
/// would run in shared memory.
fn clone(start: &Start<'_>, child: &mut Child) -> Result<(i32, OwnedFd), Refusal> {
    let refused = |error| Refusal { call: CLONE, error };
    match clone3(start, child).map_err(refused) {
        Err(refusal) if start.cgroup.is_none() && refusal.is_too_new() => {}
        answer => return answer,
    }
    let blocked = super::signal::BlockAll::new().map_err(refused)?;
    let answer = clone_old(start, child);
    drop(blocked);
    answer.map_err(refused)
}

/// With CLONE_CLEAR_SIGHAND, of Linux 5.5.
fn clone3(start: &Start<'_>, child: &mut Child) -> io::Result<(i32, OwnedFd)> {
    let mut stack = Stack(std::mem::MaybeUninit::uninit());
    let mut pidfd: RawFd = -1;
    let mut arguments = CloneArgs {
        flags: CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | start.namespaces,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.0.as_mut_ptr() as u64,
        stack_size: STACK as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = start.cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    let call = [&raw const arguments as usize, size_of::<CloneArgs>(), 0, 0, 0];
    // SAFETY: CLONE_VFORK keeps this frame, with the stack and `child`, in place until the child has left it.
    let answer =
        unsafe { clone_calling(libc::SYS_clone3 as usize, call, run, (&raw mut *child).cast()) };
    finish(answer, &pidfd)
}

fn clone_old(start: &Start<'_>, child: &mut Child) -> io::Result<(i32, OwnedFd)> {
    let mut stack = Stack(std::mem::MaybeUninit::uninit());
    let mut pidfd: RawFd = -1;
    let top = stack.0.as_mut_ptr() as u64 + STACK as u64;
    let flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | start.namespaces | libc::SIGCHLD as u64;
    let call = clone_arguments(flags, top, &raw mut pidfd as u64);
    // SAFETY: as in `clone3`.
    let answer =
        unsafe { clone_calling(libc::SYS_clone as usize, call, run, (&raw mut *child).cast()) };
    finish(answer, &pidfd)
}

fn finish(answer: isize, pidfd: &RawFd) -> io::Result<(i32, OwnedFd)> {
    if answer < 0 {
        return Err(io::Error::from_raw_os_error(-answer as i32));
    }
    // SAFETY: a reference is valid; the kernel wrote there, which the compiler cannot know.
    let number = unsafe { std::ptr::read_volatile(pidfd) };
    // SAFETY: a new descriptor, which nobody else has.
    let pidfd = unsafe { OwnedFd::from_raw_fd(number) };
    Ok((answer as i32, pidfd))
}

/// The child, in the parent's memory on its own stack: system calls and nothing else.
extern "C" fn run(child: *mut c_void) -> ! {
    let child: *mut Child = child.cast();
    // SAFETY: the parent waits in clone and does not touch it.
    let data = unsafe { &mut *child };
    for index in 0..data.keep_count {
        // SAFETY: within the slice that the parent gave.
        let place = unsafe { data.keep.add(index) };
        // SAFETY: as above; the parent waits and does not write.
        let fd = unsafe { *place };
        // SAFETY: F_SETFD takes numbers only.
        unsafe { raw_syscall(SYS_FCNTL, [fd as usize, libc::F_SETFD as usize, 0, 0, 0]) };
    }
    let call = [
        data.image as usize,
        c"".as_ptr() as usize,
        data.arguments.as_ptr() as usize,
        data.environment.as_ptr() as usize,
        libc::AT_EMPTY_PATH as usize,
    ];
    // SAFETY: the arrays end with a null and hold strings that live as long as the program.
    let answer = unsafe { raw_syscall(SYS_EXECVEAT, call) };
    data.errno = -answer as i32;
    loop {
        // SAFETY: ends this process only.
        unsafe { raw_syscall(SYS_EXIT, [127, 0, 0, 0, 0]) };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn libc_still_has_zero_for_clone_into_cgroup() {
        #[allow(deprecated)]
        let trap = libc::CLONE_INTO_CGROUP;
        assert_ne!(
            trap as u64,
            super::CLONE_INTO_CGROUP,
            "libc is mended: its constants can be used"
        );
    }
}
