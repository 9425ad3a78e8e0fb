//! Asking systemd for a container's cgroup, in the few messages that this takes.

mod bus;
mod message;
mod unit;

pub(crate) use bus::Manager;
pub(crate) use unit::{Starting, attach, manager_cgroup, set_properties, stop};
