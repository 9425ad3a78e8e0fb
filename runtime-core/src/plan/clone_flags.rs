//! Flags of clone3(2), from linux/sched.h. The libc crate has them in a type
//! too narrow for the last two, where they are 0 there.

/// Share the address space with the parent.
pub const CLONE_VM: u64 = 0x100;
/// Return a pidfd of the child (Linux 5.2).
pub const CLONE_PIDFD: u64 = 0x1000;
/// Suspend the parent until the child executes or ends.
pub const CLONE_VFORK: u64 = 0x4000;
/// Make the child a sibling.
pub const CLONE_PARENT: u64 = 0x8000;
/// A new time namespace for children (Linux 5.6).
pub const CLONE_NEWTIME: u64 = 0x80;
/// A new mount namespace.
pub const CLONE_NEWNS: u64 = 0x2_0000;
/// A new cgroup namespace.
pub const CLONE_NEWCGROUP: u64 = 0x200_0000;
/// A new UTS namespace.
pub const CLONE_NEWUTS: u64 = 0x400_0000;
/// A new IPC namespace.
pub const CLONE_NEWIPC: u64 = 0x800_0000;
/// A new user namespace.
pub const CLONE_NEWUSER: u64 = 0x1000_0000;
/// A new PID namespace.
pub const CLONE_NEWPID: u64 = 0x2000_0000;
/// A new network namespace.
pub const CLONE_NEWNET: u64 = 0x4000_0000;
/// Reset handled signals to their defaults in the child (Linux 5.5).
pub const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// Start the child in the cgroup of a given descriptor (Linux 5.7).
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_above_32_bits_are_not_lost() {
        assert_eq!(CLONE_CLEAR_SIGHAND, 1 << 32);
        assert_eq!(CLONE_INTO_CGROUP, 1 << 33);
    }

    #[test]
    fn the_flags_that_fit_are_those_of_libc() {
        for (ours, theirs) in [
            (CLONE_VM, libc::CLONE_VM),
            (CLONE_PIDFD, libc::CLONE_PIDFD),
            (CLONE_VFORK, libc::CLONE_VFORK),
            (CLONE_PARENT, libc::CLONE_PARENT),
            (CLONE_NEWTIME, libc::CLONE_NEWTIME),
            (CLONE_NEWNS, libc::CLONE_NEWNS),
            (CLONE_NEWCGROUP, libc::CLONE_NEWCGROUP),
            (CLONE_NEWUTS, libc::CLONE_NEWUTS),
            (CLONE_NEWIPC, libc::CLONE_NEWIPC),
            (CLONE_NEWUSER, libc::CLONE_NEWUSER),
            (CLONE_NEWPID, libc::CLONE_NEWPID),
            (CLONE_NEWNET, libc::CLONE_NEWNET),
        ] {
            assert_eq!(ours, u64::try_from(theirs).unwrap());
        }
    }
}
