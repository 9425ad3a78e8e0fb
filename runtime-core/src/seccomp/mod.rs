//! Seccomp: an OCI profile compiled into the classic BPF program that the
//! kernel runs at every system call. Pure: no system call is made here.
//!
//! ```text
//! ld  arch
//! jeq AUDIT_ARCH_…  ─▶ ld nr ─▶ binary search over intervals of numbers
//! ret KILL_THREAD                 ├─▶ ret action
//!                                 └─▶ argument tests ─▶ ret action | ret default
//! ```
//!
//! What a profile means follows runc over libseccomp, and is tested against
//! libseccomp's own programs; the answer for system calls newer than the
//! profile is runc's.

mod abi;
mod action;
mod args;
mod assembler;
mod enosys;
mod flags;
mod hash;
mod interpret;
mod intervals;
pub mod known;
mod names;
mod notify;
mod profile;
mod raw;
mod rules;
mod tree;

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction};
pub use seccompiler::sock_filter;

use crate::error::{Notice, Result};
use profile::Policy;

/// Where the profile stands in config.json.
const POINTER: &str = "/linux/seccomp";

/// A compiled profile, ready for seccomp(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The filter, at most 4096 instructions (`BPF_MAXINSNS`).
    pub instructions: Vec<sock_filter>,
    /// The `SECCOMP_FILTER_FLAG_*` bits to pass to seccomp(2).
    ///
    /// A profile without `flags` gets `SPEC_ALLOW`, which kernels before 4.17
    /// do not know: whoever loads the program must try again without that bit
    /// when the kernel answers EINVAL.
    pub flags: u64,
    /// Whether loading gives a listener (`SECCOMP_FILTER_FLAG_NEW_LISTENER` is
    /// among the flags), which belongs to the agent at `listenerPath`.
    pub notify: bool,
}

/// How to read a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The architecture of the kernel, which every profile covers, listed or not.
    pub native: Arch,
    /// Whether a system call that no known architecture has is an error; it is
    /// left out otherwise.
    pub fail_unknown: bool,
}

impl Default for Options {
    /// This machine's architecture; unknown names are left out.
    fn default() -> Self {
        Self { native: abi::host(), fail_unknown: false }
    }
}

/// Compiles `profile`. `None` means that there is nothing to load: everything
/// is allowed and no system call is named.
///
/// # Errors
///
/// `InvalidConfig` with a pointer below `/linux/seccomp` for a value out of
/// range, for rules of one system call that contradict each other, for a use
/// of `SCMP_ACT_NOTIFY` that would hang the container, and for a program longer
/// than the kernel takes. `Unsupported` when this processor has no table of
/// system calls.
pub fn compile(
    profile: &LinuxSeccomp,
    options: &Options,
    notices: &mut Vec<Notice>,
) -> Result<Option<Program>> {
    if allows_everything(profile) {
        return Ok(None);
    }
    let notify = notify::check(profile)?;
    let flags = flags::bits(Some(profile), notify, notices);
    let policy = Policy::read(profile, options, notices)?;
    let instructions = tree::assemble(&policy)?;
    Ok(Some(Program { instructions, flags, notify }))
}

/// A program that somebody else has compiled, to be loaded in place of what
/// `profile` says: `text` is base64 of `struct sock_filter`s in this machine's
/// order of bytes. The flags are still those of the profile. `notify` is whether
/// there is an agent for a listener.
///
/// # Errors
///
/// What is wrong with `text`, in words. The instructions themselves are checked
/// by the kernel.
pub fn decode(
    text: &str,
    profile: Option<&LinuxSeccomp>,
    notify: bool,
    notices: &mut Vec<Notice>,
) -> std::result::Result<Program, String> {
    let flags = flags::bits(profile, notify, notices);
    Ok(Program { instructions: raw::instructions(text)?, flags, notify })
}

fn allows_everything(profile: &LinuxSeccomp) -> bool {
    profile.default_action() == LinuxSeccompAction::ScmpActAllow
        && profile.syscalls().as_ref().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests;
