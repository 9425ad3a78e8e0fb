//! What the host side does to the machine.

pub mod cgroup;
pub(crate) mod channel;
pub(crate) mod criu;
pub(crate) mod execute;
pub(crate) mod facts;
pub(crate) mod hooks;
mod id_map;
pub mod image;
mod listener;
pub(crate) mod members;
pub mod network;
pub(crate) mod notify;
pub(crate) mod proc_stat;
pub(crate) mod record;
pub mod resctrl;
pub(crate) mod sockets;
pub(crate) mod spawn;
pub(crate) mod systemd;
mod trees;
pub(crate) mod unmount;
mod user_namespace;
mod walk;
