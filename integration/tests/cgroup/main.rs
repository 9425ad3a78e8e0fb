//! Cgroups on the kernel at hand, as root: v1 or hybrid as the host is, and
//! v2 in a mount namespace of its own where the host is not v2 already.

mod support;
mod v1;
mod v2;
