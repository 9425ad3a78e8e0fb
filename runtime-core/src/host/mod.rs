//! What the host side does to the machine.

pub mod cgroup;
