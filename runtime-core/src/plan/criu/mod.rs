//! What criu is to do: from a configuration, the state of a container and the
//! choices of a user to the options of criu's RPC.

mod dump;
mod mounts;
mod options;
mod restore;
pub(crate) mod rpc;

pub(crate) use dump::{Dump, dump};
pub(crate) use mounts::{Mounted, mount_table};
pub use options::{CgroupsMode, CriuSwitches, DumpSwitches, NetworkLock, RestoreSwitches};
pub(crate) use restore::{Place, Restore, places, restore, with_time_namespace};

use super::annotations;
use super::clone_flags::{CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID};
use super::namespaces::{Join, Namespaces};
use crate::error::{Error, ErrorKind, Result};
use oci_spec::runtime::Spec;
use rpc::Opts;

/// The first criu that tells its version.
pub(crate) const OLDEST: i32 = 30_000;

/// What is logged, as runc has it: everything but every detail.
const LOG_LEVEL: i32 = 4;

/// The log of a dump.
pub(crate) const DUMP_LOG: &str = "dump.log";
/// The log of a restore.
pub(crate) const RESTORE_LOG: &str = "restore.log";

/// Options that both have, as runc sets them.
fn common(spec: &Spec, switches: &CriuSwitches, log: &str) -> Opts {
    Opts {
        log_level: Some(LOG_LEVEL),
        log_file: Some(log.to_owned()),
        notify_scripts: Some(true),
        manage_cgroups: Some(true),
        manage_cgroups_mode: Some(switches.cgroups_mode.number()),
        network_lock: switches.network_lock.map(NetworkLock::number),
        tcp_established: Some(switches.tcp_established),
        ext_unix_sk: Some(switches.ext_unix_sk),
        shell_job: Some(switches.shell_job),
        file_locks: Some(switches.file_locks),
        lazy_pages: Some(switches.lazy_pages),
        auto_dedup: Some(switches.auto_dedup),
        orphan_pts_master: Some(true),
        // Devices and addresses are an engine's to make, before it restores.
        empty_ns: u32::try_from(CLONE_NEWNET).ok(),
        config_file: config_file(spec),
        ..Opts::default()
    }
}

/// criu's own options: those of runc's users, unless an annotation names others, or none.
fn config_file(spec: &Spec) -> Option<String> {
    match annotations::value(spec, annotations::CRIU_CONFIG) {
        Some("") => None,
        Some(file) => Some(file.to_owned()),
        None => Some("/etc/criu/runc.conf".to_owned()),
    }
}

/// The namespaces of the configuration, if criu can do with them.
fn namespaces(spec: &Spec) -> Result<Namespaces> {
    let linux = spec.linux().as_ref();
    let entries = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    let namespaces = Namespaces::of(entries);
    if !namespaces.creates(CLONE_NEWNS) {
        let text = "only a container with a mount namespace of its own can be checkpointed";
        return Err(Error::new(ErrorKind::Unsupported, text).at("/linux/namespaces"));
    }
    Ok(namespaces)
}

/// The name that a joined namespace has in images; `None` where criu does not keep it
/// apart, and joins it by path instead.
fn external_key(join: &Join) -> Option<&'static str> {
    match join.kind.flag {
        CLONE_NEWNET => Some("extRootNetNS"),
        CLONE_NEWPID => Some("extRootPidNS"),
        _ => None,
    }
}

/// Refuses a criu that cannot leave a joined namespace alone.
fn check_external(join: &Join, version: i32) -> Result<()> {
    let oldest = if join.kind.flag == CLONE_NEWPID { 31_500 } else { 31_100 };
    if version >= oldest {
        return Ok(());
    }
    let name = join.kind.name;
    let text = format!("criu lacks support for an external {name} namespace");
    Err(too_old(text, oldest).at(join.pointer.as_str()))
}

fn too_old(text: impl Into<String>, oldest: i32) -> Error {
    let (major, minor) = (oldest / 10_000, oldest / 100 % 100);
    Error::new(ErrorKind::Unsupported, text).hint(format!("criu {major}.{minor} can"))
}
