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
    ("net_devices::", "runc 1.1 does not know network devices"),
    ("namespaces::time_", "runc 1.1 does not know time namespaces"),
    ("namespaces::user_is_joined", "runc 1.1 wants mappings for a namespace that has them"),
    ("hooks::six_kinds_run_in_order", "runc 1.1 runs poststart hooks before the process starts"),
    ("hooks::failure_of_start_container", "runc 1.1 returns from start before the hooks have run"),
    ("hooks::failure_of_poststart", "runc 1.1 runs poststart hooks in create"),
    ("hooks::failure_of_poststop", "runc 1.1 stops at the first failure"),
    ("seccomp::flags_are_accepted", "runc 1.1 does not know flags"),
    ("sockets::readiness_is_relayed", "runc 1.1 sends no barrier"),
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

const WORDS: &str = "crun says it in other words";
const CRUN: &[Known] = &[
    ("lifecycle::a_container_goes_through", WORDS),
    ("lifecycle::run_keep", "crun has no --keep"),
    ("lifecycle::state_prints", "crun indents and spells its state otherwise"),
    ("lifecycle::start_of_a", WORDS),
    ("lifecycle::verbs_on_an_unknown", WORDS),
    ("lifecycle::delete_of_a_running", WORDS),
    ("lifecycle::kill_takes_signals", "crun 1.8 does not take lower case"),
    ("lifecycle::kill_of_an_unknown_signal", "crun 1.8 sends signal 0"),
    ("lifecycle::list_shows", "crun has other columns"),
    ("lifecycle::forced_delete_removes_a_corrupt", "crun keeps its state elsewhere"),
    ("lifecycle::pause_of_a_paused", "crun accepts it"),
    ("lifecycle::resume_of_a_running", "crun accepts it"),
    ("lifecycle::ids_with_strange", WORDS),
    ("lifecycle::single_dash", "crun does not follow Go's rules for options"),
    ("lifecycle::spec_does_not", WORDS),
    ("lifecycle::log_file", WORDS),
    ("lifecycle::text_log", WORDS),
    ("lifecycle::wrong_argument", WORDS),
    ("process::home_comes", "crun leaves HOME out"),
    ("process::relative_working", "crun accepts it"),
    ("process::rlimits_twice", WORDS),
    ("process::session_keyring_is_new", "crun names the keyring by the id alone"),
    ("mounts::later_options", "crun 1.8 does not clear flags"),
    ("mounts::bind_keeps", "crun mounts it before it enters the user namespace"),
    ("mounts::destination_through", "crun refuses dangling links"),
    ("mounts::propagation_of", "crun 1.8 leaves shared out"),
    ("exec::executed_process_has", "crun's exec does not take the user of the configuration"),
    ("exec::failure_before", WORDS),
    ("exec::process_file", "crun leaves HOME out"),
    ("exec::env_is_added", "crun looks the command up before the environment is set"),
    ("exec::user_and_groups", "crun has no -g"),
    ("exec::user_must", "crun takes what strtol takes"),
    ("exec::exec_in_a", "crun exits with 1"),
    ("exec::sub_cgroup", "crun knows no controllers here"),
    ("net_devices::", "crun 1.8 does not know network devices"),
    ("namespaces::time_", "crun 1.8 does not know time namespaces"),
    ("hooks::six_kinds", "crun calls the status created"),
    ("hooks::failure_of_prestart", "crun exits with 255"),
    ("hooks::failure_of_create_runtime", "crun exits with 255"),
    ("hooks::failure_of_start_container", "crun returns from start before the hooks have run"),
    ("hooks::failure_of_poststart", "crun ignores it"),
    ("hooks::failure_of_poststop", WORDS),
    ("hooks::hook_that_takes", WORDS),
    ("hooks::output_of_a", "crun lets hooks write to its own output"),
    ("hooks::later_hooks", "crun exits with 255"),
    ("cgroups::pids_limits", "crun 1.8 writes the number as it is"),
    ("cgroups::unified_values_without", "crun leaves the cgroup behind"),
    (
        "terminal::",
        "crun's message with the master is a blank; a foreground terminal gets its size later",
    ),
    ("seccomp::notification_descriptor", "crun sends the descriptor at start"),
    ("sockets::activation", "crun leaves LISTEN_FDS out"),
    ("sockets::readiness", "crun relays at run only"),
    ("sockets::pidfd", "crun 1.8 does not know --pidfd-socket"),
    ("sockets::preserved_descriptor_that", WORDS),
    ("samples::docker_run_devices", "crun 1.8 writes the minor number −1 as it is"),
    ("samples::podman_run_userns", "crun 1.8 does not set the flags of this bind mount"),
    (
        "bad_input::",
        "crun words errors its own way, accepts some of these and leaves some things behind",
    ),
    ("attacks::cve_2026_41579", "crun 1.8 has this weakness"),
    ("attacks::cve_2025_31133", "crun 1.8 has this weakness"),
    ("attacks::cve_2025_52565", "crun 1.8 has this weakness"),
    ("attacks::mount_over_proc", "crun does not refuse it"),
    ("attacks::passwd_that", "crun waits for a writer of the fifo"),
    ("crash::", "crun leaves cgroups behind"),
];

/// Why this runtime is expected to fail this test, if it is.
pub fn reason(kind: Kind, _layout: Layout, name: &str) -> Option<&'static str> {
    let known = match kind {
        Kind::Tare => &[],
        Kind::Runc => RUNC,
        Kind::Crun => CRUN,
    };
    known.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, reason)| *reason)
}
