//! The system calls that neither std nor nix offers in a safe form.
#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

/// The program's entry, in place of std's.
// SAFETY: no other symbol of this program is called main.
#[unsafe(no_mangle)]
extern "C" fn main(_count: libc::c_int, _args: *const *const libc::c_char) -> libc::c_int {
    libc::c_int::from(crate::start())
}

fn checked(ret: libc::c_long) -> Result<i64, io::Error> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// Makes any system call. What it does to this process is the caller's business, which is why
/// callers make it in a child of its own.
pub(crate) fn syscall(nr: i64, args: [u64; 6]) -> Result<i64, io::Error> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: the child that makes the call uses no memory that it could damage: it exits next.
    checked(unsafe { libc::syscall(nr, a, b, c, d, e, f) })
}

/// Makes a system call by the 32-bit x86 entry and gives its raw answer (−errno on failure).
#[cfg(target_arch = "x86_64")]
pub(crate) fn syscall_x86(nr: u32, first: u32, second: u32) -> i32 {
    let ret: i32;
    // SAFETY: int 0x80 keeps all registers but rax; rbx, which the compiler reserves, is swapped
    // in and out; the callers pass no pointers.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first:r}", "int 0x80", "xchg rbx, {first:r}",
            first = inout(reg) u64::from(first) => _,
            inlateout("eax") nr => ret,
            in("ecx") second, in("edx") 0, in("esi") 0, in("edi") 0,
        );
    }
    ret
}

/// Makes a system call and gives the number that SIGSYS tells of, if it is sent for a filter's sake.
pub(crate) fn trapped_syscall(nr: i64) -> Option<i32> {
    static TRAPPED: AtomicI32 = AtomicI32::new(-1);
    const SYS_SECCOMP: i32 = 1;
    /// `siginfo_t` of SIGSYS.
    #[repr(C)]
    struct Info {
        signo: i32,
        errno: i32,
        code: i32,
        address: usize,
        nr: i32,
    }
    extern "C" fn handle(_: libc::c_int, info: *const Info, _: *const libc::c_void) {
        // SAFETY: the kernel hands the handler a siginfo_t of SIGSYS, which begins like that.
        let info = unsafe { &*info };
        if info.code == SYS_SECCOMP {
            TRAPPED.store(info.nr, Ordering::Relaxed);
        }
    }
    // SAFETY: all fields are integers or null, for which zeroes are values.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler has the signature that SA_SIGINFO wants, and only stores a number.
    unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) };
    // SAFETY: as for `syscall`.
    unsafe { libc::syscall(nr, 0, 0, 0, 0, 0, 0) };
    Some(TRAPPED.load(Ordering::Relaxed)).filter(|nr| *nr >= 0)
}

/// Forks and runs `child` in the new process, which ends with what it returns.
pub(crate) fn fork(child: impl FnOnce() -> i32) -> Result<i32, io::Error> {
    // SAFETY: this program has one thread.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: _exit ends the process without running anything of the parent's.
        0 => unsafe { libc::_exit(child()) },
        pid => Ok(pid),
    }
}

/// Reads and restores the file mode creation mask.
pub(crate) fn umask() -> u32 {
    // SAFETY: umask cannot fail and touches no memory.
    let mask = unsafe { libc::umask(0) };
    // SAFETY: as above.
    unsafe { libc::umask(mask) };
    mask
}

/// The description of this process's session keyring: `type;uid;gid;perm;name`.
pub(crate) fn session_keyring() -> Result<String, io::Error> {
    const DESCRIBE: i64 = 6;
    const SESSION: i64 = -3;
    let mut text = [0_u8; 256];
    // SAFETY: the buffer's length goes with it.
    let len = checked(unsafe {
        libc::syscall(libc::SYS_keyctl, DESCRIBE, SESSION, text.as_mut_ptr(), text.len())
    })?;
    let len = usize::try_from(len).unwrap_or(0).clamp(1, text.len());
    Ok(String::from_utf8_lossy(&text[..len - 1]).into_owned())
}

/// The execution domain, unchanged.
pub(crate) fn personality() -> Result<i64, io::Error> {
    // SAFETY: this argument asks and changes nothing.
    checked(libc::c_long::from(unsafe { libc::personality(0xffff_ffff) }))
}

/// The processor as uname(2) names it, which the execution domain changes.
pub(crate) fn machine() -> Result<String, io::Error> {
    // SAFETY: an array of bytes may be all zero.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one utsname to a live one.
    checked(libc::c_long::from(unsafe { libc::uname(&raw mut names) }))?;
    let bytes = names.machine.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0);
    Ok(String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned())
}

/// `struct sched_attr`: policy, flags, nice, priority, runtime, deadline, period.
pub(crate) fn scheduler() -> Result<[i64; 7], io::Error> {
    let mut attr = [0_u8; 56];
    // SAFETY: the buffer's length goes with it.
    checked(unsafe {
        libc::syscall(libc::SYS_sched_getattr, 0, attr.as_mut_ptr(), attr.len(), 0)
    })?;
    let four = |at: usize| {
        i64::from(i32::from_ne_bytes([attr[at], attr[at + 1], attr[at + 2], attr[at + 3]]))
    };
    let eight = |at: usize| four(at) & 0xffff_ffff | four(at + 4) << 32;
    Ok([four(4), eight(8), four(16), four(20), eight(24), eight(32), eight(40)])
}

/// The I/O priority: the class above 13 bits of level.
pub(crate) fn io_priority() -> Result<i64, io::Error> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    // SAFETY: no pointers.
    checked(unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) })
}

/// The NUMA policy: mode with flags, and the first 64 nodes.
pub(crate) fn memory_policy() -> Result<(i32, u64), io::Error> {
    let mut mode: libc::c_int = 0;
    let mut nodes = [0_u64; 16];
    // SAFETY: the kernel writes an int and at most as many bits as it is told.
    checked(unsafe {
        libc::syscall(
            libc::SYS_get_mempolicy,
            &raw mut mode,
            nodes.as_mut_ptr(),
            nodes.len() * 64,
            0,
            0,
        )
    })?;
    Ok((mode, nodes[0]))
}

/// Whether a debugger of the same user may attach and core dumps are made.
pub(crate) fn dumpable() -> Result<i64, io::Error> {
    // SAFETY: no pointers.
    checked(libc::c_long::from(unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }))
}

/// The signal sent to this process when its parent dies.
pub(crate) fn parent_death_signal() -> Result<i32, io::Error> {
    let mut signal: libc::c_int = 0;
    // SAFETY: the kernel writes one int to a live int.
    checked(libc::c_long::from(unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) }))?;
    Ok(signal)
}

/// Waits for one of the signals of a set, those without a name among them, and gives its number.
pub(crate) fn wait_for_signal(set: &nix::sys::signal::SigSet) -> Result<i32, io::Error> {
    let mut signal = 0;
    // SAFETY: both point to values that live through the call.
    match unsafe { libc::sigwait(set.as_ref(), &raw mut signal) } {
        0 => Ok(signal),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Rows and columns of a terminal.
pub(crate) fn window_size(fd: i32) -> Result<(u16, u16), io::Error> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one winsize to a live one.
    checked(libc::c_long::from(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) }))?;
    Ok((size.ws_row, size.ws_col))
}

/// Makes the terminal at standard input the controlling one of a new session.
pub(crate) fn take_terminal() -> Result<(), io::Error> {
    // SAFETY: no memory is involved.
    checked(libc::c_long::from(unsafe { libc::setsid() }))?;
    // SAFETY: no memory is involved.
    checked(libc::c_long::from(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }))?;
    Ok(())
}

/// Copies `from` to descriptor `to`, which survives execve.
pub(crate) fn place_fd(from: i32, to: i32) -> Result<(), io::Error> {
    // SAFETY: both numbers belong to the caller, which owns no descriptor object for `to`.
    checked(libc::c_long::from(unsafe { libc::dup2(from, to) }))?;
    if from == to {
        // SAFETY: no memory is involved.
        checked(libc::c_long::from(unsafe { libc::fcntl(to, libc::F_SETFD, 0) }))?;
    }
    Ok(())
}

/// Maps private memory and writes to each page of it.
pub(crate) fn touch_memory(bytes: usize) -> Result<(), io::Error> {
    touch(bytes, 4096, 0)
}

/// The same with one page of 2 MB.
pub(crate) fn touch_hugepage() -> Result<(), io::Error> {
    touch(2 << 20, 2 << 20, libc::MAP_HUGETLB | libc::MAP_HUGE_2MB)
}

fn touch(bytes: usize, page: usize, flags: libc::c_int) -> Result<(), io::Error> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses the address of a new mapping.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), bytes, prot, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    for offset in (0..bytes).step_by(page) {
        // SAFETY: the offset lies inside the mapping made above.
        let byte = unsafe { base.cast::<u8>().add(offset) };
        // SAFETY: the mapping can be written and nothing else refers to it.
        unsafe { byte.write_volatile(1) };
    }
    Ok(())
}
