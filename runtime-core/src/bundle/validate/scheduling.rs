//! Rules for when and where a process runs: scheduler, I/O priority, affinity.

use oci_spec::runtime::{LinuxSchedulerPolicy as Policy, Process, Scheduler};

use super::{Faults, lists};
use crate::bundle::member;

/// The rules for the process object at `base`.
pub(super) fn rules(process: &Process, base: &str, faults: &mut Faults) {
    if let Some(wanted) = process.scheduler() {
        scheduler(wanted, &member(base, "scheduler"), faults);
    }
    if let Some(wanted) = process.io_priority().as_ref()
        && !(0..=7).contains(&wanted.priority())
    {
        let message = format!("invalid ioPriority.Priority: {}", wanted.priority());
        let pointer = member(&member(base, "ioPriority"), "priority");
        faults.add(pointer, message, "use 0 (highest) to 7 (lowest)");
    }
    if let Some(wanted) = process.exec_cpu_affinity() {
        let base = member(base, "execCPUAffinity");
        cpus(wanted.initial().as_deref(), || member(&base, "initial"), faults);
        cpus(wanted.cpu_affinity_final().as_deref(), || member(&base, "final"), faults);
    }
}

/// sched_setattr(2) and sched(7).
fn scheduler(wanted: &Scheduler, base: &str, faults: &mut Faults) {
    let policy = *wanted.policy();
    nice(wanted, policy, base, faults);
    priority(wanted, policy, base, faults);
    deadline(wanted, policy, base, faults);
    if policy == Policy::SchedIso {
        let remedy = "use another policy: no kernel implements this one";
        faults.add(member(base, "policy"), "unsupported scheduler policy SCHED_ISO", remedy);
    }
}

fn nice(wanted: &Scheduler, policy: Policy, base: &str, faults: &mut Faults) {
    let nice = wanted.nice().unwrap_or(0);
    let fair = matches!(policy, Policy::SchedOther | Policy::SchedBatch);
    if fair && !(-20..=19).contains(&nice) {
        let message = format!("invalid scheduler.nice: {nice} when scheduler.policy is {policy}");
        faults.add(member(base, "nice"), message, "use -20 to 19");
    }
}

fn priority(wanted: &Scheduler, policy: Policy, base: &str, faults: &mut Faults) {
    let priority = wanted.priority().unwrap_or(0);
    let realtime = matches!(policy, Policy::SchedFifo | Policy::SchedRr);
    if !realtime && priority != 0 {
        let message = "scheduler.priority can only be specified for SchedFIFO or SchedRR policy";
        faults.add(member(base, "priority"), message, "remove it, or use a real-time policy");
    } else if realtime && !(1..=99).contains(&priority) {
        let message = format!("invalid scheduler.priority: {priority} for {policy}");
        faults.add(member(base, "priority"), message, "use 1 to 99");
    }
}

fn deadline(wanted: &Scheduler, policy: Policy, base: &str, faults: &mut Faults) {
    let value = |field: &Option<u64>| field.unwrap_or(0);
    let (runtime, deadline) = (value(wanted.runtime()), value(wanted.deadline()));
    let period = value(wanted.period());
    if policy != Policy::SchedDeadline {
        if runtime != 0 || deadline != 0 || period != 0 {
            let message = "scheduler runtime/deadline/period can only be specified for \
                           SchedDeadline policy";
            faults.add(base, message, "remove them, or use SCHED_DEADLINE");
        }
        return;
    }
    if let Err((field, message)) =
        times(wanted.runtime().as_ref(), wanted.deadline().as_ref(), period)
    {
        let message = format!("sched_setattr: `SCHED_DEADLINE` {message}");
        let remedy = "give runtime <= deadline <= period in nanoseconds; period may be left out";
        faults.add(member(base, field), message, remedy);
    }
}

/// What sched_setattr(2) wants of them: the first member that is wrong, and why.
fn times(
    runtime: Option<&u64>,
    deadline: Option<&u64>,
    period: u64,
) -> Result<(), (&'static str, String)> {
    // The kernel counts in microseconds, and in 63 bits.
    const RANGE: std::ops::RangeInclusive<u64> = 1 << 10..=(1 << 63) - 1;
    let Some(&runtime) = runtime else { return Err(("runtime", "requires `runtime`".into())) };
    let Some(&deadline) = deadline else { return Err(("deadline", "requires `deadline`".into())) };
    if runtime == 0 {
        return Err(("runtime", "runtime must be greater than 0".into()));
    }
    if runtime > deadline {
        let message = format!("runtime ({runtime}) must be <= deadline ({deadline})");
        return Err(("runtime", message));
    }
    if period != 0 && deadline > period {
        let message = format!("deadline ({deadline}) must be <= period ({period})");
        return Err(("deadline", message));
    }
    let values = [("runtime", runtime), ("deadline", deadline), ("period", period)];
    match values
        .iter()
        .find(|(name, value)| !RANGE.contains(value) && (*name, *value) != ("period", 0))
    {
        Some((name, value)) => {
            let (low, high) = (RANGE.start(), RANGE.end());
            Err((name, format!("{name} ({value}) must be between {low} and {high}")))
        }
        None => Ok(()),
    }
}

fn cpus(list: Option<&str>, pointer: impl Fn() -> String, faults: &mut Faults) {
    if let Some(list) = list.filter(|list| !lists::is_list(list)) {
        let message = format!("invalid list of CPUs {list:?}");
        faults.add(pointer(), message, "write numbers and ranges, such as 0-3,7");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    fn scheduler(text: &str) -> Vec<String> {
        faults(&format!(r#"{{"process":{{"scheduler":{text}}}}}"#))
    }

    #[test]
    fn each_policy_takes_its_own_parameters() {
        let none = [""; 0];
        assert_eq!(scheduler(r#"{"policy":"SCHED_BATCH","nice":19}"#), none);
        assert_eq!(scheduler(r#"{"policy":"SCHED_RR","priority":1}"#), none);
        assert_eq!(
            scheduler(
                r#"{"policy":"SCHED_DEADLINE","runtime":10000,"deadline":20000,"period":30000}"#
            ),
            none
        );
        assert_eq!(
            scheduler(r#"{"policy":"SCHED_OTHER","nice":20,"priority":3,"runtime":1}"#),
            [
                "/process/scheduler/nice: invalid scheduler.nice: 20 when scheduler.policy is \
                 SCHED_OTHER",
                "/process/scheduler/priority: scheduler.priority can only be specified for \
                 SchedFIFO or SchedRR policy",
                "/process/scheduler: scheduler runtime/deadline/period can only be specified for \
                 SchedDeadline policy",
            ]
        );
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused_with_a_reason() {
        assert_eq!(
            scheduler(r#"{"policy":"SCHED_FIFO"}"#),
            ["/process/scheduler/priority: invalid scheduler.priority: 0 for SCHED_FIFO"]
        );
        assert_eq!(
            scheduler(r#"{"policy":"SCHED_ISO"}"#),
            ["/process/scheduler/policy: unsupported scheduler policy SCHED_ISO"]
        );
    }

    #[test]
    fn each_time_of_the_deadline_policy_is_told_what_is_wrong_with_it() {
        for (times, field, fault) in [
            (r#""deadline":1"#, "runtime", "requires `runtime`"),
            (r#""runtime":1"#, "deadline", "requires `deadline`"),
            (r#""runtime":0,"deadline":1"#, "runtime", "runtime must be greater than 0"),
            (r#""runtime":3,"deadline":2"#, "runtime", "runtime (3) must be <= deadline (2)"),
            (
                r#""runtime":1,"deadline":3,"period":2"#,
                "deadline",
                "deadline (3) must be <= period (2)",
            ),
            (
                r#""runtime":1023,"deadline":3000"#,
                "runtime",
                "runtime (1023) must be between 1024 and 9223372036854775807",
            ),
            (
                r#""runtime":1024,"deadline":9223372036854775808"#,
                "deadline",
                "deadline (9223372036854775808) must be between 1024 and 9223372036854775807",
            ),
        ] {
            assert_eq!(
                scheduler(&format!(r#"{{"policy":"SCHED_DEADLINE",{times}}}"#)),
                [format!("/process/scheduler/{field}: sched_setattr: `SCHED_DEADLINE` {fault}")]
            );
        }
    }

    #[test]
    fn io_priority_and_affinity_are_in_range() {
        assert_eq!(
            faults(
                r#"{"process":{"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":8},
                    "execCPUAffinity":{"initial":"3-1","final":"0-3,7"}}}"#
            ),
            [
                "/process/ioPriority/priority: invalid ioPriority.Priority: 8",
                "/process/execCPUAffinity/initial: invalid list of CPUs \"3-1\"",
            ]
        );
    }
}
