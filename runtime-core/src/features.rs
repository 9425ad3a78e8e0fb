//! What this runtime can do, as the runtime-spec has it told (features.md).
//!
//! It says what is built in, whatever the kernel can. Names come from the tables
//! that the code acts on.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bundle::{HOOK_KINDS, SPEC_VERSION, SPEC_VERSION_MIN};
use crate::plan::{capabilities, mounts, namespaces, numa};
use crate::seccomp::known;

/// Annotations of config.json that change what is done (`docs/annotations.md`).
const ANNOTATIONS: [&str; 3] = ["org.criu.config", "org.systemd.property.", "run.oci."];

/// What engines look for beyond the spec, under runc's name.
const CHECKPOINT: (&str, &str) = ("org.opencontainers.runc.checkpoint.enabled", "true");

/// The Features structure.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Features {
    /// The first version of the runtime-spec that `ociVersion` may be.
    pub oci_version_min: &'static str,
    /// The last whose properties are known.
    pub oci_version_max: &'static str,
    /// The kinds of hooks.
    pub hooks: Vec<&'static str>,
    /// The mount options that are not left to the file system.
    pub mount_options: Vec<&'static str>,
    /// What is Linux's own.
    pub linux: Linux,
    /// What else there is to say, by name.
    pub annotations: BTreeMap<&'static str, &'static str>,
    /// Annotations that change what is done; one that ends in a dot is a prefix.
    pub potentially_unsafe_config_annotations: Vec<&'static str>,
}

/// What is Linux's own (features-linux.md).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Linux {
    /// The types of namespaces.
    pub namespaces: Vec<&'static str>,
    /// The names of capabilities, by number.
    pub capabilities: Vec<String>,
    /// Ways to make cgroups.
    pub cgroup: Cgroup,
    /// System call filters.
    pub seccomp: Seccomp,
    /// `process.apparmorProfile`.
    pub apparmor: Enabled,
    /// `process.selinuxLabel`.
    pub selinux: Enabled,
    /// `linux.intelRdt`.
    pub intel_rdt: IntelRdt,
    /// `linux.memoryPolicy`.
    pub memory_policy: MemoryPolicy,
    /// What a mount can have beyond its options.
    pub mount_extensions: MountExtensions,
    /// `linux.netDevices`.
    pub net_devices: Enabled,
}

/// Something that is built in or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Enabled {
    /// Whether it is.
    pub enabled: bool,
}

/// Ways to make cgroups.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Cgroup {
    /// Hierarchies of version 1.
    pub v1: bool,
    /// The hierarchy of version 2.
    pub v2: bool,
    /// By the system's systemd.
    pub systemd: bool,
    /// By a user's systemd.
    pub systemd_user: bool,
    /// The RDMA controller.
    pub rdma: bool,
}

/// System call filters.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Seccomp {
    /// Whether they are built in.
    pub enabled: bool,
    /// What a rule may do.
    pub actions: Vec<String>,
    /// How an argument may be compared.
    pub operators: Vec<String>,
    /// Whose system calls are known.
    pub archs: Vec<String>,
    /// Flags that are recognised.
    pub known_flags: Vec<String>,
    /// Those of them that are passed to the kernel, or need not be.
    pub supported_flags: Vec<String>,
}

/// `linux.intelRdt`.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct IntelRdt {
    /// Whether it is built in.
    pub enabled: bool,
    /// Its `schemata`.
    pub schemata: bool,
    /// Its `enableMonitoring`.
    pub monitoring: bool,
}

/// `linux.memoryPolicy`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MemoryPolicy {
    /// The modes.
    pub modes: Vec<&'static str>,
    /// Their flags.
    pub flags: Vec<&'static str>,
}

/// What a mount can have beyond its options.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct MountExtensions {
    /// Id maps of its own.
    pub idmap: Enabled,
}

/// What this runtime can do.
pub fn features() -> Features {
    Features {
        oci_version_min: SPEC_VERSION_MIN,
        oci_version_max: SPEC_VERSION,
        hooks: HOOK_KINDS.to_vec(),
        mount_options: mounts::options::names(),
        linux: linux(),
        annotations: BTreeMap::from([CHECKPOINT]),
        potentially_unsafe_config_annotations: ANNOTATIONS.to_vec(),
    }
}

fn linux() -> Linux {
    Linux {
        namespaces: namespaces::names(),
        capabilities: capabilities::names(u64::MAX),
        cgroup: Cgroup { v1: true, v2: true, systemd: true, systemd_user: true, rdma: true },
        seccomp: Seccomp {
            enabled: true,
            actions: known::actions(),
            operators: known::operators(),
            archs: known::archs(),
            known_flags: known::flags(),
            supported_flags: known::flags(),
        },
        apparmor: Enabled { enabled: true },
        selinux: Enabled { enabled: true },
        intel_rdt: IntelRdt { enabled: true, schemata: true, monitoring: true },
        memory_policy: MemoryPolicy { modes: numa::mode_names(), flags: numa::flag_names() },
        mount_extensions: MountExtensions { idmap: Enabled { enabled: true } },
        net_devices: Enabled { enabled: true },
    }
}
