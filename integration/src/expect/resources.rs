//! The cgroup that the container stood in and the limits written to it.

use serde_json::Value;

use crate::cgroups;
use crate::context::{Context, Layout};
use crate::outcome::Outcome;
use crate::{check, check_eq};

/// A number of config.json, the controller it belongs to, and the file that holds it on v1.
const V1_FILES: [(&str, &str, &str); 8] = [
    ("/memory/limit", "memory", "memory.limit_in_bytes"),
    ("/memory/swap", "memory", "memory.memsw.limit_in_bytes"),
    ("/memory/reservation", "memory", "memory.soft_limit_in_bytes"),
    ("/cpu/shares", "cpu", "cpu.shares"),
    ("/cpu/quota", "cpu", "cpu.cfs_quota_us"),
    ("/cpu/period", "cpu", "cpu.cfs_period_us"),
    ("/pids/limit", "pids", "pids.max"),
    ("/blockIO/weight", "io", "blkio.weight"),
];

/// Checks membership and the limits; the container may be stopped but not deleted.
pub(super) fn limits(ctx: &Context, config: &Value, facts: &Value) -> Outcome {
    let cgroup = config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    membership(ctx.layout, config, facts, cgroup)?;
    let resources = &config["linux"]["resources"];
    if ctx.layout == Layout::V2 {
        return Ok(());
    }
    for (pointer, controller, file) in V1_FILES {
        let Some(limit) = resources.pointer(pointer).and_then(Value::as_i64).filter(|n| *n > 0)
        else {
            continue;
        };
        let got = cgroups::read(ctx.layout, controller, cgroup, file)?;
        check_eq!(got, limit.to_string(), "{file} of resources{pointer}");
    }
    if let Some(cpus) = resources["cpu"]["cpus"].as_str().filter(|c| !c.is_empty()) {
        check_eq!(cgroups::read(ctx.layout, "cpuset", cgroup, "cpuset.cpus")?, cpus, "cpuset.cpus");
    }
    Ok(())
}

fn membership(layout: Layout, config: &Value, facts: &Value, cgroup: &str) -> Outcome {
    let own = super::strings(config, "/linux/namespaces");
    let list = config["linux"]["namespaces"].as_array().into_iter().flatten();
    let private = own.is_empty() && list.into_iter().any(|n| n["type"] == "cgroup");
    let expected = if private { "/" } else { cgroup };
    let lines = super::strings(facts, "/cgroups");
    let controllers: &[&str] =
        if layout == Layout::V2 { &[""] } else { &["memory", "cpu", "pids", "devices", "freezer"] };
    for controller in controllers {
        if layout != Layout::V2 && !cgroups::has(layout, controller) {
            continue;
        }
        let path = lines.iter().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let names = fields.next()?;
            names.split(',').any(|n| n == *controller).then(|| fields.next())?
        });
        check!(path == Some(expected), "{controller:?} cgroup is {path:?}, expected {expected}");
    }
    Ok(())
}
