//! What a configuration promises, held against what the payload saw inside.
//!
//! Nothing here knows a sample: every expectation is derived from config.json, so that bundles
//! which are not in the repository are checked in the same way.

mod devices;
mod identity;
mod mountinfo;
mod mounts;
mod paths;
mod resources;
mod seccomp;

use std::path::Path;

use serde_json::{Value, json};

pub use identity::{capabilities, environment, identity, namespaces};
pub use mountinfo::MountInfo;
pub use mounts::is_bind;

use crate::container::Container;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq};

/// The payload's commands that show what a configuration promises.
pub fn commands(config: &Value) -> Vec<String> {
    let mut all = vec!["facts".to_owned(), ",".to_owned(), "devices".to_owned()];
    let mut command = |words: Vec<String>| {
        all.push(",".to_owned());
        all.extend(words);
    };
    command([vec!["probe".to_owned()], paths::probed(config)].concat());
    for path in paths::read(config) {
        command(vec!["cat".to_owned(), path]);
    }
    for case in seccomp::cases(config) {
        command(case.command());
    }
    all
}

/// Checks all that the payload's `lines` tell, and the limits of the container's cgroup.
pub fn everything(ctx: &Context, config: &Value, lines: &[Value]) -> Outcome {
    let facts = lines.first().ok_or_else(|| Stop::fail("the payload said nothing"))?;
    identity(config, facts)?;
    capabilities(config, facts)?;
    environment(config, facts)?;
    namespaces(config, facts)?;
    mounts::mounts(config, facts, lines)?;
    paths::paths(config, facts, lines)?;
    devices::devices(config, &lines[1])?;
    seccomp::answers(ctx, config, facts, lines)?;
    resources::limits(ctx, config, facts)
}

/// Checks that every hook ran once, in order, with this container's state on standard input.
pub fn hooks(container: &Container<'_>, log: &Path) -> Outcome {
    let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"];
    let expected: Vec<&str> = kinds
        .into_iter()
        .flat_map(|kind| {
            let count = container.config["hooks"][kind].as_array().map_or(0, Vec::len);
            std::iter::repeat_n(kind, count)
        })
        .collect();
    if expected.is_empty() {
        return Ok(());
    }
    let lines = crate::bundle::parse_lines(&std::fs::read_to_string(log)?)?;
    let ran: Vec<&str> = lines.iter().filter_map(|l| l["hook"].as_str()).collect();
    check_eq!(ran, expected, "hooks");
    for line in &lines {
        check_eq!(line["state"]["id"], json!(container.id), "id in a hook's state");
        check!(line["state"]["pid"].is_u64(), "pid in a hook's state is {}", line["state"]["pid"]);
    }
    Ok(())
}

/// What the test writes into the source of a bind mount, to be read at its destination.
pub fn marker(index: usize) -> String {
    format!("source of mounts[{index}]")
}

/// The line that tells of a path, among those of one command.
fn line_of<'l>(lines: &'l [Value], path: &str, member: &str) -> Option<&'l Value> {
    lines.iter().find(|l| l["path"] == path && l.get(member).is_some())
}

/// The strings of a list at a JSON pointer; none if there is no list.
fn strings<'c>(config: &'c Value, pointer: &str) -> Vec<&'c str> {
    let list = config.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}
