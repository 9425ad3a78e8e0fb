//! linux.resources as files of cgroup v2.

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
const UNIFIED: &str = "config-linux.md#unified";
const OWNERSHIP: &str = "config-linux.md#cgroup-ownership";

pub(super) fn rows() -> Vec<Row> {
    [memory(), cpu(), io(), others(), lacking(), ownership()].into_iter().flatten().collect()
}

/// A value that a file must show.
fn value(
    field: &str,
    clause: &'static str,
    (pointer, value): (&'static str, Value),
    (controller, file): (&'static str, &'static str),
    text: &str,
) -> Row {
    row(format!("v2 /linux/resources/{field}"), clause)
        .needs(Need::V2)
        .needs(Need::Controller(controller))
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
        memory("limit", json!({"limit": m32}), "memory.max", "33554432"),
        memory("limit -1", json!({"limit": -1}), "memory.max", "max"),
        row("v2 /linux/resources/memory/limit ends what exceeds it", MEMORY)
            .needs(Need::V2)
            .needs(Need::Controller("memory"))
            .proves(|ctx| {
                let c = Bundle::new(ctx)?
                    .set(AT, json!({"limit": 32 << 20, "swap": 32 << 20}))
                    .payload(&["allocate", "100000000"])
                    .container()?;
                c.run(&[])?.exits(137).map(drop)
            }),
        memory("reservation", json!({"reservation": m32}), "memory.low", "33554432"),
        memory("swap", json!({"limit": m32, "swap": 3 * m32}), "memory.swap.max", "67108864")
            .needs(Need::CgroupFile("memory", "memory.swap.max")),
        memory("swap -1", json!({"limit": m32, "swap": -1}), "memory.swap.max", "max")
            .needs(Need::CgroupFile("memory", "memory.swap.max")),
        memory(
            "checkBeforeUpdate",
            json!({"limit": m32, "checkBeforeUpdate": true}),
            "memory.max",
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
        // Two formulas are in use: 1024 shares give 39 or 100.
        row("v2 /linux/resources/cpu/shares", CPU)
            .needs(Need::V2)
            .needs(Need::Controller("cpu"))
            .proves(|ctx| {
                let c = Bundle::new(ctx)?.set(AT, json!({"shares": 1024})).container()?;
                c.create()?;
                let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
                let weight = cgroups::read(ctx.layout, "cpu", path, "cpu.weight")?;
                check!(weight == "100" || weight == "39", "cpu.weight is {weight}");
                Ok(())
            }),
        cpu("quota, period", json!({"quota": 40_000, "period": 80_000}), "cpu.max", "40000 80000"),
        cpu("quota -1", json!({"quota": -1}), "cpu.max", "max 100000"),
        cpu(
            "burst",
            json!({"quota": 40_000, "period": 80_000, "burst": 20_000}),
            "cpu.max.burst",
            "20000",
        )
        .needs(Need::CgroupFile("cpu", "cpu.max.burst")),
        cpu("idle", json!({"idle": 1}), "cpu.idle", "1").needs(Need::CgroupFile("cpu", "cpu.idle")),
        set("cpus", json!({"cpus": "0"}), "cpuset.cpus", "0"),
        set("mems", json!({"mems": "0"}), "cpuset.mems", "0"),
    ]
}

fn io() -> Vec<Row> {
    let limit = |field: &'static str, key: &'static str| {
        row(format!("v2 /linux/resources/blockIO/{field}"), BLOCK_IO)
            .needs(Need::V2)
            .needs(Need::Controller("io"))
            .needs(Need::Disk)
            .needs(Need::CgroupFile("io", "io.max"))
            .proves(move |ctx| limited(ctx, field, key))
    };
    vec![
        row("v2 /linux/resources/blockIO/weight", BLOCK_IO)
            .needs(Need::V2)
            .needs(Need::Controller("io"))
            .needs(Need::AnyCgroupFile(&["io.bfq.weight", "io.weight"]))
            .proves(|ctx| {
                let c = Bundle::new(ctx)?
                    .set("/linux/resources/blockIO", json!({"weight": 500}))
                    .container()?;
                c.create()?;
                let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
                let read = |file| cgroups::read(ctx.layout, "io", path, file).unwrap_or_default();
                let (bfq, plain) = (read("io.bfq.weight"), read("io.weight"));
                // Linear from 10..1000 to 1..10000 where there is no bfq.
                let holds = bfq.contains("default 500") || plain.contains("default 4950");
                check!(holds, "io.bfq.weight is {bfq:?}, io.weight is {plain:?}");
                Ok(())
            }),
        limit("throttleReadBpsDevice", "rbps"),
        limit("throttleWriteBpsDevice", "wbps"),
        limit("throttleReadIOPSDevice", "riops"),
        limit("throttleWriteIOPSDevice", "wiops"),
    ]
}

fn limited(ctx: &Context, field: &str, key: &str) -> Outcome {
    let (major, minor) = disk().unwrap_or_default();
    let limit = json!([{"major": major, "minor": minor, "rate": 4096}]);
    let c = Bundle::new(ctx)?.set("/linux/resources/blockIO", json!({field: limit})).container()?;
    c.create()?;
    let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let got = cgroups::read(ctx.layout, "io", path, "io.max")?;
    let line = got.lines().find(|l| l.starts_with(&format!("{major}:{minor} ")));
    let holds = line.is_some_and(|l| l.split(' ').any(|w| w == format!("{key}=4096")));
    check!(holds, "io.max is {got:?}, without {key}=4096");
    Ok(())
}

fn others() -> Vec<Row> {
    const PIDS: &str = "config-linux.md#pids";
    vec![
        value(
            "pids/limit",
            PIDS,
            ("/linux/resources/pids", json!({"limit": 33})),
            ("pids", "pids.max"),
            "33",
        ),
        value(
            "pids/limit -1",
            PIDS,
            ("/linux/resources/pids", json!({"limit": -1})),
            ("pids", "pids.max"),
            "max",
        ),
        value(
            "hugepageLimits",
            "config-linux.md#huge-page-limits",
            ("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4 << 20}])),
            ("hugetlb", "hugetlb.2MB.max"),
            "4194304",
        )
        .needs(Need::HugePages),
        value(
            "unified",
            UNIFIED,
            ("/linux/resources/unified", json!({"cgroup.max.descendants": "5"})),
            ("", "cgroup.max.descendants"),
            "5",
        ),
        value(
            "unified of a controller",
            UNIFIED,
            ("/linux/resources/unified", json!({"pids.max": "44"})),
            ("pids", "pids.max"),
            "44",
        ),
        row("v2 /linux/resources/unified, no such file", UNIFIED)
            .needs(Need::V2)
            .set("/linux/resources/unified", json!({"nothing.max": "1"}))
            .refused("/linux/resources/unified"),
        row("v2 /linux/resources/unified, a path", UNIFIED)
            .needs(Need::V2)
            .set("/linux/resources/unified", json!({"../pids.max": "1"}))
            .refused("/linux/resources/unified"),
    ]
}

/// With a user namespace, a cgroup namespace and a writable mount, the cgroup is the container's.
/// What v1 has and v2 has nothing like.
fn lacking() -> Vec<Row> {
    let refused = |pointer: &'static str, value: Value| {
        row(format!("v2 {pointer}"), UNIFIED).needs(Need::V2).set(pointer, value).refused(pointer)
    };
    vec![
        refused("/linux/resources/memory/swappiness", json!(17)),
        refused("/linux/resources/memory/kernelTCP", json!(1 << 20)),
        refused("/linux/resources/memory/disableOOMKiller", json!(true)),
        refused("/linux/resources/cpu/realtimeRuntime", json!(9_000)),
        refused("/linux/resources/blockIO/leafWeight", json!(300)),
        refused("/linux/resources/network/classID", json!(0x10_0001)),
    ]
}

fn ownership() -> Vec<Row> {
    let owner = |name: &str, options: &'static [&'static str], uid: u32| {
        row(name, OWNERSHIP).needs(Need::V2).proves(move |ctx| {
            let mut bundle = Bundle::new(ctx)?.user_namespace()?.namespace("cgroup", None);
            let mounts = bundle.config["mounts"].as_array_mut();
            for mount in mounts.into_iter().flatten() {
                if mount["destination"] == "/sys/fs/cgroup" {
                    mount["options"] = json!(options);
                }
            }
            let lines =
                bundle.reports(&["probe", "/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs"])?;
            for line in lines {
                check!(line["uid"] == uid, "{} belongs to {}", line["path"], line["uid"]);
            }
            Ok(())
        })
    };
    vec![
        owner("v2 cgroup ownership, writable", &["nosuid", "noexec", "nodev", "rw"], 0),
        // The host's root is nobody inside.
        owner("v2 cgroup ownership, read-only", &["nosuid", "noexec", "nodev", "ro"], 65534),
    ]
}
