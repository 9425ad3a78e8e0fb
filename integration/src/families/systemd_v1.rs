//! `--systemd-cgroup` on cgroup v1: one unit, and a directory in each hierarchy, of which systemd
//! knows only some.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::systemd_limits::{block_device, files, opens, properties, running, using_devices};
use crate::cgroups::hierarchies;
use crate::container::Container;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::process::wait_for;
use crate::systemd::{Systemd, with_systemd_on_v1};
use crate::user::User;
use crate::{check, check_eq, family};

family!("systemd_v1":
    every_hierarchy_has_the_units_cgroup,
    executed_process_is_where_the_first_is,
    delete_leaves_no_directory_in_any_hierarchy,
    limits_are_properties_and_hold,
    limits_of_block_devices_are_properties,
    limits_without_a_property_are_written,
    update_changes_properties_and_files,
    failed_update_puts_properties_back,
    reload_keeps_limits,
    update_takes_no_device_away,
    update_adds_no_device,
    update_of_a_paused_container_leaves_it_paused,
    processes_without_a_pid_namespace_are_killed,
    usage_is_that_of_the_unit,
    unified_is_refused,
    ordinary_user_is_refused,
    process_in_a_directory_of_that_name_is_left_alone,
);

/// Those of the container's directories that there are.
fn directories(systemd: &Systemd, c: &Container<'_>) -> Vec<PathBuf> {
    let inside = format!("{}.slice/{}", systemd.prefix, systemd.unit(&c.id));
    let all = hierarchies(systemd.ctx.layout).into_iter().map(|top| top.join(&inside));
    all.filter(|dir| dir.exists()).collect()
}

/// The cgroups of a process, as lines, but for named hierarchies of others.
fn memberships(pid: i32) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let lines = text.lines().filter(|line| !line.contains("name=") || line.contains("=systemd:"));
    Ok(lines.map(str::to_owned).collect())
}

fn every_hierarchy_has_the_units_cgroup(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        c.create()?;
        let place = format!(":/{}.slice/{}", systemd.prefix, systemd.unit(&c.id));
        let is_mounted = |line: &&String| {
            let controller = line.split(':').nth(1).unwrap_or_default();
            let controller = controller.trim_start_matches("name=");
            let dir = if controller.is_empty() { "unified" } else { controller };
            PathBuf::from("/sys/fs/cgroup").join(dir).join("cgroup.procs").exists()
        };
        let lines = memberships(c.pid()?)?;
        let elsewhere: Vec<_> =
            lines.iter().filter(is_mounted).filter(|line| !line.ends_with(&place)).collect();
        check!(elsewhere.is_empty(), "not in the unit: {elsewhere:?}");
        check!(lines.len() > 8, "only {lines:?}");
        Ok(())
    })
}

fn executed_process_is_where_the_first_is(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        c.up()?;
        let pid = c.exec_detached(&[], &["/bin/payload", "sleep", "60000"])?;
        check_eq!(memberships(pid)?, memberships(c.pid()?)?, "cgroups of the executed process");
        Ok(())
    })
}

fn delete_leaves_no_directory_in_any_hierarchy(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        c.up()?;
        check!(directories(systemd, &c).len() > 8, "only {:?}", directories(systemd, &c));
        systemd.ctx.ok(&["delete", "--force", &c.id])?;
        check!(directories(systemd, &c).is_empty(), "left: {:?}", directories(systemd, &c));
        let hook = json!([{"path": "/bin/false", "args": ["false"]}]);
        let c = systemd.bundle()?.set("/hooks/createRuntime", hook).container()?;
        check!(c.try_create(&[])?.code != 0, "it was created");
        check!(directories(systemd, &c).is_empty(), "left: {:?}", directories(systemd, &c));
        systemd.has_nothing_left()
    })
}

fn limits_are_properties_and_hold(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let limits = json!({
            "memory": {"limit": 134_217_728, "reservation": 67_108_864},
            "cpu": {"shares": 512, "quota": 25000, "period": 50000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 77},
        });
        let c = running(systemd, limits)?;
        properties(
            systemd,
            &c,
            &[
                ("MemoryLimit", "134217728"),
                ("CPUShares", "512"),
                ("CPUQuotaPerSecUSec", "500ms"),
                ("CPUQuotaPeriodUSec", "50ms"),
                ("TasksMax", "77"),
            ],
        )?;
        files(
            systemd,
            &c,
            &[
                ("memory.limit_in_bytes", "134217728"),
                ("memory.soft_limit_in_bytes", "67108864"),
                ("cpu.shares", "512"),
                ("cpu.cfs_quota_us", "25000"),
                ("cpu.cfs_period_us", "50000"),
                ("cpuset.cpus", "0"),
                ("cpuset.mems", "0"),
                ("pids.max", "77"),
            ],
        )
    })
}

fn limits_of_block_devices_are_properties(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let (major, minor) = block_device()?;
        let rate = json!([{"major": major, "minor": minor, "rate": 1_048_576}]);
        let c = running(
            systemd,
            json!({"blockIO": {"throttleReadBpsDevice": rate, "throttleWriteIOPSDevice": rate}}),
        )?;
        let value = systemd.property(&systemd.unit(&c.id), "BlockIOReadBandwidth")?;
        check!(value.ends_with(" 1048576"), "BlockIOReadBandwidth is {value:?}");
        let line = format!("{major}:{minor} 1048576");
        let limits = ["read_bps_device", "write_iops_device"];
        let holds = || {
            limits.iter().try_for_each(|name| {
                files(systemd, &c, &[(&format!("blkio.throttle.{name}"), &line)])
            })
        };
        holds()?;
        systemd.systemctl(&["daemon-reload"])?;
        holds()
    })
}

fn limits_without_a_property_are_written(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let c = running(
            systemd,
            json!({
                "memory": {"swappiness": 7},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}],
                "network": {"classID": 4_369},
            }),
        )?;
        files(
            systemd,
            &c,
            &[
                ("memory.swappiness", "7"),
                ("hugetlb.2MB.limit_in_bytes", "4194304"),
                ("net_cls.classid", "4369"),
            ],
        )
    })
}

fn update_changes_properties_and_files(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let c = running(systemd, json!({"pids": {"limit": 20}}))?;
        let flags = ["--memory", "64m", "--pids-limit", "30", "--cpu-share", "512"];
        let more = ["--cpu-quota", "30000", "--cpu-period", "60000", "--cpuset-cpus", "0"];
        systemd.ctx.ok(&[&["update"][..], &flags, &more, &[c.id.as_str()]].concat())?;
        properties(
            systemd,
            &c,
            &[
                ("MemoryLimit", "67108864"),
                ("TasksMax", "30"),
                ("CPUShares", "512"),
                ("CPUQuotaPerSecUSec", "500ms"),
            ],
        )?;
        files(
            systemd,
            &c,
            &[
                ("memory.limit_in_bytes", "67108864"),
                ("pids.max", "30"),
                ("cpu.shares", "512"),
                ("cpu.cfs_quota_us", "30000"),
                ("cpu.cfs_period_us", "60000"),
                ("cpuset.cpus", "0"),
            ],
        )?;
        c.has_status("running")?;
        systemd.ctx.ok(&["update", "--pids-limit", "-1", "--cpu-quota", "-1", &c.id])?;
        properties(systemd, &c, &[("TasksMax", "infinity"), ("CPUQuotaPerSecUSec", "infinity")])?;
        files(systemd, &c, &[("pids.max", "max"), ("cpu.cfs_quota_us", "-1")])
    })
}

fn failed_update_puts_properties_back(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let limits = json!({"pids": {"limit": 20}, "memory": {"limit": 67_108_864}});
        let c = running(systemd, limits)?;
        let document = systemd.ctx.dir.join("limits.json");
        let text = r#"{"pids": {"limit": 10}, "memory": {"limit": 33554432},
            "hugepageLimits": [{"pageSize": "3MB", "limit": 0}]}"#;
        fs::write(&document, text)?;
        let done = systemd.ctx.done(&["update", "-r", &document.to_string_lossy(), &c.id])?;
        check!(done.code != 0, "a page size that is none was taken");
        properties(systemd, &c, &[("TasksMax", "20"), ("MemoryLimit", "67108864")])?;
        files(systemd, &c, &[("pids.max", "20"), ("memory.limit_in_bytes", "67108864")])
    })
}

fn reload_keeps_limits(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let c = running(
            systemd,
            json!({
                "memory": {"limit": 134_217_728, "reservation": 67_108_864, "swappiness": 7},
                "cpu": {"shares": 512, "quota": 25000, "period": 50000, "cpus": "0"},
                "pids": {"limit": 77},
            }),
        )?;
        systemd.systemctl(&["daemon-reload"])?;
        files(
            systemd,
            &c,
            &[
                ("memory.limit_in_bytes", "134217728"),
                ("memory.soft_limit_in_bytes", "67108864"),
                ("memory.swappiness", "7"),
                ("cpu.shares", "512"),
                ("cpu.cfs_quota_us", "25000"),
                ("cpu.cfs_period_us", "50000"),
                ("cpuset.cpus", "0"),
                ("pids.max", "77"),
            ],
        )
    })
}

fn update_takes_no_device_away(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let rules = json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw"},
        ]);
        let c = using_devices(systemd, rules)?.container()?;
        c.up()?;
        opens(&c, "before")?;
        // As engines' device plugins do, past the runtime and past systemd.
        let dir = systemd.cgroup_in("devices", &c.id);
        fs::write(dir.join("devices.allow"), "c 10:229 rw")?;
        let list = systemd.file(&c, "devices.list")?;
        systemd.ctx.ok(&["update", "--pids-limit", "40", &c.id])?;
        opens(&c, "after")?;
        let sorted = |list: &str| {
            let mut lines: Vec<_> = list.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        check_eq!(sorted(&systemd.file(&c, "devices.list")?), sorted(&list), "devices.list");
        c.has_status("running")
    })
}

/// Everything but one device: systemd would allow that one, too.
fn update_adds_no_device(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let rules = json!([
            {"allow": true, "access": "rwm"},
            {"allow": false, "type": "c", "major": 1, "minor": 4, "access": "rw"},
        ]);
        let c = using_devices(systemd, rules)?.container()?;
        c.up()?;
        opens(&c, "before")?;
        systemd.ctx.ok(&["update", "--pids-limit", "40", &c.id])?;
        opens(&c, "after")
    })
}

fn update_of_a_paused_container_leaves_it_paused(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let c = running(systemd, json!({"pids": {"limit": 20}}))?;
        c.verb("pause")?.ok()?;
        systemd.ctx.ok(&["update", "--pids-limit", "30", &c.id])?;
        files(systemd, &c, &[("pids.max", "30")])?;
        c.has_status("paused")?;
        c.verb("resume")?.ok()?;
        c.has_status("running")
    })
}

fn processes_without_a_pid_namespace_are_killed(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let script = "(while :; do sleep 1; done) & while :; do sleep 1; done";
        let bundle = systemd.bundle()?.without_namespace("pid");
        let c = bundle.args(&["/bin/sh", "-c", script]).container()?;
        c.up()?;
        systemd.ctx.ok(&["kill", "--all", &c.id, "KILL"])?;
        c.exit_code()?;
        let procs = systemd.cgroup(&c.id).join("cgroup.procs");
        wait_for("an empty cgroup", || {
            let left = fs::read_to_string(&procs).unwrap_or_default();
            Ok(left.is_empty().then_some(()))
        })?;
        c.verb("delete")?.ok()?;
        systemd.has_nothing_left()
    })
}

fn usage_is_that_of_the_unit(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let limits = json!({"pids": {"limit": 20}, "memory": {"limit": 67_108_864}});
        let c = running(systemd, limits)?;
        let stats: serde_json::Value =
            serde_json::from_str(&systemd.ctx.ok(&["events", "--stats", &c.id])?.stdout)?;
        check_eq!(stats["data"]["pids"]["limit"], json!(20), "limit of processes");
        check_eq!(stats["data"]["pids"]["current"], json!(1), "processes");
        let limit = &stats["data"]["memory"]["usage"]["limit"];
        check_eq!(*limit, json!(67_108_864), "limit of memory");
        Ok(())
    })
}

fn unified_is_refused(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let unified = json!({"memory.high": "1048576"});
        let c = systemd.bundle()?.set("/linux/resources/unified", unified).container()?;
        let done = c.try_create(&[])?;
        check!(done.code != 0, "it was created");
        done.says(&["unified on cgroup v1", "unified"])?;
        systemd.has_nothing_left()
    })
}

fn ordinary_user_is_refused(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |_| {
        let user = User::new(ctx, false)?;
        let bundle = user.bundle()?.set("/linux/cgroupsPath", json!("user.slice:tareit:none"));
        let c: Container<'_> = bundle.container()?;
        let flags = ["--systemd-cgroup", "create", "--bundle", &c.dir.to_string_lossy(), &c.id];
        let done = user.ctx.done(&flags)?;
        check!(done.code != 0, "it was created");
        done.says(&["cannot use rootless systemd cgroups manager on cgroup v1"])?;
        Ok(())
    })
}

fn process_in_a_directory_of_that_name_is_left_alone(ctx: &Context) -> Outcome {
    with_systemd_on_v1(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        let dir = systemd.cgroup_in("freezer", &c.id);
        fs::create_dir_all(&dir)?;
        let mut other = std::process::Command::new("sleep").arg("60").spawn()?;
        fs::write(dir.join("cgroup.procs"), other.id().to_string())?;
        let done = c.try_create(&[])?;
        let alive = other.try_wait()?.is_none();
        other.kill()?;
        other.wait()?;
        fs::remove_dir(&dir)?;
        check!(alive, "the other process was killed");
        check!(done.code != 0, "it was created");
        done.says(&["not empty"])?;
        systemd.has_nothing_left()
    })
}
