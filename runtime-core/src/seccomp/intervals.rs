//! The numbers of one architecture token, divided into intervals that are
//! answered alike.

use super::abi::{Layout, X32_BIT};
use super::action::{RET_ENOSYS, RET_KILL_THREAD};
use super::profile::{Interface, Policy};
use super::rules::{Rule, Verdict};
use oci_spec::runtime::Arch;

/// Numbers from `first` to the next interval, or to the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval<'a> {
    pub(super) first: u32,
    pub(super) answer: Answer<'a>,
}

/// What the filter answers to a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer<'a> {
    Return(u32),
    /// See [`Verdict::Test`]; the arguments are passed like that.
    Test(&'a [Rule], Layout),
}

/// All numbers of the token `audit`, from 0, in ascending order. Neighbours
/// differ in their answer.
pub(super) fn divide(policy: &Policy, audit: u32) -> Vec<Interval<'_>> {
    let interfaces = || policy.interfaces.iter().filter(move |i| i.abi.audit == audit);
    let mut calls: Vec<_> = interfaces().flat_map(Interface::answers).collect();
    calls.sort_by_key(|(number, _)| *number);
    let find = |arch| interfaces().find(|interface| interface.abi.arch == arch);
    match (find(Arch::ScmpArchX86_64), find(Arch::ScmpArchX32)) {
        (None, None) => {
            let newest = interfaces().next().and_then(|interface| interface.newest);
            overlay(&plain_background(policy.default, newest), &calls)
        }
        (x86_64, x32) => overlay(&x86_64_background(policy.default, x86_64, x32), &calls),
    }
}

impl Interface {
    fn answers(&self) -> impl Iterator<Item = (u32, Answer<'_>)> {
        self.calls.iter().map(|(number, verdict)| match verdict {
            Verdict::Return(value) => (*number, Answer::Return(*value)),
            Verdict::Test(rules) => (*number, Answer::Test(rules, self.abi.layout)),
        })
    }
}

/// What numbers without a rule are answered: `(first number, value)`, ascending.
type Background = Vec<(u32, u32)>;

fn plain_background(default: u32, newest: Option<u32>) -> Background {
    let mut background = vec![(0, default)];
    background.extend(newest.and_then(|newest| newest.checked_add(1)).map(|new| (new, RET_ENOSYS)));
    background
}

/// x86_64 has the numbers without bit 30, x32 those with it. The filter of
/// libseccomp kills what looks like the one not listed, except for number -1,
/// with which a tracer skips a call; runc's answer to new calls goes before it
/// and looks at bit 30 alone.
fn x86_64_background(
    default: u32,
    x86_64: Option<&Interface>,
    x32: Option<&Interface>,
) -> Background {
    let unmarked = if x86_64.is_some() { default } else { RET_KILL_THREAD };
    let marked = if x32.is_some() { default } else { RET_KILL_THREAD };
    let (newest, newest_x32) = (x86_64.and_then(|i| i.newest), x32.and_then(|i| i.newest));
    let new = |newest: Option<u32>, otherwise| newest.map_or(otherwise, |_| RET_ENOSYS);

    let mut background = vec![(0, unmarked)];
    background.extend(newest.map(|newest| (newest + 1, RET_ENOSYS)));
    background.push((X32_BIT, marked));
    background.extend(newest_x32.map(|newest| (newest + 1, RET_ENOSYS)));
    background.push((1 << 31, new(newest, marked)));
    background.push((1 << 31 | X32_BIT, new(newest_x32, marked)));
    background.push((u32::MAX, new(newest_x32, default)));
    background
}

/// The `background` with `calls` (sorted by number) over it.
fn overlay<'a>(background: &[(u32, u32)], calls: &[(u32, Answer<'a>)]) -> Vec<Interval<'a>> {
    let mut intervals = Vec::with_capacity(background.len() + 2 * calls.len());
    let mut calls = calls.iter().copied().peekable();
    for (index, (first, value)) in background.iter().enumerate() {
        let behind = Answer::Return(*value);
        let end = background.get(index + 1).map(|(next, _)| *next);
        open(&mut intervals, *first, behind);
        while let Some((number, answer)) = calls.next_if(|(n, _)| end.is_none_or(|end| *n < end)) {
            open(&mut intervals, number, answer);
            if let Some(next) = number.checked_add(1) {
                open(&mut intervals, next, behind);
            }
        }
    }
    intervals
}

/// Begins an interval at `first`, not below any other; it may replace one that
/// began there, or continue the one before it.
fn open<'a>(intervals: &mut Vec<Interval<'a>>, first: u32, answer: Answer<'a>) {
    intervals.pop_if(|last| last.first == first);
    if intervals.last().is_none_or(|last| last.answer != answer) {
        intervals.push(Interval { first, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: Answer<'_> = Answer::Return(7);

    fn firsts(background: &[(u32, u32)], calls: &[u32]) -> Vec<(u32, Answer<'static>)> {
        let calls: Vec<_> = calls.iter().map(|number| (*number, ALLOW)).collect();
        overlay(background, &calls)
            .iter()
            .map(|interval| (interval.first, interval.answer))
            .collect()
    }

    #[test]
    fn neighbouring_calls_make_one_interval() {
        let deny = Answer::Return(1);
        let intervals = firsts(&[(0, 1)], &[0, 1, 2, 5]);
        assert_eq!(intervals, [(0, ALLOW), (3, deny), (5, ALLOW), (6, deny)]);
    }

    #[test]
    fn the_background_changes_at_its_own_numbers() {
        let (deny, newer) = (Answer::Return(1), Answer::Return(38));
        let intervals = firsts(&[(0, 1), (4, 38)], &[2, 3]);
        assert_eq!(intervals, [(0, deny), (2, ALLOW), (4, newer)]);
    }

    #[test]
    fn the_last_number_can_have_a_rule() {
        let intervals = firsts(&[(0, 1)], &[u32::MAX]);
        assert_eq!(intervals, [(0, Answer::Return(1)), (u32::MAX, ALLOW)]);
    }
}
