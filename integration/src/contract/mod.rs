//! The contract of engines: the command lines, files, sockets, descriptors and words that
//! containerd, Docker, podman, CRI-O, buildkit and buildah take for granted of their runtime.
//!
//! One row a promise, one file a group. A row has a check of its own or is proved by a test of the
//! suite. The table of several runtimes side by side goes into `docs/contract.md`; what tare does
//! not keep is a failure.

mod checkpoint;
mod codes;
mod containerd;
mod create;
mod crio;
mod descriptors;
mod engine;
mod environment;
mod events;
mod exec;
mod features;
mod global;
mod lifecycle;
mod log;
mod others;
mod parser;
mod phrases;
mod podman;
mod processes;
mod reasons;
mod row;
mod sockets;
mod table;
mod terminal;
mod update;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use table::{Table, check};

use crate::answers::Answer;
use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::{Context, Kind, Layout, Suite};
use crate::outcome::Outcome;
use crate::{host, leftovers};
use row::{Group, Row};

fn groups() -> Vec<Group> {
    vec![
        parser::group(),
        global::group(),
        create::group(),
        lifecycle::group(),
        exec::group(),
        processes::group(),
        update::group(),
        features::group(),
        checkpoint::group(),
        events::group(),
        codes::group(),
        log::group(),
        phrases::group(),
        terminal::group(),
        sockets::group(),
        descriptors::group(),
        environment::group(),
        containerd::group(),
        podman::group(),
        crio::group(),
        others::group(),
    ]
}

fn rows() -> Vec<Row> {
    groups().into_iter().flat_map(|group| group.rows).collect()
}

/// What each row promises.
pub fn names() -> Vec<&'static str> {
    rows().iter().map(|row| row.name).collect()
}

/// Tries the rows whose promise, engine or group holds one of the filters, in the mount namespace of
/// a layout, which this process enters; on request, those alone that no test of the suite proves.
/// Gives the answers as the table reads them.
pub fn answers(runtime: &Path, layout: Layout, own: bool, filters: &[String]) -> Outcome<String> {
    host::enter(layout)?;
    host::adopt_orphans()?;
    // Where v1 is not mounted, the machine's own layout is v2.
    let layout = if layout == Layout::Host && !host::has_v1() { Layout::V2 } else { layout };
    let suite = Suite::new(runtime, layout)?;
    let mut lines = String::new();
    let mut number = 0;
    for group in groups() {
        for row in &group.rows {
            let places = [group.title, row.name, row.by];
            let named = |filter: &String| places.iter().any(|place| place.contains(filter));
            let picked = filters.is_empty() || filters.iter().any(named);
            if picked && (row.is_own() || !own) {
                lines += &one(&suite, number, row)?.line(number);
            }
            number += 1;
        }
    }
    Ok(lines)
}

fn one(suite: &Suite, number: usize, row: &Row) -> Outcome<Answer> {
    let dir = suite.dir.join(number.to_string());
    let ctx = Context::new(suite, dir.clone())?;
    let outcome = catch_unwind(AssertUnwindSafe(|| row.outcome(&ctx)));
    let answer = outcome.map_or_else(|_| Answer::No("the check panicked".to_owned()), Answer::from);
    let left = leftovers::take(&ctx);
    fs::remove_dir_all(&dir)?;
    // What the others leave behind is no matter of the row.
    Ok(if answer == Answer::Yes && !left.is_empty() && suite.kind == Kind::Tare {
        Answer::No(format!("left behind: {}", left.join(", ")))
    } else {
        answer
    })
}

/// A container that runs and waits.
fn idle(ctx: &Context) -> Outcome<Container<'_>> {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    Ok(c)
}

/// A container that is not started.
fn waiting(ctx: &Context) -> Outcome<Container<'_>> {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.create()?;
    Ok(c)
}

/// A container that has ended.
fn ended(ctx: &Context) -> Outcome<Container<'_>> {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.up()?;
    c.exit_code()?;
    Ok(c)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_promise_is_made_twice() {
        let names = names();
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn every_test_that_proves_a_row_is_in_the_suite() {
        for row in rows() {
            assert!(row.is_known(), "{}", row.name);
        }
    }

    #[test]
    fn document_has_the_rows_of_today() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contract.md");
        if let Err(stop) = check(&file) {
            panic!("{stop:?}");
        }
    }

    #[test]
    fn every_reason_is_about_a_row() {
        let names = names();
        for name in reasons::all() {
            assert!(names.contains(&name), "{name}");
        }
    }
}
