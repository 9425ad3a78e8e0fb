//! What a host or a bundle lacks, all at once and with remedies. Looks only: nothing
//! is made, changed or left behind.

mod bundle;
mod cgroups;
mod kernel;
mod namespaces;
mod security;
mod tools;

use serde::Serialize;

pub use bundle::bundle;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// Something is missing that a container may do without.
    Note,
    /// Containers cannot run, or not this one.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it belongs to: `kernel`, `cgroups`, `namespaces`, `security`, `tools`, `bundle`.
    pub area: &'static str,
    /// What was looked at.
    pub subject: String,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// The JSON pointer into config.json that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn fine(area: &'static str, subject: &str, text: impl Into<String>) -> Self {
        let (subject, text) = (subject.to_owned(), text.into());
        Self { area, subject, verdict: Verdict::Fine, text, pointer: None, remedy: None }
    }

    fn note(area: &'static str, subject: &str, text: impl Into<String>, remedy: &str) -> Self {
        let remedy = Some(remedy.to_owned());
        Self { verdict: Verdict::Note, remedy, ..Self::fine(area, subject, text) }
    }

    fn problem(area: &'static str, subject: &str, text: impl Into<String>, remedy: &str) -> Self {
        Self { verdict: Verdict::Problem, ..Self::note(area, subject, text, remedy) }
    }
}

/// Everything that is looked at of the host, by area.
pub fn host() -> Vec<Finding> {
    let checks = [kernel::check, cgroups::check, namespaces::check, security::check, tools::check];
    checks.into_iter().flat_map(|check| check()).collect()
}

/// The first line of a file of the kernel; `None` when it cannot be read.
fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
