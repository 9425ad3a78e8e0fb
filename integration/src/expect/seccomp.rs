//! What a seccomp profile answers, worked out from its rules and compared with the kernel's word.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use syscalls::x86_64::Sysno;

use crate::context::{Context, Kind};
use crate::outcome::Outcome;
use crate::{check, check_eq};

const EPERM: u64 = 1;
const ENOSYS: u64 = 38;
const SIGSYS: u64 = 31;
/// Arguments that no call can use, should the filter let it pass.
const NONSENSE: [u64; 6] = [u64::MAX; 6];
/// Calls that may be made for real because they change nothing that matters.
const HARMLESS: [&str; 2] = ["personality", "socket"];

/// The kernel itself lets these pass every filter.
const EXEMPT: [u64; 2] = [335, 336];

/// What becomes of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Errno(u64),
    Signal,
    Passes,
}

/// A call and what the profile says to it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    name: String,
    nr: u64,
    args: [u64; 6],
    answer: Answer,
    x86: bool,
}

impl Case {
    /// The payload's command that makes the call.
    pub(super) fn command(&self) -> Vec<String> {
        let verb = if self.x86 { "syscall-x86" } else { "syscall" };
        let mut words = vec![verb.to_owned(), self.nr.to_string()];
        words.extend(self.args.iter().map(u64::to_string));
        words
    }

    fn check(&self, line: &Value, default: Answer) -> Outcome {
        let what = format!("{} ({:#x}) with {:?}", self.name, self.nr, &self.args[..3]);
        match self.answer {
            Answer::Errno(errno) => check!(line["errno"] == errno, "{what}: {line}, not {errno}"),
            Answer::Signal => check!(line["signal"] == SIGSYS, "{what}: {line}, not SIGSYS"),
            // Whatever the kernel thinks of the arguments, it is not the filter's refusal.
            Answer::Passes => {
                let refused = match default {
                    Answer::Errno(errno) => line["errno"] == errno,
                    _ => line["signal"] == SIGSYS,
                };
                check!(!refused, "{what}: refused, but the profile lets it pass");
            }
        }
        Ok(())
    }
}

/// Checks the mode of the process and the answers to all cases.
pub(super) fn answers(ctx: &Context, config: &Value, facts: &Value, lines: &[Value]) -> Outcome {
    let Some(profile) = Profile::of(config) else {
        let mode = if ctx.filtered { 2 } else { 0 };
        check_eq!(facts["seccomp"], json!(mode), "seccomp mode without a profile");
        return Ok(());
    };
    check_eq!(facts["seccomp"], json!(2), "seccomp mode");
    let lines: Vec<&Value> = lines.iter().filter(|l| l.get("nr").is_some()).collect();
    let cases = cases(config);
    check_eq!(lines.len(), cases.len(), "answers of system calls");
    for (case, line) in cases.iter().zip(lines) {
        // crun has no ENOSYS answer for calls that are newer than the profile.
        let newer = case.name == "newer than the profile";
        if !(newer && ctx.kind == Kind::Crun) {
            case.check(line, profile.default)?;
        }
    }
    Ok(())
}

/// The calls that show whether a configuration's profile is in force.
pub(super) fn cases(config: &Value) -> Vec<Case> {
    let Some(profile) = Profile::of(config) else { return Vec::new() };
    let mut cases: Vec<Case> = Sysno::iter()
        .flat_map(|call| profile.unconditional(call.name(), call.id() as u64))
        .collect();
    cases.extend(profile.conditional());
    cases.extend(profile.newer());
    cases.extend(profile.foreign());
    cases
}

/// A profile's rules.
struct Profile<'c> {
    default: Answer,
    rules: &'c [Value],
    x86: bool,
    /// The largest number that a rule names.
    largest: u64,
}

impl<'c> Profile<'c> {
    fn of(config: &'c Value) -> Option<Self> {
        let seccomp = config.pointer("/linux/seccomp").filter(|s| !s.is_null())?;
        let rules = seccomp["syscalls"].as_array().map_or(&[][..], Vec::as_slice);
        let default = answer(&seccomp["defaultAction"], &seccomp["defaultErrnoRet"]);
        if rules.is_empty() && default == Answer::Passes {
            return None;
        }
        let names = rules.iter().flat_map(|r| super::strings(r, "/names"));
        let largest = names.filter_map(number).max().unwrap_or(0);
        let x86 = super::strings(seccomp, "/architectures").contains(&"SCMP_ARCH_X86");
        Some(Self { default, rules, x86, largest })
    }

    fn rules_for(&self, name: &str) -> Vec<&'c Value> {
        let named = |r: &&Value| super::strings(r, "/names").contains(&name);
        self.rules.iter().filter(named).collect()
    }

    /// The answer, unless rules of several actions match: which wins then is libseccomp's secret.
    fn answer(&self, name: &str, args: [u64; 6]) -> Option<Answer> {
        let matching = self.rules_for(name).into_iter().filter(|r| rule_matches(r, args));
        let mut answers: Vec<Answer> =
            matching.map(|r| answer(&r["action"], &r["errnoRet"])).collect();
        answers.dedup();
        match answers.as_slice() {
            [] => Some(self.default),
            [one] => Some(*one),
            _ => None,
        }
    }

    /// A refusal that does not depend on arguments.
    fn unconditional(&self, name: &str, nr: u64) -> Option<Case> {
        let conditional = |r: &&Value| !conditions(r).is_empty();
        if nr > self.largest || EXEMPT.contains(&nr) || self.rules_for(name).iter().any(conditional)
        {
            return None;
        }
        let answer = self.answer(name, NONSENSE)?;
        let refused = answer != Answer::Passes;
        refused.then(|| Case { name: name.to_owned(), nr, args: NONSENSE, answer, x86: false })
    }

    /// Each condition met and missed by one.
    fn conditional(&self) -> Vec<Case> {
        let names: BTreeSet<&str> = self
            .rules
            .iter()
            .filter(|r| !conditions(r).is_empty())
            .flat_map(|r| super::strings(r, "/names"))
            .collect();
        names.into_iter().flat_map(|name| self.conditional_cases(name)).collect()
    }

    fn conditional_cases(&self, name: &str) -> Vec<Case> {
        let Some(nr) = number(name) else { return Vec::new() };
        let mut tried = BTreeSet::new();
        for rule in self.rules_for(name) {
            let met = conditions(rule).iter().fold([0; 6], |mut args, c| {
                args[c.index] = c.met();
                args
            });
            tried.insert(met);
            for condition in conditions(rule) {
                let mut missed = met;
                missed[condition.index] = condition.missed();
                tried.insert(missed);
            }
        }
        let case = |args| {
            let answer = self.answer(name, args)?;
            let safe = answer != Answer::Passes || HARMLESS.contains(&name);
            safe.then(|| Case { name: name.to_owned(), nr, args, answer, x86: false })
        };
        tried.into_iter().filter_map(case).collect()
    }

    /// Numbers beyond all that the profile names answer as if the kernel did not know them.
    fn newer(&self) -> Vec<Case> {
        let stub = matches!(self.default, Answer::Errno(_) | Answer::Signal);
        let largest = self.largest;
        let case = |nr| Case {
            name: "newer than the profile".to_owned(),
            nr,
            args: NONSENSE,
            answer: Answer::Errno(ENOSYS),
            x86: false,
        };
        if stub { [largest + 1, largest + 100].map(case).to_vec() } else { Vec::new() }
    }

    /// The 32-bit entry: getpid and reboot, 20 and 88 there.
    fn foreign(&self) -> Vec<Case> {
        let case = |name: &str, nr| {
            let answer = self.answer(name, [0; 6])?;
            Some(Case { name: name.to_owned(), nr, args: [0; 6], answer, x86: true })
        };
        let calls = [("getpid", 20), ("reboot", 88)];
        if self.x86 {
            calls.into_iter().filter_map(|(n, nr)| case(n, nr)).collect()
        } else {
            vec![]
        }
    }
}

fn number(name: &str) -> Option<u64> {
    name.parse::<Sysno>().ok().map(|call| call.id() as u64)
}

fn answer(action: &Value, errno: &Value) -> Answer {
    match action.as_str().unwrap_or_default() {
        "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG" => Answer::Passes,
        "SCMP_ACT_ERRNO" => Answer::Errno(errno.as_u64().unwrap_or(EPERM)),
        "SCMP_ACT_TRACE" => Answer::Errno(ENOSYS),
        _ => Answer::Signal,
    }
}

/// A test of one argument.
struct Condition {
    index: usize,
    value: u64,
    second: u64,
    operator: String,
}

fn conditions(rule: &Value) -> Vec<Condition> {
    let list = rule["args"].as_array().into_iter().flatten();
    list.map(|c| Condition {
        index: usize::try_from(c["index"].as_u64().unwrap_or(0)).unwrap_or(0).min(5),
        value: c["value"].as_u64().unwrap_or(0),
        second: c["valueTwo"].as_u64().unwrap_or(0),
        operator: c["op"].as_str().unwrap_or_default().to_owned(),
    })
    .collect()
}

/// All conditions hold; with one index named twice, one is enough.
fn rule_matches(rule: &Value, args: [u64; 6]) -> bool {
    let conditions = conditions(rule);
    let indexes: BTreeSet<usize> = conditions.iter().map(|c| c.index).collect();
    let holds = |c: &Condition| c.holds(args[c.index]);
    if indexes.len() < conditions.len() {
        conditions.iter().any(holds)
    } else {
        conditions.iter().all(holds)
    }
}

impl Condition {
    fn holds(&self, arg: u64) -> bool {
        match self.operator.as_str() {
            "SCMP_CMP_NE" => arg != self.value,
            "SCMP_CMP_LT" => arg < self.value,
            "SCMP_CMP_LE" => arg <= self.value,
            "SCMP_CMP_EQ" => arg == self.value,
            "SCMP_CMP_GE" => arg >= self.value,
            "SCMP_CMP_GT" => arg > self.value,
            _ => arg & self.value == self.second,
        }
    }

    /// A value near the boundary for which the condition holds.
    fn met(&self) -> u64 {
        let near =
            [self.value, self.value.wrapping_add(1), self.value.wrapping_sub(1), self.second];
        near.into_iter().find(|v| self.holds(*v)).unwrap_or(self.value)
    }

    /// A value near the boundary for which it does not.
    fn missed(&self) -> u64 {
        let lowest_bit = self.value & self.value.wrapping_neg();
        let near = [
            self.value.wrapping_add(1),
            self.value,
            self.value.wrapping_sub(1),
            self.second ^ lowest_bit,
        ];
        near.into_iter().find(|v| !self.holds(*v)).unwrap_or(self.value)
    }
}
