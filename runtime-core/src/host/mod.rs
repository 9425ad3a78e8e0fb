//! What the host side does to the machine.

pub mod cgroup;
pub(crate) mod channel;
pub(crate) mod execute;
pub(crate) mod facts;
pub(crate) mod hooks;
mod id_map;
pub mod image;
mod listener;
pub(crate) mod members;
mod net_device;
mod net_link;
pub mod net_stats;
mod netlink;
pub(crate) mod notify;
pub(crate) mod proc_stat;
pub(crate) mod record;
pub(crate) mod resctrl;
pub mod resctrl_stats;
pub(crate) mod sockets;
pub(crate) mod spawn;
pub(crate) mod systemd;
mod trees;
pub(crate) mod unmount;
mod user_namespace;
