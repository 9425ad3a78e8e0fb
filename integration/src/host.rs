//! The machine: cgroup layouts in private mount namespaces, and what it can give.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::context::{Context, Layout};
use crate::outcome::{Outcome, Stop};
use crate::process::{Running, wait_for};

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
            only_v1()
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

/// Gives this process a mount namespace of its own with a cgroup layout, whose mounts then
/// propagate as a word says.
pub fn enter_mounts(layout: Layout, propagation: &str) -> Outcome {
    let flags = match propagation {
        "private" => MsFlags::MS_PRIVATE,
        "slave" => MsFlags::MS_SLAVE,
        "shared" => MsFlags::MS_SHARED,
        _ => return Err(Stop::fail(format!("{propagation}: no such propagation"))),
    };
    match layout {
        Layout::Host => private_mounts()?,
        other => enter(other)?,
    }
    Ok(mount(NONE, "/", NONE, MsFlags::MS_REC | flags, NONE)?)
}

/// Puts a directory with the v1 hierarchies alone in the place of the usual one. Unmounting the v2
/// hierarchy would leave its mount point, where crun makes directories that others see.
fn only_v1() -> Outcome {
    let staging = std::env::temp_dir().join(format!("tare-it-cgroup-{}", std::process::id()));
    std::fs::create_dir(&staging)?;
    mount(Some("none"), &staging, Some("tmpfs"), MsFlags::empty(), NONE)?;
    for entry in std::fs::read_dir(MOUNT)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&path)?, staging.join(name))?;
        } else if path.join("release_agent").exists() || path.join("tasks").exists() {
            std::fs::create_dir(staging.join(&name))?;
            mount(Some(&path), &staging.join(name), NONE, MsFlags::MS_BIND, NONE)?;
        }
    }
    umount2(MOUNT, MntFlags::MNT_DETACH)?;
    mount(Some(&staging), MOUNT, NONE, MsFlags::MS_MOVE, NONE)?;
    Ok(std::fs::remove_dir(&staging)?)
}

/// The layouts to try for the words of a command line, one at least: `all` is the machine's own and
/// v2, and without a word it is v1 where v1 is mounted, which suits every runtime.
pub fn layouts(asked: &[String]) -> Vec<String> {
    let words: &[&str] = match (has_v1(), asked.first().map(String::as_str)) {
        (true, None) => &["v1"],
        (true, Some("all")) => &["host", "v2"],
        (false, None | Some("all")) => &["host"],
        _ => return asked.to_vec(),
    };
    words.iter().map(|word| (*word).to_owned()).collect()
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

/// Runs this program once more with other arguments, passes its output on, and gives its exit code
/// and the last line.
pub fn again(args: &[String]) -> Outcome<(i32, String)> {
    let mut child =
        Command::new(std::env::current_exe()?).args(args).stdout(Stdio::piped()).spawn()?;
    let mut last = String::new();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        last = line?;
        println!("{last}");
    }
    Ok((child.wait()?.code().unwrap_or(1), last))
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

/// This process's hard limit of a resource that config.json names.
pub fn hard_limit(name: &str) -> Outcome<u64> {
    let row = match name {
        "RLIMIT_AS" => "Max address space",
        "RLIMIT_CORE" => "Max core file size",
        "RLIMIT_CPU" => "Max cpu time",
        "RLIMIT_DATA" => "Max data size",
        "RLIMIT_FSIZE" => "Max file size",
        "RLIMIT_LOCKS" => "Max file locks",
        "RLIMIT_MEMLOCK" => "Max locked memory",
        "RLIMIT_MSGQUEUE" => "Max msgqueue size",
        "RLIMIT_NICE" => "Max nice priority",
        "RLIMIT_NOFILE" => "Max open files",
        "RLIMIT_NPROC" => "Max processes",
        "RLIMIT_RSS" => "Max resident set",
        "RLIMIT_RTPRIO" => "Max realtime priority",
        "RLIMIT_RTTIME" => "Max realtime timeout",
        "RLIMIT_SIGPENDING" => "Max pending signals",
        "RLIMIT_STACK" => "Max stack size",
        _ => return Err(Stop::fail(format!("{name}: unknown limit"))),
    };
    let table = std::fs::read_to_string("/proc/self/limits")?;
    let words = table.lines().find_map(|l| l.strip_prefix(row)).unwrap_or_default();
    let hard = words.split_whitespace().nth(1).unwrap_or_default();
    Ok(if hard == "unlimited" { u64::MAX } else { hard.parse()? })
}

/// A process that keeps new namespaces alive until it is dropped.
#[derive(Debug)]
pub struct Holder {
    process: Option<Running>,
    child: i32,
}

impl Holder {
    /// Makes namespaces of these types.
    pub fn new(ctx: &Context, types: &[&str]) -> Outcome<Self> {
        let mut args = vec!["hold-namespaces"];
        args.extend(types);
        let process = ctx.helper(&args)?.start()?;
        let child = wait_for("new namespaces", || {
            Ok(std::fs::read_to_string(process.stdout())?.trim().parse().ok())
        })?;
        Ok(Self { process: Some(process), child })
    }

    /// The path of a namespace, as config.json gives it.
    pub fn path(&self, kind: &str) -> String {
        let file = match kind {
            "mount" => "mnt",
            "network" => "net",
            other => other,
        };
        format!("/proc/{}/ns/{file}", self.child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // One that is gone already is reaped all the same.
            let _ = process.kill();
            let _ = process.done();
        }
        let child = nix::unistd::Pid::from_raw(self.child);
        let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
        let _ = nix::sys::wait::waitpid(child, None);
    }
}

/// A directory of the host with a tmpfs mounted on it and another below it, for as long as the
/// value lives.
#[derive(Debug)]
pub struct HostTree {
    pub dir: PathBuf,
}

impl HostTree {
    /// `tree`, which has `nodev`, and `below` with a file in it.
    pub fn new(ctx: &Context) -> Outcome<Self> {
        let dir = ctx.dir.join("tree");
        std::fs::create_dir_all(&dir)?;
        mount(Some("tree"), &dir, Some("tmpfs"), MsFlags::MS_NODEV, NONE)?;
        let tree = Self { dir };
        let below = tree.dir.join("below");
        std::fs::create_dir(&below)?;
        mount(Some("below"), &below, Some("tmpfs"), MsFlags::empty(), NONE)?;
        std::fs::write(below.join("file"), "below")?;
        Ok(tree)
    }
}

impl Drop for HostTree {
    fn drop(&mut self) {
        // What stays mounted is reported as left behind.
        let _ = umount2(&self.dir.join("below"), MntFlags::MNT_DETACH);
        let _ = umount2(&self.dir, MntFlags::MNT_DETACH);
    }
}
