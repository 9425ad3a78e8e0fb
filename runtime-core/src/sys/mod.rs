//! System calls that neither std nor nix wraps: the only unsafe code of the
//! host side.

pub mod bpf;
pub(crate) mod child;
pub mod fd;
pub(crate) mod mount;
pub mod pidfd;
pub(crate) mod probe;
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
mod processor;
pub(crate) mod rlimit;
mod signal;
pub(crate) mod spawn;
pub mod tty;
