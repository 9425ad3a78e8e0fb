//! The answers of several runtimes side by side, and whether a document has the rows of today.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{groups, reasons};
use crate::answers::{Answer, Column};
use crate::outcome::{Outcome, Stop};

/// All columns.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<Column>,
    /// The machine that they were tried on.
    pub surroundings: String,
}

impl Table {
    /// The tables for the document, one a group.
    pub fn markdown(&self) -> String {
        let titles: Vec<&str> = self.columns.iter().map(|c| c.title.as_str()).collect();
        let bars = "---|".repeat(titles.len());
        let total: Vec<String> =
            self.columns.iter().map(|c| format!("{} {}", c.title, c.share())).collect();
        let mut text = self.surroundings.clone();
        let _ = writeln!(text, "Kept, of the rows that were tried: {}.", total.join(", "));
        let mut number = 0;
        for group in groups() {
            let _ = write!(
                text,
                "\n### {}\n\n| promise | who relies on it | {} | remark |\n|---|---|{bars}---|\n",
                group.title,
                titles.join(" | ")
            );
            for row in &group.rows {
                let cells: Vec<&str> =
                    self.answers(number).map(|a| a.map_or("", Answer::word)).collect();
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} |",
                    row.name,
                    row.by,
                    cells.join(" | "),
                    self.remark(number, row.name)
                );
                number += 1;
            }
        }
        text
    }

    fn answers(&self, number: usize) -> impl Iterator<Item = Option<&Answer>> {
        self.columns.iter().map(move |c| c.answers[number].as_ref())
    }

    /// Why a runtime does not keep a row, where that is known, and what the machine lacks.
    fn remark(&self, number: usize, name: &str) -> String {
        let mut remarks: Vec<&str> = Vec::new();
        for (column, answer) in self.columns.iter().zip(self.answers(number)) {
            match answer {
                Some(Answer::Skip(reason)) => remarks.push(reason),
                Some(Answer::No(_)) => remarks.extend(reasons::of(name, &column.title)),
                _ => {}
            }
        }
        remarks.dedup();
        remarks.join("; ")
    }
}

/// The document must have, in each of its tables, the rows of today in their order.
pub fn check(file: &Path) -> Outcome {
    let text =
        fs::read_to_string(file).map_err(|e| Stop::fail(format!("{}: {e}", file.display())))?;
    let tables: Vec<&str> = text.split("<!-- begin ").skip(1).collect();
    if tables.is_empty() {
        return Err(Stop::fail(format!("{}: no table", file.display())));
    }
    let today: Vec<(&str, &str)> =
        groups().iter().flat_map(|g| g.rows.iter().map(|row| (row.name, row.by))).collect();
    for table in tables {
        let (name, table) = table.split_once(" -->").unwrap_or((table, ""));
        let table = table.split("<!-- end ").next().unwrap_or_default();
        let there = table.lines().filter_map(named).filter(|(name, _)| *name != "promise");
        for (place, pair) in
            there.chain(std::iter::repeat(("", ""))).enumerate().take(today.len() + 1)
        {
            let wanted = today.get(place).copied().unwrap_or_default();
            if pair != wanted {
                return Err(Stop::fail(format!(
                    "{}: table {name} has the row {:?} ({}) where {:?} ({}) belongs; write it anew",
                    file.display(),
                    pair.0,
                    pair.1,
                    wanted.0,
                    wanted.1,
                )));
            }
        }
    }
    Ok(())
}

/// The first two cells of a line of a table.
fn named(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    Some((cells.next()?, cells.next()?))
}
