use oci_spec::runtime::LinuxResources;
use serde_json::{Value, json};

use super::*;

fn parse(resources: Value) -> LinuxResources {
    serde_json::from_value(resources).unwrap()
}

fn lines(limits: &Limits) -> Vec<String> {
    limits.writes.iter().map(ToString::to_string).collect()
}

fn on_v1(resources: Value) -> Vec<String> {
    lines(&v1(&parse(resources), Present::default()).unwrap())
}

fn on_v2(resources: Value) -> Vec<String> {
    lines(&v2(&parse(resources)).unwrap())
}

#[test]
fn what_is_unset_or_zero_is_left_alone() {
    let zeros = json!({
        "memory": {"limit": 0, "swap": 0, "reservation": 0, "kernelTCP": 0},
        "cpu": {"shares": 0, "quota": 0, "period": 0, "realtimeRuntime": 0, "cpus": "", "mems": ""},
        "blockIO": {"weight": 0, "leafWeight": 0},
        "network": {"classID": 0},
        "hugepageLimits": [], "unified": {}, "rdma": {},
    });
    for resources in [json!({}), zeros] {
        assert_eq!(on_v1(resources.clone()), [""; 0]);
        assert_eq!(on_v2(resources), [""; 0]);
    }
}

#[test]
fn every_v1_setting_has_its_file_in_order() {
    let resources = json!({
        "unified": {},
        "memory": {"limit": 4096, "swap": 8192, "reservation": 2048, "kernelTCP": 1024,
                   "swappiness": 0, "disableOOMKiller": true, "useHierarchy": true},
        "cpu": {"shares": 512, "quota": 5000, "period": 10000, "burst": 100, "idle": 0,
                "realtimeRuntime": 900, "realtimePeriod": 1000, "cpus": "0-1", "mems": "0"},
        "pids": {"limit": 7},
        "blockIO": {"weight": 10, "leafWeight": 20,
                    "weightDevice": [{"major": 8, "minor": 0, "weight": 30, "leafWeight": 40}],
                    "throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 1}],
                    "throttleWriteBpsDevice": [{"major": 8, "minor": 2, "rate": 2}],
                    "throttleReadIOPSDevice": [{"major": 8, "minor": 3, "rate": 3}],
                    "throttleWriteIOPSDevice": [{"major": 8, "minor": 4, "rate": 0}]},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 9}, {"pageSize": "1GB", "limit": 0}],
        "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]},
        "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 4}, "a": {"hcaObjects": 1}},
    });
    assert_eq!(
        on_v1(resources),
        [
            "cpuset.cpus = 0-1",
            "cpuset.mems = 0",
            "memory.use_hierarchy = 1",
            "memory.limit_in_bytes = 4096",
            "memory.memsw.limit_in_bytes = 8192",
            "memory.soft_limit_in_bytes = 2048",
            "memory.kmem.tcp.limit_in_bytes = 1024",
            "memory.oom_control = 1",
            "memory.swappiness = 0",
            "cpu.rt_period_us = 1000",
            "cpu.rt_runtime_us = 900",
            "cpu.idle = 0",
            "cpu.shares = 512",
            "cpu.cfs_period_us = 10000",
            "cpu.cfs_burst_us = 100",
            "cpu.cfs_quota_us = 5000",
            "pids.max = 7",
            "blkio.weight = 10",
            "blkio.leaf_weight = 20",
            "blkio.weight_device = 8:0 30",
            "blkio.leaf_weight_device = 8:0 40",
            "blkio.throttle.read_bps_device = 8:1 1",
            "blkio.throttle.write_bps_device = 8:2 2",
            "blkio.throttle.read_iops_device = 8:3 3",
            "blkio.throttle.write_iops_device = 8:4 0",
            "hugetlb.2MB.limit_in_bytes = 9",
            "hugetlb.2MB.rsvd.limit_in_bytes = 9",
            "hugetlb.1GB.limit_in_bytes = 0",
            "hugetlb.1GB.rsvd.limit_in_bytes = 0",
            "net_cls.classid = 1048577",
            "net_prio.ifpriomap = eth0 5",
            "rdma.max = a hca_object=1",
            "rdma.max = mlx5_1 hca_handle=3 hca_object=4",
        ]
    );
}

#[test]
fn every_v2_setting_has_its_file_in_order_and_unified_comes_last() {
    let resources = json!({
        "unified": {"io.max": "8:0 rbps=1\n8:16 rbps=2\n", "memory.high": "5000"},
        "memory": {"limit": 4096, "swap": 8192, "reservation": 2048},
        "cpu": {"shares": 1024, "quota": -1, "period": 10000, "burst": 100, "idle": 0,
                "cpus": "0-1", "mems": "0"},
        "pids": {"limit": 0},
        "blockIO": {"weight": 10,
                    "weightDevice": [{"major": 8, "minor": 0, "weight": 1000}],
                    "throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 1}],
                    "throttleWriteBpsDevice": [{"major": 8, "minor": 2, "rate": 2}],
                    "throttleReadIOPSDevice": [{"major": 8, "minor": 3, "rate": 3}],
                    "throttleWriteIOPSDevice": [{"major": 8, "minor": 4, "rate": 0}]},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 9}],
        "rdma": {"mlx5_1": {"hcaHandles": 3}},
    });
    assert_eq!(
        on_v2(resources),
        [
            "pids.max = 1",
            "memory.swap.max = 4096",
            "memory.max = 4096",
            "memory.low = 2048",
            "io.bfq.weight = 10",
            "io.bfq.weight = 8:0 1000",
            "io.max = 8:1 rbps=1",
            "io.max = 8:2 wbps=2",
            "io.max = 8:3 riops=3",
            "io.max = 8:4 wiops=max",
            "cpu.idle = 0",
            "cpu.weight = 100",
            "cpu.max.burst = 100",
            "cpu.max = max 10000",
            "cpuset.cpus = 0-1",
            "cpuset.mems = 0",
            "hugetlb.2MB.max = 9",
            "hugetlb.2MB.rsvd.max = 9",
            "rdma.max = mlx5_1 hca_handle=3",
            "io.max = 8:0 rbps=1",
            "io.max = 8:16 rbps=2",
            "memory.high = 5000",
        ]
    );
}

#[test]
fn swap_on_v2_is_the_sum_less_the_memory() {
    for (limit, swap, expected) in [
        (-1, 0, &["memory.swap.max = max", "memory.max = max"][..]),
        (100, -1, &["memory.swap.max = max", "memory.max = 100"]),
        (100, 0, &["memory.max = 100"]),
        (-1, 70, &["memory.swap.max = 70", "memory.max = max"]),
        (100, 100, &["memory.swap.max = 0", "memory.max = 100"]),
        (100, 170, &["memory.swap.max = 70", "memory.max = 100"]),
        (0, -1, &["memory.swap.max = max"]),
    ] {
        assert_eq!(on_v2(json!({"memory": {"limit": limit, "swap": swap}})), expected);
    }
}

#[test]
fn a_swap_limit_of_nothing_or_everything_holds_without_swap_accounting() {
    let missing = |limit: i64, swap: i64| {
        v2(&parse(json!({"memory": {"limit": limit, "swap": swap}}))).unwrap().writes[0]
            .missing
            .clone()
    };
    assert_eq!(missing(100, 100), Missing::Skip);
    assert_eq!(missing(100, -1), Missing::Skip);
    assert_eq!(missing(100, 170), Missing::Fail);
}

#[test]
fn on_v1_a_rise_starts_with_swap_and_a_fall_with_memory() {
    let order = |present, limit: i64, swap: i64| {
        let resources = parse(json!({"memory": {"limit": limit, "swap": swap}}));
        let limits = v1(&resources, Present { memory_limit: present }).unwrap();
        limits.writes[0].file.contains("memsw")
    };
    assert!(!order(None, 100, 200), "new cgroups start unlimited");
    assert!(order(Some(100), 300, 400));
    assert!(!order(Some(1000), 300, 400));
    assert!(order(Some(1000), 300, -1));
    assert!(order(Some(1000), -1, 0), "unlimited memory lifts swap first");
}

#[test]
fn quota_and_period_alone_keep_the_kernels_default_for_the_other() {
    assert_eq!(on_v2(json!({"cpu": {"quota": 5000}})), ["cpu.max = 5000 100000"]);
    assert_eq!(on_v2(json!({"cpu": {"period": 5000}})), ["cpu.max = max 5000"]);
}

#[test]
fn an_idle_group_gets_no_weight() {
    let resources = json!({"cpu": {"shares": 100, "idle": 1}});
    assert_eq!(on_v1(resources.clone()), ["cpu.idle = 1"]);
    assert_eq!(on_v2(resources), ["cpu.idle = 1"]);
}

#[test]
fn negative_limits_mean_unlimited() {
    let resources = json!({"pids": {"limit": -1},
                           "hugepageLimits": [{"pageSize": "2MB", "limit": -1}]});
    assert_eq!(
        on_v1(resources.clone())[0..2],
        ["pids.max = max", "hugetlb.2MB.limit_in_bytes = -1"]
    );
    assert_eq!(on_v2(resources)[0..2], ["pids.max = max", "hugetlb.2MB.max = max"]);
}

#[test]
fn io_weight_spans_the_v2_range() {
    for (weight, expected) in [(10, "1"), (505, "5000"), (1000, "10000")] {
        let limits = v2(&parse(json!({"blockIO": {"weight": weight}}))).unwrap();
        let Missing::Instead { file, value } = &limits.writes[0].missing else { panic!() };
        assert_eq!((file.as_ref(), value.as_str()), ("io.weight", expected));
    }
}

#[test]
fn a_check_before_update_reads_the_usage_first() {
    let memory = json!({"limit": 100, "swap": 200, "checkBeforeUpdate": true});
    let resources = parse(json!({"memory": memory}));
    for (limits, usage) in [
        (v1(&resources, Present::default()), "memory.usage_in_bytes"),
        (v2(&resources), "memory.current"),
    ] {
        let checks: Vec<_> = limits.unwrap().writes.into_iter().map(|w| w.not_below).collect();
        assert_eq!(checks, [Some(NotBelow { usage, limit: 100, with_swap: Some(200) }), None]);
    }
    let unlimited = json!({"memory": {"limit": -1, "checkBeforeUpdate": true}});
    assert_eq!(v2(&parse(unlimited)).unwrap().writes[0].not_below, None);
}

#[test]
fn settings_that_v2_lacks_are_refused() {
    for (field, resources) in [
        ("memory/swappiness", json!({"memory": {"swappiness": 60}})),
        ("memory/disableOOMKiller", json!({"memory": {"disableOOMKiller": true}})),
        ("memory/kernel", json!({"memory": {"kernel": 1}})),
        ("memory/kernelTCP", json!({"memory": {"kernelTCP": 1}})),
        ("cpu/realtimeRuntime", json!({"cpu": {"realtimeRuntime": 1}})),
        ("cpu/realtimePeriod", json!({"cpu": {"realtimePeriod": 1}})),
        ("blockIO/leafWeight", json!({"blockIO": {"leafWeight": 10}})),
        ("network/classID", json!({"network": {"classID": 1}})),
        ("network/priorities", json!({"network": {"priorities": [{"name": "lo", "priority": 1}]}})),
    ] {
        let error = v2(&parse(resources)).unwrap_err();
        assert_eq!(error.pointer(), Some(format!("/linux/resources/{field}").as_str()));
    }
    let nothing = json!({"memory": {"disableOOMKiller": false, "kernel": 0}, "network": {}});
    assert_eq!(v2(&parse(nothing)).unwrap().writes, []);
}

#[test]
fn wrong_values_name_their_place() {
    let cases = [
        (json!({"memory": {"limit": 100, "swap": 99}}), "memory/swap", "should be >= memory limit"),
        (json!({"memory": {"swap": 99}}), "memory/swap", "without memory limit"),
        (json!({"memory": {"limit": -2}}), "memory/limit", "invalid memory value"),
        (json!({"memory": {"swappiness": 101}}), "memory/swappiness", "valid range is 0-100"),
        (json!({"blockIO": {"weight": 9}}), "blockIO/weight", "between 10 and 1000"),
        (
            json!({"blockIO": {"weightDevice": [{"major": -1, "minor": 0, "weight": 10}]}}),
            "blockIO/weightDevice/0",
            "no device number",
        ),
        (
            json!({"hugepageLimits": [{"pageSize": "../2MB", "limit": 1}]}),
            "hugepageLimits/0/pageSize",
            "invalid hugepage size",
        ),
        (json!({"rdma": {"a/b": {}}}), "rdma/a~1b", "at least one of"),
    ];
    for (resources, place, says) in cases {
        for error in [
            v1(&parse(resources.clone()), Present::default()).unwrap_err(),
            v2(&parse(resources)).unwrap_err(),
        ] {
            assert_eq!(error.pointer(), Some(format!("/linux/resources/{place}").as_str()));
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

#[test]
fn v1_refuses_unified_and_shares_that_the_kernel_would_clamp() {
    for (resources, says) in [
        (json!({"unified": {"memory.high": "1"}}), "cannot use unified on cgroup v1"),
        (json!({"cpu": {"shares": 1}}), "minimum allowed cpu-shares is 2"),
        (json!({"cpu": {"shares": 262_145}}), "maximum allowed cpu-shares is 262144"),
    ] {
        let error = v1(&parse(resources), Present::default()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn on_a_hybrid_host_each_controller_has_the_files_of_its_version() {
    let resources = parse(json!({
        "memory": {"limit": 4096, "swappiness": 7}, "cpu": {"shares": 1024}, "pids": {"limit": 3},
        "blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 5}]},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 9}],
    }));
    let on_v1 = |controller: &str| ["memory", "pids"].contains(&controller);
    assert_eq!(
        lines(&hybrid(&resources, Present::default(), on_v1).unwrap()),
        [
            "memory.limit_in_bytes = 4096",
            "memory.swappiness = 7",
            "cpu.weight = 100",
            "pids.max = 3",
            "io.max = 8:0 rbps=5",
            "hugetlb.2MB.max = 9",
            "hugetlb.2MB.rsvd.max = 9",
        ]
    );
}

#[test]
fn what_a_kernel_may_lack_is_skipped_where_that_changes_nothing() {
    let missing = |limits: Result<Limits>| limits.unwrap().writes[0].missing.clone();
    let idle = |idle| parse(json!({"cpu": {"idle": idle}}));
    assert_eq!(missing(v2(&idle(0))), Missing::Skip);
    assert_eq!(missing(v2(&idle(1))), Missing::Fail);
    let burst = |burst| parse(json!({"cpu": {"burst": burst}}));
    assert_eq!(missing(v2(&burst(0))), Missing::Skip);
    assert_eq!(missing(v2(&burst(1))), Missing::Fail);
}

#[test]
fn an_empty_unified_value_is_written() {
    assert_eq!(on_v2(json!({"unified": {"cpuset.cpus": ""}})), ["cpuset.cpus = "]);
}

#[test]
fn unified_keys_are_file_names() {
    for key in ["../cgroup.procs", "a/b.c", "memory", ".x", ""] {
        assert!(v2(&parse(json!({"unified": {key: "1"}}))).is_err(), "{key}");
    }
}
