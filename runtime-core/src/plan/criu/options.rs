//! What users choose about a checkpoint or a restore.

use std::path::PathBuf;

/// How criu deals with cgroups (`--manage-cgroups-mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupsMode {
    /// As criu likes: `Soft`.
    #[default]
    Default,
    /// Not at all: what is restored stays in the cgroup that was made for it.
    Ignore,
    /// Values of cgroups that were not there.
    Soft,
    /// Values of all cgroups.
    Full,
    /// No cgroup may be there already.
    Strict,
}

impl CgroupsMode {
    /// The mode that a user names.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ignore" => Self::Ignore,
            "soft" => Self::Soft,
            "full" => Self::Full,
            "strict" => Self::Strict,
            _ => return None,
        })
    }

    /// Its number in `criu_cg_mode`.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Ignore => 0,
            Self::Soft => 3,
            Self::Full => 4,
            Self::Strict => 5,
            Self::Default => 6,
        }
    }
}

/// How packets to and from the container are held back meanwhile (`--network-lock`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkLock {
    /// By iptables.
    Iptables,
    /// By nftables.
    Nftables,
    /// Not at all.
    Skip,
}

impl NetworkLock {
    /// The method that a user names.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "iptables" => Self::Iptables,
            "nftables" => Self::Nftables,
            "skip" => Self::Skip,
            _ => return None,
        })
    }

    /// Its number in `criu_network_lock_method`.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Iptables => 1,
            Self::Nftables => 2,
            Self::Skip => 3,
        }
    }
}

/// What a checkpoint and a restore have in common.
#[derive(Clone, Debug, Default)]
pub struct CriuSwitches {
    /// TCP connections are kept.
    pub tcp_established: bool,
    /// Unix sockets may be connected to others outside.
    pub ext_unix_sk: bool,
    /// The session and terminal may be somebody else's.
    pub shell_job: bool,
    /// File locks are kept.
    pub file_locks: bool,
    /// Memory is fetched when it is used.
    pub lazy_pages: bool,
    /// Take out of older images what newer ones have.
    pub auto_dedup: bool,
    /// How cgroups are dealt with.
    pub cgroups_mode: CgroupsMode,
    /// How packets are held back; criu's own choice when absent.
    pub network_lock: Option<NetworkLock>,
}

/// What is chosen about a checkpoint alone.
#[derive(Clone, Debug, Default)]
pub struct DumpSwitches {
    /// Save memory only.
    pub pre_dump: bool,
    /// The container goes on afterwards.
    pub leave_running: bool,
    /// TCP connections that are being made are left out.
    pub tcp_skip_in_flight: bool,
    /// Link files back that have no name any more.
    pub link_remap: bool,
    /// The images of an earlier pre-dump, relative to the images.
    pub parent_path: Option<PathBuf>,
    /// Host and port of a server that takes the pages.
    pub page_server: Option<(String, u16)>,
}

/// What is chosen about a restore alone.
#[derive(Clone, Debug, Default)]
pub struct RestoreSwitches {
    /// TCP connections are closed.
    pub tcp_close: bool,
    /// Another security label: TYPE:NAME.
    pub lsm_profile: Option<String>,
    /// Another label for mounts that have one.
    pub lsm_mount_context: Option<String>,
}
