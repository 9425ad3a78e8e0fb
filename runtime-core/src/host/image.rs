//! The file that init is started from: the program and the plan in one sealed,
//! anonymous file. Nothing of the host's own binary, nor of the embedding
//! program, is ever within a container's reach (CVE-2019-5736).

use crate::error::{Error, Result};
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

static INIT: &[u8] = include_bytes!(env!("TARE_INIT"));
/// Where the program header of the plan's segment stands in the file.
const PLAN_HEADER: usize = parse(env!("TARE_INIT_PLAN_HEADER"));
const PAGE: usize = 4096;
/// Size of an Elf64_Phdr.
const PROGRAM_HEADER: usize = 56;

const fn parse(digits: &str) -> usize {
    let digits = digits.as_bytes();
    let (mut sum, mut at) = (0, 0);
    while at < digits.len() {
        sum = sum * 10 + (digits[at] - b'0') as usize;
        at += 1;
    }
    sum
}

/// Bytes of the init program, as embedded.
pub const fn init_size() -> usize {
    INIT.len()
}

/// Makes the file for an encoded plan. `directory` is where it goes when the
/// kernel forbids programs in memory (`vm.memfd_noexec`, Linux 6.3).
pub(crate) fn with_plan(plan: &[u8], directory: &Path) -> Result<OwnedFd> {
    match in_memory(plan) {
        Err(error) if error.errno() == Some(libc::EACCES) => on_disk(plan, directory),
        answer => answer,
    }
}

fn in_memory(plan: &[u8]) -> Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = match memfd_create(c"tare-init", flags | MFdFlags::from_bits_retain(libc::MFD_EXEC))
    {
        // The flag is of Linux 6.3.
        Err(nix::errno::Errno::EINVAL) => memfd_create(c"tare-init", flags),
        answer => answer,
    };
    let file = file.map_err(|errno| Error::os("memfd_create", errno as i32))?;
    let mut file = File::from(file);
    write(&mut file, plan)?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(|errno| Error::os("fcntl", errno as i32))?;
    Ok(file.into())
}

/// What to do when there is nowhere to run init from.
pub(crate) const NO_PLACE: &str = "vm.memfd_noexec forbids programs in memory and the state directory cannot hold one either: \
     set vm.memfd_noexec to 0 or 1, or put --root on a filesystem mounted with exec";

/// A file without a name. It can be executed once nobody has it open for writing.
fn on_disk(plan: &[u8], directory: &Path) -> Result<OwnedFd> {
    let failed =
        |errno: nix::errno::Errno| Error::os("open", errno as i32).path(directory).hint(NO_PLACE);
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let mut file =
        File::from(open(directory, flags, Mode::from_bits_retain(0o500)).map_err(failed)?);
    write(&mut file, plan)?;
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    let reader =
        open(name.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed)?;
    Ok(reader)
}

/// Program, patched program header, plan: gathered by the kernel, not copied here.
fn write(file: &mut File, plan: &[u8]) -> Result<()> {
    const PADDING: [u8; PAGE] = [0; PAGE];
    let start = INIT.len().next_multiple_of(PAGE);
    let header = plan_header(start as u64, (plan.len() + size_of::<u64>()) as u64);
    let length = (plan.len() as u64).to_le_bytes();
    let parts: [&[u8]; 6] = [
        &INIT[..PLAN_HEADER],
        &header,
        &INIT[PLAN_HEADER + header.len()..],
        &PADDING[..start - INIT.len()],
        &length,
        plan,
    ];
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let failed = |error: std::io::Error| Error::io("write", &error).context("writing init");
    match file.write_vectored(&parts.map(IoSlice::new)).map_err(failed)? {
        written if written == total => Ok(()),
        _ => Err(failed(std::io::Error::from_raw_os_error(libc::ENOSPC))),
    }
}

/// The header of the plan's segment, with its place and size in the file.
fn plan_header(offset: u64, size: u64) -> [u8; PROGRAM_HEADER] {
    let mut header = [0; PROGRAM_HEADER];
    header.copy_from_slice(&INIT[PLAN_HEADER..PLAN_HEADER + PROGRAM_HEADER]);
    // Elf64_Phdr: p_offset at 8, p_filesz at 32, p_memsz at 40.
    for (at, value) in [(8, offset), (32, size), (40, size)] {
        header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    header
}
