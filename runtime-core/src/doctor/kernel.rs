//! The kernel: its version, and the calls that make things better.

use super::{Finding, read};
use crate::seccomp::known;
use crate::sys::probe::{Probe, has, has_seccomp_action};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

const AREA: &str = "kernel";
/// The first version that containers run on.
const OLDEST: (u32, u32) = (5, 4);

/// Calls that are done without: name, since when, and what is lost.
const OPTIONAL: [(Probe, &str, &str, &str); 6] = [
    (Probe::OpenTree, "open_tree", "5.2", "bind mounts are made with mount(2)"),
    (Probe::FsOpen, "fsopen", "5.2", "a mount that fails is not explained in the kernel's words"),
    (Probe::Clone3, "clone3", "5.3", "init moves itself into its cgroup"),
    (Probe::Openat2, "openat2", "5.6", "paths of a container are looked up component by component"),
    (Probe::CloseRange, "close_range", "5.9", "descriptors are closed one by one"),
    (
        Probe::MountSetattr,
        "mount_setattr",
        "5.12",
        "no id-mapped mounts, and no flags for whole trees",
    ),
];

pub(super) fn check() -> Vec<Finding> {
    let mut findings = vec![version(), processes()];
    findings.extend(OPTIONAL.iter().map(|(probe, name, since, loss)| match has(*probe) {
        true => Finding::fine(AREA, name, "works"),
        false => Finding::note(
            AREA,
            name,
            format!("is missing or forbidden: {loss}"),
            &format!("it is there since Linux {since}; engines' seccomp filters may forbid it"),
        ),
    }));
    findings.push(programs_in_memory());
    findings.push(seccomp());
    findings
}

fn version() -> Finding {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().ok());
    let version = (numbers.next().flatten(), numbers.next().flatten());
    match version {
        (Some(major), Some(minor)) if (major, minor) < OLDEST => Finding::problem(
            AREA,
            "version",
            format!("Linux {release} is too old"),
            &format!("containers need Linux {}.{}", OLDEST.0, OLDEST.1),
        ),
        (Some(_), Some(_)) => Finding::fine(AREA, "version", format!("Linux {release}")),
        _ => Finding::problem(
            AREA,
            "version",
            "/proc/sys/kernel/osrelease cannot be read",
            "mount procfs: mount -t proc proc /proc",
        ),
    }
}

fn processes() -> Finding {
    match has(Probe::PidfdOpen) && has(Probe::PidfdSendSignal) {
        true => Finding::fine(AREA, "pidfd", "works"),
        false => Finding::problem(
            AREA,
            "pidfd",
            "pidfd_open or pidfd_send_signal is missing or forbidden",
            "they are there since Linux 5.3; a seccomp filter around this process may forbid them",
        ),
    }
}

/// By making one, which goes with its descriptor.
fn programs_in_memory() -> Finding {
    const SUBJECT: &str = "memfd";
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::from_bits_retain(libc::MFD_EXEC);
    match memfd_create(c"tare-doctor", flags) {
        // The flag is of Linux 6.3, before which every such file may be executed.
        Ok(_) | Err(Errno::EINVAL) => Finding::fine(AREA, SUBJECT, "programs may be in memory"),
        Err(errno) => Finding::note(
            AREA,
            SUBJECT,
            format!(
                "programs may not be in memory ({errno}): init is put into the state directory"
            ),
            "set vm.memfd_noexec to 0 or 1, or keep --root on a filesystem mounted with exec",
        ),
    }
}

fn seccomp() -> Finding {
    const ACTIONS: [(&str, u32); 8] = [
        ("SCMP_ACT_KILL_PROCESS", libc::SECCOMP_RET_KILL_PROCESS),
        ("SCMP_ACT_KILL_THREAD", libc::SECCOMP_RET_KILL_THREAD),
        ("SCMP_ACT_TRAP", libc::SECCOMP_RET_TRAP),
        ("SCMP_ACT_ERRNO", libc::SECCOMP_RET_ERRNO),
        ("SCMP_ACT_NOTIFY", libc::SECCOMP_RET_USER_NOTIF),
        ("SCMP_ACT_TRACE", libc::SECCOMP_RET_TRACE),
        ("SCMP_ACT_LOG", libc::SECCOMP_RET_LOG),
        ("SCMP_ACT_ALLOW", libc::SECCOMP_RET_ALLOW),
    ];
    const SUBJECT: &str = "seccomp";
    let missing: Vec<&str> = ACTIONS
        .iter()
        .filter(|(_, value)| !has_seccomp_action(*value))
        .map(|(name, _)| *name)
        .collect();
    match missing.len() {
        0 => {
            let count = known::archs().len();
            Finding::fine(AREA, SUBJECT, format!("every action works, for {count} architectures"))
        }
        all if all == ACTIONS.len() => Finding::problem(
            AREA,
            SUBJECT,
            "system calls cannot be filtered",
            "the kernel needs CONFIG_SECCOMP_FILTER",
        ),
        _ => Finding::note(
            AREA,
            SUBJECT,
            format!("does not work: {}", missing.join(", ")),
            "profiles with these actions need a newer kernel",
        ),
    }
}
