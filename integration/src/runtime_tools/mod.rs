//! The validation programs of the OCI runtime-tools, run with several runtimes side by side.
//!
//! The table of results is merged with what is known of each program ([`reasons`]), so that a
//! failure without a reason, and a reason without a failure, are both errors.

mod program;
mod reasons;
mod tap;
mod verdict;

use std::path::{Path, PathBuf};

pub use program::{Checkout, Ran};
pub use verdict::Verdict;

use crate::context::Kind;
use crate::document::{self, Runtime};
use crate::host;
use crate::outcome::Outcome;
use reasons::Reason;

/// A program and how it ended with each runtime.
struct Row {
    program: String,
    verdicts: Vec<Verdict>,
}

/// Runs all programs whose name holds one of the filters with all runtimes; gives the table and
/// what is wrong with it.
pub fn run(
    checkout: &Checkout,
    runtimes: &[PathBuf],
    filters: &[String],
    dir: &Path,
) -> Outcome<(String, Vec<String>)> {
    host::adopt_orphans()?;
    let runtimes =
        runtimes.iter().map(|path| Runtime::new(path, dir)).collect::<Outcome<Vec<_>>>()?;
    let mut rows = Vec::new();
    for program in checkout.programs()? {
        if !filters.is_empty() && !filters.iter().any(|f| program.contains(f.as_str())) {
            continue;
        }
        let mut verdicts = Vec::new();
        for runtime in &runtimes {
            let ran = checkout.run(&program, &runtime.path, &dir.join("run"))?;
            print(&program, runtime, &ran);
            verdicts.push(ran.verdict);
        }
        rows.push(Row { program, verdicts });
    }
    Ok((table(checkout, &runtimes, &rows), complaints(&runtimes, &rows)))
}

fn print(program: &str, runtime: &Runtime, ran: &Ran) {
    let words = match &ran.verdict {
        Verdict::Fail { words, .. } if !words.is_empty() => format!(" ({words})"),
        _ => String::new(),
    };
    println!("{:<11} {program}: {}{words}", runtime.name, ran.verdict);
    if !ran.left.is_empty() {
        println!("      left behind and removed: {}", ran.left.join(", "));
    }
}

/// What nobody has explained, and what needs no explanation any more.
fn complaints(runtimes: &[Runtime], rows: &[Row]) -> Vec<String> {
    rows.iter().flat_map(|row| row.complaints(runtimes)).collect()
}

impl Row {
    fn complaints(&self, runtimes: &[Runtime]) -> Vec<String> {
        let Some(tare) = runtimes.iter().position(|r| r.kind == Kind::Tare) else {
            return Vec::new();
        };
        let (program, verdict) = (&self.program, &self.verdicts[tare]);
        let mut found = Vec::new();
        let reason = Reason::of(program);
        match (verdict.passed(), reason) {
            (false, None) => found.push(format!("{program}: {verdict}, and no reason is recorded")),
            (true, Some(reason)) if !reason.may_pass() => {
                found.push(format!("{program}: passes, but a reason is recorded: {}", reason.text));
            }
            _ => {}
        }
        let explained = reason.is_some_and(|r| !r.others.is_empty());
        for (runtime, other) in runtimes.iter().zip(&self.verdicts) {
            if other.passed() && !verdict.passed() && !explained {
                found.push(format!("{program}: passes with {} and not with tare", runtime.name));
            }
        }
        found
    }
}

fn table(checkout: &Checkout, runtimes: &[Runtime], rows: &[Row]) -> String {
    let names: Vec<&str> = runtimes.iter().map(|r| r.name.as_str()).collect();
    let mut text = document::surroundings();
    text += &format!(
        "\nEach program ran in a mount namespace of its own: mounts {}, cgroups {}.\n\n",
        checkout.propagation, checkout.layout
    );
    text += &format!(
        "| program | {} | why not |\n|---|{}---|\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for row in rows {
        let cells: Vec<String> = row.verdicts.iter().map(Verdict::to_string).collect();
        let reason = Reason::of(&row.program).map(Reason::to_string).unwrap_or_default();
        text += &format!("| {} | {} | {reason} |\n", row.program, cells.join(" | "));
    }
    let passed = (0..names.len())
        .map(|i| rows.iter().filter(|r| r.verdicts[i].passed()).count().to_string())
        .collect::<Vec<_>>();
    text += &format!("| **pass, of {}** | {} | |\n", rows.len(), passed.join(" | "));
    text
}
