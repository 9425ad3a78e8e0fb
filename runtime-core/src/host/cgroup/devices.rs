//! Attaches the v2 device program.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use super::LiveCgroup;
use crate::error::{Error, Result};
use crate::plan::cgroup::Directory;
use crate::plan::resources::devices::Instruction;
use crate::sys::bpf;

impl LiveCgroup {
    /// Puts `program` in the place of every device program attached so far, or
    /// `beside` them; at no time is there none.
    pub(super) fn filter_devices(
        &self,
        directory: &Directory,
        program: &[Instruction],
        beside: bool,
    ) -> Result<()> {
        let cgroup = self.open_v2(directory)?;
        let words: Vec<u64> = program.iter().map(|instruction| instruction.word()).collect();
        let program = bpf::load_device_program(&words).map_err(cannot_load)?;
        let attached = match beside {
            true => bpf::attach(cgroup.as_fd(), program.as_fd(), None),
            false => replace(&cgroup, &program),
        };
        attached.map_err(|errno| {
            Error::os("bpf", errno as i32)
                .path(self.cgroup.absolute(directory))
                .context("attaching the device filter")
        })
    }
}

fn replace(cgroup: &OwnedFd, program: &OwnedFd) -> nix::Result<()> {
    let (cgroup, program) = (cgroup.as_fd(), program.as_fd());
    let old = bpf::attached(cgroup)?;
    if let [only] = old.as_slice() {
        match bpf::attach(cgroup, program, Some(only.as_fd())) {
            Err(Errno::EINVAL) => {} // before Linux 5.6, or attached without ALLOW_MULTI
            result => return result,
        }
    }
    bpf::attach(cgroup, program, None)?;
    for old in &old {
        match bpf::detach(cgroup, old.as_fd()) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn cannot_load(errno: Errno) -> Error {
    let error = Error::os("bpf", errno as i32).context("loading the device filter");
    match errno {
        Errno::EPERM => error.hint(
            "this needs CAP_BPF or CAP_SYS_ADMIN; before Linux 5.11 also a higher RLIMIT_MEMLOCK",
        ),
        Errno::EINVAL | Errno::ENOSYS => error.hint("the kernel needs CONFIG_CGROUP_BPF"),
        _ => error,
    }
}
