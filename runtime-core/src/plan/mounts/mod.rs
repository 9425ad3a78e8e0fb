//! Decisions about mounts.

pub mod id_map;
pub mod options;
