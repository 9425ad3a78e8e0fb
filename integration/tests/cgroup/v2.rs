//! v2. What needs a controller is tested where the hierarchy has it.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use runtime_core::host::cgroup::LiveCgroup;
use runtime_core::plan::resources;
use serde_json::json;

use crate::support::{PATIENCE, Scratch, on_v2, scratch, until};

fn with(test: &str, resources: serde_json::Value, body: impl FnOnce(Scratch)) {
    on_v2(&format!("v2::{test}"), || body(scratch(resources).unwrap()));
}

fn has(controller: &str) -> bool {
    let text = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap();
    text.split_whitespace().any(|name| name == controller)
}

/// As [`with`], where the controller exists.
fn with_controller(
    test: &str,
    controller: &str,
    limits: serde_json::Value,
    body: impl FnOnce(Scratch),
) {
    on_v2(&format!("v2::{test}"), || {
        if has(controller) {
            body(scratch(limits).unwrap());
        }
    });
}

#[test]
fn device_rules_hold_and_are_replaced_not_added() {
    let test = "device_rules_hold_and_are_replaced_not_added";
    let rules = json!({"devices": [
        {"allow": true, "type": "c", "major": 1, "access": "rw"},
        {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "r"},
    ]});
    with(test, rules, |scratch| {
        let refused = |scratch: &Scratch| {
            let output = scratch.run(": < /dev/null && : > /dev/zero && : < /dev/kmsg").output();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() || text.contains("/dev/kmsg"), "{output:?}");
            !output.status.success()
        };
        assert!(refused(&scratch));
        scratch.live.apply(&scratch.plan).unwrap();
        assert!(refused(&scratch));
        let mut open = crate::support::plan(
            &runtime_core::host::cgroup::detect(false).unwrap(),
            "/unused",
            json!({"devices": [{"allow": true, "access": "rwm"}]}),
        );
        open.cgroup = scratch.plan.cgroup.clone();
        scratch.live.apply(&open).unwrap();
        assert!(!refused(&scratch), "the old program is gone");
    });
}

#[test]
fn hundreds_of_device_rules_load() {
    let rules: Vec<_> = (0..700)
        .map(|n| json!({"allow": n % 3 != 0, "type": "c", "major": n % 7, "minor": n, "access": "rw"}))
        .collect();
    with("hundreds_of_device_rules_load", json!({"devices": rules}), |scratch| {
        assert!(scratch.run(": < /dev/null").status().success());
    });
}

#[test]
fn freeze_thaw_and_kill_work() {
    with("freeze_thaw_and_kill_work", json!({}), |scratch| {
        let process = scratch.run("while :; do :; done");
        scratch.live.freeze().unwrap();
        assert!(scratch.live.is_frozen().unwrap());
        let used = || scratch.live.stats().unwrap().cpu.usage.total;
        // The last slice is accounted when the processor is given up.
        std::thread::sleep(Duration::from_millis(20));
        let before = used();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(used(), before);
        scratch.live.thaw().unwrap();
        until("it runs again", || used() > before);
        scratch.live.freeze().unwrap();
        scratch.live.kill(libc::SIGKILL).unwrap();
        assert_eq!(process.status().signal(), Some(9));
    });
}

#[test]
fn a_signal_reaches_every_process_once_thawed() {
    with("a_signal_reaches_every_process_once_thawed", json!({}), |scratch| {
        let process = scratch.run("sleep 60 & wait");
        until("it started", || scratch.live.pids().unwrap().len() == 2);
        scratch.live.freeze().unwrap();
        scratch.live.kill(libc::SIGTERM).unwrap();
        assert!(scratch.live.is_frozen().unwrap(), "a paused container stays paused");
        scratch.live.thaw().unwrap();
        assert_eq!(process.status().signal(), Some(15));
        until("all ended", || scratch.live.pids().unwrap().is_empty());
    });
}

#[test]
fn processes_below_are_listed_and_removed() {
    with("processes_below_are_listed_and_removed", json!({}), |scratch| {
        let process = scratch.run("exec sleep 60");
        let inner = scratch.leaves()[0].join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let sub = scratch.plan.cgroup.sub_cgroup(&[], "a/b").unwrap();
        LiveCgroup::open(sub).unwrap().join(process.pid()).unwrap();
        assert_eq!(scratch.live.pids().unwrap(), [process.pid()]);
        let error = LiveCgroup::create(&scratch.plan).unwrap_err();
        assert!(error.to_string().contains("not empty: 1 process(es) found"), "{error}");
        scratch.live.remove(PATIENCE).unwrap();
        assert!(!scratch.leaves()[0].exists());
        assert_eq!(process.status().signal(), Some(9));
    });
}

#[test]
fn a_missing_controller_is_named() {
    on_v2("v2::a_missing_controller_is_named", || {
        let limits = json!({"unified": {"nosuch.max": "1"}});
        let error = scratch(limits).err().unwrap();
        assert!(error.to_string().contains("the nosuch controller enabled"), "{error}");
        assert_eq!(error.pointer(), Some("/linux/resources/unified/nosuch.max"));
    });
}

#[test]
fn hugetlb_limits_reach_their_files() {
    let limits = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}]});
    with_controller("hugetlb_limits_reach_their_files", "hugetlb", limits, |scratch| {
        assert_eq!(scratch.read("hugetlb", "hugetlb.2MB.max"), "4194304");
        assert_eq!(scratch.read("hugetlb", "hugetlb.2MB.rsvd.max"), "4194304");
    });
}

#[test]
fn the_owner_gets_the_cgroup_but_not_its_limits() {
    use std::os::unix::fs::MetadataExt;
    with("the_owner_gets_the_cgroup_but_not_its_limits", json!({}), |scratch| {
        let leaf = &scratch.leaves()[0];
        scratch.live.remove(PATIENCE).unwrap();
        let mut plan = scratch.plan.clone();
        let delegate = runtime_core::plan::cgroup::CgroupOp::Delegate { directory: 0, owner: 1234 };
        plan.ops.insert(2, delegate);
        LiveCgroup::create(&plan).unwrap();
        let owner = |name: &str| std::fs::metadata(leaf.join(name)).unwrap().uid();
        let owners = ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.freeze"].map(owner);
        assert_eq!(owners, [1234, 1234, 1234, 0]);
    });
}

#[test]
fn cpu_limits_reach_their_files() {
    let limits = json!({"cpu": {"shares": 512, "quota": 20000, "period": 50000, "burst": 1000}});
    with_controller("cpu_limits_reach_their_files", "cpu", limits, |scratch| {
        assert_eq!(scratch.read("cpu", "cpu.weight"), "59");
        assert_eq!(scratch.read("cpu", "cpu.max"), "20000 50000");
        assert_eq!(scratch.read("cpu", "cpu.max.burst"), "1000");
    });
}

#[test]
fn cpuset_limits_reach_their_files() {
    let limits = json!({"cpu": {"cpus": "0", "mems": "0"}});
    with_controller("cpuset_limits_reach_their_files", "cpuset", limits, |scratch| {
        assert_eq!(scratch.read("cpuset", "cpuset.cpus"), "0");
        assert_eq!(scratch.read("cpuset", "cpuset.mems"), "0");
    });
}

#[test]
fn io_weight_reaches_its_file() {
    let limits = json!({"blockIO": {"weight": 505}});
    with_controller("io_weight_reaches_its_file", "io", limits, |scratch| {
        let leaf = &scratch.leaves()[0];
        let (file, expected) = match leaf.join("io.bfq.weight").exists() {
            true => ("io.bfq.weight", "default 505"),
            false => ("io.weight", "default 5000"),
        };
        assert_eq!(scratch.read("io", file).lines().next(), Some(expected));
    });
}

#[test]
fn a_pids_limit_stops_forks() {
    let limits = json!({"pids": {"limit": 1}});
    with_controller("a_pids_limit_stops_forks", "pids", limits, |scratch| {
        assert!(!scratch.run("(true) || exit 7; exit 0").status().success());
        assert_eq!(scratch.live.stats().unwrap().pids.limit, 1);
    });
}

#[test]
fn a_memory_limit_kills_and_is_counted() {
    let limit = 16u64 << 20;
    let limits = json!({"memory": {"limit": limit, "swap": limit, "reservation": 8 << 20}});
    with_controller("a_memory_limit_kills_and_is_counted", "memory", limits, |scratch| {
        assert_eq!(scratch.read("memory", "memory.low"), "8388608");
        let status = scratch.run("head -c 99000000 /dev/zero | tail -c 98000000").status();
        assert_eq!(status.code(), Some(128 + 9), "{status:?}");
        let memory = scratch.live.stats().unwrap().memory;
        assert_eq!(memory.usage.limit, limit);
        assert!(memory.oom_kills >= 1);
    });
}

#[test]
fn a_checked_update_below_the_usage_is_rejected() {
    let test = "a_checked_update_below_the_usage_is_rejected";
    with_controller(test, "memory", json!({}), |scratch| {
        let _process = scratch.run("sleep 60");
        until("it uses memory", || scratch.live.stats().unwrap().memory.usage.usage > 4096);
        let limits = json!({"memory": {"limit": 4096, "checkBeforeUpdate": true}});
        let limits = resources::v2(&serde_json::from_value(limits).unwrap()).unwrap();
        let error = scratch.live.update(&limits.writes, &[]).unwrap_err();
        assert!(error.to_string().contains("rejecting memory limit 4096 <= usage"), "{error}");
    });
}
