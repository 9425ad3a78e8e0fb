//! Network devices: moved into a container, and what went through them.

mod device;
mod link;
mod netlink;
pub mod stats;

pub(super) use device::Passage;
