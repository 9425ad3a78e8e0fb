//! What `checkpoint` and `restore` have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime_core::{CgroupsMode, CheckpointOptions, CriuSwitches, NetworkLock};

use super::Context;
use crate::duration;
use crate::failure::Failure;

/// How long criu may do nothing when it waits for another host to fetch memory.
const LAZY_PATIENCE: Duration = Duration::from_secs(3600);

/// The options of both commands.
#[derive(Debug, clap::Args)]
pub(super) struct CriuArgs {
    /// The directory of criu's images [default: ./checkpoint]
    #[arg(long, value_name = "DIR", default_value = "checkpoint", hide_default_value = true)]
    pub(super) image_path: PathBuf,
    /// The directory of criu's logs and working files [default: the images' directory]
    #[arg(long, value_name = "DIR")]
    pub(super) work_path: Option<PathBuf>,
    /// Allow open TCP connections
    #[arg(long)]
    tcp_established: bool,
    /// Allow unix sockets that are connected to others outside
    #[arg(long)]
    ext_unix_sk: bool,
    /// Allow a session and terminal that began outside
    #[arg(long)]
    shell_job: bool,
    /// Allow file locks
    #[arg(long)]
    file_locks: bool,
    /// Fetch memory when it is used, by criu lazy-pages
    #[arg(long)]
    lazy_pages: bool,
    /// How criu deals with cgroups [default: soft]
    #[arg(long, value_name = "soft|full|strict|ignore")]
    manage_cgroups_mode: Option<String>,
    /// How criu holds packets back meanwhile
    #[arg(long, value_name = "iptables|nftables|skip")]
    network_lock: Option<String>,
    /// Leave out what is in a namespace: network, as is done always
    #[arg(long, value_name = "network")]
    empty_ns: Vec<String>,
    /// Take out of older images what newer ones have
    #[arg(long)]
    auto_dedup: bool,
    /// Give up when criu has done nothing for so long, such as 30s [default: 2m]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
}

impl CriuArgs {
    /// The choices for the library.
    pub(super) fn switches(&self) -> Result<CriuSwitches, Failure> {
        if let Some(other) = self.empty_ns.iter().find(|name| *name != "network") {
            return Err(Failure::new(format!("namespace {other:?} is not supported")));
        }
        let mode = match self.manage_cgroups_mode.as_deref() {
            None => CgroupsMode::Default,
            Some(name) => CgroupsMode::named(name).ok_or_else(|| {
                Failure::new(format!(
                    "invalid manage-cgroups-mode value {name:?}: use soft, full, strict or ignore"
                ))
            })?,
        };
        let lock = self.network_lock.as_deref().map(|name| {
            NetworkLock::named(name).ok_or_else(|| {
                Failure::new(format!(
                    "invalid network-lock value {name:?}: use iptables, nftables or skip"
                ))
            })
        });
        Ok(CriuSwitches {
            tcp_established: self.tcp_established,
            ext_unix_sk: self.ext_unix_sk,
            shell_job: self.shell_job,
            file_locks: self.file_locks,
            lazy_pages: self.lazy_pages,
            auto_dedup: self.auto_dedup,
            cgroups_mode: mode,
            network_lock: lock.transpose()?,
        })
    }

    /// How long criu may do nothing.
    pub(super) fn patience(&self) -> Result<Duration, Failure> {
        match self.timeout.as_deref() {
            None if self.lazy_pages => Ok(LAZY_PATIENCE),
            None => Ok(CheckpointOptions::PATIENCE),
            Some(text) => duration::parse(text)
                .filter(|length| !length.is_zero())
                .ok_or_else(|| Failure::new(format!("invalid timeout {text:?}"))),
        }
    }
}

/// criu works for root of the host; what it makes of others is its own to say.
pub(super) fn warn_unless_root(context: &Context, command: &str) {
    let maps = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_first = maps.split_whitespace().eq(["0", "0", "4294967295"]);
    if !nix::unistd::geteuid().is_root() || !is_first {
        let text = format!("tare {command} is untested with rootless containers");
        context.log.warning(&text);
    }
}

/// Makes a directory with those above it.
pub(super) fn make_directory(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Failure::file("mkdir", path, &error))
}
