//! What a machine must have so that a row can be tried.

use std::path::{Path, PathBuf};

use caps::Capability;

use crate::context::{Context, Layout};
use crate::{cgroups, host};

/// Something that not every machine has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    Capability(Capability),
    /// A controller that limits.
    Controller(&'static str),
    /// cgroup v1.
    V1,
    /// cgroup v2.
    V2,
    /// A file, and what it stands for.
    File(&'static str, &'static str),
    /// The absence of one.
    NoFile(&'static str, &'static str),
    /// A program in PATH.
    Program(&'static str),
    /// A file of a v1 hierarchy or a v2 cgroup, which the kernel may be built without.
    CgroupFile(&'static str, &'static str),
    /// One of several such files.
    AnyCgroupFile(&'static [&'static str]),
    /// Linux of this version or later.
    Linux(u32, u32),
    /// The x86 family of processors.
    X86,
    /// More than one processor.
    TwoProcessors,
    /// Real-time scheduling in a new cgroup, which CONFIG_RT_GROUP_SCHED gives no time to on v1.
    RealTime,
    /// A disk.
    Disk,
    /// A disk whose scheduler knows weights.
    DiskWithBfq,
    /// A size of huge pages.
    HugePages,
    /// AppArmor, with the profile that docker loads.
    AppArmor,
}

impl Need {
    /// What is missing here, in words.
    pub(super) fn missing(self, ctx: &Context) -> Option<String> {
        let (here, words) = match self {
            Self::Capability(capability) => {
                (host::has_capability(capability), capability.to_string())
            }
            Self::Controller("") => (true, String::new()),
            Self::Controller(name) => {
                (cgroups::has(ctx.layout, name), format!("{name} controller"))
            }
            Self::V1 => (!v2(ctx), "cgroup v1".to_owned()),
            Self::V2 => (v2(ctx), "cgroup v2".to_owned()),
            Self::File(path, words) => (Path::new(path).exists(), words.to_owned()),
            Self::NoFile(path, words) => (!Path::new(path).exists(), words.to_owned()),
            Self::Program(name) => (in_path(name), format!("program {name}")),
            Self::CgroupFile(controller, file) => {
                (cgroups::knows(ctx.layout, controller, file), file.to_owned())
            }
            Self::AnyCgroupFile(files) => {
                (files.iter().any(|f| cgroups::knows(ctx.layout, "", f)), files.join(" or "))
            }
            Self::Linux(major, minor) => {
                (kernel() >= (major, minor), format!("Linux {major}.{minor}"))
            }
            Self::X86 => (cfg!(target_arch = "x86_64"), "32-bit entry of x86".to_owned()),
            Self::TwoProcessors => (processors() > 1, "second processor".to_owned()),
            Self::RealTime => (
                v2(ctx) || !cgroups::knows(ctx.layout, "cpu", "cpu.rt_runtime_us"),
                "real-time scheduling in a new cgroup".to_owned(),
            ),
            Self::Disk => (disk().is_some(), "disk".to_owned()),
            Self::DiskWithBfq => (bfq(), "disk with the scheduler bfq".to_owned()),
            Self::HugePages => (
                Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists(),
                "huge pages of 2 MB".to_owned(),
            ),
            Self::AppArmor => (docker_profile(), "AppArmor profile docker-default".to_owned()),
        };
        (!here).then(|| format!("no {words}"))
    }
}

/// Whether cgroups are v2 for this context.
pub(super) fn v2(ctx: &Context) -> bool {
    ctx.layout == Layout::V2
}

/// Major and minor number of a disk that limits can be set for.
pub(super) fn disk() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(disk_dir()?.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn disk_dir() -> Option<PathBuf> {
    let entries = std::fs::read_dir("/sys/block").ok()?.flatten();
    entries.map(|e| e.path()).filter(|p| p.join("device").exists()).min()
}

fn bfq() -> bool {
    disk_dir()
        .and_then(|dir| std::fs::read_to_string(dir.join("queue/scheduler")).ok())
        .is_some_and(|schedulers| schedulers.contains("[bfq]"))
}

fn docker_profile() -> bool {
    std::fs::read_to_string("/sys/kernel/security/apparmor/profiles")
        .is_ok_and(|profiles| profiles.contains("docker-default (enforce)"))
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).exists())
}
