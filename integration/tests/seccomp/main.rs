//! Seccomp profiles compiled here and by libseccomp must answer alike.

mod cases;
mod enosys;
mod model;
mod oracle;
mod random;

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction as Action};
use runtime_core::seccomp::{Options, Program, compile};

use cases::{Case, cases};
use enosys::Newest;
use model::Model;
use oracle::{ARCHES, Built, Oracle};
use random::{Actions, Random};

/// The `SECCOMP_RET_*` value of an action, as runc makes it.
fn action(action: Action, errno_ret: Option<u32>) -> u32 {
    let data = errno_ret.unwrap_or(libc::EPERM.unsigned_abs());
    match action {
        Action::ScmpActErrno => 0x0005_0000 | data,
        Action::ScmpActTrace => 0x7ff0_0000 | data,
        other => other.as_u32(None),
    }
}

/// The helper, or a word about its absence, which the test harness must not
/// swallow as it does with `eprintln!`.
fn oracle() -> Option<Oracle> {
    let oracle = Oracle::start();
    if oracle.is_none() {
        let word = "SKIPPED: no libseccomp to compile against (libseccomp-dev)";
        writeln!(std::io::stderr(), "{word}").expect("standard error is open");
    }
    oracle
}

fn compile_here(profile: &LinuxSeccomp) -> runtime_core::Result<Option<Program>> {
    let options = Options { native: Arch::ScmpArchX86_64, fail_unknown: false };
    compile(profile, &options, &mut Vec::new())
}

/// How a profile fared on both sides.
enum Outcome {
    Answers(Tally),
    BothRefuse,
    /// One side alone sees a contradiction among the rules of a call: which it
    /// finds depends for libseccomp on how its tree happens to have grown.
    OneRefuses,
    /// libseccomp looped for ever.
    Hung,
    Wrong(String),
}

/// What came of the cases of a profile.
#[derive(Default)]
struct Tally {
    cases: usize,
    /// Those in which libseccomp answers otherwise; see [`model`].
    otherwise: usize,
}

fn compare(profile: &LinuxSeccomp, oracle: &mut Oracle, random: &mut Random) -> Outcome {
    match (compile_here(profile), oracle.build(profile)) {
        (Ok(None), _) => Outcome::Answers(Tally::default()),
        (Ok(Some(own)), Built::Filter(theirs)) => {
            let cases = cases(profile, oracle, random);
            let judge = Judge::new(profile, oracle, own, theirs);
            judge.tally(&cases).map_or_else(Outcome::Wrong, Outcome::Answers)
        }
        (Ok(Some(_)), Built::Refused(libc::EEXIST)) => Outcome::OneRefuses,
        (Ok(Some(_)), Built::Refused(errno)) => Outcome::Wrong(format!("refused there: {errno}")),
        (Err(_), Built::Refused(_)) => Outcome::BothRefuse,
        (Err(error), Built::Filter(_)) if error.to_string().contains("contradicts") => {
            Outcome::OneRefuses
        }
        (Err(error), Built::Filter(_)) => Outcome::Wrong(format!("refused here: {error}")),
        (_, Built::Hung) => Outcome::Hung,
    }
}

struct Judge {
    own: Program,
    theirs: Program,
    newest: Newest,
    model: Model,
}

impl Judge {
    fn new(profile: &LinuxSeccomp, oracle: &Oracle, own: Program, theirs: Program) -> Self {
        let (newest, model) = (Newest::of(profile, oracle), Model::of(profile, oracle));
        Self { own, theirs, newest, model }
    }

    fn tally(&self, cases: &[Case]) -> Result<Tally, String> {
        let mut otherwise = 0;
        for (audit, nr, args) in cases {
            let own = self.own.evaluate(*audit, *nr, *args);
            let theirs = self.newest.answer(*audit, *nr);
            let theirs = theirs.or_else(|| self.theirs.evaluate(*audit, *nr, *args));
            if own == theirs {
                continue;
            }
            let right = own.is_some_and(|own| self.model.allows(*audit, *nr, *args, own));
            if !right || !self.model.has_conditions(*audit, *nr) {
                let case = format!("arch {audit:#x} nr {nr:#x} args {args:x?}");
                return Err(format!("{case}: {own:x?}, libseccomp {theirs:x?}"));
            }
            otherwise += 1;
        }
        Ok(Tally { cases: cases.len(), otherwise })
    }
}

/// Leaves out names that this libseccomp is too old to know.
fn without_unknown(profile: &mut LinuxSeccomp, oracle: &mut Oracle) {
    let mut groups = profile.syscalls().clone().unwrap_or_default();
    for group in &mut groups {
        let names = group.names().iter().filter(|name| oracle.knows(name)).cloned().collect();
        group.set_names(names);
    }
    profile.set_syscalls(Some(groups));
}

fn sample(file: &Path) -> Option<LinuxSeccomp> {
    let text = std::fs::read(file).expect("a sample can be read");
    let config: serde_json::Value = serde_json::from_slice(&text).expect("a sample is JSON");
    let profile = config.pointer("/linux/seccomp")?.clone();
    Some(serde_json::from_value(profile).expect("a sample has a valid profile"))
}

#[test]
fn profiles_of_engines_answer_as_with_libseccomp() {
    let Some(mut oracle) = oracle() else { return };
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundles/samples");
    let mut compared = 0;
    for entry in std::fs::read_dir(samples).expect("samples are at hand") {
        let path = entry.expect("a directory entry").path();
        let Some(mut profile) = sample(&path) else { continue };
        without_unknown(&mut profile, &mut oracle);
        match compare(&profile, &mut oracle, &mut Random::new(1)) {
            Outcome::Answers(Tally { cases, otherwise: 0 }) => {
                println!("{}: {cases} cases", path.display());
                compared += 1;
            }
            Outcome::Answers(tally) => panic!("{path:?}: {} cases differ", tally.otherwise),
            Outcome::Wrong(how) => panic!("{path:?}: {how}"),
            _ => panic!("{path:?}: refused"),
        }
    }
    assert!(compared >= 5, "only {compared} samples have a profile");
}

/// A filter is run for every system call, and at loading for every number.
const MOST_INSTRUCTIONS: usize = 300;

#[test]
fn profiles_of_engines_stay_small() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundles/samples");
    for entry in std::fs::read_dir(samples).expect("samples are at hand") {
        let path = entry.expect("a directory entry").path();
        let Some(profile) = sample(&path) else { continue };
        let program = compile_here(&profile).expect("it compiles").expect("it has rules");
        let length = program.instructions.len();
        assert!(length <= MOST_INSTRUCTIONS, "{path:?}: {length} instructions");
    }
}

#[test]
fn every_call_has_the_number_that_libseccomp_gives_it() {
    let Some(oracle) = oracle() else { return };
    for arch in ARCHES {
        for (number, name) in &oracle.tables[&(arch as u32)] {
            let profile = serde_json::json!({
                "defaultAction": "SCMP_ACT_KILL_PROCESS",
                "architectures": [arch],
                "syscalls": [{ "names": [name], "action": "SCMP_ACT_LOG" }],
            });
            let profile = serde_json::from_value(profile).expect("a valid profile");
            let program = compile_here(&profile).expect("it compiles").expect("it has a rule");
            let audit = if arch == Arch::ScmpArchX32 { Arch::ScmpArchX86_64 } else { arch };
            let answer = program.evaluate(audit as u32, *number, [0; 6]);
            assert_eq!(answer, Some(libc::SECCOMP_RET_LOG), "{name} is {number} of {arch}");
        }
    }
}

/// Compares random profiles, and returns the share of cases in which libseccomp
/// answers otherwise.
fn compare_random(actions: Actions, seeds: Range<u64>) -> Option<f64> {
    let mut oracle = oracle()?;
    let names = names(&oracle);
    let (mut total, mut both, mut one, mut hung) = (Tally::default(), 0, 0, 0);
    for seed in seeds.clone() {
        let mut random = Random::new(seed);
        let json = random::profile(&mut random, &names, actions);
        let profile = serde_json::from_value(json).expect("a valid profile");
        match compare(&profile, &mut oracle, &mut random) {
            Outcome::Answers(tally) => {
                total.cases += tally.cases;
                total.otherwise += tally.otherwise;
            }
            Outcome::BothRefuse => both += 1,
            Outcome::OneRefuses => one += 1,
            Outcome::Hung => hung += 1,
            Outcome::Wrong(how) => panic!("seed {seed}: {how}"),
        }
    }
    let Tally { cases, otherwise } = total;
    println!("{} profiles: {cases} cases, libseccomp differs in {otherwise}", seeds.count());
    println!("refused by both {both}, by one {one}; libseccomp hung {hung} times");
    Some(otherwise as f64 / cases as f64)
}

/// Names for random profiles: calls older than any libseccomp that there is to
/// compare with, and more of those that x86 multiplexes, as they merge.
fn names(oracle: &Oracle) -> Vec<String> {
    let number = |(number, _): &(&u32, &String)| **number & 0x3fff_ffff;
    let old = |call: &(&u32, &String)| number(call) < 440 || number(call) > 0xf_0000;
    let calls = oracle.tables.values().flatten().filter(old);
    let multiplexed = ["socket", "accept", "accept4", "shmat", "semop", "socketcall", "ipc"];
    let multiplexed = multiplexed.repeat(20).into_iter().map(str::to_owned);
    calls.map(|(_, name)| name.clone()).chain(multiplexed).collect()
}

/// libseccomp's own faults were found in less than one case of a thousand.
const MOST_OTHERWISE: f64 = 0.001;

#[test]
fn random_profiles_with_one_action_per_call_answer_as_with_libseccomp() {
    let Some(otherwise) = compare_random(Actions::OnePerCall, 0..400) else { return };
    assert!(otherwise < MOST_OTHERWISE, "libseccomp differs in {otherwise} of the cases");
}

#[test]
fn random_profiles_with_many_actions_per_call_answer_as_with_libseccomp() {
    let Some(otherwise) = compare_random(Actions::Any, 1000..1400) else { return };
    assert!(otherwise < MOST_OTHERWISE, "libseccomp differs in {otherwise} of the cases");
}
