//! When and where a process runs, in the kernel's numbers.

use oci_spec::runtime::{
    ExecCPUAffinity, IOPriorityClass, LinuxIOPriority, LinuxSchedulerFlag as Flag,
    LinuxSchedulerPolicy as Policy, Scheduler as Wanted,
};

use super::bitmask;
use crate::bundle::member;
use crate::error::{Error, Result};

/// The attributes of sched_setattr(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduler {
    /// A `SCHED_*`.
    pub policy: u32,
    /// A set of `SCHED_FLAG_*`.
    pub flags: u64,
    /// For the policies that share time.
    pub nice: i32,
    /// For the real-time policies.
    pub priority: u32,
    /// For the deadline policy, in nanoseconds.
    pub runtime: u64,
    /// For the deadline policy, in nanoseconds.
    pub deadline: u64,
    /// For the deadline policy, in nanoseconds.
    pub period: u64,
}

impl Scheduler {
    /// The attributes that `process.scheduler` asks for. What is unset is 0
    /// (config.md, Linux Process).
    pub fn of(wanted: &Wanted) -> Self {
        let flags = wanted.flags().as_deref().unwrap_or_default();
        Self {
            policy: policy(*wanted.policy()),
            flags: flags.iter().fold(0, |all, one| all | flag(*one)),
            nice: wanted.nice().unwrap_or(0),
            priority: wanted.priority().and_then(|value| u32::try_from(value).ok()).unwrap_or(0),
            runtime: wanted.runtime().unwrap_or(0),
            deadline: wanted.deadline().unwrap_or(0),
            period: wanted.period().unwrap_or(0),
        }
    }
}

impl Scheduler {
    /// `struct sched_attr` in its second version, 56 bytes, which the flags of utilization
    /// clamping need (linux/sched/types.h). The specification has no values for those, so
    /// they are 0, and what a kernel does not know it accepts as 0.
    pub fn to_bytes(&self) -> Vec<u8> {
        const SIZE: u32 = 56;
        let mut bytes = Vec::with_capacity(SIZE as usize);
        bytes.extend(SIZE.to_ne_bytes());
        bytes.extend(self.policy.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(self.nice.to_ne_bytes());
        bytes.extend(self.priority.to_ne_bytes());
        bytes.extend(self.runtime.to_ne_bytes());
        bytes.extend(self.deadline.to_ne_bytes());
        bytes.extend(self.period.to_ne_bytes());
        bytes.resize(SIZE as usize, 0);
        bytes
    }
}

/// linux/sched.h.
fn policy(policy: Policy) -> u32 {
    match policy {
        Policy::SchedOther => 0,
        Policy::SchedFifo => 1,
        Policy::SchedRr => 2,
        Policy::SchedBatch => 3,
        Policy::SchedIso => 4,
        Policy::SchedIdle => 5,
        Policy::SchedDeadline => 6,
    }
}

/// linux/sched.h.
fn flag(flag: Flag) -> u64 {
    match flag {
        Flag::SchedResetOnFork => 0x01,
        Flag::SchedFlagReclaim => 0x02,
        Flag::SchedFlagDLOverrun => 0x04,
        Flag::SchedFlagKeepPolicy => 0x08,
        Flag::SchedFlagKeepParams => 0x10,
        Flag::SchedFlagUtilClampMin => 0x20,
        Flag::SchedFlagUtilClampMax => 0x40,
    }
}

/// The value for ioprio_set(2): the class above the level.
pub fn io_priority(wanted: LinuxIOPriority) -> u32 {
    const CLASS_SHIFT: u32 = 13;
    let class = match wanted.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    let level = u32::try_from(wanted.priority()).unwrap_or(0).min(7);
    class << CLASS_SHIFT | level
}

/// The CPUs for the process of an exec, as masks for sched_setaffinity(2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// Before it enters the container's cgroup.
    pub initial: Option<Vec<u64>>,
    /// After.
    pub last: Option<Vec<u64>>,
}

impl Affinity {
    /// What `execCPUAffinity` of the process object at `base` asks for.
    pub fn of(wanted: &ExecCPUAffinity, base: &str) -> Result<Self> {
        let base = member(base, "execCPUAffinity");
        Ok(Self {
            initial: cpus(wanted.initial(), || member(&base, "initial"))?,
            last: cpus(wanted.cpu_affinity_final(), || member(&base, "final"))?,
        })
    }
}

/// A mask as the kernel takes it.
pub fn mask(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn cpus(list: &Option<String>, pointer: impl Fn() -> String) -> Result<Option<Vec<u64>>> {
    let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else { return Ok(None) };
    let mask = bitmask::from_list(list).ok_or_else(|| {
        Error::config(pointer(), format!("invalid list of CPUs {list:?}"))
            .hint("write numbers up to 65535 and ranges, such as 0-3,7")
    })?;
    Ok(Some(mask))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::parse_process;

    #[test]
    fn policies_and_flags_are_the_kernels() {
        let (process, _) = parse_process(
            br#"{"cwd":"/","scheduler":{"policy":"SCHED_DEADLINE","runtime":1,"deadline":2,
                "period":3,"flags":["SCHED_FLAG_RESET_ON_FORK","SCHED_FLAG_DL_OVERRUN"]}}"#,
        )
        .unwrap();
        let attributes = Scheduler::of(process.scheduler().as_ref().unwrap());
        let expected = Scheduler {
            policy: 6,
            flags: 5,
            runtime: 1,
            deadline: 2,
            period: 3,
            ..Scheduler::default()
        };
        assert_eq!(attributes, expected);
    }

    #[test]
    fn an_io_priority_is_class_and_level_in_one_number() {
        let priority = |text: &str| io_priority(serde_json::from_str(text).unwrap());
        assert_eq!(priority(r#"{"class":"IOPRIO_CLASS_BE","priority":4}"#), 0x4004);
        assert_eq!(priority(r#"{"class":"IOPRIO_CLASS_IDLE","priority":0}"#), 0x6000);
    }

    #[test]
    fn affinity_lists_become_masks() {
        let affinity = |text: &str| Affinity::of(&serde_json::from_str(text).unwrap(), "/process");
        let wanted = affinity(r#"{"initial":"0-1"}"#).unwrap();
        assert_eq!((wanted.initial, wanted.last), (Some(vec![3]), None));
        let error = affinity(r#"{"final":"0-70000"}"#).unwrap_err();
        assert_eq!(error.pointer(), Some("/process/execCPUAffinity/final"));
    }
}
