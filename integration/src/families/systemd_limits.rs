//! `--systemd-cgroup`: limits are properties of the unit, hold in the kernel, and outlive a reload.

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::cgroups::needs;
use crate::container::Container;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::systemd::{Systemd, with_systemd, with_systemd_on_v2};
use crate::{check, check_eq, family};

family!("systemd_limits":
    every_limit_is_a_property_and_holds,
    unified_values_are_properties_and_hold,
    limits_of_block_devices_are_properties_and_hold,
    limits_without_a_property_are_written,
    update_changes_properties_and_files,
    failed_update_puts_properties_back,
    reload_keeps_limits,
    reload_makes_no_quota_lower,
    reload_keeps_devices,
    reload_keeps_updated_limits,
    limits_overrule_annotations,
);

/// A container that runs, with limits.
pub(super) fn running<'s>(systemd: &'s Systemd, resources: Value) -> Outcome<Container<'s>> {
    let c = systemd.bundle()?.set("/linux/resources", resources).container()?;
    c.up()?;
    Ok(c)
}

pub(super) fn properties(
    systemd: &Systemd,
    c: &Container<'_>,
    expected: &[(&str, &str)],
) -> Outcome {
    for (name, value) in expected {
        check_eq!(systemd.property(&systemd.unit(&c.id), name)?, *value, "property {name}");
    }
    Ok(())
}

pub(super) fn files(systemd: &Systemd, c: &Container<'_>, expected: &[(&str, &str)]) -> Outcome {
    for (name, value) in expected {
        check_eq!(systemd.file(c, name)?, *value, "file {name}");
    }
    Ok(())
}

fn every_limit_is_a_property_and_holds(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        let limits = json!({
            "memory": {"limit": 134_217_728, "reservation": 67_108_864, "swap": 201_326_592},
            "cpu": {"shares": 512, "quota": 25000, "period": 50000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 77},
        });
        let c = running(systemd, limits)?;
        properties(
            systemd,
            &c,
            &[
                ("MemoryMax", "134217728"),
                ("MemoryLow", "67108864"),
                ("MemorySwapMax", "67108864"),
                ("CPUWeight", "59"),
                ("CPUQuotaPerSecUSec", "500ms"),
                ("CPUQuotaPeriodUSec", "50ms"),
                ("AllowedCPUs", "0"),
                ("AllowedMemoryNodes", "0"),
                ("TasksMax", "77"),
            ],
        )?;
        files(
            systemd,
            &c,
            &[
                ("memory.max", "134217728"),
                ("memory.low", "67108864"),
                ("memory.swap.max", "67108864"),
                ("cpu.weight", "59"),
                ("cpu.max", "25000 50000"),
                ("cpuset.cpus", "0"),
                ("cpuset.mems", "0"),
                ("pids.max", "77"),
            ],
        )
    })
}

fn unified_values_are_properties_and_hold(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        let c = running(
            systemd,
            json!({"unified": {
                "memory.high": "100663296", "memory.min": "8388608", "cpu.weight": "200",
                "cpu.max": "max 200000", "pids.max": "max",
            }}),
        )?;
        properties(
            systemd,
            &c,
            &[
                ("MemoryHigh", "100663296"),
                ("MemoryMin", "8388608"),
                ("CPUWeight", "200"),
                ("CPUQuotaPerSecUSec", "infinity"),
                ("TasksMax", "infinity"),
            ],
        )?;
        files(
            systemd,
            &c,
            &[
                ("memory.high", "100663296"),
                ("memory.min", "8388608"),
                ("cpu.weight", "200"),
                ("cpu.max", "max 200000"),
                ("pids.max", "max"),
            ],
        )
    })
}

/// The number of a block device that can be limited.
pub(super) fn block_device() -> Outcome<(u64, u64)> {
    for entry in std::fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().join("device").exists() || name.starts_with("sr") {
            continue;
        }
        let number = std::fs::read_to_string(entry.path().join("dev"))?;
        if let Some((major, minor)) = number.trim().split_once(':') {
            return Ok((major.parse()?, minor.parse()?));
        }
    }
    Err(Stop::skip("no block device here"))
}

fn limits_of_block_devices_are_properties_and_hold(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        needs(ctx.layout, "io")?;
        let (major, minor) = block_device()?;
        let rate = json!([{"major": major, "minor": minor, "rate": 1_048_576}]);
        let c = running(
            systemd,
            json!({"blockIO": {
                "throttleReadBpsDevice": rate, "throttleWriteIOPSDevice": rate,
            }}),
        )?;
        let line = format!("{major}:{minor} rbps=1048576 wbps=max riops=max wiops=1048576");
        files(systemd, &c, &[("io.max", &line)])?;
        for name in ["IOReadBandwidthMax", "IOWriteIOPSMax"] {
            let value = systemd.property(&systemd.unit(&c.id), name)?;
            check!(value.ends_with(" 1048576"), "property {name} is {value:?}");
        }
        systemd.systemctl(&["daemon-reload"])?;
        files(systemd, &c, &[("io.max", &line)])
    })
}

fn limits_without_a_property_are_written(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        let c = running(
            systemd,
            json!({
                "cpu": {"quota": 50000, "period": 100_000, "burst": 10000},
                "unified": {"memory.oom.group": "1"},
            }),
        )?;
        files(systemd, &c, &[("cpu.max.burst", "10000"), ("memory.oom.group", "1")])?;
        needs(ctx.layout, "hugetlb")?;
        let huge = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}]});
        let c = running(systemd, huge)?;
        files(systemd, &c, &[("hugetlb.2MB.max", "4194304")])
    })
}

fn update_changes_properties_and_files(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        let c = running(systemd, json!({"pids": {"limit": 20}}))?;
        let flags = ["--memory", "64m", "--memory-swap", "96m", "--pids-limit", "30"];
        let more = ["--cpu-share", "512", "--cpu-quota", "30000", "--cpu-period", "100000"];
        let cpus = ["--cpuset-cpus", "0"];
        let id = [c.id.as_str()];
        systemd.ctx.ok(&[&["update"][..], &flags, &more, &cpus, &id].concat())?;
        properties(
            systemd,
            &c,
            &[
                ("MemoryMax", "67108864"),
                ("MemorySwapMax", "33554432"),
                ("TasksMax", "30"),
                ("CPUWeight", "59"),
                ("CPUQuotaPerSecUSec", "300ms"),
                ("AllowedCPUs", "0"),
            ],
        )?;
        files(
            systemd,
            &c,
            &[
                ("memory.max", "67108864"),
                ("memory.swap.max", "33554432"),
                ("pids.max", "30"),
                ("cpu.weight", "59"),
                ("cpu.max", "30000 100000"),
                ("cpuset.cpus", "0"),
            ],
        )?;
        systemd.ctx.ok(&["update", "--pids-limit", "-1", "--cpu-quota", "-1", &c.id])?;
        properties(systemd, &c, &[("TasksMax", "infinity"), ("CPUQuotaPerSecUSec", "infinity")])?;
        files(systemd, &c, &[("pids.max", "max"), ("cpu.max", "max 100000")])
    })
}

fn failed_update_puts_properties_back(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        let limits = json!({"pids": {"limit": 20}, "memory": {"limit": 67_108_864}});
        let c = running(systemd, limits)?;
        let document = systemd.ctx.dir.join("limits.json");
        let text = r#"{"pids": {"limit": 10}, "memory": {"limit": 33554432},
            "unified": {"memory.oom.group": "7"}}"#;
        std::fs::write(&document, text)?;
        let done = systemd.ctx.done(&["update", "-r", &document.to_string_lossy(), &c.id])?;
        done.exits(1)?.says(&["memory.oom.group"])?;
        properties(systemd, &c, &[("TasksMax", "20"), ("MemoryMax", "67108864")])?;
        files(systemd, &c, &[("pids.max", "20"), ("memory.max", "67108864")])?;
        systemd.systemctl(&["daemon-reload"])?;
        files(systemd, &c, &[("pids.max", "20"), ("memory.max", "67108864")])
    })
}

fn reload_keeps_limits(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        let c = running(
            systemd,
            json!({
                "memory": {"limit": 134_217_728, "swap": 134_217_728},
                "cpu": {"shares": 512, "quota": 25000, "period": 50000, "cpus": "0"},
                "pids": {"limit": 77},
                "unified": {"memory.high": "100663296", "memory.oom.group": "1"},
            }),
        )?;
        systemd.systemctl(&["daemon-reload"])?;
        files(
            systemd,
            &c,
            &[
                ("memory.max", "134217728"),
                ("memory.swap.max", "0"),
                ("memory.high", "100663296"),
                ("memory.oom.group", "1"),
                ("cpu.weight", "59"),
                ("cpu.max", "25000 50000"),
                ("cpuset.cpus", "0"),
                ("pids.max", "77"),
            ],
        )
    })
}

/// systemd keeps whole percents of a processor.
fn reload_makes_no_quota_lower(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        let c = running(systemd, json!({"cpu": {"quota": 33333, "period": 100_000}}))?;
        files(systemd, &c, &[("cpu.max", "33333 100000")])?;
        systemd.systemctl(&["daemon-reload"])?;
        let quota = systemd.file(&c, "cpu.max")?;
        let quota: u32 = quota.split(' ').next().unwrap_or_default().parse()?;
        check!((33333..=34000).contains(&quota), "the quota is {quota}");
        Ok(())
    })
}

/// Makes two device nodes inside and opens them: kmsg, which the rules of the test allow, and port.
pub(super) fn opens(c: &Container<'_>, when: &str) -> Outcome {
    for (name, minor, errno) in [("kmsg", "11", 0), ("port", "4", 1)] {
        // Not in the root file system, which may be on a mount without devices.
        let path = format!("/dev/{name}-{when}");
        let made = c.exec_report(&[], &["mknod", &path, "1", minor])?;
        check_eq!(made["made"], json!(0), "{when}: errno of mknod of {name}");
        check_eq!(made["opened"], json!(errno), "{when}: errno of an open of {name}");
    }
    Ok(())
}

/// A bundle with device rules, and the capabilities that `opens` takes.
pub(super) fn using_devices<'s>(systemd: &'s Systemd, rules: Value) -> Outcome<Bundle<'s>> {
    let mut bundle = systemd.bundle()?.set("/linux/resources/devices", rules);
    for set in ["bounding", "effective", "permitted"] {
        for name in ["CAP_MKNOD", "CAP_SYS_RAWIO", "CAP_SYSLOG", "CAP_SYS_ADMIN"] {
            bundle = bundle.push(&format!("/process/capabilities/{set}"), json!(name));
        }
    }
    Ok(bundle)
}

fn reload_keeps_devices(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let rules = json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw"},
        ]);
        let c = using_devices(systemd, rules)?.container()?;
        c.up()?;
        let unit = systemd.unit(&c.id);
        check_eq!(systemd.property(&unit, "DevicePolicy")?, "strict", "DevicePolicy");
        let list = systemd.property(&unit, "DeviceAllow")?;
        check!(list.contains("/dev/char/1:11 rw"), "DeviceAllow is {list:?}");
        opens(&c, "before")?;
        systemd.systemctl(&["daemon-reload"])?;
        opens(&c, "after")?;
        systemd.ctx.ok(&["update", "--pids-limit", "40", &c.id])?;
        systemd.systemctl(&["daemon-reload"])?;
        opens(&c, "updated")
    })
}

fn reload_keeps_updated_limits(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        let c = running(systemd, json!({"pids": {"limit": 20}}))?;
        systemd.ctx.ok(&["update", "--pids-limit", "31", "--memory", "64m", &c.id])?;
        systemd.systemctl(&["daemon-reload"])?;
        files(systemd, &c, &[("pids.max", "31"), ("memory.max", "67108864")])
    })
}

fn limits_overrule_annotations(ctx: &Context) -> Outcome {
    with_systemd_on_v2(ctx, |systemd| {
        let c = systemd
            .bundle()?
            .set(
                "/annotations",
                json!({
                    "org.systemd.property.TasksMax": "uint64 99",
                    "org.systemd.property.MemoryMax": "uint64 33554432",
                }),
            )
            .set("/linux/resources/pids/limit", json!(55))
            .container()?;
        c.create()?;
        files(systemd, &c, &[("pids.max", "55"), ("memory.max", "33554432")])
    })
}
