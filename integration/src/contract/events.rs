//! `events`: the members that programs decode.

use serde_json::Value;

use super::idle;
use super::row::{Group, row, tested};
use crate::cgroups::needs;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq};

/// Programs that collect figures with go-runc.
const BY: &str = "go-runc, collectors";

pub(super) fn group() -> Group {
    let rows = vec![
        row("`events --stats ID`: one line, `type`, `id`, `data`", BY, |ctx| {
            let c = idle(ctx)?;
            let text = ctx.ok(&["events", "--stats", &c.id])?.stdout;
            check_eq!(text.lines().count(), 1, "lines of {text:?}");
            let event: Value = serde_json::from_str(&text)?;
            check_eq!(event["type"], "stats", "type");
            check_eq!(event["id"], c.id.as_str(), "id");
            check!(event["data"].is_object(), "data: {}", event["data"]);
            Ok(())
        }),
        row("`data.cpu.usage`: total, kernel, user, in nanoseconds", BY, |ctx| {
            let data = stats(ctx, "cpu")?;
            for member in ["total", "kernel", "user"] {
                number(&data, &format!("/cpu/usage/{member}"))?;
            }
            // Less than a tenth of a second would be more than ten of them in microseconds.
            let total = number(&data, "/cpu/usage/total")?;
            check!((100_000..60_000_000_000).contains(&total), "total {total}");
            Ok(())
        }),
        row("`data.memory`: usage.usage, usage.limit, usage.failcnt, raw", BY, |ctx| {
            let data = stats(ctx, "memory")?;
            for member in ["usage", "limit", "failcnt"] {
                number(&data, &format!("/memory/usage/{member}"))?;
            }
            let raw = data.pointer("/memory/raw").and_then(Value::as_object);
            check!(raw.is_some_and(|raw| raw.len() > 5), "raw: {raw:?}");
            Ok(())
        }),
        row("`data.memory`: swap, kernel and kernelTCP are objects, or left out", BY, |ctx| {
            let data = stats(ctx, "memory")?;
            number(&data, "/memory/usage/usage")?;
            for member in ["swap", "kernel", "kernelTCP"] {
                let value = &data["memory"][member];
                check!(value.is_object() || value.is_null(), "{member}: {value}");
            }
            Ok(())
        }),
        row("`data.pids.current`", BY, |ctx| {
            // Threads count, and those of the runtime may be on their way out.
            let current = number(&stats(ctx, "pids")?, "/pids/current")?;
            check!((1..100).contains(&current), "{current} processes");
            Ok(())
        }),
        row("`data.blkio` and `data.hugetlb` are objects", BY, |ctx| {
            let data = stats(ctx, "")?;
            for member in ["blkio", "hugetlb"] {
                check!(data[member].is_object(), "{member}: {}", data[member]);
            }
            Ok(())
        }),
        row("`data.cpuset`: cpus and mems are lists", BY, |ctx| {
            let data = stats(ctx, "cpuset")?;
            let lists = |member: &str| {
                let value = &data["cpuset"][member];
                value.is_array() || value.is_null()
            };
            check!(
                data["cpuset"].is_object() && lists("cpus") && lists("mems"),
                "{}",
                data["cpuset"]
            );
            Ok(())
        }),
        row("`data.intel_rdt` is an object, `data.network_interfaces` a list or null", BY, |ctx| {
            let data = stats(ctx, "")?;
            check!(data["intel_rdt"].is_object(), "{}", data["intel_rdt"]);
            let interfaces = data.get("network_interfaces");
            check!(interfaces.is_some_and(|i| i.is_array() || i.is_null()), "{interfaces:?}");
            Ok(())
        }),
        tested(
            "the members are those of runc",
            BY,
            "events::report_has_the_members_that_runc_writes",
        ),
        tested(
            "`events --interval=1s ID`: a line at each interval, until the end",
            BY,
            "events::reports_come_at_each_interval_until_the_end",
        ),
        tested(
            "`type` `oom` when memory runs out",
            BY,
            "events::want_of_memory_is_told_when_it_comes",
        ),
        tested("of an ended one: `is not running`", BY, "events::stopped_container_is_not_running"),
    ];
    Group { title: "events", rows }
}

/// What a report says of a container that has done a little, where the controller is there.
fn stats(ctx: &Context, controller: &str) -> Outcome<Value> {
    if !controller.is_empty() {
        needs(ctx.layout, controller)?;
    }
    let c = idle(ctx)?;
    let mut event: Value = serde_json::from_str(&ctx.ok(&["events", "--stats", &c.id])?.stdout)?;
    Ok(event["data"].take())
}

fn number(data: &Value, pointer: &str) -> Outcome<u64> {
    let value = data.pointer(pointer);
    value.and_then(Value::as_u64).ok_or_else(|| Stop::fail(format!("{pointer} is {value:?}")))
}
