//! Asking the kernel which system calls it has, by calling them with arguments that
//! none can do anything with.

#![allow(unsafe_code)]

use nix::errno::Errno;

/// A system call that older kernels lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    Clone3,
    CloseRange,
    FsOpen,
    MountSetattr,
    OpenTree,
    Openat2,
    PidfdOpen,
    PidfdSendSignal,
}

/// Where there is nothing to read: no argument leads to memory.
const NOTHING: usize = 0;
/// No flag and no process; as a descriptor, none.
const WRONG: usize = usize::MAX;

/// Whether the kernel has it, and lets this process call it.
pub(crate) fn has(probe: Probe) -> bool {
    let (number, arguments) = match probe {
        // A size that no version of the structure has.
        Probe::Clone3 => (libc::SYS_clone3, [NOTHING, 0, 0, 0, 0]),
        Probe::Openat2 => (libc::SYS_openat2, [WRONG, NOTHING, NOTHING, 0, 0]),
        Probe::MountSetattr => (libc::SYS_mount_setattr, [WRONG, NOTHING, 0, NOTHING, 0]),
        // The last before the first.
        Probe::CloseRange => (libc::SYS_close_range, [2, 1, 0, 0, 0]),
        Probe::FsOpen => (libc::SYS_fsopen, [NOTHING, WRONG, 0, 0, 0]),
        Probe::OpenTree => (libc::SYS_open_tree, [WRONG, NOTHING, WRONG, 0, 0]),
        Probe::PidfdOpen => (libc::SYS_pidfd_open, [WRONG, WRONG, 0, 0, 0]),
        Probe::PidfdSendSignal => (libc::SYS_pidfd_send_signal, [WRONG, 0, NOTHING, 0, 0]),
    };
    let [a, b, c, d, e] = arguments;
    // SAFETY: every call is refused for its arguments before it looks at memory, as told above.
    let refused = Errno::result(unsafe { libc::syscall(number, a, b, c, d, e) });
    // EPERM is how engines' filters refuse; who may not mount is told so by fsopen.
    let denied = refused == Err(Errno::EPERM) && probe != Probe::FsOpen;
    refused != Err(Errno::ENOSYS) && !denied
}

/// Whether a filter may answer with `action`, a SECCOMP_RET value (Linux 4.14).
pub(crate) fn has_seccomp_action(action: u32) -> bool {
    const SECCOMP_GET_ACTION_AVAIL: libc::c_uint = 2;
    // SAFETY: the kernel reads one number, which lives as long as the call.
    let known =
        unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    known == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_find_what_every_kernel_has_and_change_nothing() {
        const SECCOMP_RET_ALLOW: u32 = 0x7fff_0000;
        let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
        assert!(has(Probe::PidfdOpen) && has(Probe::PidfdSendSignal));
        assert!(has_seccomp_action(SECCOMP_RET_ALLOW) && !has_seccomp_action(0x1234_0000));
        for probe in [
            Probe::Clone3,
            Probe::CloseRange,
            Probe::FsOpen,
            Probe::MountSetattr,
            Probe::OpenTree,
            Probe::Openat2,
        ] {
            has(probe);
        }
        assert_eq!(std::fs::read_dir("/proc/self/fd").unwrap().count(), before);
    }
}
