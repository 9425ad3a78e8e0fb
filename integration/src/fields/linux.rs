//! linux: devices, network devices, paths, sysctl, propagation, personality, memory policy, RDT.

use caps::Capability;
use serde_json::{Value, json};

use super::needs::Need;
use super::row::{Row, row};
use crate::bundle::Bundle;
use crate::context::Context;
use crate::expect::MountInfo;
use crate::outcome::{Outcome, Stop};
use crate::process::Run;
use crate::{cgroups, check, check_eq};

const DEVICES: &str = "config-linux.md#devices";
const DEFAULT_DEVICES: &str = "config-linux.md#default-devices";
const NET_DEVICES: &str = "config-linux.md#network-devices";
const CGROUPS_PATH: &str = "config-linux.md#cgroups-path";
const SYSCTL: &str = "config-linux.md#sysctl";
const MASKED: &str = "config-linux.md#masked-paths";
const READ_ONLY: &str = "config-linux.md#readonly-paths";
const PROPAGATION: &str = "config-linux.md#rootfs-mount-propagation";
const PERSONALITY: &str = "config-linux.md#personality";
const MEMORY_POLICY: &str = "config-linux.md#memory-policy";
const RDT: &str = "config-linux.md#intelrdt";

pub(super) fn rows() -> Vec<Row> {
    [
        devices(),
        default_devices(),
        net_devices(),
        cgroups_path(),
        propagation(),
        sysctl(),
        paths(),
        personality(),
        memory_policy(),
        rdt(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn devices() -> Vec<Row> {
    let node = |extra: Value| {
        let mut device = json!({"path": "/dev/new/node", "type": "c", "major": 1, "minor": 3});
        for (name, value) in extra.as_object().into_iter().flatten() {
            device[name] = value.clone();
        }
        device
    };
    let device = |name: &str, extra: Value| {
        row(format!("/linux/devices/{name}"), DEVICES)
            .push("/linux/devices", node(extra))
            .asks(&["devices"])
    };
    vec![
        device("path, type c, major, minor", json!({}))
            .sees("/0/~1dev~1new~1node/type", json!("c"))
            .sees("/0/~1dev~1new~1node/major", json!(1))
            .sees("/0/~1dev~1new~1node/minor", json!(3)),
        device("type b", json!({"type": "b", "major": 7, "minor": 0}))
            .sees("/0/~1dev~1new~1node/type", json!("b"))
            .sees("/0/~1dev~1new~1node/major", json!(7)),
        device("type u", json!({"type": "u"})).sees("/0/~1dev~1new~1node/type", json!("c")),
        row("/linux/devices/type p", DEVICES)
            .push("/linux/devices", json!({"path": "/dev/fifo", "type": "p"}))
            .asks(&["devices"])
            .sees("/0/~1dev~1fifo/type", json!("p")),
        device("type, unknown", json!({"type": "x"})).refused("/linux/devices/0"),
        device("fileMode", json!({"fileMode": 0o640}))
            .sees("/0/~1dev~1new~1node/mode", json!(0o640)),
        device("fileMode, absent", json!({})).sees("/0/~1dev~1new~1node/mode", json!(0o666)),
        device("uid", json!({"uid": 12})).sees("/0/~1dev~1new~1node/uid", json!(12)),
        device("gid", json!({"gid": 34})).sees("/0/~1dev~1new~1node/gid", json!(34)),
    ]
}

fn default_devices() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        ("/dev/null", [1, 3]),
        ("/dev/zero", [1, 5]),
        ("/dev/full", [1, 7]),
        ("/dev/random", [1, 8]),
        ("/dev/urandom", [1, 9]),
        ("/dev/tty", [5, 0]),
    ]
    .into_iter()
    .map(|(path, numbers): (&'static str, [u32; 2])| {
        row(path, DEFAULT_DEVICES)
            .asks(&[])
            .with(move |_, bundle| Ok(bundle.payload(&["probe", path])))
            .sees("/0/kind", json!("char"))
            .sees("/0/rdev", json!(numbers))
            .sees("/0/mode", json!(0o666))
    })
    .collect();
    rows.push(
        row("/dev/ptmx", DEFAULT_DEVICES)
            .asks(&["devices"])
            .sees("/0/~1dev~1pts~1ptmx/major", json!(5))
            .sees("/0/~1dev~1pts~1ptmx/minor", json!(2))
            .meets(|lines| {
                let ptmx = &lines[0]["/dev/ptmx"];
                let target = ptmx["target"].as_str().unwrap_or_default();
                let bound = ptmx["type"] == "c" && ptmx["major"] == 5;
                check!(bound || target.ends_with("pts/ptmx"), "/dev/ptmx is {ptmx}");
                Ok(())
            }),
    );
    rows.push(
        row("/dev/fd, /dev/stdin, /dev/stdout, /dev/stderr", "runtime-linux.md#dev-symbolic-links")
            .asks(&["devices"])
            .sees("/0/~1dev~1fd/target", json!("/proc/self/fd"))
            .sees("/0/~1dev~1stdin/target", json!("/proc/self/fd/0"))
            .sees("/0/~1dev~1stdout/target", json!("/proc/self/fd/1"))
            .sees("/0/~1dev~1stderr/target", json!("/proc/self/fd/2")),
    );
    rows
}

fn net_devices() -> Vec<Row> {
    let ip = Need::Program("ip");
    let administrator = Need::Capability(Capability::CAP_NET_ADMIN);
    vec![
        row("/linux/netDevices", NET_DEVICES)
            .needs(ip)
            .needs(administrator)
            .proves(|ctx| moved(ctx, |name| json!({name: {}}), None)),
        row("/linux/netDevices/name", NET_DEVICES)
            .needs(ip)
            .needs(administrator)
            .proves(|ctx| moved(ctx, |name| json!({name: {"name": "inside0"}}), Some("inside0"))),
        row("/linux/netDevices, missing", NET_DEVICES)
            .set("/linux/netDevices", json!({"nosuchdev0": {}}))
            .refused("/linux/netDevices"),
    ]
}

/// A device of the host is in the container's namespace, up and with its address.
fn moved(ctx: &Context, devices: fn(&str) -> Value, renamed: Option<&str>) -> Outcome {
    let name = format!("tare{}", std::process::id() % 100_000);
    let ip = |args: &[&str]| Run::new(std::path::Path::new("ip"), args, &ctx.dir)?.done();
    let added = ip(&["link", "add", &name, "type", "dummy"])?;
    if added.code != 0 {
        return Err(Stop::skip("no dummy network devices here"));
    }
    ip(&["address", "add", "10.99.98.97/24", "dev", &name])?.ok()?;
    let inside = renamed.unwrap_or(&name).to_owned();
    let class = format!("/sys/class/net/{inside}");
    let (flags, routes) = (format!("{class}/flags"), "/proc/net/fib_trie");
    let lines = Bundle::new(ctx)?
        .set("/linux/netDevices", devices(&name))
        .reports(&["probe", &class, ",", "cat", &flags, ",", "cat", routes]);
    // Where it was not moved, or when it came back.
    let _ = ip(&["link", "delete", &name]);
    let lines = lines?;
    check_eq!(lines[0]["kind"], "dir", "kind of {class}");
    let flags = lines[1]["text"].as_str().unwrap_or_default().trim().trim_start_matches("0x");
    check!(u32::from_str_radix(flags, 16).unwrap_or(0) & 1 == 1, "flags are {flags}: it is not up");
    let routes = lines[2]["text"].as_str().unwrap_or_default();
    check!(routes.contains("10.99.98.97"), "its address is gone");
    Ok(())
}

fn cgroups_path() -> Vec<Row> {
    vec![
        row("/linux/cgroupsPath, absolute", CGROUPS_PATH).proves(|ctx| {
            let c = Bundle::new(ctx)?.container()?;
            c.create()?;
            let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
            let pids = cgroups::read(ctx.layout, "devices", path, "cgroup.procs")?;
            check!(pids.contains(&c.pid()?.to_string()), "{path} holds {pids:?}");
            Ok(())
        }),
        row("/linux/cgroupsPath, removed by delete", CGROUPS_PATH).proves(|ctx| {
            let c = Bundle::new(ctx)?.container()?;
            c.up()?;
            c.exit_code()?;
            c.verb("delete")?.ok()?;
            let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
            let left = cgroups::directories(ctx.layout, path);
            check!(left.is_empty(), "{left:?} are there");
            Ok(())
        }),
    ]
}

fn propagation() -> Vec<Row> {
    let set = |value: &'static str, holds: fn(&[String]) -> bool| {
        row(format!("/linux/rootfsPropagation {value}"), PROPAGATION)
            .set("/linux/rootfsPropagation", json!(value))
            .meets(move |lines| {
                let table = MountInfo::table(lines.first().unwrap_or(&Value::Null));
                let root = MountInfo::at(&table, "/").ok_or_else(|| Stop::fail("no mount at /"))?;
                check!(holds(&root.propagation), "/ is {:?}", root.propagation);
                Ok(())
            })
    };
    vec![
        set("shared", |p| p.iter().any(|p| p.starts_with("shared:"))),
        // Where the host's mounts are private there is no master to receive from.
        set("slave", |p| p.iter().all(|p| p.starts_with("master:"))),
        set("private", <[String]>::is_empty),
        set("unbindable", |p| p == ["unbindable"]),
        row("/linux/rootfsPropagation, unknown", "config.md#valid-values")
            .set("/linux/rootfsPropagation", json!("words"))
            .refused("/linux/rootfsPropagation"),
    ]
}

fn sysctl() -> Vec<Row> {
    let value = |name: &'static str, path: &'static str, value: &'static str| {
        row(format!("/linux/sysctl {name}"), SYSCTL)
            .set("/linux/sysctl", json!({name: value}))
            .with(move |_, bundle| Ok(bundle.payload(&["cat", path])))
            .sees("/0/text", json!(format!("{value}\n")))
    };
    vec![
        value("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward", "1"),
        value("net/ipv4/ip_default_ttl", "/proc/sys/net/ipv4/ip_default_ttl", "70"),
        value("kernel.msgmax", "/proc/sys/kernel/msgmax", "8193"),
        value("kernel.shm_rmid_forced", "/proc/sys/kernel/shm_rmid_forced", "1"),
        value("fs.mqueue.msg_max", "/proc/sys/fs/mqueue/msg_max", "11"),
        value("kernel.domainname", "/proc/sys/kernel/domainname", "example.org"),
        row("/linux/sysctl of the whole host", SYSCTL)
            .set("/linux/sysctl", json!({"vm.swappiness": "60"}))
            .refused("/linux/sysctl"),
        row("/linux/sysctl of a namespace that is not new", SYSCTL)
            .with(|_, bundle| Ok(bundle.without_namespace("ipc")))
            .set("/linux/sysctl", json!({"kernel.msgmax": "8192"}))
            .refused("/linux/sysctl"),
    ]
}

fn paths() -> Vec<Row> {
    let probe = &["probe", "/secret", "/secret/file", "/not/there"];
    let with_files = |name: &str, clause, pointer, list: Value| {
        row(name, clause)
            .with(|_, bundle| bundle.file("/secret/file", "hidden"))
            .set(pointer, list)
            .asks(probe)
    };
    let masked = |name, list| with_files(name, MASKED, "/linux/maskedPaths", list);
    let read_only = |name, list| with_files(name, READ_ONLY, "/linux/readonlyPaths", list);
    vec![
        masked("/linux/maskedPaths, a directory", json!(["/secret"]))
            .sees("/0/read/count", json!(0))
            .sees("/1/missing", json!(2)),
        masked("/linux/maskedPaths, a file", json!(["/secret/file"]))
            .sees("/1/read/count", json!(0)),
        masked("/linux/maskedPaths, missing", json!(["/not/there"])).sees("/2/missing", json!(2)),
        read_only("/linux/readonlyPaths, a directory", json!(["/secret"]))
            .sees("/0/write", json!(30))
            .sees("/1/write", json!(30)),
        read_only("/linux/readonlyPaths, a file", json!(["/secret/file"]))
            .sees("/0/write", json!(0))
            .sees("/1/write", json!(30)),
        read_only("/linux/readonlyPaths, missing", json!(["/not/there"]))
            .sees("/2/missing", json!(2)),
        row("/linux/mountLabel", "config-linux.md#mount-label")
            .needs(Need::File("/sys/fs/selinux/enforce", "SELinux"))
            .set("/linux/mountLabel", json!("system_u:object_r:container_file_t:s0:c1,c2"))
            .meets(|lines| {
                let table = MountInfo::table(lines.first().unwrap_or(&Value::Null));
                let dev =
                    MountInfo::at(&table, "/dev/shm").ok_or_else(|| Stop::fail("no /dev/shm"))?;
                let context = dev.super_options.iter().any(|o| o.contains("container_file_t"));
                check!(context, "{:?}", dev.super_options);
                Ok(())
            }),
    ]
}

fn personality() -> Vec<Row> {
    vec![
        row("/linux/personality/domain LINUX", PERSONALITY)
            .set("/linux/personality", json!({"domain": "LINUX"}))
            .sees("/0/personality", json!(0)),
        row("/linux/personality/domain LINUX32", PERSONALITY)
            .set("/linux/personality", json!({"domain": "LINUX32"}))
            .sees("/0/personality", json!(8)),
        row("/linux/personality/domain, unknown", "config.md#valid-values")
            .set("/linux/personality", json!({"domain": "BSD"}))
            .refused("/linux/personality"),
    ]
}

fn memory_policy() -> Vec<Row> {
    let numa = || Need::File("/proc/self/numa_maps", "memory policies (CONFIG_NUMA)");
    let policy = |name: &str, policy: Value, words: &'static str| {
        row(format!("/linux/memoryPolicy {name}"), MEMORY_POLICY)
            .needs(numa())
            .set("/linux/memoryPolicy", policy)
            .asks(&["cat", "/proc/self/numa_maps"])
            .holds("/0/text", words)
    };
    vec![
        policy("mode MPOL_DEFAULT", json!({"mode": "MPOL_DEFAULT"}), " default "),
        policy("mode MPOL_BIND, nodes", json!({"mode": "MPOL_BIND", "nodes": "0"}), " bind:0 "),
        policy(
            "mode MPOL_INTERLEAVE",
            json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}),
            " interleave:0 ",
        ),
        policy(
            "mode MPOL_PREFERRED",
            json!({"mode": "MPOL_PREFERRED", "nodes": "0"}),
            " prefer:0 ",
        ),
        policy(
            "mode MPOL_PREFERRED_MANY",
            json!({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}),
            " prefer (many):0 ",
        )
        .needs(Need::Linux(5, 15)),
        policy(
            "mode MPOL_WEIGHTED_INTERLEAVE",
            json!({"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"}),
            " weighted interleave:0 ",
        )
        .needs(Need::Linux(6, 9)),
        policy("mode MPOL_LOCAL", json!({"mode": "MPOL_LOCAL"}), " local "),
        policy(
            "flags",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}),
            " bind=static:0 ",
        ),
        row("/linux/memoryPolicy mode, unknown", "config.md#valid-values")
            .set("/linux/memoryPolicy", json!({"mode": "MPOL_WORDS"}))
            .refused("/linux/memoryPolicy"),
    ]
}

fn rdt() -> Vec<Row> {
    let resctrl = || Need::File("/sys/fs/resctrl/schemata", "resctrl file system");
    let group = |name: &str, rdt: Value| {
        row(format!("/linux/intelRdt/{name}"), RDT).needs(resctrl()).proves(move |ctx| {
            let c = Bundle::new(ctx)?.set("/linux/intelRdt", rdt.clone()).container()?;
            c.create()?;
            let name = rdt["closID"].as_str().unwrap_or(&c.id);
            let dir = std::path::Path::new("/sys/fs/resctrl").join(name);
            let tasks = std::fs::read_to_string(dir.join("tasks"))?;
            check!(tasks.lines().any(|t| c.pid().is_ok_and(|p| t == p.to_string())), "{tasks}");
            Ok(())
        })
    };
    vec![
        group("closID", json!({"closID": "tare-fields"})),
        group("l3CacheSchema", json!({"l3CacheSchema": "L3:0=f"})),
        group("memBwSchema", json!({"memBwSchema": "MB:0=50"})),
        group("schemata", json!({"schemata": ["L3:0=f"]})),
        group("enableMonitoring", json!({"enableMonitoring": true})),
        row("/linux/intelRdt where there is no resctrl", RDT)
            .needs(Need::NoFile(
                "/sys/fs/resctrl/schemata",
                "machine without a resctrl file system",
            ))
            .set("/linux/intelRdt", json!({"closID": "tare-fields", "memBwSchema": "MB:0=50"}))
            .refused("/linux/intelRdt"),
    ]
}
