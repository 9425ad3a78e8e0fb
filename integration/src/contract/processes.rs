//! `pause`, `resume`, `ps` and `list`.

use serde_json::{Value, json};

use super::engine::missing;
use super::row::{ALL, Group, PEOPLE, row, tested};
use super::{ended, idle, waiting};
use crate::process::Run;
use crate::{check, check_eq};

pub(super) fn group() -> Group {
    let rows = vec![
        tested(
            "`pause` stops the processes, `resume` lets them go on",
            ALL,
            "lifecycle::pause_stops_processes_and_resume_lets_them_go_on",
        ),
        tested(
            "`pause` of a paused one fails, 1",
            "containerd",
            "lifecycle::pause_of_a_paused_container_is_refused",
        ),
        tested(
            "`resume` of a running one fails, 1: `not paused`",
            "containerd",
            "lifecycle::resume_of_a_running_container_is_refused",
        ),
        row("`pause` of an ended one fails, 1: `container not running`", ALL, |ctx| {
            ended(ctx)?
                .verb("pause")?
                .exits(1)?
                .says(&["container not running", "not running"])
                .map(drop)
        }),
        tested(
            "`ps --format json ID`: an array of all pids",
            "containerd, Docker",
            "lifecycle::ps_lists_every_process_as_json",
        ),
        row("`ps --format json` of an ended one: `null` or `[]`", "containerd", |ctx| {
            let c = ended(ctx)?;
            let pids: Option<Vec<i32>> =
                serde_json::from_str(&ctx.ok(&["ps", "--format", "json", &c.id])?.stdout)?;
            check_eq!(pids.unwrap_or_default(), [0; 0], "pids");
            Ok(())
        }),
        tested("`ps ID`: the table of ps(1)", PEOPLE, "lifecycle::ps_prints_a_table"),
        row("`ps --format table ID OPTIONS`", "go-runc", |ctx| {
            let c = idle(ctx)?;
            let table = ctx.ok(&["ps", "--format", "table", &c.id, "-o", "pid,comm"])?.stdout;
            let pid = c.pid()?.to_string();
            let row = table.lines().find(|line| line.split_whitespace().next() == Some(&pid));
            check!(row.is_some_and(|row| row.ends_with("payload")), "table {table:?}");
            Ok(())
        }),
        row("`list --format=json`: an array of states", "go-runc", |ctx| {
            let c = waiting(ctx)?;
            let list: Value = serde_json::from_str(&ctx.ok(&["list", "--format=json"])?.stdout)?;
            check_eq!(list[0]["id"], json!(c.id), "id");
            check_eq!(list[0]["status"], json!("created"), "status");
            check_eq!(list[0]["pid"], json!(c.pid()?), "pid");
            check_eq!(list[0]["bundle"], json!(c.dir), "bundle");
            check!(list[0]["created"].is_string(), "created: {}", list[0]);
            Ok(())
        }),
        row("`list --format json` of none: `null` or `[]`", "go-runc", |ctx| {
            let list = ctx.ok(&["list", "--format", "json"])?.stdout;
            let list: Option<Vec<Value>> = serde_json::from_str(&list)?;
            check_eq!(list.unwrap_or_default().len(), 0, "containers");
            Ok(())
        }),
        row("`list -q`: ids, one a line", PEOPLE, |ctx| {
            let (one, two) = (waiting(ctx)?, waiting(ctx)?);
            let ids = ctx.ok(&["list", "-q"])?.stdout;
            let mut ids: Vec<&str> = ids.lines().collect();
            ids.sort_unstable();
            check_eq!(ids, [one.id.as_str(), two.id.as_str()], "ids");
            Ok(())
        }),
        tested(
            "`list`: ID, PID, STATUS, BUNDLE, CREATED, OWNER",
            PEOPLE,
            "lifecycle::list_shows_containers_as_table_json_and_ids",
        ),
        tested(
            "`list` survives what is damaged or not its own",
            PEOPLE,
            "lifecycle::list_survives_foreign_and_corrupt_entries",
        ),
        row("`list` of a state directory that is not there fails", PEOPLE, |ctx| {
            let place = missing(ctx);
            let done = Run::new(&ctx.runtime, &["--root", &place, "list"], &ctx.dir)?.done()?;
            check!(done.code == 1 && done.stderr.contains(&place), "it says {:?}", done.stderr);
            Ok(())
        }),
        row("a paused one lists its processes", "Docker", |ctx| {
            let c = idle(ctx)?;
            c.verb("pause")?.ok()?;
            let pids: Vec<i32> =
                serde_json::from_str(&ctx.ok(&["ps", "--format", "json", &c.id])?.stdout)?;
            c.verb("resume")?.ok()?;
            check_eq!(pids, [c.pid()?], "pids");
            Ok(())
        }),
    ];
    Group { title: "pause, resume, ps and list", rows }
}
