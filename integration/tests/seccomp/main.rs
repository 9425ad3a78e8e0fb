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
use oracle::{Built, NATIVE, Oracle, audit, base, is_big_endian};
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

fn compile_here(profile: &LinuxSeccomp, native: Arch) -> runtime_core::Result<Option<Program>> {
    let options = Options { native, fail_unknown: false };
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

fn compare(
    profile: &LinuxSeccomp,
    native: Arch,
    oracle: &mut Oracle,
    random: &mut Random,
) -> Outcome {
    match (compile_here(profile, native), oracle.build(profile, native)) {
        (Ok(None), _) => Outcome::Answers(Tally::default()),
        (Ok(Some(own)), Built::Filter(theirs)) => {
            let covered = covered(profile, native);
            let cases = cases(profile, &covered, oracle, random);
            let judge = Judge::new(profile, &covered, oracle, own, theirs);
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

fn covered(profile: &LinuxSeccomp, native: Arch) -> Vec<Arch> {
    let listed = profile.architectures().iter().flatten().copied();
    [native].into_iter().chain(listed.filter(|arch| *arch != native)).collect()
}

struct Judge {
    own: Program,
    theirs: Program,
    newest: Newest,
    model: Model,
}

impl Judge {
    fn new(
        profile: &LinuxSeccomp,
        covered: &[Arch],
        oracle: &Oracle,
        own: Program,
        theirs: Program,
    ) -> Self {
        let newest = Newest::of(profile, covered, oracle);
        let model = Model::of(profile, covered, oracle);
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
        match compare(&profile, NATIVE, &mut oracle, &mut Random::new(1)) {
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
        let program = compile_here(&profile, NATIVE).expect("it compiles");
        let program = program.expect("it has rules");
        let length = program.instructions.len();
        assert!(length <= MOST_INSTRUCTIONS, "{path:?}: {length} instructions");
    }
}

#[test]
fn every_call_has_the_number_that_libseccomp_gives_it() {
    let Some(oracle) = oracle() else { return };
    let mut compared = 0;
    let mut wrong = Vec::new();
    for arch in oracle.arches() {
        for (number, name) in &oracle.tables[&(arch as u32)] {
            let profile = serde_json::json!({
                "defaultAction": "SCMP_ACT_KILL_PROCESS",
                "syscalls": [{ "names": [name], "action": "SCMP_ACT_LOG" }],
            });
            let profile = serde_json::from_value(profile).expect("a valid profile");
            let program =
                compile_here(&profile, arch).expect("it compiles").expect("it has a rule");
            let answer = program.evaluate(audit(arch), *number, [0; 6]);
            let disputed = arch == Arch::ScmpArchParisc64 && DISPUTED.contains(&name.as_str());
            if answer != Some(libc::SECCOMP_RET_LOG) && !disputed {
                wrong.push(format!("{name} is {number} of {arch}"));
            }
        }
        compared += 1;
    }
    println!("{compared} architectures");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared >= OLD_ARCHES, "libseccomp 2.5 knows {OLD_ARCHES}");
}

/// libseccomp 2.5 knows all but loongarch64, m68k and the two of SuperH.
const OLD_ARCHES: usize = 19;

#[test]
fn every_architecture_answers_as_with_libseccomp() {
    let Some(mut oracle) = oracle() else { return };
    let arches: Vec<_> = oracle.arches().collect();
    let mut total = Tally::default();
    for native in arches.iter().copied() {
        let names = names(&oracle, native);
        // libseccomp makes no program for machines of either order of bytes.
        let alike = |arch: &&Arch| is_big_endian(**arch) == is_big_endian(native);
        let foreign: Vec<_> = arches.iter().filter(alike).copied().collect();
        for seed in 0..PROFILES_FOR_EACH {
            let mut random = Random::new(seed << 32 | u64::from(native as u32));
            let foreign = [*random.pick(&foreign), *random.pick(&foreign)];
            let json = random::profile(&mut random, &names, &foreign, Actions::OnePerCall);
            let profile = serde_json::from_value(json).expect("a valid profile");
            match compare(&profile, native, &mut oracle, &mut random) {
                Outcome::Answers(tally) => total.add(&tally),
                Outcome::Wrong(how) => panic!("{native}, seed {seed}, {foreign:?}: {how}"),
                Outcome::BothRefuse | Outcome::OneRefuses | Outcome::Hung => {}
            }
        }
    }
    println!("{} architectures: {} cases", arches.len(), total.cases);
    assert!(total.otherwise as f64 / (total.cases as f64) < MOST_OTHERWISE, "{}", total.otherwise);
}

const PROFILES_FOR_EACH: u64 = 12;

impl Tally {
    fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.otherwise += other.otherwise;
    }
}

/// Compares random profiles, and returns the share of cases in which libseccomp
/// answers otherwise.
fn compare_random(actions: Actions, seeds: Range<u64>) -> Option<f64> {
    let mut oracle = oracle()?;
    let foreign = [Arch::ScmpArchX86, Arch::ScmpArchX32, Arch::ScmpArchAarch64, Arch::ScmpArchArm];
    let natives = foreign.into_iter().chain([NATIVE]);
    let names: Vec<_> = natives.flat_map(|arch| names(&oracle, arch)).collect();
    let (mut total, mut both, mut one, mut hung) = (Tally::default(), 0, 0, 0);
    for seed in seeds.clone() {
        let mut random = Random::new(seed);
        let json = random::profile(&mut random, &names, &foreign, actions);
        let profile = serde_json::from_value(json).expect("a valid profile");
        match compare(&profile, NATIVE, &mut oracle, &mut random) {
            Outcome::Answers(tally) => total.add(&tally),
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

/// libseccomp gives PARISC64 the calls of PARISC, though the first has no entry
/// in the kernel's 64-bit table; it takes the second, where the machine has no
/// such call, for another (2.5.4).
const DISPUTED: [&str; 2] = ["_llseek", "sys_debug_setcontext"];

/// Names for random profiles: calls older than any libseccomp that there is to
/// compare with, and more of those that can be multiplexed, as they merge.
fn names(oracle: &Oracle, arch: Arch) -> Vec<String> {
    let number = |(number, _): &(&u32, &String)| **number - base(arch);
    let old = |call: &(&u32, &String)| number(call) < 440 || number(call) > 0xf_0000;
    let sure = |call: &(&u32, &String)| old(call) && !DISPUTED.contains(&call.1.as_str());
    let calls = oracle.tables[&(arch as u32)].iter().filter(sure);
    let multiplexed = ["socket", "accept", "accept4", "shmat", "semop", "socketcall", "ipc"];
    let multiplexed = multiplexed.repeat(10).into_iter().map(str::to_owned);
    calls.map(|(_, name)| name.clone()).chain(multiplexed).collect()
}

/// libseccomp's own faults were found in less than one case of a thousand. Each case
/// is one in which the model agrees with ours, or the comparison fails at once.
const MOST_OTHERWISE: f64 = 0.001;
/// Where the rules of one call have several actions it misorders more of them.
const MOST_OTHERWISE_OF_MANY: f64 = 0.005;

#[test]
fn random_profiles_with_one_action_per_call_answer_as_with_libseccomp() {
    let Some(otherwise) = compare_random(Actions::OnePerCall, 0..400) else { return };
    assert!(otherwise < MOST_OTHERWISE, "libseccomp differs in {otherwise} of the cases");
}

#[test]
fn random_profiles_with_many_actions_per_call_answer_as_with_libseccomp() {
    let Some(otherwise) = compare_random(Actions::Any, 1000..1400) else { return };
    assert!(otherwise < MOST_OTHERWISE_OF_MANY, "libseccomp differs in {otherwise} of the cases");
}
