//! Pure decisions: from the bundle and the facts of the host to operations
//! that are data. Nothing below this folder makes a system call.

pub mod cgroup;
pub mod resources;
