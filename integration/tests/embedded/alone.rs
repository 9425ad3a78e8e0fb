//! Running one test in a process that nobody else runs tests in.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fixture::BUSYBOX;

/// How long a test may take in one place.
const DEADLINE: Duration = Duration::from_secs(120);
const MARK: &str = "TARE_EMBEDDED_ALONE";

/// The surroundings are unusual, so that what is changed to the usual is seen, and what leaks into
/// a container as well: SIGHUP ignored, and a umask that takes everything from others.
const SURROUNDINGS: &str = "trap '' HUP; umask 0077; exec \"$0\" \"$@\"";
const V2: &str = "mount --make-rprivate / && umount -R /sys/fs/cgroup && \
                  mount -t cgroup2 none /sys/fs/cgroup && ";

/// Of a pid namespace; it cannot be taken back in the host's (Linux 6.3).
const NO_MEMORY: &str = "mount -t proc proc /proc && echo 2 >/proc/sys/vm/memfd_noexec && ";

/// Runs `body` in a process of its own: as the host is, with cgroup v2 alone, and where init has to
/// start from a disk.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        settle();
        return body();
    }
    if let Some(lack) = lacking() {
        // Past the capture of a test's output: a skipped test must be seen.
        let _ = writeln!(std::io::stderr(), "{test}: skipped, {lack}");
        return;
    }
    // One at a time: some measure, and some bring a load of their own.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    again(test, "the host's cgroups", "-m", "");
    if Path::new("/sys/fs/cgroup/memory").is_dir() {
        again(test, "cgroup v2", "-m", V2);
    }
    if Path::new("/proc/sys/vm/memfd_noexec").exists() {
        again(test, "no programs in memory", "-mpf", NO_MEMORY);
    }
}

/// The harness's own thread starts the test's with all signals blocked, and unblocks them after.
fn settle() {
    let blocked = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let statuses = threads.map(|t| std::fs::read_to_string(t.unwrap().path().join("status")));
        statuses.into_iter().any(|text| !text.unwrap().contains("SigBlk:\t0000000000000000"))
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while blocked() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn lacking() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root");
    }
    (!Path::new(BUSYBOX).exists()).then_some("needs busybox-static")
}

fn again(test: &str, place: &str, namespaces: &str, prepare: &str) {
    let child = Command::new("unshare")
        .args(["--kill-child", namespaces, "sh", "-c", &format!("{prepare}{SURROUNDINGS}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(MARK, place)
        .spawn()
        .unwrap();
    assert!(succeeds(child), "{test} with {place}");
}

fn succeeds(mut child: Child) -> bool {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("not done within {DEADLINE:?}");
}
