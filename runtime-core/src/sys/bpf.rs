//! bpf(2) for programs of the type `BPF_PROG_TYPE_CGROUP_DEVICE` (Linux 4.15).

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_DETACH: i32 = 9;
const PROG_GET_FD_BY_ID: i32 = 13;
const PROG_QUERY: i32 = 16;

const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Other programs may stand beside ours; the kernel asks all of them.
const ALLOW_MULTI: u32 = 2;
/// Takes the place of the given program at once (Linux 5.6).
const REPLACE: u32 = 4;

/// The most programs the kernel attaches to one cgroup
/// (`BPF_CGROUP_MAX_PROGS`).
const MAX_PROGRAMS: usize = 64;

/// The verifier gives up with EAGAIN when a signal arrives, as children of an
/// embedding program send them; asked again it goes on.
const LOAD_ATTEMPTS: u32 = 100;

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The same for `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

/// The same for `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

/// The same for `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next_id: u32,
    flags: u32,
}

/// Loads a device program; `instructions` are `struct bpf_insn`s, 8 bytes each.
///
/// # Errors
/// EPERM without CAP_BPF or CAP_SYS_ADMIN, or, before Linux 5.11, with too
/// small a limit of locked memory; EINVAL when the kernel has no such programs
/// or its verifier refuses.
pub fn load_device_program(instructions: &[u64]) -> nix::Result<OwnedFd> {
    let mut name = [0; 16];
    name[..12].copy_from_slice(b"tare_devices");
    let mut attr = Load {
        program_type: TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(instructions.len()).map_err(|_| Errno::E2BIG)?,
        instructions: address(instructions.as_ptr()),
        license: address(c"Apache-2.0".as_ptr()),
        name,
        ..Load::default()
    };
    let mut attempts = 0..LOAD_ATTEMPTS;
    loop {
        // SAFETY: instructions and license outlive the call; the kernel writes
        // through no pointer of a load without a log.
        match unsafe { call_for_fd(PROG_LOAD, &mut attr) } {
            Err(Errno::EAGAIN) if attempts.next().is_some() => {}
            answer => return answer,
        }
    }
}

/// Attaches `program` to the cgroup directory `cgroup`, in the place of
/// `replaced` if given.
///
/// # Errors
/// EINVAL when the kernel cannot replace (before Linux 5.6); EPERM without
/// CAP_NET_ADMIN or CAP_SYS_ADMIN, or when an ancestor forbids more programs.
pub fn attach(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> nix::Result<()> {
    let mut attr = Attach {
        target: number(cgroup),
        program: number(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        flags: if replaced.is_some() { ALLOW_MULTI | REPLACE } else { ALLOW_MULTI },
        replaced: replaced.map_or(0, number),
    };
    // SAFETY: the attributes hold integers only.
    unsafe { call(PROG_ATTACH, &mut attr) }.map(drop)
}

/// Detaches `program` from `cgroup`.
///
/// # Errors
/// ENOENT when it is not attached.
pub fn detach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> nix::Result<()> {
    let mut attr = Attach {
        target: number(cgroup),
        program: number(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        ..Attach::default()
    };
    // SAFETY: the attributes hold integers only.
    unsafe { call(PROG_DETACH, &mut attr) }.map(drop)
}

/// The device programs attached to `cgroup` itself.
///
/// # Errors
/// Those of bpf(2); a program that goes away meanwhile is left out.
pub fn attached(cgroup: BorrowedFd<'_>) -> nix::Result<Vec<OwnedFd>> {
    let mut ids = [0u32; MAX_PROGRAMS];
    let mut attr = Query {
        target: number(cgroup),
        attach_type: ATTACH_CGROUP_DEVICE,
        ids: address(ids.as_mut_ptr()),
        count: 64,
        ..Query::default()
    };
    // SAFETY: ids has room for the count of ids that the kernel may write.
    unsafe { call(PROG_QUERY, &mut attr) }?;
    let count = usize::try_from(attr.count).unwrap_or(usize::MAX).min(MAX_PROGRAMS);
    let mut programs = Vec::new();
    for &id in &ids[..count] {
        let mut attr = ById { id, ..ById::default() };
        // SAFETY: the attributes hold integers only.
        match unsafe { call_for_fd(PROG_GET_FD_BY_ID, &mut attr) } {
            Ok(program) => programs.push(program),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(programs)
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// A pointer as the 64 bits that bpf(2) wants everywhere.
fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// # Safety
/// Every pointer in `attr` must be valid for what `command` does with it.
unsafe fn call<T>(command: i32, attr: &mut T) -> nix::Result<libc::c_long> {
    let (attr, size) = (std::ptr::from_mut(attr), size_of::<T>());
    // SAFETY: attr is valid for its own size; its contents are as the caller
    // vouches.
    Errno::result(unsafe { libc::syscall(libc::SYS_bpf, command, attr, size) })
}

/// # Safety
/// As for [`call`], and `command` must be one that makes a descriptor.
unsafe fn call_for_fd<T>(command: i32, attr: &mut T) -> nix::Result<OwnedFd> {
    // SAFETY: the caller vouches for attr.
    let fd = unsafe { call(command, attr) }?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just made it, close-on-exec, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
