//! linux.resources as files of cgroup v1.

use serde_json::{Value, json};

use super::needs::{Need, disk};
use super::row::{Row, row};
use crate::bundle::Bundle;
use crate::cgroups;
use crate::check;
use crate::context::Context;
use crate::outcome::Outcome;

const MEMORY: &str = "config-linux.md#memory";
const CPU: &str = "config-linux.md#cpu";
const BLOCK_IO: &str = "config-linux.md#block-io";
const NETWORK: &str = "config-linux.md#network";

pub(super) fn rows() -> Vec<Row> {
    [memory(), cpu(), block_io(), others(), devices()].into_iter().flatten().collect()
}

/// A value that a file of a controller must show.
fn value(
    field: &str,
    clause: &'static str,
    (pointer, value): (&'static str, Value),
    (controller, file): (&'static str, &'static str),
    text: &str,
) -> Row {
    row(format!("v1 /linux/resources/{field}"), clause)
        .needs(Need::V1)
        .needs(Need::Controller(controller))
        .needs(Need::CgroupFile(controller, file))
        .set(pointer, value)
        .file(controller, file, text)
}

fn memory() -> Vec<Row> {
    const AT: &str = "/linux/resources/memory";
    let memory = |field: &str, set: Value, file: &'static str, text: &str| {
        value(&format!("memory/{field}"), MEMORY, (AT, set), ("memory", file), text)
    };
    let m32 = 32 << 20;
    vec![
        memory("limit", json!({"limit": m32}), "memory.limit_in_bytes", "33554432"),
        memory("limit -1", json!({"limit": -1}), "memory.limit_in_bytes", "9223372036854771712"),
        row("v1 /linux/resources/memory/limit ends what exceeds it", MEMORY)
            .needs(Need::V1)
            .needs(Need::Controller("memory"))
            .proves(|ctx| {
                let c = Bundle::new(ctx)?
                    .set(AT, json!({"limit": 32 << 20}))
                    .payload(&["allocate", "100000000"])
                    .container()?;
                c.run(&[])?.exits(137).map(drop)
            }),
        memory(
            "reservation",
            json!({"reservation": m32}),
            "memory.soft_limit_in_bytes",
            "33554432",
        ),
        memory(
            "swap",
            json!({"limit": m32, "swap": 2 * m32}),
            "memory.memsw.limit_in_bytes",
            "67108864",
        ),
        memory(
            "kernelTCP",
            json!({"kernelTCP": m32}),
            "memory.kmem.tcp.limit_in_bytes",
            "33554432",
        ),
        memory("swappiness", json!({"swappiness": 17}), "memory.swappiness", "17"),
        memory("useHierarchy", json!({"useHierarchy": true}), "memory.use_hierarchy", "1"),
        row("v1 /linux/resources/memory/disableOOMKiller", MEMORY)
            .needs(Need::V1)
            .needs(Need::Controller("memory"))
            .proves(|ctx| {
                let c = Bundle::new(ctx)?.set(AT, json!({"disableOOMKiller": true})).container()?;
                c.create()?;
                let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
                let text = cgroups::read(ctx.layout, "memory", path, "memory.oom_control")?;
                check!(text.contains("oom_kill_disable 1"), "memory.oom_control is {text:?}");
                Ok(())
            }),
        // A new cgroup uses next to nothing: the limit passes the check.
        memory(
            "checkBeforeUpdate",
            json!({"limit": m32, "checkBeforeUpdate": true}),
            "memory.limit_in_bytes",
            "33554432",
        ),
    ]
}

fn cpu() -> Vec<Row> {
    const AT: &str = "/linux/resources/cpu";
    let cpu = |field: &str, set: Value, file: &'static str, text: &str| {
        value(&format!("cpu/{field}"), CPU, (AT, set), ("cpu", file), text)
    };
    let set = |field: &str, set: Value, file: &'static str, text: &str| {
        value(&format!("cpu/{field}"), CPU, (AT, set), ("cpuset", file), text)
    };
    vec![
        cpu("shares", json!({"shares": 300}), "cpu.shares", "300"),
        cpu("quota", json!({"quota": 40_000, "period": 80_000}), "cpu.cfs_quota_us", "40000"),
        cpu("quota -1", json!({"quota": -1}), "cpu.cfs_quota_us", "-1"),
        cpu("period", json!({"quota": 40_000, "period": 80_000}), "cpu.cfs_period_us", "80000"),
        cpu(
            "burst",
            json!({"quota": 40_000, "period": 80_000, "burst": 20_000}),
            "cpu.cfs_burst_us",
            "20000",
        ),
        cpu("idle", json!({"idle": 1}), "cpu.idle", "1"),
        row("v1 /linux/resources/cpu/realtimeRuntime, realtimePeriod", CPU)
            .needs(Need::V1)
            .needs(Need::CgroupFile("cpu", "cpu.rt_runtime_us"))
            .proves(real_time),
        set("cpus", json!({"cpus": "0"}), "cpuset.cpus", "0"),
        set("mems", json!({"mems": "0"}), "cpuset.mems", "0"),
    ]
}

/// The parent must have time to give: its files are set before.
fn real_time(ctx: &Context) -> Outcome {
    let parent =
        std::path::Path::new("/sys/fs/cgroup/cpu").join(ctx.cgroup.trim_start_matches('/'));
    std::fs::create_dir_all(&parent)?;
    std::fs::write(parent.join("cpu.rt_runtime_us"), "50000")
        .map_err(|e| crate::outcome::Stop::skip(format!("no time for real-time processes: {e}")))?;
    let c = Bundle::new(ctx)?
        .set("/linux/resources/cpu", json!({"realtimeRuntime": 9_000, "realtimePeriod": 900_000}))
        .container()?;
    c.create()?;
    let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    for (file, want) in [("cpu.rt_runtime_us", "9000"), ("cpu.rt_period_us", "900000")] {
        let got = cgroups::read(ctx.layout, "cpu", path, file)?;
        check!(got == want, "{file} is {got}, expected {want}");
    }
    Ok(())
}

fn block_io() -> Vec<Row> {
    const AT: &str = "/linux/resources/blockIO";
    let weight = |field: &str, set: Value, file: &'static str, text: &str| {
        value(&format!("blockIO/{field}"), BLOCK_IO, (AT, set), ("blkio", file), text)
    };
    let device = |field: &'static str, file: &'static str, member: &'static str| {
        row(format!("v1 /linux/resources/blockIO/{field}"), BLOCK_IO)
            .needs(Need::V1)
            .needs(Need::Disk)
            .needs(Need::CgroupFile("blkio", file))
            .proves(move |ctx| of_device(ctx, field, file, member))
    };
    vec![
        weight("weight", json!({"weight": 300}), "blkio.bfq.weight", "300"),
        weight("leafWeight", json!({"leafWeight": 300}), "blkio.leaf_weight", "300"),
        device("weightDevice", "blkio.bfq.weight_device", "weight").needs(Need::DiskWithBfq),
        device("throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rate"),
        device("throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "rate"),
        device("throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "rate"),
        device("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "rate"),
    ]
}

fn of_device(ctx: &Context, field: &str, file: &str, member: &str) -> Outcome {
    let (major, minor) = disk().unwrap_or_default();
    let limit = json!([{"major": major, "minor": minor, member: 700}]);
    let c = Bundle::new(ctx)?.set("/linux/resources/blockIO", json!({field: limit})).container()?;
    c.create()?;
    let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let got = cgroups::read(ctx.layout, "blkio", path, file)?;
    check!(got.contains(&format!("{major}:{minor} 700")), "{file} is {got:?}");
    Ok(())
}

fn others() -> Vec<Row> {
    vec![
        value(
            "pids/limit",
            "config-linux.md#pids",
            ("/linux/resources/pids", json!({"limit": 33})),
            ("pids", "pids.max"),
            "33",
        ),
        value(
            "pids/limit -1",
            "config-linux.md#pids",
            ("/linux/resources/pids", json!({"limit": -1})),
            ("pids", "pids.max"),
            "max",
        ),
        value(
            "hugepageLimits",
            "config-linux.md#huge-page-limits",
            ("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4 << 20}])),
            ("hugetlb", "hugetlb.2MB.limit_in_bytes"),
            "4194304",
        ),
        value(
            "network/classID",
            NETWORK,
            ("/linux/resources/network", json!({"classID": 0x10_0001})),
            ("net_cls", "net_cls.classid"),
            "1048577",
        ),
        row("v1 /linux/resources/network/priorities", NETWORK)
            .needs(Need::V1)
            .needs(Need::Controller("net_prio"))
            .proves(|ctx| {
                let set = json!({"priorities": [{"name": "lo", "priority": 500}]});
                let c = Bundle::new(ctx)?.set("/linux/resources/network", set).container()?;
                c.create()?;
                let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
                let map = cgroups::read(ctx.layout, "net_prio", path, "net_prio.ifpriomap")?;
                check!(map.lines().any(|l| l == "lo 500"), "net_prio.ifpriomap is {map:?}");
                Ok(())
            }),
        row("v1 /linux/resources/unified", "config-linux.md#unified")
            .needs(Need::V1)
            .set("/linux/resources/unified", json!({"nothing.max": "1"}))
            .refused("/linux/resources/unified"),
    ]
}

/// The device rules, which v2 has in a program of their own.
fn devices() -> Vec<Row> {
    let deny = json!({"allow": false, "access": "rwm"});
    let fuse = |allow: bool, access: &str| json!({"allow": allow, "type": "c", "major": 10, "minor": 229, "access": access});
    let row = |name: &str, rules: Value, opened: fn(i64) -> bool| {
        row(format!("/linux/resources/devices, {name}"), "config-linux.md#allowed-device-list")
            .proves(move |ctx| {
                let caps = json!(["CAP_MKNOD"]);
                let line = Bundle::new(ctx)?
                    .set("/linux/resources/devices", rules.clone())
                    .set(
                        "/process/capabilities",
                        json!({"bounding": caps, "permitted": caps, "effective": caps}),
                    )
                    .mount("/d", "tmpfs", "d", &[])
                    .report(&["mknod", "/d/node", "10", "229"])?;
                check!(opened(line["opened"].as_i64().unwrap_or(-1)), "{line}");
                Ok(())
            })
    };
    vec![
        row("allow false", json!([deny]), |errno| errno == 1),
        row("type, major, minor, access", json!([deny, fuse(true, "rwm")]), |errno| errno != 1),
        row("in order", json!([deny, fuse(true, "rwm"), fuse(false, "rw")]), |errno| errno == 1),
    ]
}
