//! Into namespaces: by joining, by leaving, by a child.

use crate::host::{During, Fault, Host};
use crate::ops::{Call, Fact};
use crate::sys::{self, List, errno, flag};
use crate::wire;
use core::ffi::CStr;

pub fn join(slot: u64, kind: u64) -> Result<(), Fault> {
    let fd = wire::descriptor(slot).ok_or(Fault::new(Call::Plan, errno::EBADMSG))?;
    sys::setns(fd, kind).during(Call::Setns).map(drop)
}

pub fn time_offsets(text: &CStr) -> Result<(), Fault> {
    let file = sys::open(flag::AT_FDCWD, c"/proc/self/timens_offsets", flag::O_WRONLY, 0).during(Call::Open)?;
    sys::write(file.raw(), text.to_bytes()).during(Call::Write).map(drop)
}

/// In the host's view of the file system, with its privileges.
pub fn join_cgroups(tasks: List, slot: u64) -> Result<(), Fault> {
    for index in 0..tasks.count() {
        let Some(path) = tasks.get(index) else { continue };
        let file = sys::open(flag::AT_FDCWD, path, flag::O_WRONLY, 0).during(Call::Open)?;
        sys::write(file.raw(), b"0").during(Call::Write)?;
    }
    if let Some(file) = wire::descriptor(slot) {
        sys::write(file, b"0").during(Call::Write)?;
    }
    Ok(())
}

/// The child has this process's parent, so the host side can wait for it.
pub fn fork(flags: u64, host: &Host) -> Result<(), Fault> {
    match sys::fork(flags | flag::CLONE_PARENT as u64).during(Call::Clone)? {
        0 => Ok(()),
        pid => {
            host.tell(Fact::Child, pid as u64)?;
            sys::exit(0)
        }
    }
}
