//! The answers of several runtimes side by side.

use std::fmt::Write;

use serde_json::{Value, json};

use super::row::Answer;
use super::rows;
use crate::document;
use crate::outcome::{Outcome, Stop};
use crate::runner::Counts;

/// The answers of one runtime in one layout, as far as rows were tried.
#[derive(Debug)]
pub struct Column {
    /// What stands above it.
    pub title: String,
    /// Whether a row that does not hold is a failure.
    pub strict: bool,
    answers: Vec<Option<Answer>>,
}

/// All columns.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<Column>,
}

/// An answer on its way from the process that tried the row.
pub(super) fn line(number: usize, answer: &Answer) -> String {
    let (word, text) = match answer {
        Answer::Yes => ("yes", ""),
        Answer::No(text) => ("no", text.as_str()),
        Answer::Refused(text) => ("refused", text.as_str()),
        Answer::Skip(text) => ("skip", text.as_str()),
    };
    format!("{}\n", json!([number, word, text]))
}

fn read(line: &str) -> Outcome<(usize, Answer)> {
    let value: Value = serde_json::from_str(line)?;
    let number = value[0].as_u64().and_then(|n| usize::try_from(n).ok());
    let text = value[2].as_str().unwrap_or_default().to_owned();
    let answer = match value[1].as_str() {
        Some("yes") => Answer::Yes,
        Some("no") => Answer::No(text),
        Some("refused") => Answer::Refused(text),
        Some("skip") => Answer::Skip(text),
        _ => return Err(Stop::fail(format!("{line}: no answer"))),
    };
    let number = number.ok_or_else(|| Stop::fail(format!("{line}: no number")))?;
    Ok((number, answer))
}

impl Answer {
    fn word(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No(_) => "**no**",
            Self::Refused(_) => "refused",
            Self::Skip(_) => "–",
        }
    }

    fn is_of_other_cgroups(&self) -> bool {
        matches!(self, Self::Skip(reason) if reason.starts_with("no cgroup v"))
    }

    fn text(&self) -> &str {
        match self {
            Self::Yes => "",
            Self::No(text) | Self::Refused(text) | Self::Skip(text) => text,
        }
    }
}

impl Column {
    /// Reads what the process that tried the rows said.
    pub fn read(title: String, strict: bool, said: &str) -> Outcome<Self> {
        let mut answers: Vec<_> = rows().iter().map(|_| None).collect();
        for line in said.lines().filter(|l| l.starts_with('[')) {
            let (number, answer) = read(line)?;
            if let Some(place) = answers.get_mut(number) {
                *place = Some(answer);
            }
        }
        Ok(Self { title, strict, answers })
    }

    /// How the rows ended.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for answer in self.answers.iter().flatten() {
            match answer {
                Answer::Yes => counts.passed += 1,
                Answer::Skip(_) => counts.skipped += 1,
                Answer::No(_) | Answer::Refused(_) => counts.failed += 1,
            }
        }
        counts
    }

    /// Prints what does not hold, and what was not tried.
    pub fn print(&self) {
        for (row, answer) in rows().iter().zip(&self.answers) {
            let Some(answer) = answer.as_ref().filter(|a| **a != Answer::Yes) else { continue };
            let word = match answer {
                Answer::Skip(_) => "skip",
                _ if self.strict => "FAIL",
                Answer::Refused(_) => "refused",
                _ => "no",
            };
            println!("{word:<7} {}: {}: {}", self.title, row.field, answer.text());
        }
        println!("{}: {}", self.title, self.counts());
    }
}

impl Table {
    /// The table for the document.
    pub fn markdown(&self) -> String {
        let titles: Vec<&str> = self.columns.iter().map(|c| c.title.as_str()).collect();
        let mut text = document::surroundings();
        text += "Rows of the cgroup version that it does not mount are left out.\n";
        let bars = "---|".repeat(titles.len());
        let _ = write!(
            text,
            "\n| field | clause | {} | remark |\n|---|---|{bars}---|\n",
            titles.join(" | ")
        );
        for (number, row) in rows().iter().enumerate() {
            let answers: Vec<_> = self.columns.iter().map(|c| c.answers[number].as_ref()).collect();
            if answers.iter().all(|a| a.is_none_or(Answer::is_of_other_cgroups)) {
                continue;
            }
            let cells: Vec<&str> = answers.iter().map(|a| a.map_or("", Answer::word)).collect();
            let mut reasons: Vec<&str> = answers
                .iter()
                .flatten()
                .filter(|a| matches!(a, Answer::Skip(_)))
                .map(|a| a.text())
                .collect();
            reasons.dedup();
            let (field, clause) = (&row.field, row.clause);
            let _ = writeln!(
                text,
                "| `{field}` | {clause} | {} | {} |",
                cells.join(" | "),
                reasons.join("; ")
            );
        }
        let total: Vec<String> = self
            .columns
            .iter()
            .map(|c| {
                let counts = c.counts();
                format!("{} of {}", counts.passed, counts.passed + counts.failed)
            })
            .collect();
        let _ = writeln!(text, "| **yes, of those tried** | | {} | |", total.join(" | "));
        text
    }
}
