//! `update`: limits that change while the container runs.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;
use crate::cgroups::{needs, read};
use crate::container::Container;
use crate::context::{Context, Kind, Layout};
use crate::outcome::{Outcome, Stop};
use crate::process::Done;
use crate::{check, check_eq, family};

family!("update":
    memory_follows_its_option,
    memory_goes_up_and_down_with_swap,
    unlimited_memory_frees_swap_too,
    cpu_follows_its_options,
    quota_and_period_keep_one_another,
    cpus_follow_their_option,
    number_of_processes_follows_its_option,
    limits_are_read_from_a_file,
    limits_are_read_from_standard_input,
    failed_update_puts_the_old_limits_back,
    device_rules_are_left_alone,
    created_container_is_updated,
    stopped_container_is_not_running,
    wrong_values_are_refused,
    dry_run_shows_and_changes_nothing,
    later_update_knows_of_the_earlier,
    weight_besides_idle_is_told_to_be_ignored,
    zeros_leave_limits_as_they_are,
);

/// A container that waits for a signal, with limits of its own.
fn running<'c>(ctx: &'c Context, resources: serde_json::Value) -> Outcome<Container<'c>> {
    let c = Bundle::new(ctx)?
        .set("/linux/resources", resources)
        .payload(&["sleep", "60000"])
        .container()?;
    c.up()?;
    Ok(c)
}

fn place(c: &Container<'_>) -> String {
    c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned()
}

fn update(c: &Container<'_>, ctx: &Context, flags: &[&str]) -> Outcome<Done> {
    ctx.done(&[&["update"], flags, &[c.id.as_str()]].concat())
}

/// The file's content, by its names on v1 and v2.
fn holds(
    c: &Container<'_>,
    ctx: &Context,
    controller: &str,
    [v1, v2]: [(&str, &str); 2],
) -> Outcome {
    let (file, content) = if ctx.layout == Layout::V2 { v2 } else { v1 };
    check_eq!(read(ctx.layout, controller, &place(c), file)?, content, "{file}");
    Ok(())
}

fn memory_follows_its_option(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    let c = running(ctx, json!({}))?;
    update(&c, ctx, &["--memory", "64m", "--memory-reservation", "33554432"])?.ok()?;
    holds(&c, ctx, "memory", [("memory.limit_in_bytes", "67108864"), ("memory.max", "67108864")])?;
    let low = [("memory.soft_limit_in_bytes", "33554432"), ("memory.low", "33554432")];
    holds(&c, ctx, "memory", low)
}

fn memory_goes_up_and_down_with_swap(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    let c = running(ctx, json!({"memory": {"limit": 67_108_864, "swap": 67_108_864}}))?;
    for (memory, swap, only_swap) in [
        ("134217728", "268435456", "134217728"),
        ("50331648", "58720256", "8388608"),
        ("100663296", "100663296", "0"),
    ] {
        update(&c, ctx, &["--memory", memory, "--memory-swap", swap])?.ok()?;
        holds(&c, ctx, "memory", [("memory.limit_in_bytes", memory), ("memory.max", memory)])?;
        let file = "memory.memsw.limit_in_bytes";
        holds(&c, ctx, "memory", [(file, swap), ("memory.swap.max", only_swap)])?;
    }
    Ok(())
}

fn unlimited_memory_frees_swap_too(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    let c = running(ctx, json!({"memory": {"limit": 67_108_864, "swap": 134_217_728}}))?;
    update(&c, ctx, &["--memory=-1"])?.ok()?;
    const ALL: &str = "9223372036854771712";
    holds(&c, ctx, "memory", [("memory.limit_in_bytes", ALL), ("memory.max", "max")])?;
    holds(&c, ctx, "memory", [("memory.memsw.limit_in_bytes", ALL), ("memory.swap.max", "max")])
}

fn cpu_follows_its_options(ctx: &Context) -> Outcome {
    needs(ctx.layout, "cpu")?;
    let c = running(ctx, json!({}))?;
    let flags = ["--cpu-share", "512", "--cpu-quota", "20000", "--cpu-period", "50000"];
    update(&c, ctx, &flags)?.ok()?;
    holds(&c, ctx, "cpu", [("cpu.shares", "512"), ("cpu.weight", "59")])?;
    holds(&c, ctx, "cpu", [("cpu.cfs_quota_us", "20000"), ("cpu.max", "20000 50000")])?;
    update(&c, ctx, &["--cpu-burst", "10000"])?.ok()?;
    holds(&c, ctx, "cpu", [("cpu.cfs_burst_us", "10000"), ("cpu.max.burst", "10000")])
}

fn quota_and_period_keep_one_another(ctx: &Context) -> Outcome {
    needs(ctx.layout, "cpu")?;
    let c = running(ctx, json!({"cpu": {"quota": 30000, "period": 60000}}))?;
    update(&c, ctx, &["--cpu-quota", "15000"])?.ok()?;
    holds(&c, ctx, "cpu", [("cpu.cfs_period_us", "60000"), ("cpu.max", "15000 60000")])?;
    update(&c, ctx, &["--cpu-period", "80000"])?.ok()?;
    holds(&c, ctx, "cpu", [("cpu.cfs_quota_us", "15000"), ("cpu.max", "15000 80000")])
}

fn cpus_follow_their_option(ctx: &Context) -> Outcome {
    needs(ctx.layout, "cpuset")?;
    let c = running(ctx, json!({}))?;
    update(&c, ctx, &["--cpuset-cpus", "0", "--cpuset-mems", "0"])?.ok()?;
    holds(&c, ctx, "cpuset", [("cpuset.cpus", "0"); 2])?;
    holds(&c, ctx, "cpuset", [("cpuset.mems", "0"); 2])
}

fn number_of_processes_follows_its_option(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    let c = running(ctx, json!({"pids": {"limit": 20}}))?;
    update(&c, ctx, &["--pids-limit", "10"])?.ok()?;
    holds(&c, ctx, "pids", [("pids.max", "10"); 2])?;
    update(&c, ctx, &["--pids-limit", "-1"])?.ok()?;
    holds(&c, ctx, "pids", [("pids.max", "max"); 2])
}

fn limits_are_read_from_a_file(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    let c = running(ctx, json!({}))?;
    let file = ctx.dir.join("limits.json");
    fs::write(&file, r#"{"pids": {"limit": 12}, "memory": null, "devices": null}"#)?;
    // Other options count for nothing then.
    update(&c, ctx, &["-r", &file.to_string_lossy(), "--pids-limit", "99"])?.ok()?;
    holds(&c, ctx, "pids", [("pids.max", "12"); 2])
}

fn limits_are_read_from_standard_input(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    let c = running(ctx, json!({}))?;
    let file = ctx.dir.join("limits.json");
    fs::write(&file, r#"{"pids": {"limit": 13}}"#)?;
    ctx.cmd(&["update", "--resources=-", &c.id])?.stdin(fs::File::open(&file)?).ok()?;
    holds(&c, ctx, "pids", [("pids.max", "13"); 2])
}

fn failed_update_puts_the_old_limits_back(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    needs(ctx.layout, "cpuset")?;
    let c = running(ctx, json!({"pids": {"limit": 20}, "cpu": {"cpus": "0"}}))?;
    let flags = ["--pids-limit", "10", "--cpuset-cpus", "400"];
    update(&c, ctx, &flags)?.exits(1)?.says(&["cpuset.cpus"])?;
    holds(&c, ctx, "pids", [("pids.max", "20"); 2])?;
    holds(&c, ctx, "cpuset", [("cpuset.cpus", "0"); 2])
}

fn device_rules_are_left_alone(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    let bundle = Bundle::new(ctx)?
        .set("/linux/resources", json!({"devices": [{"allow": false, "access": "rwm"}]}))
        .payload(&["sleep", "60000"]);
    let c = ["bounding", "effective", "permitted"]
        .iter()
        .fold(bundle, |bundle, set| {
            bundle.push(&format!("/process/capabilities/{set}"), json!("CAP_MKNOD"))
        })
        .container()?;
    c.up()?;
    let file = ctx.dir.join("limits.json");
    let all = r#"{"pids": {"limit": 12}, "devices": [{"allow": true, "access": "rwm"}]}"#;
    fs::write(&file, all)?;
    update(&c, ctx, &["-r", &file.to_string_lossy()])?.ok()?;
    // kmsg, which no container gets by itself.
    let made = c.exec_report(&[], &["mknod", "/tmp/kmsg", "1", "11"])?;
    check_eq!(made["made"], json!(0), "errno of mknod");
    check_eq!(made["opened"], json!(1), "errno of an open");
    Ok(())
}

fn created_container_is_updated(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.create()?;
    update(&c, ctx, &["--pids-limit", "11"])?.ok()?;
    holds(&c, ctx, "pids", [("pids.max", "11"); 2])
}

fn stopped_container_is_not_running(ctx: &Context) -> Outcome {
    let c = running(ctx, json!({}))?;
    c.kill_init()?;
    update(&c, ctx, &["--pids-limit", "11"])?.exits(1)?.says(&["container not running"])?;
    ctx.done(&["update", "--pids-limit", "5", "nobody"])?.exits(1)?.says(&["does not exist"])?;
    Ok(())
}

fn wrong_values_are_refused(ctx: &Context) -> Outcome {
    let c = running(ctx, json!({}))?;
    for (flag, value) in [
        ("--memory", "lots"),
        ("--cpu-quota", "1.5"),
        ("--pids-limit", "many"),
        ("--cpu-share", "-5"),
        ("--cpu-idle", "x"),
        ("--blkio-weight", "70000"),
    ] {
        let done = update(&c, ctx, &[flag, value])?;
        check!(done.code != 0, "{flag} {value} was accepted");
        check!(!done.stderr.trim().is_empty(), "{flag} {value} was refused without a word");
    }
    let file = ctx.dir.join("limits.json");
    for text in ["", "{", "[]", r#"{"pids": {"limit": "12"}}"#, r#"{"memory": 5}"#] {
        fs::write(&file, text)?;
        let done = update(&c, ctx, &["-r", &file.to_string_lossy()])?;
        check!(done.code != 0, "{text:?} was accepted");
    }
    update(&c, ctx, &["-r", "/not/there"])?.exits(1)?.says(&["no such file or directory"])?;
    c.has_status("running")
}

fn dry_run_shows_and_changes_nothing(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    let c = running(ctx, json!({"pids": {"limit": 20}}))?;
    let shown = update(&c, ctx, &["--pids-limit", "10", "--dry-run"])?.ok()?.stdout;
    check!(shown.contains("pids.max: 20 -> 10"), "{shown:?}");
    holds(&c, ctx, "pids", [("pids.max", "20"); 2])
}

fn later_update_knows_of_the_earlier(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    let c = running(ctx, json!({"memory": {"limit": 33_554_432, "swap": 67_108_864}}))?;
    update(&c, ctx, &["--memory", "50331648", "--memory-swap", "134217728"])?.ok()?;
    update(&c, ctx, &["--memory", "100663296"])?.ok()?;
    // Memory and swap together stay what they were.
    let file = "memory.memsw.limit_in_bytes";
    holds(&c, ctx, "memory", [(file, "134217728"), ("memory.swap.max", "33554432")])?;
    Ok(())
}

/// As Docker 20 sends what an update does not ask for.
fn zeros_leave_limits_as_they_are(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    needs(ctx.layout, "cpu")?;
    let c = running(
        ctx,
        json!({
            "memory": {"limit": 33_554_432, "swap": 67_108_864},
            "cpu": {"quota": 20_000, "period": 50_000},
        }),
    )?;
    for quota in [0, 30_000] {
        let change = json!({
            "memory": {"limit": 0, "reservation": 0, "kernel": 0},
            "cpu": {"shares": 0, "quota": quota, "period": 0},
            "blockIO": {"weight": 0},
        });
        let file = ctx.dir.join("change.json");
        fs::write(&file, change.to_string())?;
        update(&c, ctx, &["--resources", &file.to_string_lossy()])?.ok()?;
        let memory = [("memory.limit_in_bytes", "33554432"), ("memory.max", "33554432")];
        holds(&c, ctx, "memory", memory)?;
        let quota = if quota == 0 { 20_000 } else { quota }.to_string();
        let max = format!("{quota} 50000");
        holds(&c, ctx, "cpu", [("cpu.cfs_quota_us", &quota), ("cpu.max", &max)])?;
    }
    Ok(())
}

fn weight_besides_idle_is_told_to_be_ignored(ctx: &Context) -> Outcome {
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("runc says so below systemd only, and crun nothing"));
    }
    needs(ctx.layout, "cpu")?;
    let c = running(ctx, json!({"cpu": {"shares": 100}}))?;
    let done = update(&c, ctx, &["--cpu-share", "200", "--cpu-idle", "1"])?;
    if done.code != 0 && done.stderr.contains("cpu.idle") {
        return Err(Stop::skip("this kernel has no cpu.idle here"));
    }
    done.ok()?.says(&["unable to apply both"])?;
    let done = update(&c, ctx, &["--cpu-share", "200", "--cpu-idle", "0"])?.ok()?;
    check_eq!(done.stderr, "", "stderr");
    Ok(())
}
