//! The words of a profile that are known, sorted: what `features` lists.

use oci_spec::runtime::{
    LinuxSeccompAction as Action, LinuxSeccompFilterFlag as Flag, LinuxSeccompOperator as Operator,
};

use super::abi;

const ACTIONS: [Action; 9] = [
    Action::ScmpActAllow,
    Action::ScmpActErrno,
    Action::ScmpActKill,
    Action::ScmpActKillProcess,
    Action::ScmpActKillThread,
    Action::ScmpActLog,
    Action::ScmpActNotify,
    Action::ScmpActTrace,
    Action::ScmpActTrap,
];

const OPERATORS: [Operator; 7] = [
    Operator::ScmpCmpEq,
    Operator::ScmpCmpGe,
    Operator::ScmpCmpGt,
    Operator::ScmpCmpLe,
    Operator::ScmpCmpLt,
    Operator::ScmpCmpMaskedEq,
    Operator::ScmpCmpNe,
];

const FLAGS: [Flag; 4] = [
    Flag::SeccompFilterFlagLog,
    Flag::SeccompFilterFlagSpecAllow,
    Flag::SeccompFilterFlagTsync,
    Flag::SeccompFilterFlagWaitKillableRecv,
];

/// What a rule may do.
pub fn actions() -> Vec<String> {
    ACTIONS.iter().map(ToString::to_string).collect()
}

/// How an argument may be compared.
pub fn operators() -> Vec<String> {
    OPERATORS.iter().map(ToString::to_string).collect()
}

/// The architectures whose system calls are known.
pub fn archs() -> Vec<String> {
    let mut names: Vec<_> = abi::all().map(|abi| abi.arch.to_string()).collect();
    names.sort_unstable();
    names
}

/// Flags of a filter.
pub fn flags() -> Vec<String> {
    FLAGS.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_listed_once_and_as_profiles_spell_it() {
        for words in [actions(), operators(), archs(), flags()] {
            assert!(words.is_sorted_by(|one, next| one < next), "{words:?}");
        }
        for arch in archs() {
            serde_json::from_value::<oci_spec::runtime::Arch>(arch.into()).unwrap();
        }
        assert_eq!(serde_json::to_value(ACTIONS).unwrap(), serde_json::json!(actions()));
        assert_eq!(serde_json::to_value(OPERATORS).unwrap(), serde_json::json!(operators()));
        assert_eq!(serde_json::to_value(FLAGS).unwrap(), serde_json::json!(flags()));
    }
}
