//! Tests that runc or crun is known to fail, with the reason.
//!
//! The lists keep the comparison honest: `tare` has none.

use crate::context::{Kind, Layout};

/// A test's name or the beginning of it, and why it fails.
type Known = (&'static str, &'static str);

const RUNC: &[Known] = &[
    (
        "lifecycle::forced_delete_removes_a_corrupt_container",
        "runc 1.1 stops at a state.json that it cannot read",
    ),
    ("process::rlimits_twice_are_refused", "runc 1.1 takes the last of equal limits"),
    ("process::host_and_domain_names_are_set", "runc 1.1 does not know domainname"),
    ("process::personality_is_set", "runc 1.1 does not know personality"),
    ("mounts::bind_keeps_flags_of_its_source", "runc 1.1 remounts without the locked flags"),
    ("mounts::rootfs_propagation_is_shared", "runc 1.1 makes the parent of the root private again"),
    (
        "exec::executed_process_has_the_privileges",
        "runc 1.1 leaves the configuration's umask out of exec",
    ),
    ("exec::user_must_be_a_number", "runc 1.1 lets ids overflow"),
    (
        "exec::deleting_the_container_ends_executed",
        "runc 1.1 may give up on a cgroup of v2 that is not empty yet",
    ),
    (
        "cgroups::cgroup_with_stragglers_is_removed",
        "runc 1.1 may give up on a cgroup of v2 that is not empty yet",
    ),
    ("namespaces::time_", "runc 1.1 does not know time namespaces"),
    ("namespaces::user_is_joined", "runc 1.1 wants mappings for a namespace that has them"),
    ("hooks::six_kinds_run_in_order", "runc 1.1 runs poststart hooks before the process starts"),
    ("hooks::failure_of_start_container", "runc 1.1 returns from start before the hooks have run"),
    ("hooks::failure_of_poststart", "runc 1.1 runs poststart hooks in create"),
    ("hooks::failure_of_poststop", "runc 1.1 stops at the first failure"),
    ("seccomp::flags_are_accepted", "runc 1.1 does not know flags"),
    ("sockets::pidfd_is_sent", "runc 1.1 does not know --pidfd-socket"),
    ("attacks::cve_2026_41579", "runc 1.1 makes the links of /dev through a symlink"),
    ("attacks::cve_2025_31133", "runc 1.1 takes the image's link for the null device"),
    ("attacks::mount_over_proc", "runc 1.1 looks at bind mounts only"),
    ("attacks::passwd_that_is_a_device", "runc 1.1 waits for a writer of the fifo"),
    ("bad_input::spec_version_that_is_unknown", "runc 1.1 takes any version"),
    ("bad_input::state_directory_that_is_full", "runc 1.1 loses the reason on the way"),
    ("bad_input::mappings_without_a_user_namespace", "runc 1.1 ignores the mappings"),
    ("bad_input::mount_on_the_root", "runc 1.1 mounts there and then stumbles"),
    ("crash::", "runc writes its state after it has made cgroups and processes"),
];

const CRUN: &[Known] = &[];

/// Why this runtime is expected to fail this test, if it is.
pub fn reason(kind: Kind, _layout: Layout, name: &str) -> Option<&'static str> {
    let known = match kind {
        Kind::Tare => &[],
        Kind::Runc => RUNC,
        Kind::Crun => CRUN,
    };
    known.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, reason)| *reason)
}
