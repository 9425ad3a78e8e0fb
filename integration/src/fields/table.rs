//! The answers of several runtimes side by side.

use std::fmt::Write;

use super::rows;
use crate::answers::{Answer, Column};
use crate::document;

/// All columns.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<Column>,
}

/// Whether a row was left out for what the machine's cgroups are.
fn is_of_other_cgroups(answer: &Answer) -> bool {
    matches!(answer, Answer::Skip(reason) if reason.starts_with("no cgroup v"))
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
            if answers.iter().all(|a| a.is_none_or(is_of_other_cgroups)) {
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
        let total: Vec<String> = self.columns.iter().map(Column::share).collect();
        let _ = writeln!(text, "| **yes, of those tried** | | {} | |", total.join(" | "));
        text
    }
}
