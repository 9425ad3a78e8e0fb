//! The fields of config.json that a runtime acts on, each tried in a container of its own.
//!
//! One row a field or value, one file an area. The table of several runtimes side by side goes into
//! the document; what tare does not do is a failure.

mod hooks;
mod linux;
mod mounts;
mod namespaces;
mod needs;
mod process;
mod resources_v1;
mod resources_v2;
mod row;
mod seccomp;
mod table;
mod top;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use table::Table;

use crate::answers::Answer;
use crate::context::{Context, Kind, Layout, Suite};
use crate::outcome::Outcome;
use crate::{host, leftovers};
use row::Row;

/// The field of each row.
pub fn names() -> Vec<String> {
    rows().into_iter().map(|row| row.field).collect()
}

fn rows() -> Vec<Row> {
    [
        top::rows(),
        mounts::rows(),
        process::rows(),
        namespaces::rows(),
        linux::rows(),
        resources_v1::rows(),
        resources_v2::rows(),
        seccomp::rows(),
        hooks::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Tries the rows whose field holds one of the filters, in the mount namespace of a layout, which
/// this process enters. Gives the answers as the table reads them.
pub fn answers(runtime: &Path, layout: Layout, filters: &[String]) -> Outcome<String> {
    host::enter(layout)?;
    host::adopt_orphans()?;
    // Where v1 is not mounted, the machine's own layout is v2.
    let layout = if layout == Layout::Host && !host::has_v1() { Layout::V2 } else { layout };
    let suite = Suite::new(runtime, layout)?;
    let mut lines = String::new();
    for (number, row) in rows().iter().enumerate() {
        if filters.is_empty() || filters.iter().any(|f| row.field.contains(f.as_str())) {
            lines += &one(&suite, number, row)?.line(number);
        }
    }
    Ok(lines)
}

fn one(suite: &Suite, number: usize, row: &Row) -> Outcome<Answer> {
    let dir = suite.dir.join(number.to_string());
    let ctx = Context::new(suite, dir.clone())?;
    let answer = catch_unwind(AssertUnwindSafe(|| row.answer(&ctx)))
        .unwrap_or_else(|_| Answer::No("the check panicked".to_owned()));
    let left = leftovers::take(&ctx);
    fs::remove_dir_all(&dir)?;
    // What the others leave behind is no matter of their fields.
    Ok(if answer == Answer::Yes && !left.is_empty() && suite.kind == Kind::Tare {
        Answer::No(format!("left behind: {}", left.join(", ")))
    } else {
        answer
    })
}
