//! Running one test in a process that nobody else runs tests in.

use std::io::Write;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a test may take with one layout of cgroups.
const DEADLINE: Duration = Duration::from_secs(120);
const MARK: &str = "TARE_EMBEDDED_ALONE";

/// The surroundings are unusual, so that what is changed to the usual is seen, and what leaks into
/// a container as well: SIGHUP ignored, and a umask that takes everything from others.
const SURROUNDINGS: &str = "trap '' HUP; umask 0077; exec \"$0\" \"$@\"";
const V2: &str = "mount --make-rprivate / && umount -R /sys/fs/cgroup && \
                  mount -t cgroup2 none /sys/fs/cgroup && ";

/// Runs `body` in a process of its own, first as the host is and then with cgroup v2 alone.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    if let Some(lack) = lacking() {
        // Past the capture of a test's output: a skipped test must be seen.
        let _ = writeln!(std::io::stderr(), "{test}: skipped, {lack}");
        return;
    }
    again(test, "host", "");
    if std::path::Path::new("/sys/fs/cgroup/memory").is_dir() {
        again(test, "v2", V2);
    }
}

fn lacking() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root");
    }
    let busybox = std::path::Path::new(super::fixture::BUSYBOX);
    (!busybox.exists()).then_some("needs busybox-static")
}

fn again(test: &str, layout: &str, prepare: &str) {
    let child = Command::new("unshare")
        .args(["-m", "sh", "-c", &format!("{prepare}{SURROUNDINGS}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(MARK, layout)
        .spawn()
        .unwrap();
    assert!(succeeds(child), "{test} with cgroups of {layout}");
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
