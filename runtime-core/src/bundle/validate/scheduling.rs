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
    let longest = if period == 0 { u64::MAX } else { period };
    if runtime == 0 || runtime > deadline || deadline > longest {
        let message = "SCHED_DEADLINE needs 0 < runtime <= deadline <= period";
        faults.add(base, message, "give all three in nanoseconds; period may be left out");
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
            scheduler(r#"{"policy":"SCHED_DEADLINE","runtime":10,"deadline":20,"period":30}"#),
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
            scheduler(r#"{"policy":"SCHED_DEADLINE","runtime":30,"deadline":20}"#),
            ["/process/scheduler: SCHED_DEADLINE needs 0 < runtime <= deadline <= period"]
        );
        assert_eq!(
            scheduler(r#"{"policy":"SCHED_ISO"}"#),
            ["/process/scheduler/policy: unsupported scheduler policy SCHED_ISO"]
        );
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
