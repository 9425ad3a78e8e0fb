//! Annotations of config.json that change what is done (`docs/annotations.md`).

use oci_spec::runtime::Spec;

use crate::bundle::member;

/// Any value but `0`: the process keeps the groups of the caller.
pub(super) const KEEP_ORIGINAL_GROUPS: &str = "run.oci.keep_original_groups";
/// Which option of SELinux the label of mounts goes into.
pub(super) const MOUNT_CONTEXT_TYPE: &str = "run.oci.mount_context_type";
/// A socket that is sent the pidfd of the first process.
pub(super) const PIDFD_RECEIVER: &str = "run.oci.pidfd_receiver";
/// A file to which hooks write.
pub(super) const HOOKS_STDOUT: &str = "run.oci.hooks.stdout";
/// A file to which hooks write errors.
pub(super) const HOOKS_STDERR: &str = "run.oci.hooks.stderr";
/// Base64 of a seccomp program to load in place of the profile's.
pub(super) const SECCOMP_PROGRAM: &str = "run.oci.seccomp_bpf_data";
/// Any value but `0`: a system call that no architecture has is an error.
pub(super) const SECCOMP_FAIL_UNKNOWN: &str = "run.oci.seccomp_fail_unknown_syscall";

/// A file of options for criu; none when it is empty.
pub(super) const CRIU_CONFIG: &str = "org.criu.config";

/// The value of the annotation `name`.
pub(super) fn value<'a>(spec: &'a Spec, name: &str) -> Option<&'a str> {
    spec.annotations().as_ref()?.get(name).map(String::as_str)
}

/// Where in config.json the annotation `name` stands.
pub(super) fn pointer(name: &str) -> String {
    member("/annotations", name)
}

/// Whether the process keeps the groups of the caller.
pub(super) fn keep_groups(spec: &Spec) -> bool {
    value(spec, KEEP_ORIGINAL_GROUPS).is_some_and(|value| value != "0")
}
