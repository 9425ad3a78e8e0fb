//! The calls on which two filters for a profile could differ.

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompArg, LinuxSeccompOperator as Operator};

use crate::model::equal;
use crate::oracle::{Oracle, audit, base};
use crate::random::Random;

/// `seccomp_data`, without the instruction pointer.
pub(crate) type Case = (u32, u32, [u64; 6]);

/// More combinations of arguments than that are sampled.
const MOST_COMBINATIONS: usize = 1500;

/// Every number up to beyond the last call, the edges of the number space, and
/// for calls with conditions the arguments about each value compared with.
pub(crate) fn cases(
    profile: &LinuxSeccomp,
    covered: &[Arch],
    oracle: &Oracle,
    random: &mut Random,
) -> Vec<Case> {
    let mut cases = Vec::new();
    let conditional = conditional_numbers(profile, covered, oracle);
    for audit in audits(covered) {
        for nr in numbers(covered) {
            cases.push((audit, nr, [0; 6]));
            cases.push((audit, nr, std::array::from_fn(|_| random.next())));
        }
    }
    for ((audit, nr), args) in conditional {
        cases.extend(arguments(&args, random).into_iter().map(|args| (audit, nr, args)));
    }
    cases
}

/// The tokens of the architectures, some others, and one that is none.
fn audits(covered: &[Arch]) -> BTreeSet<u32> {
    let others = [Arch::ScmpArchX86, Arch::ScmpArchAarch64, Arch::ScmpArchPpc];
    covered.iter().copied().chain(others).map(audit).chain([0xdead_beef]).collect()
}

fn numbers(covered: &[Arch]) -> BTreeSet<u32> {
    let edges = [0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000];
    let around = edges.into_iter().flat_map(|edge: u32| [edge - 1, edge, edge + 1]);
    let calls = covered.iter().flat_map(|arch| base(*arch)..base(*arch) + 600);
    calls
        .chain(0..600)
        .chain((0..600).map(|nr| nr | 1 << 30))
        .chain(0xf_0000..0xf_0008)
        .chain(around)
        .chain([0xc000_01ff, 0xffff_fffe, 0xffff_ffff])
        .collect()
}

/// The conditions of each call that has some, by token and number.
fn conditional_numbers(
    profile: &LinuxSeccomp,
    covered: &[Arch],
    oracle: &Oracle,
) -> BTreeMap<(u32, u32), Vec<LinuxSeccompArg>> {
    let mut by_number: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let carriers: Vec<_> = covered.iter().flat_map(|arch| carriers(*arch, oracle)).collect();
    for group in profile.syscalls().iter().flatten() {
        let args = group.args().as_deref().unwrap_or_default();
        for arch in covered {
            for (number, name) in &oracle.tables[&(*arch as u32)] {
                if group.names().contains(name) {
                    by_number.entry((audit(*arch), *number)).or_default().extend(args);
                }
            }
        }
        // Any socket or IPC call may end in one of these.
        for carrier in &carriers {
            by_number.entry(*carrier).or_default().extend(args);
        }
    }
    for carrier in carriers {
        let selectors = (0..26).map(|selector| equal(0, selector));
        by_number.entry(carrier).or_default().extend(selectors);
    }
    by_number
}

/// socketcall(2) and ipc(2) of `arch`, by token and number.
fn carriers(arch: Arch, oracle: &Oracle) -> impl Iterator<Item = (u32, u32)> {
    let number = move |name| oracle.number(arch, name);
    ["socketcall", "ipc"].into_iter().filter_map(number).map(move |nr| (audit(arch), nr))
}

/// Combinations of values about those that `conditions` compare with.
fn arguments(conditions: &[LinuxSeccompArg], random: &mut Random) -> Vec<[u64; 6]> {
    let values: [Vec<u64>; 6] = std::array::from_fn(|index| {
        let conditions = conditions.iter().filter(|condition| condition.index() == index);
        let mut values: Vec<_> = conditions.flat_map(about).chain([0]).collect();
        values.sort_unstable();
        values.dedup();
        values
    });
    let combinations: usize = values.iter().map(Vec::len).product();
    if combinations > MOST_COMBINATIONS {
        let sample = |_| std::array::from_fn(|index| *random.pick(&values[index]));
        return (0..MOST_COMBINATIONS).map(sample).collect();
    }
    let combination = |mut number: usize| {
        std::array::from_fn(|index| {
            let value = values[index][number % values[index].len()];
            number /= values[index].len();
            value
        })
    };
    (0..combinations).map(combination).collect()
}

fn about(condition: &LinuxSeccompArg) -> Vec<u64> {
    let (value, two) = (condition.value(), condition.value_two().unwrap_or(0));
    let bounds = |value: u64| {
        let high = 1_u64 << 32;
        [
            value,
            value.wrapping_sub(1),
            value.wrapping_add(1),
            value.wrapping_add(high),
            value.wrapping_sub(high),
            value & 0xffff_ffff,
            value | 0xffff_ffff << 32,
            !value,
        ]
    };
    let mut values: Vec<_> = bounds(value).to_vec();
    if condition.op() == Operator::ScmpCmpMaskedEq {
        let mask = value;
        values.extend(bounds(two));
        values.extend([two & mask, two | !mask, (two & mask) ^ (mask & mask.wrapping_neg())]);
    }
    values
}
