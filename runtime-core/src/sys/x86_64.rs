//! What depends on the processor on the host side: starting a child that shares
//! this memory, on a stack of its own.
#![allow(unsafe_code)]

use std::arch::asm;

/// System call numbers for the child, which must not touch libc.
pub(super) const SYS_FCNTL: usize = 72;
pub(super) const SYS_EXIT: usize = 60;
pub(super) const SYS_EXECVEAT: usize = 322;

/// Makes a system call without touching errno.
///
/// # Safety
/// The arguments must be what the call's contract asks for.
#[inline(always)]
pub(super) unsafe fn raw_syscall(nr: usize, a: [usize; 5]) -> isize {
    let answer: isize;
    // SAFETY: the instruction clobbers rcx, r11 and memory only; the rest is the caller's duty.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr as isize => answer,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            in("r8") a[4],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer
}

/// A clone system call whose child, on the new stack, calls `child(data)` and never
/// comes back. Gives the pid or a negative errno, in the parent only.
///
/// # Safety
/// `nr` and `a` must be clone3, or clone with its stack, with a stack that is
/// valid until the child has left this memory.
pub(super) unsafe fn clone_calling(
    nr: usize,
    a: [usize; 5],
    child: extern "C" fn(*mut std::ffi::c_void) -> !,
    data: *mut std::ffi::c_void,
) -> isize {
    let answer: isize;
    // SAFETY: the parent comes back with its own stack; the child starts on the new one and
    // leaves through `child`. r12 and r13 are kept by the kernel and copied to the child.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") nr as isize => answer,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            in("r8") a[4],
            in("r12") data,
            in("r13") child,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    answer
}

/// The arguments of clone(2) in this processor's order.
pub(super) fn clone_arguments(flags: u64, stack_top: u64, pidfd: u64) -> [usize; 5] {
    [flags as usize, stack_top as usize, pidfd as usize, 0, 0]
}
