//! Namespaces: each made new, joined by path; id mappings and clock offsets.

use serde_json::{Value, json};

use super::needs::Need;
use super::row::{Row, row};
use crate::bundle::Bundle;
use crate::context::Context;
use crate::host::Holder;
use crate::outcome::Outcome;
use crate::{check, check_eq, expect};

const NAMESPACES: &str = "config-linux.md#namespaces";
const MAPPINGS: &str = "config-linux.md#user-namespace-mappings";
const OFFSETS: &str = "config-linux.md#offset-for-time-namespace";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"] {
        rows.push(made(kind));
        rows.push(joined(kind));
    }
    rows.extend(mistakes());
    rows.extend(mappings());
    rows.extend(offsets());
    rows
}

fn on_this_kernel(kind: &str, row: Row) -> Row {
    if kind == "time" { row.needs(Need::Linux(5, 6)) } else { row }
}

/// A new namespace is not the runtime's own, and one that is not listed is.
fn made(kind: &'static str) -> Row {
    let row = row(format!("/linux/namespaces {kind}"), NAMESPACES).proves(move |ctx| {
        let bundle = Bundle::new(ctx)?;
        let bundle =
            if kind == "user" { bundle.user_namespace()? } else { bundle.namespace(kind, None) };
        stands(bundle)
    });
    on_this_kernel(kind, row)
}

fn stands(bundle: Bundle<'_>) -> Outcome {
    let config = bundle.config.clone();
    expect::namespaces(&config, &bundle.facts()?)
}

fn joined(kind: &'static str) -> Row {
    let row = row(format!("/linux/namespaces {kind}, path"), NAMESPACES).proves(move |ctx| {
        let holder = Holder::new(ctx, &[kind])?;
        let path = holder.path(kind);
        let mut bundle = Bundle::new(ctx)?.namespace(kind, Some(&path));
        if kind == "user" {
            let process = path.trim_end_matches("/ns/user");
            for map in ["uid_map", "gid_map"] {
                std::fs::write(format!("{process}/{map}"), "0 100000 65536")?;
            }
            bundle.give_rootfs_to(100_000)?;
        }
        if kind == "mount" {
            // Its mounts are made below the root that the joined namespace has.
            bundle =
                bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
        }
        stands(bundle)
    });
    on_this_kernel(kind, row)
}

fn mistakes() -> Vec<Row> {
    vec![
        row("/linux/namespaces, one twice", NAMESPACES)
            .push("/linux/namespaces", json!({"type": "uts"}))
            .refused("/linux/namespaces"),
        row("/linux/namespaces, unknown", "config.md#valid-values")
            .push("/linux/namespaces", json!({"type": "words"}))
            .refused("/linux/namespaces"),
        row("/linux/namespaces/path of another type", NAMESPACES)
            .with(|_, b| Ok(b.namespace("network", Some("/proc/self/ns/uts"))))
            .refused("/linux/namespaces"),
        row("/linux/namespaces/path that is missing", NAMESPACES)
            .with(|_, b| Ok(b.namespace("network", Some("/proc/self/ns/words"))))
            .refused("/linux/namespaces"),
    ]
}

fn mappings() -> Vec<Row> {
    let ranges = || {
        json!([
            {"containerID": 0, "hostID": 100_000, "size": 1000},
            {"containerID": 1000, "hostID": 300_000, "size": 1},
        ])
    };
    let words = |facts: &Value, map: &str| -> Vec<Vec<String>> {
        let lines = facts[map].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.map(|l| l.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let mapped = move |name: &'static str, map: &'static str| {
        row(format!("/linux/{name}"), MAPPINGS).proves(move |ctx| {
            let bundle = Bundle::new(ctx)?
                .user_namespace()?
                .set("/linux/uidMappings", ranges())
                .set("/linux/gidMappings", ranges());
            let facts = bundle.facts()?;
            check_eq!(
                words(&facts, map),
                [["0", "100000", "1000"], ["1000", "300000", "1"]],
                "{map}"
            );
            Ok(())
        })
    };
    vec![
        mapped("uidMappings", "uidMap"),
        mapped("gidMappings", "gidMap"),
        row("/linux/uidMappings without a user namespace", MAPPINGS)
            .set("/linux/uidMappings", ranges())
            .refused("/linux/uidMappings"),
    ]
}

fn offsets() -> Vec<Row> {
    let offset = |clock: &'static str| {
        row(format!("/linux/timeOffsets/{clock}"), OFFSETS)
            .needs(Need::Linux(5, 6))
            .proves(move |ctx| shifted(ctx, clock))
    };
    vec![
        offset("monotonic"),
        offset("boottime"),
        row("/linux/timeOffsets without a time namespace", OFFSETS)
            .set("/linux/timeOffsets", json!({"boottime": {"secs": 1}}))
            .refused("/linux/timeOffsets"),
    ]
}

fn shifted(ctx: &Context, clock: &str) -> Outcome {
    let facts = Bundle::new(ctx)?
        .namespace("time", None)
        .set("/linux/timeOffsets", json!({clock: {"secs": 172_800, "nanosecs": 7}}))
        .facts()?;
    let lines = facts["timeOffsets"].as_array().cloned().unwrap_or_default();
    let line = lines.iter().filter_map(Value::as_str).find(|l| l.starts_with(clock));
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    check!(words == [clock, "172800", "7"], "{lines:?}");
    Ok(())
}
