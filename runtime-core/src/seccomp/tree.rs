//! A policy → instructions: by architecture token, then a binary search over
//! the intervals of its numbers.

use seccompiler::sock_filter;

use super::POINTER;
use super::abi::Layout;
use super::action::RET_KILL_THREAD;
use super::assembler::{Assembler, Compare, Target};
use super::intervals::{Answer, Interval, divide};
use super::profile::Policy;
use super::rules::Rule;
use crate::error::{Error, Result};

/// The longest program the kernel takes (`BPF_MAXINSNS`).
pub(super) const MAX_INSTRUCTIONS: usize = 4096;

/// Offsets in `seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// How many lone numbers are tested one after the other at a leaf: it saves
/// an instruction for each, and costs a step.
const LONE_NUMBERS: usize = 2;

/// The program for `policy`. An architecture that the policy does not cover is
/// killed, as libseccomp does.
pub(super) fn assemble(policy: &Policy) -> Result<Vec<sock_filter>> {
    let mut builder = Builder { default: policy.default, ..Builder::default() };
    let tokens = tokens(policy);
    let mut trees = Vec::with_capacity(tokens.len());
    for audit in tokens.into_iter().rev() {
        let intervals = divide(policy, audit);
        let search = builder.search(&groups(&intervals))?;
        trees.push((audit, builder.assembler.load(NUMBER, search)));
    }
    let choose = |next, (audit, tree)| builder.assembler.branch(Compare::Equal, audit, tree, next);
    let choice = trees.into_iter().fold(Target::Return(RET_KILL_THREAD), choose);
    builder.assembler.load(ARCHITECTURE, choice);
    check_length(builder.assembler.finish())
}

/// The architecture tokens of `policy`, the native one first.
fn tokens(policy: &Policy) -> Vec<u32> {
    let mut tokens = Vec::new();
    for interface in &policy.interfaces {
        if !tokens.contains(&interface.abi.audit) {
            tokens.push(interface.abi.audit);
        }
    }
    tokens
}

fn check_length(instructions: Vec<sock_filter>) -> Result<Vec<sock_filter>> {
    if instructions.len() <= MAX_INSTRUCTIONS {
        return Ok(instructions);
    }
    let length = instructions.len();
    let message = format!("needs {length} BPF instructions, the kernel takes {MAX_INSTRUCTIONS}");
    Err(Error::config(format!("{POINTER}/syscalls"), message))
}

/// Cuts `intervals` into the leaves of the search: an interval, or several of
/// which every second is one number and the others are answered alike.
fn groups<'a, 'b>(mut intervals: &'b [Interval<'a>]) -> Vec<&'b [Interval<'a>]> {
    let mut groups = Vec::with_capacity(intervals.len());
    while !intervals.is_empty() {
        let (group, rest) = intervals.split_at(1 + 2 * lone_numbers(intervals));
        groups.push(group);
        intervals = rest;
    }
    groups
}

/// How many single numbers interrupt the first interval.
fn lone_numbers(intervals: &[Interval<'_>]) -> usize {
    let interrupts = |index: &usize| match &intervals[2 * index..] {
        [before, lone, after, ..] => before.answer == after.answer && after.first - lone.first == 1,
        _ => false,
    };
    (0..LONE_NUMBERS).take_while(interrupts).count()
}

#[derive(Default)]
struct Builder<'a> {
    assembler: Assembler,
    /// The value to return when no rule matches.
    default: u32,
    /// Tests that have been assembled, for other calls that need the same.
    tests: Vec<(&'a [Rule], Layout, Target)>,
}

impl<'a> Builder<'a> {
    /// A binary search over `groups`, not empty, for the number in the
    /// accumulator.
    fn search(&mut self, groups: &[&[Interval<'a>]]) -> Result<Target> {
        match groups {
            [] => Ok(Target::Return(self.default)),
            [group] => self.leaf(group),
            _ => {
                let (low, high) = groups.split_at(groups.len() / 2);
                let boundary = high[0][0].first;
                let high = self.search(high)?;
                let low = self.search(low)?;
                Ok(self.assembler.branch(Compare::GreaterOrEqual, boundary, high, low))
            }
        }
    }

    fn leaf(&mut self, group: &[Interval<'a>]) -> Result<Target> {
        let mut target = self.answer(group[0].answer)?;
        for lone in group.iter().skip(1).step_by(2) {
            let answer = self.answer(lone.answer)?;
            target = self.assembler.branch(Compare::Equal, lone.first, answer, target);
        }
        Ok(target)
    }

    fn answer(&mut self, answer: Answer<'a>) -> Result<Target> {
        let (rules, layout) = match answer {
            Answer::Return(value) => return Ok(Target::Return(value)),
            Answer::Test(rules, layout) => (rules, layout),
        };
        let known = self.tests.iter().find(|(r, l, _)| *r == rules && *l == layout);
        if let Some((_, _, target)) = known {
            return Ok(*target);
        }
        let target = self.test(rules, layout)?;
        self.tests.push((rules, layout, target));
        Ok(target)
    }

    fn test(&mut self, rules: &[Rule], layout: Layout) -> Result<Target> {
        let mut target = Target::Return(self.default);
        for rule in rules.iter().rev() {
            let test = rule.conditions.compile(layout).map_err(|error| {
                Error::config(format!("{POINTER}/syscalls/{}/args", rule.place), error.to_string())
            })?;
            target = self.assembler.test(test, rule.action, target);
        }
        Ok(target)
    }
}
