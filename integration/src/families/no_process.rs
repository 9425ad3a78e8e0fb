//! A configuration without `process`, which `create` does without.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::{check, check_eq, family};

family!("no_process":
    start_says_that_a_process_is_needed_and_the_container_stops,
    run_is_refused_and_leaves_nothing,
    what_waits_has_no_privileges,
    exec_runs_what_it_is_given_without_privileges,
    delete_takes_a_created_container_away,
);

fn container(ctx: &Context) -> Outcome<Container<'_>> {
    Bundle::new(ctx)?.remove("", "process").container()
}

fn start_says_that_a_process_is_needed_and_the_container_stops(ctx: &Context) -> Outcome {
    let c = container(ctx)?;
    c.create()?;
    c.has_status("created")?;
    c.verb("start")?.exits(1)?.says(&["process property must not be empty", "/process"])?;
    c.has_status("stopped")?;
    c.verb("start")?.exits(1)?.says(&["stopped"])?;
    c.verb("delete")?.ok().map(drop)
}

fn run_is_refused_and_leaves_nothing(ctx: &Context) -> Outcome {
    let c = container(ctx)?;
    c.run(&[])?.exits(1)?.says(&["process property must not be empty"])?;
    c.verb("state")?.exits(1)?.says(&["does not exist"]).map(drop)
}

/// Other processes of the container may come near it.
fn what_waits_has_no_privileges(ctx: &Context) -> Outcome {
    let c = container(ctx)?;
    c.create()?;
    let status = fs::read_to_string(format!("/proc/{}/status", c.pid()?))?;
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let line = status.lines().find(|line| line.starts_with(set)).unwrap_or_default();
        check!(line.ends_with("\t0000000000000000"), "{line:?} of what waits");
    }
    Ok(())
}

fn exec_runs_what_it_is_given_without_privileges(ctx: &Context) -> Outcome {
    let c = container(ctx)?;
    c.create()?;
    let facts = c.exec_report(&["--cwd", "/tmp"], &["facts"])?;
    check_eq!(facts["cwd"], json!("/tmp"), "working directory");
    check_eq!(facts["caps"]["bounding"], json!(0), "bounding set");
    c.has_status("created")
}

fn delete_takes_a_created_container_away(ctx: &Context) -> Outcome {
    let c = container(ctx)?;
    c.create()?;
    c.verb("delete")?.ok()?;
    c.verb("state")?.exits(1)?.says(&["does not exist"]).map(drop)
}
