//! The tests, one file a subject.

pub mod annotations;
pub mod attacks;
pub mod bad_input;
pub mod budget;
pub mod cgroup_mounts;
pub mod cgroups;
pub mod checkpoint;
pub mod checkpoint_faults;
pub mod checkpoint_host;
pub mod checkpoint_memory;
pub mod copy_up;
pub mod crash;
pub mod crun_options;
pub mod device_nodes;
pub mod devices;
pub mod doctor;
pub mod events;
pub mod exec;
pub mod fallbacks;
pub mod features;
pub mod habits;
pub mod hooks;
pub mod id_maps;
pub mod labels;
pub mod lifecycle;
pub mod limits;
pub mod live_mounts;
pub mod logging;
pub mod members;
pub mod misuse;
pub mod mount_options;
pub mod mounts;
pub mod namespaces;
pub mod net_devices;
pub mod no_process;
pub mod output;
pub mod process;
pub mod propagation;
pub mod resources;
pub mod rootless;
pub mod samples;
pub mod scheduling;
pub mod seccomp;
pub mod sockets;
pub mod sysctl;
pub mod systemd;
pub mod systemd_limits;
pub mod systemd_v1;
pub mod terminal;
pub mod trace;
pub mod update;
pub mod user_namespaces;

use crate::runner::Family;

/// All families, in the order in which they run.
pub const ALL: &[Family] = &[
    lifecycle::FAMILY,
    output::FAMILY,
    logging::FAMILY,
    trace::FAMILY,
    habits::FAMILY,
    doctor::FAMILY,
    no_process::FAMILY,
    crun_options::FAMILY,
    process::FAMILY,
    mounts::FAMILY,
    live_mounts::FAMILY,
    propagation::FAMILY,
    device_nodes::FAMILY,
    sysctl::FAMILY,
    mount_options::FAMILY,
    copy_up::FAMILY,
    cgroup_mounts::FAMILY,
    id_maps::FAMILY,
    exec::FAMILY,
    members::FAMILY,
    scheduling::FAMILY,
    labels::FAMILY,
    namespaces::FAMILY,
    rootless::FAMILY,
    user_namespaces::FAMILY,
    net_devices::FAMILY,
    hooks::FAMILY,
    annotations::FAMILY,
    features::FAMILY,
    seccomp::FAMILY,
    cgroups::FAMILY,
    resources::FAMILY,
    limits::FAMILY,
    devices::FAMILY,
    systemd::FAMILY,
    systemd_limits::FAMILY,
    systemd_v1::FAMILY,
    terminal::FAMILY,
    update::FAMILY,
    checkpoint::FAMILY,
    checkpoint_memory::FAMILY,
    checkpoint_host::FAMILY,
    checkpoint_faults::FAMILY,
    events::FAMILY,
    sockets::FAMILY,
    samples::FAMILY,
    bad_input::FAMILY,
    misuse::FAMILY,
    attacks::FAMILY,
    fallbacks::FAMILY,
    budget::FAMILY,
    crash::FAMILY,
];
