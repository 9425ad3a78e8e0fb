//! Rules for the process: what to run, where, and with what.

use oci_spec::runtime::{Process, Spec};

use super::{Faults, identity, list, scheduling};
use crate::bundle::{item, member};

/// The bounds of `/proc/<pid>/oom_score_adj` (proc(5)).
const OOM_SCORE_ADJ: std::ops::RangeInclusive<i32> = -1000..=1000;

/// config.md, Process: OPTIONAL, and REQUIRED when `start` is called.
pub(super) fn first(spec: &Spec, faults: &mut Faults) {
    if let Some(process) = spec.process() {
        rules(process, "/process", faults);
    }
}

/// The rules for one process object at `base`.
pub(super) fn rules(process: &Process, base: &str, faults: &mut Faults) {
    cwd(process, base, faults);
    args(process, base, faults);
    console_size(process, base, faults);
    identity::environment(list(process.env()), || member(base, "env"), faults);
    identity::user(process.user(), base, faults);
    rlimits(process, base, faults);
    oom_score_adj(process, base, faults);
    scheduling::rules(process, base, faults);
    labels(process, base, faults);
}

/// config.md, Process: `cwd` is REQUIRED and MUST be an absolute path.
fn cwd(process: &Process, base: &str, faults: &mut Faults) {
    let cwd = process.cwd();
    let message = match () {
        () if cwd.as_os_str().is_empty() => "Cwd property must not be empty",
        () if !cwd.is_absolute() => "Cwd must be an absolute path",
        () => return,
    };
    faults.add(member(base, "cwd"), message, "give the path from /, as the container sees it");
}

/// config.md, Process: at least one entry is REQUIRED.
fn args(process: &Process, base: &str, faults: &mut Faults) {
    if list(process.args()).is_empty() {
        let remedy = "name the program to run, followed by its arguments";
        faults.add(member(base, "args"), "args must not be empty", remedy);
    }
}

/// A terminal counts its rows and columns in 16 bits (struct winsize). To be
/// ignored without a terminal (config.md, Process).
fn console_size(process: &Process, base: &str, faults: &mut Faults) {
    let Some(size) = process.console_size().filter(|_| process.terminal() == Some(true)) else {
        return;
    };
    if size.height() > u64::from(u16::MAX) || size.width() > u64::from(u16::MAX) {
        let message = format!("consoleSize {}x{} is too large", size.width(), size.height());
        faults.add(member(base, "consoleSize"), message, "use at most 65535 rows and columns");
    }
}

/// config.md, POSIX process: duplicates MUST be an error; setrlimit(2)
/// refuses a soft limit above the hard one.
fn rlimits(process: &Process, base: &str, faults: &mut Faults) {
    let rlimits = list(process.rlimits());
    for (index, rlimit) in rlimits.iter().enumerate() {
        let pointer = || item(&member(base, "rlimits"), index);
        if rlimits.iter().take(index).any(|earlier| earlier.typ() == rlimit.typ()) {
            let message = format!("duplicate rlimit {}", rlimit.typ());
            faults.add(pointer(), message, "keep one entry for each type");
        }
        if rlimit.soft() > rlimit.hard() {
            let (kind, soft, hard) = (rlimit.typ(), rlimit.soft(), rlimit.hard());
            let message = format!("soft limit {soft} of {kind} is above its hard limit {hard}");
            faults.add(pointer(), message, "raise hard or lower soft");
        }
    }
}

fn oom_score_adj(process: &Process, base: &str, faults: &mut Faults) {
    if let Some(score) = process.oom_score_adj().filter(|score| !OOM_SCORE_ADJ.contains(score)) {
        let message = format!("oomScoreAdj {score} is out of range");
        faults.add(member(base, "oomScoreAdj"), message, "use -1000 to 1000");
    }
}

/// Both go into one line of a file in procfs.
fn labels(process: &Process, base: &str, faults: &mut Faults) {
    for (field, label) in
        [("apparmorProfile", process.apparmor_profile()), ("selinuxLabel", process.selinux_label())]
    {
        if label.as_ref().is_some_and(|label| label.contains(char::is_control)) {
            let message = format!("{field} contains a control character");
            faults.add(member(base, field), message, "give the bare name");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;
    use crate::bundle::{parse_process, validate::check_process};

    #[test]
    fn a_process_needs_a_directory_and_a_program() {
        assert_eq!(faults(r#"{"process":null}"#), [""; 0]);
        assert_eq!(
            faults(r#"{"process":{"cwd":"","args":[]}}"#),
            [
                "/process/cwd: Cwd property must not be empty",
                "/process/args: args must not be empty",
            ]
        );
        assert_eq!(
            faults(r#"{"process":{"cwd":"tmp"}}"#),
            ["/process/cwd: Cwd must be an absolute path"]
        );
    }

    #[test]
    fn a_process_document_has_pointers_of_its_own() {
        let (process, _) = parse_process(br#"{"cwd":"/"}"#).unwrap();
        let faults = check_process(&process, "");
        assert_eq!(faults[0].pointer(), Some("/args"));
    }

    #[test]
    fn rlimits_are_unique_and_ordered() {
        assert_eq!(
            faults(
                r#"{"process":{"rlimits":[{"type":"RLIMIT_NOFILE","soft":1,"hard":2},
                    {"type":"RLIMIT_NOFILE","soft":3,"hard":2}]}}"#
            ),
            [
                "/process/rlimits/1: duplicate rlimit RLIMIT_NOFILE",
                "/process/rlimits/1: soft limit 3 of RLIMIT_NOFILE is above its hard limit 2",
            ]
        );
    }

    #[test]
    fn numbers_outside_what_the_kernel_takes_are_refused() {
        assert_eq!(
            faults(
                r#"{"process":{"oomScoreAdj":1001,"terminal":true,
                    "consoleSize":{"height":65536,"width":1}}}"#
            ),
            [
                "/process/consoleSize: consoleSize 1x65536 is too large",
                "/process/oomScoreAdj: oomScoreAdj 1001 is out of range",
            ]
        );
        assert_eq!(faults(r#"{"process":{"consoleSize":{"height":65536,"width":1}}}"#), [""; 0]);
    }

    #[test]
    fn a_label_cannot_smuggle_a_second_line() {
        assert_eq!(
            faults(r#"{"process":{"apparmorProfile":"a\nb","selinuxLabel":"c\td"}}"#),
            [
                "/process/apparmorProfile: apparmorProfile contains a control character",
                "/process/selinuxLabel: selinuxLabel contains a control character",
            ]
        );
    }
}
