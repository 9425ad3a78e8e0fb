//! Device rules for cgroup v1: a default, and exceptions from it.

use super::{Access, DeviceKind, DeviceRule};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::resources::{Write, pointer};

/// The v1 controller keeps either "all but these" or "none but these".
struct Table {
    allow: bool,
    exceptions: Vec<DeviceRule>,
}

/// The writes that make a new cgroup hold `rules`, whatever it inherits.
///
/// # Errors
/// A rule that takes part of an earlier wildcard back: the v1 controller would
/// accept it and not enforce it.
pub fn v1(rules: &[DeviceRule]) -> Result<Vec<Write>> {
    let table = Table::of(rules)?;
    let (reset, except) = match table.allow {
        true => ("devices.allow", "devices.deny"),
        false => ("devices.deny", "devices.allow"),
    };
    let line = |file, value: String, pointer: &str| {
        let mut write = Write::new("devices", file, value, "devices");
        pointer.clone_into(&mut write.pointer);
        write
    };
    let reset = line(reset, "a".to_owned(), &pointer("devices"));
    let exceptions = table.exceptions.iter();
    let exceptions = exceptions.map(|rule| line(except, rule.to_string(), &rule.pointer));
    Ok(std::iter::once(reset).chain(exceptions).collect())
}

/// The devices that `rules` allow, for one who knows no exceptions from them. `None` is
/// everything, with whatever is excepted.
///
/// # Errors
/// As for [`v1`].
pub fn allowed(rules: &[DeviceRule]) -> Result<Option<Vec<DeviceRule>>> {
    let table = Table::of(rules)?;
    Ok((!table.allow).then_some(table.exceptions))
}

impl Table {
    fn of(rules: &[DeviceRule]) -> Result<Self> {
        let (allow, rest) = start(rules);
        let mut table = Self { allow, exceptions: Vec::new() };
        for rule in rest {
            if rule.allow == table.allow {
                table.take_back(rule)?;
            } else {
                table.except(rule);
            }
        }
        Ok(table)
    }

    fn except(&mut self, rule: &DeviceRule) {
        let same = self.exceptions.iter_mut().find(|old| old.covers(rule) && rule.covers(old));
        match same {
            Some(old) => old.access = old.access.or(rule.access),
            None => self.exceptions.push(rule.clone()),
        }
    }

    fn take_back(&mut self, rule: &DeviceRule) -> Result<()> {
        for old in &mut self.exceptions {
            if old.access.and(rule.access).is_empty() || !old.meets(rule) {
                continue;
            }
            if !rule.covers(old) {
                return Err(hole(rule, old));
            }
            old.access = old.access.without(rule.access);
        }
        self.exceptions.retain(|old| !old.access.is_empty());
        Ok(())
    }
}

/// The default, and the rules after those that set it. Only rules for all
/// devices of both kinds can set it; denied is where the kernel's view starts.
fn start(rules: &[DeviceRule]) -> (bool, &[DeviceRule]) {
    let everything = |rule: &DeviceRule| {
        rule.major.is_none() && rule.minor.is_none() && rule.access == Access::ALL
    };
    let mut found = (false, rules);
    for (index, pair) in rules.windows(2).enumerate() {
        let [first, second] = pair else { continue };
        let both = first.kind == DeviceKind::Block && second.kind == DeviceKind::Char;
        if both && first.allow == second.allow && everything(first) && everything(second) {
            found = (first.allow, &rules[index + 2..]);
        }
    }
    found
}

fn hole(rule: &DeviceRule, old: &DeviceRule) -> Error {
    let message = format!("device rule [{rule}] would punch a hole in [{old}]");
    Error::new(ErrorKind::Unsupported, message)
        .at(rule.pointer.clone())
        .hint("cgroup v1 cannot express this; list the devices without the wildcard")
}
