//! System calls that neither std nor nix wraps: the only unsafe of the host
//! side.

pub mod bpf;
pub mod pidfd;
