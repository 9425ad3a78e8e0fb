//! Why a program does not fully pass: faults of the suite, and what a machine does not give.

use std::fmt;
use std::path::Path;

use caps::Capability;

use crate::{cgroups, context::Layout, host};

/// Why tare does not fully pass a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reason {
    program: &'static str,
    when: When,
    pub(super) text: &'static str,
    /// Where the specification says so.
    clause: &'static str,
    /// Why another runtime passes all the same, where one does.
    pub(super) others: &'static str,
}

/// On which machines the reason holds.
#[derive(Debug, Clone, Copy)]
enum When {
    Everywhere,
    /// It depends on which process is faster.
    Sometimes,
    /// On those without this.
    Without(fn() -> bool),
}

use When::{Everywhere, Sometimes, Without};

const REASONS: &[Reason] = &[
    plain(
        "delete",
        Everywhere,
        "It wants `delete` of a created container to fail. Engines clean up with exactly that, so all runtimes delete it, and the \
         specification's word for it is not kept",
        "runtime.md#delete",
    ),
    plain("delete_only_create_resources", Without(host::has_v1), NO_V1, ""),
    plain(
        "delete_resources",
        Everywhere,
        "Compares the addresses of two numbers (`pids.limit` is a pointer since runtime-spec 1.3) and not the numbers",
        "",
    ),
    plain(
        "hooks",
        Everywhere,
        "Expects lines that its own hooks do not write (`post-start1` for `post-start1 called`), and prints an error in any case",
        "",
    ),
    plain(
        "linux_cgroups_blkio",
        Without(leaf_weight),
        "Sets `leafWeight`, which Linux has not had since 5.0; v1 only",
        "",
    ),
    plain(
        "linux_cgroups_relative_blkio",
        Without(leaf_weight),
        "Sets `leafWeight`, which Linux has not had since 5.0; v1 only",
        "",
    ),
    plain("linux_cgroups_cpus", Without(host::has_v1), NO_V1, ""),
    plain("linux_cgroups_relative_cpus", Without(host::has_v1), NO_V1, ""),
    plain("linux_cgroups_devices", Without(host::has_v1), NO_V1, ""),
    plain("linux_cgroups_relative_devices", Without(host::has_v1), NO_V1, ""),
    plain(
        "linux_cgroups_hugetlb",
        Without(v1_hugetlb),
        "No v1 hugetlb hierarchy on this machine",
        "",
    ),
    plain(
        "linux_cgroups_relative_hugetlb",
        Without(v1_hugetlb),
        "No v1 hugetlb hierarchy on this machine",
        "",
    ),
    plain(
        "linux_cgroups_network",
        Without(v1_network),
        "No v1 net_cls and net_prio on this machine",
        "",
    ),
    plain(
        "linux_cgroups_relative_network",
        Without(v1_network),
        "No v1 net_cls and net_prio on this machine",
        "",
    ),
    plain("linux_cgroups_memory", Everywhere, KERNEL_MEMORY, "config-linux.md#memory"),
    plain("linux_cgroups_relative_memory", Everywhere, KERNEL_MEMORY, "config-linux.md#memory"),
    plain(
        "linux_cgroups_pids",
        Everywhere,
        "Compares the addresses of two numbers and not the numbers; v1 only",
        "",
    ),
    plain(
        "linux_cgroups_relative_pids",
        Everywhere,
        "Compares the addresses of two numbers and not the numbers; v1 only",
        "",
    ),
    Reason {
        program: "linux_mount_label",
        when: Without(selinux),
        text: "This kernel has no SELinux, so no mount can have the label, and what is not supported is an error",
        clause: "config.md#valid-values",
        others: "crun leaves the label out then",
    },
    Reason {
        program: "linux_process_apparmor_profile",
        when: Everywhere,
        text: "Asks for a profile that no machine has, and a process without the profile it asks for is an error",
        clause: "config.md#valid-values",
        others: "crun leaves the profile out then",
    },
    plain(
        "misc_props",
        Everywhere,
        "Runs `/runtimetest` in a bundle that it does not copy the program to",
        "",
    ),
    Reason {
        program: "pidfile",
        when: Sometimes,
        text: "Kills a container that runs `true` and wants success. Once `true` has ended, `kill` must fail",
        clause: "runtime.md#kill",
        others: "their `start` returns before `true` has ended",
    },
    Reason {
        program: "poststart",
        when: Sometimes,
        text: "The container's shell and the hook append to one file. The hook runs after the shell's execve, as it should, but which \
               of the two writes first is open",
        clause: "config.md#poststart",
        others: "the same race",
    },
    plain(
        "poststart_fail",
        Everywhere,
        "Wants the failure of a poststart hook to be a warning, as older versions had it; now it is an error that stops the container",
        "runtime.md#lifecycle",
    ),
    plain(
        "prestart",
        Everywhere,
        "Wants prestart hooks to run within `start`, as older versions had it; now they are part of `create`",
        "config.md#prestart",
    ),
    plain(
        "process_capabilities",
        Without(system_resource),
        "Wants all capabilities, and the machine gives no CAP_SYS_RESOURCE",
        "",
    ),
    plain(
        "process_capabilities_fail",
        Everywhere,
        "Wants an unknown capability to be an error, as older versions had it; now it is a warning",
        "config.md#linux-process",
    ),
    plain(
        "process_rlimits",
        Everywhere,
        "Its program inside is written in Go, which raises its soft RLIMIT_NOFILE to the hard one before it looks",
        "",
    ),
    Reason {
        program: "start",
        when: Everywhere,
        text: "Wants `start` without a process to succeed, while it prints that it MUST fail",
        clause: "runtime.md#start",
        others: "crun's `start` succeeds",
    },
];

const NO_V1: &str = "Reads files of cgroup v1, which the machine does not mount";
const KERNEL_MEMORY: &str =
    "Sets `memory.kernel` (NOT RECOMMENDED), which current Linux does not limit; v1 only";

/// A reason that holds for all runtimes alike.
const fn plain(
    program: &'static str,
    when: When,
    text: &'static str,
    clause: &'static str,
) -> Reason {
    Reason { program, when, text, clause, others: "" }
}

impl Reason {
    /// The reason that holds for a program on this machine.
    pub(super) fn of(program: &str) -> Option<&'static Self> {
        REASONS.iter().find(|reason| reason.program == program && reason.when.holds())
    }

    /// Whether the program may pass in spite of it.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.when, Sometimes)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)?;
        if !self.clause.is_empty() {
            write!(f, " ({})", self.clause)?;
        }
        f.write_str(".")?;
        if !self.others.is_empty() {
            write!(f, " Who passes: {}.", self.others)?;
        }
        Ok(())
    }
}

impl When {
    fn holds(self) -> bool {
        match self {
            Everywhere | Sometimes => true,
            Without(thing) => !thing(),
        }
    }
}

fn leaf_weight() -> bool {
    cgroups::knows(Layout::V1, "io", "blkio.leaf_weight")
}

fn v1_hugetlb() -> bool {
    cgroups::has(Layout::V1, "hugetlb")
}

fn v1_network() -> bool {
    cgroups::has(Layout::V1, "net_cls") && cgroups::has(Layout::V1, "net_prio")
}

fn selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

fn system_resource() -> bool {
    host::has_capability(Capability::CAP_SYS_RESOURCE)
}
