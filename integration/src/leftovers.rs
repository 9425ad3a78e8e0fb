//! What a test must not leave behind: processes, mounts, cgroups, state.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::context::{Context, Layout};
use crate::{cgroups, host};

/// A process needs a moment to die and its cgroup one to be empty.
const GRACE: Duration = Duration::from_millis(500);

/// Looks for leftovers, waiting a little for those that are on their way out; then removes them.
pub fn take(ctx: &Context) -> Vec<String> {
    let until = Instant::now() + GRACE;
    let mut found = look(ctx);
    while !found.is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
        found = look(ctx);
    }
    if !found.is_empty() {
        clean(ctx);
    }
    cgroups::remove(ctx.layout, &ctx.cgroup);
    found
}

/// What is there now.
pub fn look(ctx: &Context) -> Vec<String> {
    let mut found = processes();
    found.extend(mounts(&ctx.dir));
    found.extend(container_cgroups(ctx.layout, &ctx.cgroup));
    found.extend(state(&ctx.root()));
    found
}

/// This process adopts orphans, so whatever a runtime started and left is a child of it.
fn processes() -> Vec<String> {
    children().into_iter().filter_map(describe).collect()
}

fn describe(pid: i32) -> Option<String> {
    if let Ok(status) = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG))
        && status.pid().is_some()
    {
        return None;
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("process {pid} ({})", name.trim()))
}

/// The processes that are children of this one, those it has adopted among them.
pub fn children() -> Vec<i32> {
    let own = std::process::id();
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|t| {
            let tid = t.file_name().into_string().ok()?;
            fs::read_to_string(format!("/proc/{own}/task/{tid}/children")).ok()
        })
        .flat_map(|list| list.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The mounts below a directory.
pub fn mounts(dir: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let dir = dir.to_string_lossy();
    let points = table.lines().filter_map(|l| l.split(' ').nth(4));
    points.filter(|p| p.starts_with(dir.as_ref())).map(|p| format!("mount {p}")).collect()
}

fn container_cgroups(layout: Layout, parent: &str) -> Vec<String> {
    let parents = cgroups::directories(layout, parent);
    let entries = parents.iter().flat_map(|p| fs::read_dir(p).into_iter().flatten().flatten());
    entries
        .filter(|e| e.path().is_dir())
        .map(|e| format!("cgroup {}", e.path().display()))
        .collect()
}

fn state(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|e| format!("state {}", e.path().display())).collect()
}

/// Ends the processes that a runtime left to this one, and names them.
pub fn end_processes() -> Vec<String> {
    let until = Instant::now() + GRACE;
    while !processes().is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let found = processes();
    kill_children();
    found
}

/// Removes the cgroups with such a name at the top of a hierarchy or beside this process, and
/// names them.
pub fn remove_cgroups(matches: impl Fn(&str) -> bool) -> Vec<String> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own: BTreeSet<&str> = own.lines().filter_map(|l| l.splitn(3, ':').nth(2)).collect();
    let parents = own.iter().copied().chain(["/"]);
    let layout = if host::has_v1() { Layout::Host } else { Layout::V2 };
    let dirs = parents.flat_map(|p| cgroups::directories(layout, p));
    let children = dirs.flat_map(|d| fs::read_dir(d).into_iter().flatten().flatten());
    let found: BTreeSet<PathBuf> = children
        .filter(|e| e.file_name().to_str().is_some_and(&matches))
        .map(|e| e.path())
        .collect();
    found.iter().for_each(|dir| cgroups::remove_tree(dir));
    found.iter().map(|dir| format!("cgroup {}", dir.display())).collect()
}

/// The cgroups of tests that no longer run: `tare-it-PID` and the like, at the top of a hierarchy.
pub fn cgroups_of_tests() -> BTreeSet<PathBuf> {
    let layout = if host::has_v1() { Layout::Host } else { Layout::V2 };
    let tops = cgroups::hierarchies(layout).into_iter();
    let children = tops.flat_map(|d| fs::read_dir(d).into_iter().flatten().flatten());
    children
        .filter(|e| e.file_name().to_str().is_some_and(is_of_ended_test))
        .map(|e| e.path())
        .collect()
}

fn is_of_ended_test(name: &str) -> bool {
    let mut words = name.split('-');
    words.next() == Some("tare")
        && matches!(words.next(), Some("it" | "embed" | "test"))
        && words.next().is_some_and(|pid| !Path::new("/proc").join(pid).exists())
}

/// Removes what the runtime under test should have removed, so that the next test starts clean.
fn clean(ctx: &Context) {
    kill_children();
    for mount in mounts(&ctx.dir).iter().rev().filter_map(|m| m.strip_prefix("mount ")) {
        let _ = nix::mount::umount2(mount, nix::mount::MntFlags::MNT_DETACH);
    }
    // Errors show as leftovers of the next test.
    let _ = fs::remove_dir_all(ctx.root());
}

fn kill_children() {
    let until = Instant::now() + GRACE;
    while !children().is_empty() && Instant::now() < until {
        for pid in children() {
            // Errors mean that it is gone. Not waited for one by one: the first process of a pid
            // namespace ends only after the others have been reaped.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
