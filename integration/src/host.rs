//! The machine: cgroup layouts in private mount namespaces, and what it can give.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::context::Layout;
use crate::outcome::{Outcome, Stop};

const MOUNT: &str = "/sys/fs/cgroup";
const NONE: Option<&str> = None;

/// Gives this process a mount namespace of its own with the cgroup layout asked for.
///
/// Call it before any other thread is started.
pub fn enter(layout: Layout) -> Outcome {
    match layout {
        Layout::Host => Ok(()),
        Layout::V1 => {
            private_mounts()?;
            // A machine without the v2 hierarchy beside v1 has nothing to unmount.
            let _ = umount2(&*format!("{MOUNT}/unified"), MntFlags::MNT_DETACH);
            Ok(())
        }
        Layout::V2 => {
            private_mounts()?;
            let table = std::fs::read_to_string("/proc/self/mountinfo")?;
            let points: Vec<_> = table.lines().filter_map(|l| l.split(' ').nth(4)).collect();
            for point in points.iter().rev().filter(|p| p.starts_with(MOUNT)) {
                umount2(*point, MntFlags::MNT_DETACH)?;
            }
            Ok(mount(Some("none"), MOUNT, Some("cgroup2"), MsFlags::empty(), NONE)?)
        }
    }
}

/// Whether cgroup v1 is what this machine mounts.
pub fn has_v1() -> bool {
    std::path::Path::new("/sys/fs/cgroup/memory").is_dir()
}

fn private_mounts() -> Outcome {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?)
}

/// Makes this process the parent of orphans below it, as an engine's shim is.
pub fn adopt_orphans() -> Outcome {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Runs this program once more with other arguments and gives its exit code.
pub fn again(args: &[String]) -> Outcome<i32> {
    let status = Command::new(std::env::current_exe()?).arg0("suite").args(args).status()?;
    Ok(status.code().unwrap_or(1))
}

/// Whether this process has a capability in its effective set.
pub fn has_capability(capability: caps::Capability) -> bool {
    caps::has_cap(None, caps::CapSet::Effective, capability).unwrap_or(false)
}

/// Skips the test where a capability is missing.
pub fn needs_capability(capability: caps::Capability) -> Outcome {
    if has_capability(capability) {
        return Ok(());
    }
    Err(Stop::skip(format!("no {capability} here")))
}
