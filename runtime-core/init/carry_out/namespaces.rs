//! Into namespaces: by joining, by leaving, by a child.

use super::procfs;
use crate::host::{During, Fault, Host};
use crate::ops::{Call, Fact};
use crate::path::Buffer;
use crate::sys::{self, Fd, List, errno, flag};
use crate::wire;
use core::ffi::CStr;

/// A process's namespaces and their files, the user namespace last: whoever has
/// privileges on the host loses them there.
const FILES: [(u64, &CStr); 8] = [
    (0x200_0000, c"ns/cgroup"),
    (0x800_0000, c"ns/ipc"),
    (0x4000_0000, c"ns/net"),
    (0x2000_0000, c"ns/pid"),
    (0x80, c"ns/time"),
    (0x400_0000, c"ns/uts"),
    (0x2_0000, c"ns/mnt"),
    (0x1000_0000, c"ns/user"),
];

pub fn join_process(slot: u64, kinds: u64, pid: u64) -> Result<(), Fault> {
    let process = wire::descriptor(slot).ok_or(Fault::new(Call::Plan, errno::EBADMSG))?;
    match sys::setns(process, kinds) {
        Err(errno::EINVAL) => join_files(process, kinds, pid),
        answer => answer.during(Call::Setns).map(drop),
    }
}

/// Before setns took a pidfd (Linux 5.8): one by one, all opened before the
/// first is joined. What is refused is tried again after the others, for whoever
/// has privileges in the user namespace only.
fn join_files(process: i32, kinds: u64, pid: u64) -> Result<(), Fault> {
    let directory = directory_of(process, pid)?;
    let mut files = [const { None::<Fd> }; FILES.len()];
    for (file, (_, name)) in files.iter_mut().zip(FILES).filter(|(_, (kind, _))| kinds & kind != 0) {
        *file = Some(sys::open(directory.raw(), name, flag::O_RDONLY, 0).during(Call::Open)?);
    }
    for again in [false, true] {
        for (file, (kind, _)) in files.iter_mut().zip(FILES) {
            match file.as_ref().map(|file| sys::setns(file.raw(), kind)) {
                Some(Ok(_)) => *file = None,
                Some(Err(errno::EPERM)) if !again => {}
                Some(Err(errno)) => return Err(Fault::new(Call::Setns, errno)),
                None => {}
            }
        }
    }
    Ok(())
}

/// `/proc/PID`, which shows that process and no later one of its number.
fn directory_of(process: i32, pid: u64) -> Result<Fd, Fault> {
    let mut path = Buffer::of(b"/proc/").during(Call::Open)?;
    path.push_number(pid).during(Call::Open)?;
    let flags = flag::O_PATH | flag::O_DIRECTORY;
    let directory = sys::open(flag::AT_FDCWD, path.as_text(), flags, 0).during(Call::Open)?;
    let [ended, _] = sys::poll_either([process, -1], 0).during(Call::Poll)?;
    if ended { Err(Fault::new(Call::Setns, errno::ESRCH)) } else { Ok(directory) }
}

pub fn join(slot: u64, kind: u64) -> Result<(), Fault> {
    let fd = wire::descriptor(slot).ok_or(Fault::new(Call::Plan, errno::EBADMSG))?;
    sys::setns(fd, kind).during(Call::Setns).map(drop)
}

pub fn time_offsets(text: &CStr) -> Result<(), Fault> {
    procfs::write_own(c"/proc/self/timens_offsets", text)
}

/// In the host's view of the file system, with its privileges.
pub fn join_cgroups(tasks: List, slot: u64, may_be_denied: bool) -> Result<(), Fault> {
    for index in 0..tasks.count() {
        let Some(path) = tasks.get(index) else { continue };
        match join_cgroup(path) {
            // Denied, or not made because that was denied.
            Err(Fault { errno: errno::EACCES | errno::EPERM | errno::EROFS | errno::ENOENT, .. }) if may_be_denied => {}
            answer => answer?,
        }
    }
    if let Some(file) = wire::descriptor(slot) {
        sys::write(file, b"0").during(Call::Write)?;
    }
    Ok(())
}

fn join_cgroup(tasks: &CStr) -> Result<(), Fault> {
    let file = sys::open(flag::AT_FDCWD, tasks, flag::O_WRONLY, 0).during(Call::Open)?;
    sys::write(file.raw(), b"0").during(Call::Write).map(drop)
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
