//! Identity, limits and security of the process.

use super::{Answer, check, nr, syscall};
use core::ffi::CStr;
use core::ptr;

pub fn prctl(option: usize, a: usize, b: usize) -> Answer<usize> {
    call!(nr::PRCTL, option, a, b, 0, 0)
}

/// Whether the files of /proc/self are this process's user's, or root's.
pub fn set_dumpable(on: bool) -> Answer<usize> {
    const PR_SET_DUMPABLE: usize = 4;
    prctl(PR_SET_DUMPABLE, usize::from(on), 0)
}

pub fn set_name(name: &CStr) {
    const PR_SET_NAME: usize = 15;
    let _ = prctl(PR_SET_NAME, name.as_ptr() as usize, 0);
}

pub fn set_groups(groups: &[u8]) -> Answer<usize> {
    call!(nr::SETGROUPS, groups.len() / 4, groups.as_ptr())
}

pub fn set_uid(uid: u32) -> Answer<usize> {
    call!(nr::SETRESUID, uid, uid, uid)
}

pub fn set_gid(gid: u32) -> Answer<usize> {
    call!(nr::SETRESGID, gid, gid, gid)
}

pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> Answer<usize> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let data = [low(effective), low(permitted), low(inheritable), high(effective), high(permitted), high(inheritable)];
    call!(nr::CAPSET, header.as_ptr(), data.as_ptr())
}

pub fn set_limit(resource: u64, soft: u64, hard: u64) -> Answer<usize> {
    let limit = [soft, hard];
    call!(nr::PRLIMIT64, 0, resource, limit.as_ptr(), 0)
}

pub fn sched_setattr(attr: &[u8]) -> Answer<usize> {
    call!(nr::SCHED_SETATTR, 0, attr.as_ptr(), 0)
}

pub fn sched_setaffinity(mask: &[u8]) -> Answer<usize> {
    call!(nr::SCHED_SETAFFINITY, 0, mask.len(), mask.as_ptr())
}

pub fn ioprio_set(priority: u64) -> Answer<usize> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    call!(nr::IOPRIO_SET, IOPRIO_WHO_PROCESS, 0, priority)
}

pub fn personality(persona: u64) -> Answer<usize> {
    call!(nr::PERSONALITY, persona)
}

pub fn set_mempolicy(mode: u64, nodes: &[u8], max_node: u64) -> Answer<usize> {
    let mask = if nodes.is_empty() { ptr::null() } else { nodes.as_ptr() };
    call!(nr::SET_MEMPOLICY, mode, mask, max_node)
}

/// Loads a filter; with SECCOMP_FILTER_FLAG_NEW_LISTENER in `flags` the answer is a descriptor.
pub fn seccomp_filter(program: &[u8], flags: u64) -> Answer<usize> {
    const SECCOMP_SET_MODE_FILTER: usize = 1;
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const u8,
    }
    let program = Program { length: (program.len() / 8) as u16, instructions: program.as_ptr() };
    call!(nr::SECCOMP, SECCOMP_SET_MODE_FILTER, flags, &raw const program)
}

pub fn join_session_keyring(name: &CStr) -> Answer<usize> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    call!(nr::KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr())
}

pub fn key_permissions(key: usize, permissions: u32) -> Answer<usize> {
    const KEYCTL_SETPERM: usize = 5;
    call!(nr::KEYCTL, KEYCTL_SETPERM, key, permissions)
}
