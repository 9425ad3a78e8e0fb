//! Deciding everything: from a checked configuration and the facts of the host
//! to an immutable list of operations. Nothing below this folder makes a system
//! call.

mod annotations;
pub mod bitmask;
mod blame;
pub mod capabilities;
pub mod cgroup;
pub mod clone_flags;
mod container;
pub mod criu;
pub mod devices;
mod enter;
pub mod environment;
mod exec;
pub mod executable;
mod facts;
mod filter;
pub mod hooks;
pub mod identity;
mod inside;
mod live;
pub mod mounts;
pub mod namespaces;
pub mod numa;
pub mod ops;
pub mod personality;
mod process;
pub mod resctrl;
pub mod resources;
pub mod rlimits;
mod rootfs;
pub mod scheduling;
mod show;
mod step;
pub mod sysctl;
pub mod wire;

pub(crate) use blame::{LOCKED_BELOW, blame, blame_rlimit};
pub(crate) use container::host_hook;
pub use container::{Request, container};
pub use exec::{ExecRequest, exec};
pub use facts::Facts;
pub use live::{LiveRequest, add_mount, remove_mount};
pub(crate) use process::{no_process, nothing};
pub use step::{Action, Descriptor, HostHook, HostOp, IdMapping, Plan, Step, Tree, UserNamespace};
