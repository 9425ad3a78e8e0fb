//! `tare doctor`: what this host, or a bundle, lacks.

use std::path::PathBuf;

use runtime_core::doctor::{self, Finding, Verdict};

use super::{Command, Context, print};
use crate::args::Count;
use crate::failure::{Failure, Outcome};

/// Check whether containers can run here, and everything that is wrong with a bundle.
/// Changes nothing. The exit code is 1 when there is a problem.
#[derive(Debug, clap::Parser)]
pub(super) struct Doctor {
    /// Check this bundle, too
    #[arg(short, long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Print JSON: an array of all that was looked at
    #[arg(long)]
    json: bool,
}

impl Command for Doctor {
    const NAME: &'static str = "doctor";
    const ABOUT: &'static str = "tell what this host or a bundle lacks";
    const COUNT: Count = Count::NONE;

    fn run(self, context: &Context) -> Outcome {
        let mut findings = doctor::host();
        if let Some(bundle) = &self.bundle {
            findings.extend(doctor::bundle(bundle, &context.runtime()?));
        }
        match self.json {
            true => print(&json(&findings)?)?,
            false => print(&text(&findings))?,
        };
        let problem = findings.iter().any(|finding| finding.verdict == Verdict::Problem);
        Ok(u8::from(problem))
    }
}

fn json(findings: &[Finding]) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(findings);
    Ok(text.map_err(|error| Failure::new(error.to_string()))? + "\n")
}

/// A line a finding, by area, and one for its remedy; the sum at the end.
fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|it| it.subject.chars().count()).max().unwrap_or(0).min(32);
    let mut text = String::new();
    let mut area = "";
    for finding in findings {
        if finding.area != area {
            area = finding.area;
            text += &format!("{area}\n");
        }
        let word = match finding.verdict {
            Verdict::Fine => "ok",
            Verdict::Note => "note",
            Verdict::Problem => "PROBLEM",
        };
        text += &format!("  {word:<8}{:<width$}  {}\n", finding.subject, finding.text);
        if let Some(remedy) = &finding.remedy {
            text += &format!("  {:<8}{:<width$}  -> {remedy}\n", "", "");
        }
    }
    let count = |verdict| findings.iter().filter(|it| it.verdict == verdict).count();
    text + &format!("{} problems, {} notes\n", count(Verdict::Problem), count(Verdict::Note))
}
