//! Running the tests one after another and counting how they end.

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::context::{Context, Suite};
use crate::outcome::{Outcome, Stop};
use crate::{differences, leftovers};

/// One test; its name is a sentence.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    pub name: &'static str,
    pub run: fn(&Context) -> Outcome,
}

/// Tests of one subject.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    pub name: &'static str,
    pub tests: &'static [Test],
}

/// Lists the functions of a family; the function's name is the test's.
#[macro_export]
macro_rules! family {
    ($name:literal: $($test:ident),+ $(,)?) => {
        /// The tests of this file.
        pub const FAMILY: $crate::runner::Family = $crate::runner::Family {
            name: $name,
            tests: &[$($crate::runner::Test { name: stringify!($test), run: $test }),+],
        };
    };
}

/// How many tests ended in which way.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub passed: u32,
    pub failed: u32,
    pub skipped: u32,
    /// Failures that are known of the runtime that is compared with, with their reason.
    pub expected: u32,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped, expected } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")?;
        if *expected > 0 {
            write!(f, ", {expected} known")?;
        }
        Ok(())
    }
}

impl Counts {
    /// Adds what another run printed as its last line.
    pub fn add(&mut self, line: &str) {
        for part in line.split(", ") {
            let Some((number, word)) = part.split_once(' ') else { continue };
            let number: u32 = number.parse().unwrap_or(0);
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "skipped" => self.skipped += number,
                "known" => self.expected += number,
                _ => {}
            }
        }
    }
}

/// Runs the tests whose `family::name` holds one of the filters; no filter means all.
pub fn run(suite: &Suite, families: &[Family], filters: &[String]) -> Outcome<Counts> {
    let mut counts = Counts::default();
    for family in families {
        for test in family.tests {
            let name = format!("{}::{}", family.name, test.name);
            if filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str())) {
                one(suite, &name, test, &mut counts)?;
            }
        }
    }
    Ok(counts)
}

fn one(suite: &Suite, name: &str, test: &Test, counts: &mut Counts) -> Outcome {
    // Short, because the paths of sockets below it may not be long.
    let number = counts.passed + counts.failed + counts.skipped + counts.expected;
    let dir = suite.dir.join(number.to_string());
    let ctx = Context::new(suite, dir.clone())?;
    let begin = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (test.run)(&ctx)))
        .unwrap_or_else(|_| Err(Stop::fail("the test panicked")));
    let left = leftovers::take(&ctx);
    let outcome = match outcome {
        Ok(()) if !left.is_empty() => Err(Stop::fail(format!("left behind: {}", left.join(", ")))),
        other => other,
    };
    report(suite, name, outcome, begin, counts);
    fs::remove_dir_all(&dir)?;
    Ok(())
}

fn report(suite: &Suite, name: &str, outcome: Outcome, begin: Instant, counts: &mut Counts) {
    let known = differences::reason(suite.kind, suite.layout, name);
    let name = name.replace('_', " ");
    let time = begin.elapsed().as_millis();
    match (outcome, known) {
        (Ok(()), None) => {
            counts.passed += 1;
            println!("pass  {name} ({time} ms)");
        }
        (Ok(()), Some(reason)) => {
            counts.passed += 1;
            println!("pass  {name} ({time} ms), against expectation: {reason}");
        }
        (Err(Stop::Skip(reason)), _) => {
            counts.skipped += 1;
            println!("skip  {name}: {reason}");
        }
        (Err(Stop::Fail(_)), Some(reason)) => {
            counts.expected += 1;
            println!("known {name}: {reason}");
        }
        (Err(Stop::Fail(message)), None) => {
            counts.failed += 1;
            println!("FAIL  {name}: {message}");
        }
    }
}
