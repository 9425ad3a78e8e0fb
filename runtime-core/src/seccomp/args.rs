//! Conditions on the arguments of a system call.

use std::cmp::Ordering;

use oci_spec::runtime::{LinuxSeccompArg, LinuxSeccompOperator as Operator};
use seccompiler::{
    BackendError, BpfProgram, SeccompCmpArgLen as Width, SeccompCmpOp, SeccompCondition,
    SeccompRule, sock_filter,
};

use super::abi::Layout;
use super::assembler::LD_W_ABS;
use crate::error::{Error, Result};

/// System calls have at most six arguments.
const ARGUMENTS: usize = 6;

/// What one argument must be for a rule to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    index: u8,
    operator: Operator,
    value: u64,
    /// The bits to compare: all of them except for `SCMP_CMP_MASKED_EQ`.
    mask: u64,
}

impl Condition {
    /// Argument `index` is `value`.
    pub(super) fn equal(index: u8, value: u64) -> Self {
        Self { index, operator: Operator::ScmpCmpEq, value, mask: u64::MAX }
    }

    fn read(arg: &LinuxSeccompArg, pointer: impl Fn() -> String) -> Result<Self> {
        let index = match u8::try_from(arg.index()) {
            Ok(index) if usize::from(index) < ARGUMENTS => index,
            _ => {
                let message = format!("argument {} is not between 0 and 5", arg.index());
                return Err(Error::config(pointer() + "/index", message));
            }
        };
        Ok(match arg.op() {
            Operator::ScmpCmpMaskedEq => {
                let (mask, value) = (arg.value(), arg.value_two().unwrap_or(0));
                Self { index, operator: arg.op(), value: value & mask, mask }
            }
            operator => Self { index, operator, value: arg.value(), mask: u64::MAX },
        })
    }

    /// The condition as it is on an interface of that layout: 32-bit ones see
    /// the lower half only. `None` is a condition always met.
    fn on(self, layout: Layout) -> Option<Self> {
        let seen = if layout.wide { u64::MAX } else { u64::from(u32::MAX) };
        let Self { value, mask, .. } = self;
        (mask & seen != 0).then_some(Self { value: value & seen, mask: mask & seen, ..self })
    }

    fn compile(self, layout: Layout) -> Result<SeccompCondition, BackendError> {
        let operator = match self.operator {
            Operator::ScmpCmpNe => SeccompCmpOp::Ne,
            Operator::ScmpCmpLt => SeccompCmpOp::Lt,
            Operator::ScmpCmpLe => SeccompCmpOp::Le,
            Operator::ScmpCmpEq => SeccompCmpOp::Eq,
            Operator::ScmpCmpGe => SeccompCmpOp::Ge,
            Operator::ScmpCmpGt => SeccompCmpOp::Gt,
            Operator::ScmpCmpMaskedEq => SeccompCmpOp::MaskedEq(self.mask),
        };
        SeccompCondition::new(self.index, self.needed_width(layout), operator, self.value)
    }

    /// A mask within the lower half makes the upper one irrelevant.
    fn needed_width(self, layout: Layout) -> Width {
        let both_halves = layout.wide && self.mask > u64::from(u32::MAX);
        if both_halves { Width::Qword } else { Width::Dword }
    }

    /// Which of two conditions libseccomp tests first: the one on the later
    /// argument; then equality before less before greater; then the tighter
    /// bound. `Equal` when it keeps the order of the rules.
    fn precedence(&self, other: &Self) -> Ordering {
        let tightness = match self.class() {
            Class::Less => self.value.cmp(&other.value),
            Class::Equality | Class::Greater => other.value.cmp(&self.value),
        };
        let later_argument = other.index.cmp(&self.index);
        later_argument.then(self.class().cmp(&other.class())).then(tightness)
    }

    fn class(&self) -> Class {
        match self.operator {
            Operator::ScmpCmpEq | Operator::ScmpCmpNe | Operator::ScmpCmpMaskedEq => {
                Class::Equality
            }
            Operator::ScmpCmpLt | Operator::ScmpCmpLe => Class::Less,
            Operator::ScmpCmpGt | Operator::ScmpCmpGe => Class::Greater,
        }
    }
}

/// In the order in which libseccomp tests them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Equality,
    Less,
    Greater,
}

/// Conditions that must all be met, in the order of the arguments and at most
/// one for each. Empty: always met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conjunction(Vec<Condition>);

impl Conjunction {
    /// Reads the `args` of a rule of the profile: either condition is enough if
    /// some argument has two of them, else all are needed. (So read by runc,
    /// whose older versions ever took any one of them for enough.)
    pub(super) fn read_all(
        args: &[LinuxSeccompArg],
        pointer: impl Fn() -> String,
    ) -> Result<Vec<Self>> {
        let read = |(index, arg)| Condition::read(arg, || format!("{}/args/{index}", pointer()));
        let mut conditions = args.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        conditions.sort_by_key(|condition| condition.index);
        if conditions.is_sorted_by(|one, next| one.index < next.index) {
            Ok(vec![Self(conditions)])
        } else {
            Ok(conditions.into_iter().map(|condition| Self(vec![condition])).collect())
        }
    }

    pub(super) fn always(&self) -> bool {
        self.0.is_empty()
    }

    /// The same with `condition` in place of any other on its argument.
    pub(super) fn with(&self, condition: Condition) -> Self {
        let others = self.0.iter().filter(|other| other.index != condition.index);
        let mut conditions: Vec<_> = others.copied().chain([condition]).collect();
        conditions.sort_by_key(|condition| condition.index);
        Self(conditions)
    }

    /// The conditions that are left to test on an interface of that layout.
    pub(super) fn on(&self, layout: Layout) -> Self {
        Self(self.0.iter().filter_map(|condition| condition.on(layout)).collect())
    }

    /// Whether all conditions of `self` stand at the head of `other`'s.
    pub(super) fn heads(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Which of two rules libseccomp tests first, from their first difference.
    pub(super) fn precedence(&self, other: &Self) -> Ordering {
        let difference = self.0.iter().zip(&other.0).find(|(one, another)| one != another);
        difference.map_or(Ordering::Equal, |(one, another)| one.precedence(another))
    }

    /// Instructions that go on behind themselves when the conditions are met,
    /// and otherwise skip one instruction more.
    pub(super) fn compile(&self, layout: Layout) -> Result<Vec<sock_filter>, BackendError> {
        let conditions = self.0.iter().map(|condition| condition.compile(layout));
        let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
        // The first two jump around the rule in a filter of the crate's own.
        let mut test = BpfProgram::from(rule).split_off(2);
        if layout.big_endian {
            swap_halves(&mut test);
        }
        Ok(test)
    }
}

/// Instructions that load the halves of arguments where a little-endian machine
/// has them → where a big-endian one has.
fn swap_halves(test: &mut [sock_filter]) {
    const HALF: u32 = size_of::<u32>() as u32;
    for load in test.iter_mut().filter(|instruction| instruction.code == LD_W_ABS) {
        load.k ^= HALF;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Layout = Layout { wide: false, big_endian: false };
    const WIDE: Layout = Layout { wide: true, big_endian: false };

    fn read(args: serde_json::Value) -> Result<Vec<Conjunction>> {
        let args: Vec<LinuxSeccompArg> = serde_json::from_value(args).unwrap();
        Conjunction::read_all(&args, || "/rule".to_owned())
    }

    fn arg(index: usize, op: &str, value: u64, two: u64) -> serde_json::Value {
        let op = format!("SCMP_CMP_{op}");
        serde_json::json!({ "index": index, "value": value, "valueTwo": two, "op": op })
    }

    fn one(index: usize, op: &str, value: u64) -> Conjunction {
        read(serde_json::json!([arg(index, op, value, 0)])).unwrap().remove(0)
    }

    #[test]
    fn conditions_on_different_arguments_are_one_rule() {
        let rules = read(serde_json::json!([arg(1, "EQ", 1, 0), arg(0, "NE", 2, 0)])).unwrap();
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].0.iter().map(|c| c.index).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn two_conditions_on_one_argument_make_every_condition_a_rule() {
        let args = [arg(1, "EQ", 1, 0), arg(0, "NE", 2, 0), arg(1, "EQ", 3, 0)];
        assert_eq!(read(serde_json::json!(args)).unwrap().len(), 3);
    }

    #[test]
    fn an_argument_that_no_call_has_is_an_error_with_its_place() {
        let error = read(serde_json::json!([arg(0, "EQ", 1, 0), arg(6, "EQ", 1, 0)])).unwrap_err();
        assert_eq!(error.pointer(), Some("/rule/args/1/index"));
        assert!(read(serde_json::json!([arg(256, "EQ", 1, 0)])).is_err());
    }

    #[test]
    fn a_mask_without_bits_is_always_met() {
        let high = read(serde_json::json!([arg(0, "MASKED_EQ", 0xff << 32, 1)])).unwrap();
        assert!(high[0].on(NARROW).always());
        assert!(!high[0].on(WIDE).always());
    }

    #[test]
    fn narrow_interfaces_see_the_lower_half() {
        let wide = one(0, "EQ", 0x1_0000_0005);
        assert_eq!(wide.on(NARROW).0[0].value, 5);
        assert_eq!(wide.on(WIDE), wide);
    }

    #[test]
    fn a_big_endian_machine_has_the_other_half_first() {
        let offsets = |layout| -> Vec<u32> {
            let test = one(1, "EQ", 1 << 32 | 5).compile(layout).unwrap();
            test.iter().filter(|load| load.code == LD_W_ABS).map(|load| load.k).collect()
        };
        assert_eq!(offsets(WIDE), [28, 24]);
        assert_eq!(offsets(Layout { big_endian: true, ..WIDE }), [24, 28]);
        assert_eq!(offsets(Layout { big_endian: true, ..NARROW }), [28]);
    }

    #[test]
    fn later_arguments_and_tighter_bounds_come_first() {
        let before = |one: Conjunction, other| one.precedence(&other) == Ordering::Less;
        assert!(before(one(2, "GT", 1), one(1, "EQ", 1)));
        assert!(before(one(0, "NE", 1), one(0, "LE", 9)));
        assert!(before(one(0, "LT", 3), one(0, "LT", 7)));
        assert!(before(one(0, "GE", 7), one(0, "GE", 3)));
    }

    #[test]
    fn a_condition_takes_the_place_of_another_on_its_argument() {
        let rule = one(0, "NE", 40).with(Condition::equal(0, 1));
        assert_eq!(rule, one(0, "EQ", 1));
    }
}
