//! Every field of `linux.resources`: what the files of the container's cgroup hold afterwards.
//!
//! A row is a test. A row whose controller or file this machine lacks is skipped, and says so.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bundle::Bundle;
use crate::cgroups::{self, hierarchies};
use crate::check;
use crate::context::{Context, Layout};
use crate::outcome::{Outcome, Stop};

/// The cgroup version that a row's file is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}
use Version::{V1, V2};

/// Version, controller, file, and a line that the file must hold.
type Expected = (Version, &'static str, &'static str, &'static str);

/// `MAJOR` and `MINOR` stand for the disk that the tests' directory is on, in both columns.
macro_rules! rows {
    ($($name:ident: $resources:literal => [$($expected:expr),+ $(,)?];)+) => {
        $(fn $name(ctx: &Context) -> Outcome {
            holds(ctx, $resources, &[$($expected),+])
        })+
        $crate::family!("resources": $($name),+);
    };
}

rows! {
    memory_limit_is_set: r#"{"memory": {"limit": 67108864}}"# => [
        (V1, "memory", "memory.limit_in_bytes", "67108864"),
        (V2, "memory", "memory.max", "67108864"),
    ];
    memory_reservation_is_set: r#"{"memory": {"reservation": 33554432}}"# => [
        (V1, "memory", "memory.soft_limit_in_bytes", "33554432"),
        (V2, "memory", "memory.low", "33554432"),
    ];
    memory_and_swap_are_set: r#"{"memory": {"limit": 33554432, "swap": 67108864}}"# => [
        (V1, "memory", "memory.memsw.limit_in_bytes", "67108864"),
        (V2, "memory", "memory.swap.max", "33554432"),
    ];
    memory_without_swap_is_set: r#"{"memory": {"limit": 33554432, "swap": 33554432}}"# => [
        (V1, "memory", "memory.memsw.limit_in_bytes", "33554432"),
        (V2, "memory", "memory.swap.max", "0"),
    ];
    unlimited_memory_is_set: r#"{"memory": {"limit": -1}}"# => [
        (V1, "memory", "memory.limit_in_bytes", "9223372036854771712"),
        (V1, "memory", "memory.memsw.limit_in_bytes", "9223372036854771712"),
        (V2, "memory", "memory.max", "max"),
        (V2, "memory", "memory.swap.max", "max"),
    ];
    memory_of_tcp_is_set: r#"{"memory": {"kernelTCP": 8388608}}"# => [
        (V1, "memory", "memory.kmem.tcp.limit_in_bytes", "8388608"),
    ];
    swappiness_is_set: r#"{"memory": {"swappiness": 7}}"# => [
        (V1, "memory", "memory.swappiness", "7"),
    ];
    oom_killer_is_disabled: r#"{"memory": {"disableOOMKiller": true}}"# => [
        (V1, "memory", "memory.oom_control", "oom_kill_disable 1"),
    ];
    memory_hierarchy_is_used: r#"{"memory": {"useHierarchy": true}}"# => [
        (V1, "memory", "memory.use_hierarchy", "1"),
    ];
    memory_limit_above_the_usage_passes_the_check:
        r#"{"memory": {"limit": 67108864, "checkBeforeUpdate": true}}"# => [
        (V1, "memory", "memory.limit_in_bytes", "67108864"),
        (V2, "memory", "memory.max", "67108864"),
    ];
    cpu_shares_are_set: r#"{"cpu": {"shares": 512}}"# => [
        (V1, "cpu", "cpu.shares", "512"),
        (V2, "cpu", "cpu.weight", "59"),
    ];
    cpu_quota_and_period_are_set: r#"{"cpu": {"quota": 20000, "period": 50000}}"# => [
        (V1, "cpu", "cpu.cfs_quota_us", "20000"),
        (V1, "cpu", "cpu.cfs_period_us", "50000"),
        (V2, "cpu", "cpu.max", "20000 50000"),
    ];
    unlimited_cpu_quota_is_set: r#"{"cpu": {"quota": -1, "period": 50000}}"# => [
        (V1, "cpu", "cpu.cfs_quota_us", "-1"),
        (V2, "cpu", "cpu.max", "max 50000"),
    ];
    cpu_burst_is_set: r#"{"cpu": {"quota": 20000, "period": 50000, "burst": 10000}}"# => [
        (V1, "cpu", "cpu.cfs_burst_us", "10000"),
        (V2, "cpu", "cpu.max.burst", "10000"),
    ];
    cpu_idle_is_set: r#"{"cpu": {"idle": 1, "shares": 2048}}"# => [
        (V1, "cpu", "cpu.idle", "1"),
        (V2, "cpu", "cpu.idle", "1"),
    ];
    realtime_period_is_set: r#"{"cpu": {"realtimePeriod": 500000}}"# => [
        (V1, "cpu", "cpu.rt_period_us", "500000"),
    ];
    cpus_are_set: r#"{"cpu": {"cpus": "0"}}"# => [
        (V1, "cpuset", "cpuset.cpus", "0"),
        (V2, "cpuset", "cpuset.cpus", "0"),
    ];
    memory_nodes_are_set: r#"{"cpu": {"mems": "0"}}"# => [
        (V1, "cpuset", "cpuset.mems", "0"),
        (V2, "cpuset", "cpuset.mems", "0"),
    ];
    pids_limit_is_set: r#"{"pids": {"limit": 33}}"# => [
        (V1, "pids", "pids.max", "33"),
        (V2, "pids", "pids.max", "33"),
    ];
    unlimited_pids_are_set: r#"{"pids": {"limit": -1}}"# => [
        (V1, "pids", "pids.max", "max"),
        (V2, "pids", "pids.max", "max"),
    ];
    block_io_weight_is_set: r#"{"blockIO": {"weight": 505}}"# => [
        (V1, "blkio", "blkio.bfq.weight", "505"),
        (V2, "io", "io.weight", "default 5000"),
    ];
    block_io_weight_of_bfq_is_set: r#"{"blockIO": {"weight": 505}}"# => [
        (V2, "io", "io.bfq.weight", "default 505"),
    ];
    leaf_weight_is_set: r#"{"blockIO": {"leafWeight": 300}}"# => [
        (V1, "blkio", "blkio.leaf_weight", "300"),
    ];
    bytes_read_are_throttled:
        r#"{"blockIO": {"throttleReadBpsDevice": [{"major": MAJOR, "minor": MINOR, "rate": 1048576}]}}"# => [
        (V1, "blkio", "blkio.throttle.read_bps_device", "MAJOR:MINOR 1048576"),
        (V2, "io", "io.max", "MAJOR:MINOR rbps=1048576 wbps=max riops=max wiops=max"),
    ];
    bytes_written_are_throttled:
        r#"{"blockIO": {"throttleWriteBpsDevice": [{"major": MAJOR, "minor": MINOR, "rate": 1048576}]}}"# => [
        (V1, "blkio", "blkio.throttle.write_bps_device", "MAJOR:MINOR 1048576"),
        (V2, "io", "io.max", "MAJOR:MINOR rbps=max wbps=1048576 riops=max wiops=max"),
    ];
    reads_are_throttled:
        r#"{"blockIO": {"throttleReadIOPSDevice": [{"major": MAJOR, "minor": MINOR, "rate": 100}]}}"# => [
        (V1, "blkio", "blkio.throttle.read_iops_device", "MAJOR:MINOR 100"),
        (V2, "io", "io.max", "MAJOR:MINOR rbps=max wbps=max riops=100 wiops=max"),
    ];
    writes_are_throttled:
        r#"{"blockIO": {"throttleWriteIOPSDevice": [{"major": MAJOR, "minor": MINOR, "rate": 100}]}}"# => [
        (V1, "blkio", "blkio.throttle.write_iops_device", "MAJOR:MINOR 100"),
        (V2, "io", "io.max", "MAJOR:MINOR rbps=max wbps=max riops=max wiops=100"),
    ];
    hugepage_limit_is_set: r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}"# => [
        (V1, "hugetlb", "hugetlb.2MB.limit_in_bytes", "4194304"),
        (V2, "hugetlb", "hugetlb.2MB.max", "4194304"),
    ];
    hugepage_reservations_are_limited:
        r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}"# => [
        (V1, "hugetlb", "hugetlb.2MB.rsvd.limit_in_bytes", "4194304"),
        (V2, "hugetlb", "hugetlb.2MB.rsvd.max", "4194304"),
    ];
    no_hugepages_at_all_are_a_limit: r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}"# => [
        (V1, "hugetlb", "hugetlb.2MB.limit_in_bytes", "0"),
        (V2, "hugetlb", "hugetlb.2MB.max", "0"),
    ];
    network_class_is_set: r#"{"network": {"classID": 1048577}}"# => [
        (V1, "net_cls", "net_cls.classid", "1048577"),
    ];
    network_priority_is_set: r#"{"network": {"priorities": [{"name": "lo", "priority": 5}]}}"# => [
        (V1, "net_prio", "net_prio.ifpriomap", "lo 5"),
    ];
    unified_value_is_set: r#"{"unified": {"memory.high": "8388608"}}"# => [
        (V2, "memory", "memory.high", "8388608"),
    ];
    unified_value_overrules_another: r#"{"memory": {"limit": 67108864}, "unified": {"memory.max": "33554432"}}"# => [
        (V2, "memory", "memory.max", "33554432"),
    ];
    unified_value_of_the_cgroup_itself_is_set: r#"{"unified": {"cgroup.max.descendants": "5"}}"# => [
        (V2, "", "cgroup.max.descendants", "5"),
    ];
    unified_value_of_a_controller_without_a_field_is_set: r#"{"unified": {"pids.max": "44"}}"# => [
        (V2, "pids", "pids.max", "44"),
    ];
}

fn holds(ctx: &Context, resources: &str, expected: &[Expected]) -> Outcome {
    let places = places(ctx, expected)?;
    let disk = if resources.contains("MAJOR") { disk_of(&ctx.dir)? } else { (0, 0) };
    let with_disk = |text: &str| {
        text.replace("MAJOR", &disk.0.to_string()).replace("MINOR", &disk.1.to_string())
    };
    let resources: Value = serde_json::from_str(&with_disk(resources))?;
    let mut bundle = Bundle::new(ctx)?;
    for (name, value) in resources.as_object().into_iter().flatten() {
        bundle = bundle.set(&format!("/linux/resources/{name}"), value.clone());
    }
    let c = bundle.container()?;
    c.create()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    for (hierarchy, file, line) in places {
        let path = hierarchy.join(cgroup.trim_start_matches('/')).join(file);
        let text = fs::read_to_string(&path)
            .map_err(|e| Stop::fail(format!("{}: {e}", path.display())))?;
        let line = with_disk(line);
        let found = text.lines().any(|l| l.split_whitespace().eq(line.split_whitespace()));
        check!(found, "{file}: got {text:?}, expected {line:?}");
    }
    Ok(())
}

type Place = (PathBuf, &'static str, &'static str);

/// Where each file is that this machine has; a skip if it has none of them.
fn places(ctx: &Context, expected: &[Expected]) -> Outcome<Vec<Place>> {
    let mut places = Vec::new();
    let mut lacks = Vec::new();
    for (version, controller, file, line) in expected {
        match hierarchy(ctx, *version, controller) {
            None if controller.is_empty() => lacks.push("not a v2 host".to_owned()),
            None => lacks.push(format!("no {controller} controller of {version:?}")),
            Some(hierarchy) if !has_file(ctx, &hierarchy, controller, file)? => {
                lacks.push(format!("no {file} in this kernel"));
            }
            Some(hierarchy) => places.push((hierarchy, *file, *line)),
        }
    }
    match places.is_empty() {
        true => Err(Stop::skip(lacks.join(", "))),
        false => Ok(places),
    }
}

/// The hierarchy that has a controller; "" stands for none in particular.
fn hierarchy(ctx: &Context, version: Version, controller: &str) -> Option<PathBuf> {
    let is_v2 = |path: &Path| path.join("cgroup.controllers").exists();
    hierarchies(ctx.layout).into_iter().find(|path| match version {
        V1 => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !is_v2(path) && name.split(',').any(|one| one == controller)
        }
        // A runtime writes `unified` on a host that has nothing else.
        V2 if controller.is_empty() => ctx.layout == Layout::V2,
        V2 => {
            let has = fs::read_to_string(path.join("cgroup.controllers"));
            has.is_ok_and(|text| text.split_whitespace().any(|one| one == controller))
        }
    })
}

/// Whether a new cgroup has the file.
fn has_file(ctx: &Context, hierarchy: &Path, controller: &str, file: &str) -> Outcome<bool> {
    let subtree = hierarchy.join("cgroup.subtree_control");
    if subtree.exists() && !controller.is_empty() {
        fs::write(subtree, format!("+{controller}"))?;
    }
    let probe = hierarchy.join(format!("{}-probe", ctx.cgroup.trim_start_matches('/')));
    fs::create_dir(&probe)?;
    let has = probe.join(file).exists();
    fs::remove_dir(&probe)?;
    Ok(has)
}

/// The number of the disk that a directory is on.
pub(super) fn disk_of(dir: &Path) -> Outcome<(u64, u64)> {
    let device = fs::metadata(dir)?.dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let sysfs = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    if major == 0 || !sysfs.exists() {
        return Err(Stop::skip("the tests' directory is on no disk"));
    }
    let disk = if sysfs.join("partition").exists() { sysfs.join("..") } else { sysfs };
    let text = fs::read_to_string(disk.join("dev"))?;
    let (major, minor) = text.trim().split_once(':').unwrap_or_default();
    Ok((major.parse()?, minor.parse()?))
}

/// Skips the test unless a controller of this version is here, and gives its hierarchy.
pub(super) fn needs(ctx: &Context, controller: &str) -> Outcome<PathBuf> {
    cgroups::needs(ctx.layout, controller)?;
    let v1 = if controller == "io" { "blkio" } else { controller };
    let found = hierarchy(ctx, V1, v1).or_else(|| hierarchy(ctx, V2, controller));
    found.ok_or_else(|| Stop::skip(format!("no {controller} controller here")))
}
