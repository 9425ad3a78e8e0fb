//! A profile read word by word: slow, and with no order among rules.
//!
//! libseccomp cannot be the only judge. Its programs share argument tests among
//! rules and go from one rule to the next, and sometimes do so with another word
//! in the accumulator than the test needs; then they miss rules that match.
//! (2.5.4: of `arg0 <= 1` and `arg0 < 1 << 32` the second is missed for 2.) So
//! where a call has conditions the answer must be that of some rule that
//! matches, whatever libseccomp's is.

use std::collections::BTreeMap;

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompArg, LinuxSeccompOperator as Operator};

use crate::action;
use crate::oracle::{Oracle, alternatives, audit};

/// The calls of socketcall(2), from 1 on.
const SOCKETCALLS: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];
const IPC_CALLS: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The rules of each call, in the order of the profile, by token and number.
pub(crate) struct Model {
    default: u32,
    calls: BTreeMap<(u32, u32), Vec<Rule>>,
}

struct Rule {
    conditions: Vec<LinuxSeccompArg>,
    /// Which bits of an argument the interface passes.
    seen: u64,
    action: u32,
}

impl Model {
    pub(crate) fn of(profile: &LinuxSeccomp, covered: &[Arch], oracle: &Oracle) -> Self {
        let default = action(profile.default_action(), profile.default_errno_ret());
        let mut model = Self { default, calls: BTreeMap::new() };
        for group in profile.syscalls().iter().flatten() {
            let action = action(group.action(), group.errno_ret());
            if action == default {
                continue;
            }
            let args = group.args().as_deref().unwrap_or_default();
            for name in group.names() {
                for conditions in alternatives(args) {
                    for arch in covered {
                        model.add(*arch, name, conditions, action, oracle);
                    }
                }
            }
        }
        model
    }

    fn add(
        &mut self,
        arch: Arch,
        name: &str,
        conditions: &[LinuxSeccompArg],
        action: u32,
        oracle: &Oracle,
    ) {
        let (audit, seen) = (audit(arch), seen(arch));
        if let Some(number) = oracle.number(arch, name) {
            let rule = Rule { conditions: conditions.to_vec(), seen, action };
            self.calls.entry((audit, number)).or_default().push(rule);
        }
        let multiplexed = multiplexed(name);
        let carrier = multiplexed.and_then(|(carrier, _)| oracle.number(arch, carrier));
        if let (Some(carrier), Some((_, selector))) = (carrier, multiplexed) {
            let others = conditions.iter().filter(|condition| condition.index() != 0).copied();
            let conditions = others.chain([equal(0, selector)]).collect();
            let rule = Rule { conditions, seen, action };
            self.calls.entry((audit, carrier)).or_default().push(rule);
        }
    }

    /// Whether `answer` is right by the profile, of which `audit` is covered
    /// and `nr` not newer.
    pub(crate) fn allows(&self, audit: u32, nr: u32, args: [u64; 6], answer: u32) -> bool {
        let rules = self.calls.get(&(audit, nr)).map_or(&[][..], Vec::as_slice);
        if let Some(rule) = rules.iter().find(|rule| rule.always()) {
            return rule.action == answer;
        }
        let mut matching = rules.iter().filter(|rule| rule.matches(args)).peekable();
        match matching.peek() {
            None => answer == self.default,
            Some(_) => matching.any(|rule| rule.action == answer),
        }
    }

    /// Whether the answer depends on arguments.
    pub(crate) fn has_conditions(&self, audit: u32, nr: u32) -> bool {
        let rules = self.calls.get(&(audit, nr));
        rules.is_some_and(|rules| !rules.iter().any(Rule::always))
    }
}

impl Rule {
    /// Whether libseccomp sees no condition in it.
    fn always(&self) -> bool {
        let masked_out = |condition: &LinuxSeccompArg| {
            condition.op() == Operator::ScmpCmpMaskedEq && condition.value() & self.seen == 0
        };
        self.conditions.iter().all(masked_out)
    }

    fn matches(&self, args: [u64; 6]) -> bool {
        self.conditions.iter().all(|condition| {
            let arg = args[condition.index()] & self.seen;
            let value = condition.value() & self.seen;
            match condition.op() {
                Operator::ScmpCmpNe => arg != value,
                Operator::ScmpCmpLt => arg < value,
                Operator::ScmpCmpLe => arg <= value,
                Operator::ScmpCmpEq => arg == value,
                Operator::ScmpCmpGe => arg >= value,
                Operator::ScmpCmpGt => arg > value,
                Operator::ScmpCmpMaskedEq => {
                    arg & value == condition.value_two().unwrap_or(0) & value
                }
            }
        })
    }
}

/// The bits of an argument that libseccomp compares.
fn seen(arch: Arch) -> u64 {
    match arch {
        Arch::ScmpArchX86_64
        | Arch::ScmpArchAarch64
        | Arch::ScmpArchMips64
        | Arch::ScmpArchMipsel64
        | Arch::ScmpArchPpc64
        | Arch::ScmpArchPpc64le
        | Arch::ScmpArchS390x
        | Arch::ScmpArchParisc64
        | Arch::ScmpArchRiscv64
        | Arch::ScmpArchLoongarch64 => u64::MAX,
        _ => 0xffff_ffff,
    }
}

/// The call that also carries `name` where there is such a one, and the argument
/// 0 it has then.
fn multiplexed(name: &str) -> Option<(&'static str, u64)> {
    let socketcall = SOCKETCALLS.iter().zip(1..).find(|(call, _)| **call == name);
    let ipc = IPC_CALLS.iter().find(|(call, _)| *call == name);
    socketcall.map(|(_, number)| ("socketcall", number)).or(ipc.map(|(_, number)| ("ipc", *number)))
}

/// The condition that argument `index` is `value`.
pub(crate) fn equal(index: usize, value: u64) -> LinuxSeccompArg {
    let json = serde_json::json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" });
    serde_json::from_value(json).expect("a valid condition")
}
