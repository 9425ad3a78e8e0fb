//! v1 and hybrid hosts. On a v2 host there is nothing to test here.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use runtime_core::ErrorKind;
use runtime_core::host::cgroup::{LiveCgroup, detect};
use serde_json::json;

use crate::support::{PATIENCE, Scratch, fresh_path, is_v1, plan, scratch, until};

fn with(resources: serde_json::Value, test: impl FnOnce(Scratch)) {
    if is_v1() {
        test(scratch(resources).unwrap());
    }
}

const MEBIBYTE: u64 = 1 << 20;

#[test]
fn limits_reach_their_files() {
    let resources = json!({
        "memory": {"limit": 64 * MEBIBYTE, "swap": 65 * MEBIBYTE, "reservation": 32 * MEBIBYTE,
                   "swappiness": 7, "disableOOMKiller": true, "kernelTCP": MEBIBYTE},
        "cpu": {"shares": 512, "quota": 20000, "period": 50000, "burst": 1000, "cpus": "0"},
        "pids": {"limit": 9},
        "blockIO": {"weight": 300},
    });
    with(resources, |scratch| {
        for (controller, file, expected) in [
            ("memory", "memory.limit_in_bytes", "67108864"),
            ("memory", "memory.memsw.limit_in_bytes", "68157440"),
            ("memory", "memory.soft_limit_in_bytes", "33554432"),
            ("memory", "memory.swappiness", "7"),
            ("memory", "memory.kmem.tcp.limit_in_bytes", "1048576"),
            ("cpu", "cpu.shares", "512"),
            ("cpu", "cpu.cfs_quota_us", "20000"),
            ("cpu", "cpu.cfs_period_us", "50000"),
            ("cpu", "cpu.cfs_burst_us", "1000"),
            ("cpuset", "cpuset.cpus", "0"),
            ("pids", "pids.max", "9"),
            ("blkio", "blkio.bfq.weight", "300"),
        ] {
            assert_eq!(scratch.read(controller, file), expected, "{file}");
        }
        assert!(scratch.read("memory", "memory.oom_control").contains("oom_kill_disable 1"));
        assert!(scratch.read("devices", "devices.list").contains("c 1:3 rwm"));
        assert!(!scratch.read("devices", "devices.list").contains("a *:*"));
    });
}

#[test]
fn a_process_joins_every_hierarchy_and_all_are_removed() {
    with(json!({}), |scratch| {
        let process = scratch.run("sleep 60");
        let text = std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid())).unwrap();
        let path = &scratch.plan.cgroup.directories[0].path;
        let joined = text.lines().filter(|line| line.ends_with(path.as_str())).count();
        assert_eq!(joined, scratch.plan.cgroup.directories.len(), "{text}");
        until("the shell forks", || scratch.live.pids().unwrap().len() == 2);
        assert!(scratch.live.pids().unwrap().contains(&process.pid()));
        drop(process);
        scratch.live.remove(PATIENCE).unwrap();
        assert!(scratch.leaves().iter().all(|leaf| !leaf.exists()));
        scratch.live.remove(PATIENCE).unwrap();
        assert!(scratch.live.pids().unwrap().is_empty());
    });
}

#[test]
fn a_pids_limit_stops_forks() {
    with(json!({"pids": {"limit": 1}}), |scratch| {
        let output = scratch.run("(true) || exit 7; exit 0").output();
        assert!(!output.status.success(), "{output:?}");
        assert_eq!(scratch.live.stats().unwrap().pids.limit, 1);
    });
}

#[test]
fn a_memory_limit_kills_and_is_counted() {
    let limit = 16 * MEBIBYTE;
    with(json!({"memory": {"limit": limit, "swap": limit}}), |scratch| {
        let status = scratch.run("head -c 99000000 /dev/zero | tail -c 98000000").status();
        assert_eq!(status.code(), Some(128 + 9), "{status:?}");
        let memory = scratch.live.stats().unwrap().memory;
        assert_eq!((memory.usage.limit, memory.oom_kills), (limit, 1));
    });
}

#[test]
fn device_rules_hold() {
    with(json!({"devices": [{"allow": false, "access": "rwm"}]}), |scratch| {
        let output = scratch.run(": < /dev/null && : > /dev/zero && : < /dev/kmsg").output();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("/dev/kmsg") && !output.status.success(), "{output:?}");
    });
}

#[test]
fn a_frozen_container_stops_until_thawed_and_sigkill_thaws_it() {
    with(json!({}), |scratch| {
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
        assert!(!scratch.live.is_frozen().unwrap());
        until("it runs again", || used() > before);
        scratch.live.freeze().unwrap();
        scratch.live.kill(libc::SIGKILL).unwrap();
        assert_eq!(process.status().signal(), Some(9));
        assert!(!scratch.live.is_frozen().unwrap());
    });
}

#[test]
fn a_signal_reaches_all_processes_of_a_running_container() {
    with(json!({}), |scratch| {
        let process = scratch.run("sleep 60 & sleep 60 & wait");
        until("both started", || scratch.live.pids().unwrap().len() == 3);
        scratch.live.kill(libc::SIGTERM).unwrap();
        assert_eq!(process.status().signal(), Some(15));
        until("all ended", || scratch.live.pids().unwrap().is_empty());
    });
}

#[test]
fn a_cgroup_with_processes_is_refused_and_left_alone() {
    with(json!({}), |scratch| {
        let _process = scratch.run("sleep 60");
        let error = LiveCgroup::create(&scratch.plan).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidState);
        assert!(error.to_string().contains("container's cgroup is not empty: "), "{error}");
        assert_eq!(error.pointer(), Some("/linux/cgroupsPath"));
        assert!(scratch.leaves().iter().all(|leaf| leaf.exists()), "not ours to undo");
    });
}

#[test]
fn an_empty_cgroup_is_taken_over() {
    with(json!({}), |scratch| {
        LiveCgroup::create(&scratch.plan).unwrap();
    });
}

#[test]
fn a_frozen_cgroup_is_refused() {
    with(json!({}), |scratch| {
        scratch.live.freeze().unwrap();
        let error = LiveCgroup::create(&scratch.plan).unwrap_err();
        assert!(error.to_string().contains("container's cgroup unexpectedly frozen"), "{error}");
        scratch.live.thaw().unwrap();
    });
}

#[test]
fn a_failure_to_make_one_directory_undoes_the_others() {
    if !is_v1() {
        return;
    }
    let mut layout = detect(false).unwrap();
    if let Some(last) = layout.hierarchies.last_mut() {
        last.mount = "no-such-mount".to_owned();
    }
    let plan = plan(&layout, &fresh_path(), json!({}));
    assert!(LiveCgroup::create(&plan).is_err());
    for directory in &plan.cgroup.directories {
        let leaf = plan.cgroup.absolute(directory);
        assert!(!leaf.exists() && !leaf.parent().unwrap().exists(), "{leaf:?}");
    }
}

#[test]
fn removal_kills_what_is_left_even_in_cgroups_below() {
    with(json!({}), |scratch| {
        let process = scratch.run("sleep 60");
        for leaf in scratch.leaves() {
            std::fs::create_dir(leaf.join("inner")).unwrap();
        }
        let inner = scratch.plan.cgroup.sub_cgroup(&["freezer"], "inner").unwrap();
        LiveCgroup::open(inner).unwrap().join(process.pid()).unwrap();
        let freezer = scratch.plan.cgroup.directory_of("freezer").unwrap();
        let inner = scratch.plan.cgroup.absolute(freezer).join("inner/cgroup.procs");
        assert!(!std::fs::read_to_string(inner).unwrap().is_empty());
        scratch.live.remove(PATIENCE).unwrap();
        assert!(scratch.leaves().iter().all(|leaf| !leaf.exists()));
        assert_eq!(process.status().signal(), Some(9));
    });
}

#[test]
fn memory_can_be_raised_and_lowered_past_the_swap_limit() {
    use runtime_core::plan::resources;
    with(json!({"memory": {"limit": 16 * MEBIBYTE, "swap": 32 * MEBIBYTE}}), |scratch| {
        for (limit, swap) in [(64, 128), (8, 16), (-1, -1), (16, 16)] {
            let bytes = |n: i64| if n < 0 { n } else { n << 20 };
            let resources = json!({"memory": {"limit": bytes(limit), "swap": bytes(swap)}});
            let resources = serde_json::from_value(resources).unwrap();
            let present = scratch.live.present().unwrap();
            scratch.live.update(&resources::v1(&resources, present).unwrap().writes, &[]).unwrap();
        }
        assert_eq!(scratch.read("memory", "memory.memsw.limit_in_bytes"), "16777216");
    });
}

#[test]
fn a_limit_below_the_usage_is_refused_with_the_usage() {
    with(json!({}), |scratch| {
        let _process = scratch.run("exec sleep 60");
        until("it uses memory", || scratch.live.stats().unwrap().memory.usage.usage > 65536);
        for (check, says) in [
            (false, "unable to set memory limit to 4096 (current usage: "),
            (true, "rejecting memory limit 4096 <= usage "),
        ] {
            let resources = json!({"memory": {"limit": 4096, "checkBeforeUpdate": check}});
            let resources = serde_json::from_value(resources).unwrap();
            let limits =
                scratch.plan.cgroup.limits(&resources, scratch.live.present().unwrap()).unwrap();
            let error = scratch.live.update(&limits.writes, &[]).unwrap_err();
            assert!(error.to_string().starts_with(says), "{error}");
            assert_eq!(error.pointer(), Some("/linux/resources/memory/limit"));
        }
    });
}

#[test]
fn a_refused_limit_names_controller_file_value_and_place() {
    if !is_v1() {
        return;
    }
    let error = scratch(json!({"cpu": {"cpus": "4000"}})).err().unwrap();
    let text = error.to_string();
    assert!(text.starts_with("setting cgroup cpuset: cpuset.cpus = 4000: write "), "{text}");
    assert_eq!(error.pointer(), Some("/linux/resources/cpu/cpus"));
    assert!(error.remedy().is_some());
}
