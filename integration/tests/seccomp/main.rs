//! Seccomp profiles compiled here and by libseccomp must answer alike.

mod cases;
mod enosys;
mod oracle;
mod random;

use std::path::Path;

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction as Action};
use runtime_core::seccomp::{Options, Program, compile};

use cases::{Case, cases};
use enosys::Newest;
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

/// The helper, or a word about its absence.
fn oracle() -> Option<Oracle> {
    let oracle = Oracle::start();
    if oracle.is_none() {
        eprintln!("SKIPPED: no libseccomp to compile against (libseccomp-dev)");
    }
    oracle
}

fn compile_here(profile: &LinuxSeccomp) -> runtime_core::Result<Option<Program>> {
    let options = Options { native: Arch::ScmpArchX86_64, fail_unknown: false };
    compile(profile, &options, &mut Vec::new())
}

/// How a profile fared on both sides.
enum Outcome {
    Same {
        cases: usize,
    },
    BothRefuse,
    /// libseccomp looped for ever.
    Hung,
    Differ(String),
}

fn compare(profile: &LinuxSeccomp, oracle: &mut Oracle, random: &mut Random) -> Outcome {
    match (compile_here(profile), oracle.build(profile)) {
        (_, Built::Hung) => Outcome::Hung,
        (Err(_), Built::Refused(_)) => Outcome::BothRefuse,
        (Err(error), Built::Filter(_)) => Outcome::Differ(format!("only refused here: {error}")),
        (Ok(_), Built::Refused(errno)) => {
            Outcome::Differ(format!("only refused by libseccomp: errno {errno}"))
        }
        (Ok(None), Built::Filter(_)) => Outcome::Same { cases: 0 },
        (Ok(Some(own)), Built::Filter(theirs)) => {
            let newest = Newest::of(profile, oracle);
            let cases = cases(profile, oracle, random);
            match cases.iter().find_map(|case| difference(*case, &own, &theirs, &newest)) {
                None => Outcome::Same { cases: cases.len() },
                Some(difference) => Outcome::Differ(difference),
            }
        }
    }
}

fn difference(
    (audit, nr, args): Case,
    own: &Program,
    theirs: &Program,
    newest: &Newest,
) -> Option<String> {
    let own = own.evaluate(audit, nr, args);
    let theirs = newest.answer(audit, nr).or_else(|| theirs.evaluate(audit, nr, args));
    (own.is_none() || own != theirs).then(|| {
        format!("arch {audit:#x} nr {nr:#x} args {args:x?}: {own:x?}, libseccomp {theirs:x?}")
    })
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
            Outcome::Same { cases } => {
                println!("{}: {cases} cases", path.display());
                compared += 1;
            }
            Outcome::BothRefuse => panic!("{}: refused", path.display()),
            Outcome::Hung => panic!("{}: libseccomp hung", path.display()),
            Outcome::Differ(how) => panic!("{}: {how}", path.display()),
        }
    }
    assert!(compared >= 5, "only {compared} samples have a profile");
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

fn compare_random(actions: Actions, seeds: std::ops::Range<u64>) {
    let Some(mut oracle) = oracle() else { return };
    let mut names: Vec<_> = oracle.tables.values().flat_map(|t| t.values().cloned()).collect();
    // Calls that x86 multiplexes merge with others: have more of them.
    let multiplexed = ["socket", "accept", "accept4", "shmat", "semop", "socketcall", "ipc"];
    names.extend(multiplexed.repeat(20).into_iter().map(String::from));
    let (mut cases, mut refused, mut differ) = (0, 0, Vec::new());
    for seed in seeds.clone() {
        let mut random = Random::new(seed);
        let json = random::profile(&mut random, &names, actions);
        let profile = serde_json::from_value(json).expect("a valid profile");
        match compare(&profile, &mut oracle, &mut random) {
            Outcome::Same { cases: more } => cases += more,
            Outcome::BothRefuse => refused += 1,
            Outcome::Hung => println!("HUNG seed {seed}"),
            Outcome::Differ(how) => differ.push(format!("seed {seed}: {how}")),
        }
    }
    println!("{} profiles, {refused} refused by both, {cases} cases", seeds.count());
    for d in &differ {
        println!("{d}");
    }
    assert!(differ.is_empty(), "{} differ", differ.len());
}

#[test]
fn random_profiles_with_one_action_per_call_answer_as_with_libseccomp() {
    compare_random(Actions::OnePerCall, 0..400);
}

#[test]
fn random_profiles_with_many_actions_per_call_answer_as_with_libseccomp() {
    compare_random(Actions::Any, 1000..1400);
}
