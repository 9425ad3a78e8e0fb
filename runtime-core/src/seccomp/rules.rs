//! The rules of one system call, merged as libseccomp means to merge them: its
//! programs miss some rules that match, which is not imitated.

use std::cmp::Ordering;

use super::{POINTER, args::Conjunction};
use crate::error::{Error, Result};

/// More rules than that do not fit into a program: each takes three
/// instructions.
const MAX_RULES: usize = super::tree::MAX_INSTRUCTIONS / 3;

/// A rule of the profile on one interface.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) conditions: Conjunction,
    /// The value to return.
    pub(super) action: u32,
    /// Its place in `syscalls`.
    pub(super) place: usize,
}

/// What the filter answers to one system call.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// The same value whatever the arguments.
    Return(u32),
    /// The value of the first rule that matches, or else the default. Not empty.
    Test(Vec<Rule>),
}

impl PartialEq for Rule {
    /// Rules of different places can mean the same.
    fn eq(&self, other: &Self) -> bool {
        self.conditions == other.conditions && self.action == other.action
    }
}

impl Verdict {
    pub(super) fn of(rule: Rule) -> Self {
        if rule.conditions.always() { Self::Return(rule.action) } else { Self::Test(vec![rule]) }
    }

    /// Adds a later rule. A rule without conditions takes the place of all that
    /// have some, and ends the matter.
    pub(super) fn add(&mut self, rule: Rule) -> Result<()> {
        match self {
            Self::Return(_) => Ok(()),
            Self::Test(_) if rule.conditions.always() => {
                *self = Self::Return(rule.action);
                Ok(())
            }
            Self::Test(rules) => insert(rules, rule),
        }
    }
}

/// Puts `rule` where it is tested in its turn, unless an earlier one, with the
/// same conditions or fewer, decides before it; and takes out those that it
/// makes redundant.
fn insert(rules: &mut Vec<Rule>, rule: Rule) -> Result<()> {
    for earlier in &*rules {
        if earlier.conditions.heads(&rule.conditions) {
            let same = rule.conditions.heads(&earlier.conditions);
            return if same { agree(earlier, &rule) } else { Ok(()) };
        }
        if rule.conditions.heads(&earlier.conditions) {
            agree(earlier, &rule)?;
        }
    }
    rules.retain(|earlier| !rule.conditions.heads(&earlier.conditions));
    if rules.len() == MAX_RULES {
        let message = format!("more than {MAX_RULES} rules for one system call");
        return Err(Error::config(place(&rule), message));
    }
    let follows = |other: &Rule| rule.conditions.precedence(&other.conditions) == Ordering::Less;
    let position = rules.iter().position(follows).unwrap_or(rules.len());
    rules.insert(position, rule);
    Ok(())
}

/// libseccomp refuses a rule that covers an earlier one and answers otherwise.
fn agree(earlier: &Rule, rule: &Rule) -> Result<()> {
    if earlier.action == rule.action {
        return Ok(());
    }
    let message = format!("contradicts the rule {} of the same system call", place(earlier));
    Err(Error::config(place(rule), message))
}

fn place(rule: &Rule) -> String {
    format!("{POINTER}/syscalls/{}", rule.place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::args::Condition;

    fn rule(place: usize, action: u32, conditions: &[(u8, u64)]) -> Rule {
        let conditions = conditions.iter().fold(Conjunction::default(), |all, (index, value)| {
            all.with(Condition::equal(*index, *value))
        });
        Rule { conditions, action, place }
    }

    fn merge(rules: &[Rule]) -> Result<Verdict> {
        let mut verdict = Verdict::of(rules[0].clone());
        for rule in &rules[1..] {
            verdict.add(rule.clone())?;
        }
        Ok(verdict)
    }

    fn places(rules: &[Rule]) -> Vec<usize> {
        match merge(rules).unwrap() {
            Verdict::Return(_) => Vec::new(),
            Verdict::Test(rules) => rules.iter().map(|rule| rule.place).collect(),
        }
    }

    #[test]
    fn a_rule_without_conditions_ends_the_matter() {
        let rules =
            [rule(0, 1, &[(0, 5)]), rule(1, 2, &[]), rule(2, 3, &[(0, 5)]), rule(3, 4, &[])];
        assert!(matches!(merge(&rules).unwrap(), Verdict::Return(2)));
    }

    #[test]
    fn a_rule_with_fewer_conditions_absorbs_and_an_equal_one_is_dropped() {
        assert_eq!(places(&[rule(0, 1, &[(0, 5), (1, 6)]), rule(1, 1, &[(0, 5)])]), [1]);
        assert_eq!(places(&[rule(0, 1, &[(0, 5)]), rule(1, 1, &[(0, 5)])]), [0]);
        assert_eq!(places(&[rule(0, 1, &[(0, 5)]), rule(1, 2, &[(0, 5), (1, 6)])]), [0]);
    }

    #[test]
    fn a_contradiction_names_both_places() {
        for earlier in [rule(2, 1, &[(0, 5)]), rule(2, 1, &[(0, 5), (1, 6)])] {
            let error = merge(&[earlier, rule(4, 9, &[(0, 5)])]).unwrap_err();
            assert_eq!(error.pointer(), Some("/linux/seccomp/syscalls/4"));
            assert!(error.to_string().contains("/linux/seccomp/syscalls/2"), "{error}");
        }
    }

    #[test]
    fn rules_are_tested_in_the_order_of_libseccomp() {
        assert_eq!(places(&[rule(0, 1, &[(0, 5)]), rule(1, 2, &[(1, 5)])]), [1, 0]);
        assert_eq!(places(&[rule(0, 1, &[(0, 9)]), rule(1, 2, &[(0, 5)])]), [0, 1]);
    }

    #[test]
    fn too_many_rules_are_refused_before_they_cost_time() {
        let rules: Vec<_> = (0..4000).map(|value| rule(7, 1, &[(0, value)])).collect();
        let error = merge(&rules).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/seccomp/syscalls/7"));
    }
}
