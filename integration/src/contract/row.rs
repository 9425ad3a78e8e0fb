//! A row of the contract: what is promised, who relies on it, and the proof.

use crate::context::Context;
use crate::families;
use crate::outcome::{Outcome, Stop};
use crate::runner::Test;

/// Everything that calls a runtime.
pub(super) const ALL: &str = "all";
/// What calls it by go-runc.
pub(super) const GO_RUNC: &str = "containerd, buildkit";
/// What has conmon call it.
pub(super) const CONMON: &str = "podman, CRI-O";
/// Administrators, and programs of theirs.
pub(super) const PEOPLE: &str = "people";

/// Rows about one subject.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) rows: Vec<Row>,
}

/// One promise.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Who relies on it.
    pub(super) by: &'static str,
    proof: Proof,
}

enum Proof {
    Own(fn(&Context) -> Outcome),
    /// A test of the suite, as `family::name`.
    Suite(&'static str),
}

/// A row with a check of its own.
pub(super) const fn row(
    name: &'static str,
    by: &'static str,
    check: fn(&Context) -> Outcome,
) -> Row {
    Row { name, by, proof: Proof::Own(check) }
}

/// A row that a test of the suite proves.
pub(super) const fn tested(name: &'static str, by: &'static str, test: &'static str) -> Row {
    Row { name, by, proof: Proof::Suite(test) }
}

impl Row {
    /// Tries the row with the runtime of a context.
    pub(super) fn outcome(&self, ctx: &Context) -> Outcome {
        match self.proof {
            Proof::Own(check) => check(ctx),
            Proof::Suite(name) => {
                let test = find(name).ok_or_else(|| Stop::fail(format!("{name}: no such test")))?;
                (test.run)(ctx)
            }
        }
    }

    /// Whether it has a check of its own.
    pub(super) fn is_own(&self) -> bool {
        matches!(self.proof, Proof::Own(_))
    }

    /// Whether the proof is there.
    #[cfg(test)]
    pub(super) fn is_known(&self) -> bool {
        match self.proof {
            Proof::Own(_) => true,
            Proof::Suite(name) => find(name).is_some(),
        }
    }
}

fn find(name: &str) -> Option<&'static Test> {
    let (family, name) = name.split_once("::")?;
    let family = families::ALL.iter().find(|f| f.name == family)?;
    family.tests.iter().find(|test| test.name == name)
}
