//! Where a container's cgroup is and what has to be done to make it.

mod disabled;
mod layout;
mod ops;
mod owner;
mod path;
mod place;
pub mod systemd;

pub(super) use disabled::do_without;
pub(crate) use layout::DEFAULT_BASE;
pub(in crate::plan) use layout::unescape;
pub use layout::{Hierarchy, Layout, LayoutFinder, Mode};
pub use ops::{CgroupOp, CgroupPlan, CgroupRequest, Part, SystemdRequest};
pub(super) use owner::owner;
pub use path::clean;
pub use place::{Cgroup, Directory};
