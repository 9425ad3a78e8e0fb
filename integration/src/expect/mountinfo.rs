//! The mount table as a process sees it.

use serde_json::Value;

use crate::bundle::Bundle;
use crate::outcome::{Outcome, Stop};

/// One line of /proc/self/mountinfo.
#[derive(Debug, Clone)]
pub struct MountInfo {
    pub root: String,
    pub point: String,
    pub options: Vec<String>,
    pub propagation: Vec<String>,
    pub kind: String,
    pub super_options: Vec<String>,
}

impl MountInfo {
    fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let fields: Vec<&str> = mount.split(' ').collect();
        let mut rest = file_system.splitn(3, ' ');
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        Some(Self {
            root: (*fields.get(3)?).to_owned(),
            point: (*fields.get(4)?).to_owned(),
            options: list(fields.get(5)?),
            propagation: fields.get(6..)?.iter().map(|f| (*f).to_owned()).collect(),
            kind: rest.next()?.to_owned(),
            super_options: rest.nth(1).map(list).unwrap_or_default(),
        })
    }

    /// The table among the facts that the payload reports.
    pub fn table(facts: &Value) -> Vec<Self> {
        super::strings(facts, "/mounts").into_iter().filter_map(Self::parse).collect()
    }

    /// What the container of a bundle sees.
    pub fn seen(bundle: Bundle<'_>) -> Outcome<Vec<Self>> {
        Ok(Self::table(&bundle.facts()?))
    }

    /// The topmost mount at exactly this point, which must be there.
    pub fn found<'t>(table: &'t [Self], point: &str) -> Outcome<&'t Self> {
        Self::at(table, point).ok_or_else(|| Stop::fail(format!("no mount at {point}")))
    }

    /// The topmost mount at exactly this point.
    pub fn at<'t>(table: &'t [Self], point: &str) -> Option<&'t Self> {
        table.iter().rev().find(|m| m.point == point)
    }

    /// The mount that a path lies on.
    pub fn covering<'t>(table: &'t [Self], path: &str) -> Option<&'t Self> {
        let above = |m: &&Self| {
            m.point == "/" || path == m.point || path.starts_with(&format!("{}/", m.point))
        };
        let longest = table.iter().filter(above).map(|m| m.point.len()).max()?;
        table.iter().rev().find(|m| above(m) && m.point.len() == longest)
    }

    /// Whether an option of the mount or of its filesystem is set.
    pub fn has_anywhere(&self, option: &str) -> bool {
        self.has(option) || self.super_options.iter().any(|o| o == option)
    }

    /// Whether an option of the mount itself is set.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}
