//! `update`.

use std::fs;

use serde_json::{Value, json};

use super::engine::text;
use super::idle;
use super::row::{Group, PEOPLE, row, tested};
use crate::cgroups::{self, needs};
use crate::check_eq;
use crate::container::Container;
use crate::context::{Context, Layout};
use crate::outcome::Outcome;

pub(super) fn group() -> Group {
    let rows = vec![
        row("`--resources=-`: the document from standard input", "containerd", |ctx| {
            from_input(ctx, &["--resources=-"])
        }),
        row("`--resources -`", "CRI-O", |ctx| from_input(ctx, &["--resources", "-"])),
        row("`--resources=FILE`", "podman", |ctx| {
            from_file(ctx, |file| vec![format!("--resources={file}")])
        }),
        row("`-r FILE`", PEOPLE, |ctx| {
            from_file(ctx, |file| vec!["-r".to_owned(), file.to_owned()])
        }),
        row("what the document leaves out stays", "containerd, CRI-O", what_is_left_out),
        tested("`--memory`, `--memory-reservation`", PEOPLE, "update::memory_follows_its_option"),
        tested("`--memory-swap`", PEOPLE, "update::memory_goes_up_and_down_with_swap"),
        tested("`--memory -1` frees swap, too", PEOPLE, "update::unlimited_memory_frees_swap_too"),
        tested(
            "`--cpu-shares`, `--cpu-period`, `--cpu-quota`, `--cpu-burst`",
            PEOPLE,
            "update::cpu_follows_its_options",
        ),
        tested(
            "a quota keeps the period, a period the quota",
            "Docker",
            "update::quota_and_period_keep_one_another",
        ),
        tested("`--cpuset-cpus`, `--cpuset-mems`", PEOPLE, "update::cpus_follow_their_option"),
        tested("`--pids-limit`", PEOPLE, "update::number_of_processes_follows_its_option"),
        tested(
            "a failure puts the old limits back",
            "containerd",
            "update::failed_update_puts_the_old_limits_back",
        ),
        tested(
            "device rules stay as they are",
            "containerd, CRI-O",
            "update::device_rules_are_left_alone",
        ),
        tested(
            "of one that waits for start",
            "containerd, CRI-O",
            "update::created_container_is_updated",
        ),
        tested("of an ended one fails", "containerd", "update::stopped_container_is_not_running"),
        row("`--kernel-memory` is taken and changes nothing", PEOPLE, |ctx| {
            let c = idle(ctx)?;
            ctx.ok(&["update", "--kernel-memory", "100m", "--kernel-memory-tcp", "100m", &c.id])
                .map(drop)
        }),
    ];
    Group { title: "update", rows }
}

/// The limit of tasks of a container, as its cgroup has it.
fn limit(ctx: &Context, c: &Container<'_>) -> Outcome<String> {
    let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    cgroups::read(ctx.layout, "pids", path, "pids.max")
}

fn from_input(ctx: &Context, flags: &[&str]) -> Outcome {
    needs(ctx.layout, "pids")?;
    let c = idle(ctx)?;
    let file = ctx.dir.join("resources");
    fs::write(&file, json!({"pids": {"limit": 77}}).to_string())?;
    let args = [&["update"], flags, &[&c.id]].concat();
    ctx.cmd(&args)?.stdin(fs::File::open(&file)?).ok()?;
    check_eq!(limit(ctx, &c)?, "77", "limit of tasks");
    Ok(())
}

fn from_file(ctx: &Context, flags: impl Fn(&str) -> Vec<String>) -> Outcome {
    needs(ctx.layout, "pids")?;
    let c = idle(ctx)?;
    let file = ctx.dir.join("resources");
    fs::write(&file, json!({"pids": {"limit": 78}}).to_string())?;
    let flags = flags(&text(&file));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    ctx.ok(&[&["update"], &flags[..], &[&c.id]].concat())?;
    check_eq!(limit(ctx, &c)?, "78", "limit of tasks");
    Ok(())
}

/// CRI fills in what the pod has changed and leaves out the rest.
fn what_is_left_out(ctx: &Context) -> Outcome {
    needs(ctx.layout, "pids")?;
    needs(ctx.layout, "memory")?;
    let c = idle(ctx)?;
    let update = |document: Value| -> Outcome {
        let file = ctx.dir.join(format!("resources{}", ctx.number()));
        fs::write(&file, document.to_string())?;
        ctx.cmd(&["update", "--resources", "-", &c.id])?
            .stdin(fs::File::open(&file)?)
            .ok()
            .map(drop)
    };
    update(json!({"pids": {"limit": 79}}))?;
    update(json!({"memory": {"limit": 64 << 20}}))?;
    check_eq!(limit(ctx, &c)?, "79", "limit of tasks");
    let name = if ctx.layout == Layout::V2 { "memory.max" } else { "memory.limit_in_bytes" };
    let path = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let memory = cgroups::read(ctx.layout, "memory", path, name)?;
    check_eq!(memory, (64 << 20).to_string(), "limit of memory");
    Ok(())
}
