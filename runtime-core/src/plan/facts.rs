//! What a plan depends on besides the configuration.

use super::cgroup::Layout;
use super::resctrl::Resctrl;

/// Facts of the host and of the calling process, read once for a plan.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Capabilities that the caller has and can pass on, one bit a number.
    pub permitted: u64,
    /// Its bounding set.
    pub bounding: u64,
    /// Signals that it ignores, signal N being bit N-1.
    pub ignored_signals: u64,
    /// Whether it may be pinned to some of the CPUs.
    pub pinned: bool,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// The host's cgroups; `None` when there are none.
    pub layout: Option<Layout>,
    /// Whether `/sys/fs/cgroup` is the v2 hierarchy; looked at only for a container that
    /// gets no cgroup.
    pub v2_without_cgroup: bool,
    /// The cgroup of systemd's own units, below the top; asked for only by its driver.
    pub manager_cgroup: Option<String>,
    /// resctrl, looked at only for a container that has to do with it.
    pub resctrl: Option<Resctrl>,
}
