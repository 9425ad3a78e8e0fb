//! Cgroups: limits that bite, device rules, removal.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::cgroups::{directories, needs, read};
use crate::context::{Context, Layout};
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq, family};

family!("cgroups":
    memory_limit_ends_the_process_that_exceeds_it,
    pids_limit_stops_forks,
    numbers_are_written_where_they_belong,
    swap_is_limited,
    pids_limits_have_their_special_values,
    device_that_is_not_allowed_cannot_be_made_or_opened,
    device_that_is_allowed_can_be_made_and_opened,
    last_matching_device_rule_wins,
    hugepages_are_limited,
    unified_values_are_written,
    unified_values_without_their_controller_are_refused,
    cgroup_with_children_is_removed,
    cgroup_with_stragglers_is_removed,
    container_without_a_path_gets_a_cgroup_of_its_own,
);

fn limited<'c>(ctx: &'c Context, resources: Value) -> Outcome<Bundle<'c>> {
    let bundle = Bundle::new(ctx)?;
    let mut all = bundle.config["linux"]["resources"].clone();
    for (name, value) in resources.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    Ok(bundle.set("/linux/resources", all))
}

fn memory_limit_ends_the_process_that_exceeds_it(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    let c = limited(ctx, json!({"memory": {"limit": 32 << 20}}))?
        .payload(&["allocate", "8000000", ",", "allocate", "100000000"])
        .container()?;
    let done = c.run(&[])?.exits(137)?;
    check!(done.stdout.contains("8000000"), "the first allocation failed: {}", done.stdout);
    Ok(())
}

fn pids_limit_stops_forks(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    let bundle = limited(ctx, json!({"pids": {"limit": 10}}))?;
    let line = bundle.report(&["fork-until-refused", "50"])?;
    check_eq!(line, json!({"forked": 9, "errno": 11}), "forks");
    Ok(())
}

fn numbers_are_written_where_they_belong(ctx: &Context) -> Outcome {
    if ctx.layout == Layout::V2 {
        return Err(Stop::skip("files of v1"));
    }
    let resources = json!({
        "memory": {"limit": 64 << 20, "reservation": 32 << 20, "swappiness": 10},
        "cpu": {"shares": 300, "quota": 40_000, "period": 80_000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 33},
        "blockIO": {"throttleReadBpsDevice": []},
    });
    let c = limited(ctx, resources)?.container()?;
    c.create()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let expected = [
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.soft_limit_in_bytes", "33554432"),
        ("memory", "memory.swappiness", "10"),
        ("cpu", "cpu.shares", "300"),
        ("cpu", "cpu.cfs_quota_us", "40000"),
        ("cpu", "cpu.cfs_period_us", "80000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("cpuset", "cpuset.mems", "0"),
        ("pids", "pids.max", "33"),
    ];
    for (controller, file, value) in expected {
        check_eq!(read(ctx.layout, controller, cgroup, file)?, value, "{file}");
    }
    Ok(())
}

fn swap_is_limited(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    if ctx.layout == Layout::V2 {
        return Err(Stop::skip("files of v1"));
    }
    let c = limited(ctx, json!({"memory": {"limit": 32 << 20, "swap": 64 << 20}}))?.container()?;
    c.create()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let got = read(ctx.layout, "memory", cgroup, "memory.memsw.limit_in_bytes")?;
    check_eq!(got, "67108864", "memory and swap");
    Ok(())
}

fn pids_limits_have_their_special_values(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    for (limit, value) in [(-1, "max"), (7, "7")] {
        let c = limited(ctx, json!({"pids": {"limit": limit}}))?.container()?;
        c.create()?;
        let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
        check_eq!(read(ctx.layout, "pids", cgroup, "pids.max")?, value, "limit {limit}");
    }
    Ok(())
}

/// What mknod and open of a device say under device rules.
fn device(ctx: &Context, rules: &Value, major: &str, minor: &str) -> Outcome<Value> {
    let caps = json!(["CAP_MKNOD"]);
    let mut bundle = limited(ctx, json!({"devices": rules}))?.mount("/d", "tmpfs", "d", &[]);
    for set in ["bounding", "permitted", "effective"] {
        bundle = bundle.set(&format!("/process/capabilities/{set}"), caps.clone());
    }
    bundle.report(&["mknod", "/d/node", major, minor])
}

fn device_that_is_not_allowed_cannot_be_made_or_opened(ctx: &Context) -> Outcome {
    let rules = json!([{"allow": false, "access": "rwm"}]);
    // Making any node is among the defaults, opening this one (fuse) is not.
    let line = device(ctx, &rules, "10", "229")?;
    check_eq!(line["opened"], json!(1), "errno of open in {line}");
    Ok(())
}

fn device_that_is_allowed_can_be_made_and_opened(ctx: &Context) -> Outcome {
    let rules = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
    ]);
    let line = device(ctx, &rules, "10", "229")?;
    check_eq!(line["made"], json!(0), "errno of mknod");
    // Without its driver the device cannot be opened, but for another reason.
    check!(line["opened"] != 1, "open is refused: {line}");
    Ok(())
}

fn last_matching_device_rule_wins(ctx: &Context) -> Outcome {
    let rules = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rw"},
    ]);
    let line = device(ctx, &rules, "10", "229")?;
    check_eq!(line["opened"], json!(1), "errno of open in {line}");
    Ok(())
}

fn hugepages_are_limited(ctx: &Context) -> Outcome {
    needs(ctx.layout, "hugetlb")?;
    let limits = json!([{"pageSize": "2MB", "limit": 4 << 20}]);
    let c = limited(ctx, json!({"hugepageLimits": limits}))?.container()?;
    c.create()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let file =
        if ctx.layout == Layout::V2 { "hugetlb.2MB.max" } else { "hugetlb.2MB.limit_in_bytes" };
    check_eq!(read(ctx.layout, "hugetlb", cgroup, file)?, "4194304", "{file}");
    Ok(())
}

fn unified_values_are_written(ctx: &Context) -> Outcome {
    if ctx.layout != Layout::V2 {
        return Err(Stop::skip("v2 only"));
    }
    needs(ctx.layout, "hugetlb")?;
    let values = json!({"hugetlb.2MB.max": "2097152", "cgroup.max.descendants": "5"});
    let c = limited(ctx, json!({"unified": values}))?.container()?;
    c.create()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    check_eq!(read(ctx.layout, "", cgroup, "hugetlb.2MB.max")?, "2097152", "hugetlb.2MB.max");
    check_eq!(read(ctx.layout, "", cgroup, "cgroup.max.descendants")?, "5", "descendants");
    Ok(())
}

fn unified_values_without_their_controller_are_refused(ctx: &Context) -> Outcome {
    let values = json!({"nothing.max": "1"});
    let c = limited(ctx, json!({"unified": values}))?.container()?;
    c.try_create(&[])?.exits(1)?.says(&["nothing.max", "unified"]).map(drop)
}

fn cgroup_with_children_is_removed(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned();
    for dir in directories(ctx.layout, &cgroup) {
        fs::create_dir_all(dir.join("a/b"))?;
    }
    c.kill_init()?;
    c.verb("delete")?.ok()?;
    check!(directories(ctx.layout, &cgroup).is_empty(), "the cgroup is still there");
    Ok(())
}

fn cgroup_with_stragglers_is_removed(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .without_namespace("pid")
        .payload(&["children", "4", ",", "say", "up", ",", "sleep", "60000"])
        .container()?;
    c.up()?;
    c.prints("up")?;
    ctx.ok(&["delete", "--force", &c.id])?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    check!(directories(ctx.layout, cgroup).is_empty(), "the cgroup is still there");
    Ok(())
}

fn container_without_a_path_gets_a_cgroup_of_its_own(ctx: &Context) -> Outcome {
    // On v1 it would stand below this process's own cgroup, which may not have children.
    if ctx.layout != Layout::V2 {
        return Err(Stop::skip("tried on v2 only"));
    }
    let bundle = Bundle::new(ctx)?.remove("/linux", "cgroupsPath").without_namespace("cgroup");
    let (id, facts) = (bundle.id.clone(), bundle.facts()?);
    let lines = facts["cgroups"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let line = lines.into_iter().find(|l| l.starts_with("0::")).unwrap_or_default();
    check!(line.ends_with(&id), "the process is in {line}");
    check!(directories(ctx.layout, &id).is_empty(), "the cgroup is still there");
    Ok(())
}
