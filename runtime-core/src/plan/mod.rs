//! Pure decisions: from a checked configuration to numbers, masks and paths.

pub mod bitmask;
pub mod capabilities;
pub mod clone_flags;
pub mod devices;
pub mod environment;
pub mod executable;
pub mod hooks;
pub mod identity;
pub mod mounts;
pub mod namespaces;
pub mod numa;
pub mod personality;
pub mod rlimits;
pub mod scheduling;
pub mod sysctl;
