//! What a runtime answers to the rows of a table, row by row.
//!
//! Every runtime is tried by a process of its own, because it enters a mount namespace; its answers
//! come back as one line of JSON each.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::outcome::{Outcome, Stop};
use crate::runner::Counts;

/// How a row ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Yes,
    /// It is not as the row has it.
    No(String),
    /// The runtime does not take the configuration.
    Refused(String),
    Skip(String),
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Self::Yes,
            Err(Stop::Fail(message)) => Self::No(message),
            Err(Stop::Skip(reason)) => Self::Skip(reason),
        }
    }
}

impl Answer {
    /// What stands in the table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No(_) => "**no**",
            Self::Refused(_) => "refused",
            Self::Skip(_) => "–",
        }
    }

    /// Why it is not yes.
    pub fn text(&self) -> &str {
        match self {
            Self::Yes => "",
            Self::No(text) | Self::Refused(text) | Self::Skip(text) => text,
        }
    }

    /// The answer on its way from the process that tried the row.
    pub fn line(&self, number: usize) -> String {
        format!("{}\n", json!([number, self.plain_word(), self.text()]))
    }

    fn read(line: &str) -> Outcome<(usize, Self)> {
        let value: Value = serde_json::from_str(line)?;
        let number = value[0].as_u64().and_then(|n| usize::try_from(n).ok());
        let number = number.ok_or_else(|| Stop::fail(format!("{line}: no number")))?;
        Ok((number, Self::of(&value[1], &value[2])?))
    }

    fn plain_word(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No(_) => "no",
            Self::Refused(_) => "refused",
            Self::Skip(_) => "skip",
        }
    }

    fn of(word: &Value, text: &Value) -> Outcome<Self> {
        let text = text.as_str().unwrap_or_default().to_owned();
        match word.as_str() {
            Some("yes") => Ok(Self::Yes),
            Some("no") => Ok(Self::No(text)),
            Some("refused") => Ok(Self::Refused(text)),
            Some("skip") => Ok(Self::Skip(text)),
            _ => Err(Stop::fail(format!("{word}: no answer"))),
        }
    }
}

/// The answers of one runtime in one layout, as far as rows were tried.
#[derive(Debug)]
pub struct Column {
    /// What stands above it.
    pub title: String,
    /// Whether a row that does not hold is a failure.
    pub strict: bool,
    /// One of each row.
    pub answers: Vec<Option<Answer>>,
}

impl Column {
    /// Has the rows tried by this program's command `answers LAYOUT RUNTIME FILTER …`.
    pub fn ask(
        title: String,
        strict: bool,
        rows: usize,
        layout: &str,
        runtime: &Path,
        filters: &[String],
    ) -> Outcome<Self> {
        let said = Command::new(std::env::current_exe()?)
            .args(["answers", layout])
            .arg(runtime)
            .args(filters)
            .stderr(Stdio::inherit())
            .output()?;
        if !said.status.success() {
            return Err(Stop::fail(format!("{title}: {}", said.status)));
        }
        let mut answers: Vec<_> = (0..rows).map(|_| None).collect();
        for line in String::from_utf8_lossy(&said.stdout).lines().filter(|l| l.starts_with('[')) {
            let (number, answer) = Answer::read(line)?;
            if let Some(place) = answers.get_mut(number) {
                *place = Some(answer);
            }
        }
        Ok(Self { title, strict, answers })
    }

    /// The answers by the names of their rows, for a file that [`Column::saved`] reads.
    pub fn save(&self, names: &[&str]) -> String {
        let tried = names.iter().zip(&self.answers).filter_map(|(n, a)| Some((n, a.as_ref()?)));
        let line = |(name, answer): (&&str, &Answer)| {
            format!("{}\n", json!([self.title, name, answer.plain_word(), answer.text()]))
        };
        tried.map(line).collect()
    }

    /// Adds to `columns` what was saved on another machine or at another time. Rows that are no
    /// longer there are left out.
    pub fn saved(text: &str, names: &[&str], columns: &mut Vec<Self>) -> Outcome {
        for line in text.lines().filter(|line| line.starts_with('[')) {
            let value: Value = serde_json::from_str(line)?;
            let title = value[0].as_str().unwrap_or_default();
            let place = columns.iter().position(|c| c.title == title).unwrap_or(columns.len());
            if place == columns.len() {
                let answers = names.iter().map(|_| None).collect();
                columns.push(Self { title: title.to_owned(), strict: false, answers });
            }
            if let Some(row) = names.iter().position(|name| value[1] == *name) {
                columns[place].answers[row] = Some(Answer::of(&value[2], &value[3])?);
            }
        }
        Ok(())
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

    /// How many of the rows that were tried hold.
    pub fn share(&self) -> String {
        let counts = self.counts();
        format!("{} of {}", counts.passed, counts.passed + counts.failed)
    }

    /// Prints what does not hold, and what was not tried.
    pub fn print<'n>(&self, names: impl Iterator<Item = &'n str>) {
        for (name, answer) in names.zip(&self.answers) {
            let Some(answer) = answer.as_ref().filter(|a| **a != Answer::Yes) else { continue };
            let word = match answer {
                Answer::Skip(_) => "skip",
                _ if self.strict => "FAIL",
                Answer::Refused(_) => "refused",
                _ => "no",
            };
            println!("{word:<7} {}: {name}: {}", self.title, answer.text());
        }
        println!("{}: {}", self.title, self.counts());
    }
}
