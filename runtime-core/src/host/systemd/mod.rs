//! Asking systemd for a container's cgroup, in the few messages that this takes.

mod bus;
mod message;
mod unit;

pub(crate) use unit::{Starting, manager_cgroup, manager_is_roots, set_properties, stop};
