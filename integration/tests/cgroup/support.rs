//! Cgroups with names of our own, and processes to put into them.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use oci_spec::runtime::LinuxResources;
use runtime_core::Result;
use runtime_core::host::cgroup::{LiveCgroup, detect};
use runtime_core::plan::cgroup::{CgroupPlan, CgroupRequest, Layout, Mode};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A cgroup that is removed when the test ends, however it ends.
pub(crate) struct Scratch {
    pub(crate) live: LiveCgroup,
    pub(crate) plan: CgroupPlan,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.live.remove(PATIENCE);
        for directory in &self.plan.cgroup.directories {
            if let Some(parent) = self.plan.cgroup.absolute(directory).parent() {
                let _ = std::fs::remove_dir(parent);
            }
        }
    }
}

pub(crate) fn fresh_path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("/tare-test-{}-{number}/box", std::process::id())
}

pub(crate) fn plan(layout: &Layout, path: &str, resources: serde_json::Value) -> CgroupPlan {
    let resources: LinuxResources = serde_json::from_value(resources).unwrap();
    CgroupPlan::new(&CgroupRequest {
        layout,
        id: "box",
        cgroups_path: Some(path.as_ref()),
        resources: Some(&resources),
        systemd: None,
        rootless: Some(false),
        owner: None,
    })
    .unwrap()
}

pub(crate) fn scratch(resources: serde_json::Value) -> Result<Scratch> {
    let layout = detect(false).unwrap();
    let plan = plan(&layout, &fresh_path(), resources);
    let scratch = Scratch { live: LiveCgroup::create(&plan)?, plan };
    scratch.live.apply(&scratch.plan)?;
    Ok(scratch)
}

impl Scratch {
    pub(crate) fn read(&self, controller: &str, file: &str) -> String {
        let directory = self.plan.cgroup.directory_of(controller).unwrap();
        let path = self.plan.cgroup.absolute(directory).join(file);
        std::fs::read_to_string(path).unwrap().trim_end().to_owned()
    }

    pub(crate) fn leaves(&self) -> Vec<std::path::PathBuf> {
        let cgroup = &self.plan.cgroup;
        cgroup.directories.iter().map(|directory| cgroup.absolute(directory)).collect()
    }

    /// Starts a shell in the cgroup and lets it run `script`.
    pub(crate) fn run(&self, script: &str) -> Running {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read _; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.live.join(child.id().cast_signed()).unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"\n").unwrap();
        Running { child: Some(child), _stdin: stdin }
    }
}

/// A process that is killed with the test.
pub(crate) struct Running {
    child: Option<Child>,
    _stdin: ChildStdin,
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id().cast_signed()
    }

    pub(crate) fn output(mut self) -> Output {
        self.child.take().unwrap().wait_with_output().unwrap()
    }

    pub(crate) fn status(mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn is_v1() -> bool {
    detect(false).unwrap().mode != Mode::V2
}

/// Runs `body` where the host's only cgroup mount is v2: here, or, on a host
/// that has v1, in this program started again in a mount namespace.
pub(crate) fn on_v2(test: &str, body: impl FnOnce()) {
    if !is_v1() {
        return body();
    }
    let status = Command::new("unshare")
        .args(["-m", "sh", "-c"])
        .arg(
            "mount --make-rprivate / && umount -R /sys/fs/cgroup && \
             mount -t cgroup2 none /sys/fs/cgroup && exec \"$0\" --exact \"$1\" --nocapture",
        )
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .status()
        .unwrap();
    assert!(status.success(), "{test} on v2");
}
