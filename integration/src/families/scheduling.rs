//! When and where a process runs: policy, I/O priority, CPUs, memory nodes, execution domain.
//! Whatever the configuration says holds for the container's process and for executed ones.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::context::{Context, Layout};
use crate::every::{Row, by_document, holds_for_all, idle, refused};
use crate::outcome::{Outcome, Stop};
use crate::process::Run;
use crate::{cgroups, check_eq, family, host};

family!("scheduling":
    policies_that_share_time_are_set,
    real_time_policies_are_set,
    deadline_policy_is_set,
    policy_that_the_kernel_refuses_is_explained,
    scheduler_that_makes_no_sense_is_refused,
    io_priority_is_set,
    io_priority_that_makes_no_sense_is_refused,
    personality_is_that_of_every_process,
    personality_has_flags,
    personality_with_an_unknown_flag_is_refused,
    memory_policy_is_that_of_every_process,
    memory_policy_that_makes_no_sense_is_refused,
    memory_policy_of_a_missing_node_is_explained,
    cpus_of_the_caller_are_not_the_containers,
    cpus_of_the_cpuset_are_all_the_containers,
    cpus_of_an_executed_process_are_the_final_ones,
    initial_cpus_count_before_the_cgroup_is_entered,
    cpus_without_a_member_are_refused,
    cpus_outside_of_the_cpuset_are_explained,
);

fn scheduler(value: Value, found: Value) -> Row<'static> {
    Row { pointer: "/process/scheduler", value, fact: "/scheduler", found }
}

// A policy that shares time has a slice as its runtime since Linux 6.12: not looked at.
fn policies_that_share_time_are_set(ctx: &Context) -> Outcome {
    let flags = ["SCHED_FLAG_RESET_ON_FORK"];
    holds_for_all(
        ctx,
        &[
            scheduler(
                json!({"policy": "SCHED_BATCH", "nice": 7}),
                json!({"policy": 3, "nice": 7, "flags": 0}),
            ),
            scheduler(
                json!({"policy": "SCHED_OTHER", "nice": 19, "flags": flags}),
                json!({"policy": 0, "nice": 19, "flags": 1}),
            ),
            scheduler(
                json!({"policy": "SCHED_IDLE"}),
                json!({"policy": 5, "priority": 0, "flags": 0}),
            ),
        ],
    )
}

/// Whether the kernel lets a process in a cgroup of its own be real-time.
fn needs_real_time(ctx: &Context) -> Outcome {
    host::needs_capability(caps::Capability::CAP_SYS_NICE)?;
    let groups = Path::new("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists();
    if ctx.layout != Layout::V2 && groups {
        return Err(Stop::skip("a cgroup of v1 has no real-time budget here"));
    }
    Ok(())
}

fn real_time_policies_are_set(ctx: &Context) -> Outcome {
    needs_real_time(ctx)?;
    let flags = ["SCHED_FLAG_RESET_ON_FORK"];
    holds_for_all(
        ctx,
        &[
            scheduler(
                json!({"policy": "SCHED_FIFO", "priority": 12}),
                json!({"policy": 1, "priority": 12, "flags": 0}),
            ),
            scheduler(
                json!({"policy": "SCHED_RR", "priority": 99, "flags": flags}),
                json!({"policy": 2, "priority": 99, "flags": 1}),
            ),
        ],
    )
}

fn deadline_policy_is_set(ctx: &Context) -> Outcome {
    host::needs_capability(caps::Capability::CAP_SYS_NICE)?;
    let value = json!({
        "policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 20_000_000,
        "period": 40_000_000, "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM"],
    });
    let found = json!({
        "policy": 6, "flags": 3, "nice": 0, "priority": 0,
        "runtime": 1_000_000, "deadline": 20_000_000, "period": 40_000_000,
    });
    let row = scheduler(value, found);
    holds_for_all(ctx, &[row])
}

fn policy_that_the_kernel_refuses_is_explained(ctx: &Context) -> Outcome {
    host::needs_capability(caps::Capability::CAP_SYS_NICE)?;
    // sched_deadline_period_max_us allows 4 s.
    let long = json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 2_000_000,
        "period": 60_000_000_000_u64});
    refused(ctx, &[("/process/scheduler", long, "sched_setattr: invalid argument")])
}

fn scheduler_that_makes_no_sense_is_refused(ctx: &Context) -> Outcome {
    const POINTER: &str = "/process/scheduler";
    refused(
        ctx,
        &[
            (POINTER, json!({"policy": "SCHED_FASTEST"}), "SCHED_DEADLINE"),
            (POINTER, json!({"policy": "SCHED_ISO"}), "SCHED_ISO"),
            (POINTER, json!({"policy": "SCHED_OTHER", "nice": -21}), "invalid scheduler.nice: -21"),
            (POINTER, json!({"policy": "SCHED_BATCH", "priority": 1}), "SchedFIFO or SchedRR"),
            (POINTER, json!({"policy": "SCHED_FIFO", "priority": 100}), "scheduler.priority: 100"),
            (POINTER, json!({"policy": "SCHED_IDLE", "runtime": 5}), "only be specified for"),
            (
                POINTER,
                json!({"policy": "SCHED_DEADLINE", "runtime": 5000, "deadline": 4000}),
                "runtime (5000) must be <= deadline (4000)",
            ),
            (POINTER, json!({"policy": "SCHED_DEADLINE", "deadline": 4000}), "requires `runtime`"),
            (POINTER, json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}), "SCHED_FLAG_X"),
        ],
    )
}

fn io_priority_is_set(ctx: &Context) -> Outcome {
    let row = |class: &str, level: u64, found: u64| Row {
        pointer: "/process/ioPriority",
        value: json!({"class": class, "priority": level}),
        fact: "/ioPriority",
        found: json!(found << 13 | level),
    };
    holds_for_all(ctx, &[row("IOPRIO_CLASS_BE", 6, 2), row("IOPRIO_CLASS_IDLE", 0, 3)])?;
    host::needs_capability(caps::Capability::CAP_SYS_NICE)?;
    holds_for_all(ctx, &[row("IOPRIO_CLASS_RT", 0, 1), row("IOPRIO_CLASS_RT", 7, 1)])
}

fn io_priority_that_makes_no_sense_is_refused(ctx: &Context) -> Outcome {
    const POINTER: &str = "/process/ioPriority";
    let wanted = |class: &str, level: i64| json!({"class": class, "priority": level});
    refused(
        ctx,
        &[
            (POINTER, wanted("IOPRIO_CLASS_BE", 8), "invalid ioPriority.Priority: 8"),
            (POINTER, wanted("IOPRIO_CLASS_RT", -1), "invalid ioPriority.Priority: -1"),
            (POINTER, wanted("IOPRIO_CLASS_NONE", 0), "IOPRIO_CLASS_NONE"),
        ],
    )
}

fn personality_is_that_of_every_process(ctx: &Context) -> Outcome {
    let row = |fact, found| Row {
        pointer: "/linux/personality",
        value: json!({"domain": "LINUX32"}),
        fact,
        found,
    };
    let mut rows = vec![row("/personality", json!(8))];
    if cfg!(target_arch = "x86_64") {
        rows.push(row("/machine", json!("i686")));
    }
    holds_for_all(ctx, &rows)
}

fn personality_has_flags(ctx: &Context) -> Outcome {
    let row = Row {
        pointer: "/linux/personality",
        value: json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE", "UNAME26"]}),
        fact: "/personality",
        found: json!(0x006_0000),
    };
    holds_for_all(ctx, &[row])
}

fn personality_with_an_unknown_flag_is_refused(ctx: &Context) -> Outcome {
    let wanted = json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMISE"]});
    refused(ctx, &[("/linux/personality", wanted, "unknown personality flag")])?;
    refused(ctx, &[("/linux/personality", json!({"domain": "SOLARIS"}), "LINUX32")])
}

fn memory_policy_is_that_of_every_process(ctx: &Context) -> Outcome {
    const STATIC: u64 = 1 << 15;
    const RELATIVE: u64 = 1 << 14;
    const BALANCING: u64 = 1 << 13;
    let row = |mode: &str, nodes: &str, flags: &[&str], found: (u64, u64)| Row {
        pointer: "/linux/memoryPolicy",
        value: json!({"mode": mode, "nodes": nodes, "flags": flags}),
        fact: "/memoryPolicy",
        found: json!([found.0, found.1]),
    };
    holds_for_all(
        ctx,
        &[
            row("MPOL_DEFAULT", "", &[], (0, 0)),
            row("MPOL_PREFERRED", "0", &[], (1, 1)),
            row("MPOL_BIND", "0", &["MPOL_F_STATIC_NODES"], (2 | STATIC, 1)),
            row("MPOL_BIND", "0", &["MPOL_F_NUMA_BALANCING"], (2 | BALANCING, 1)),
            row("MPOL_INTERLEAVE", "0", &["MPOL_F_RELATIVE_NODES"], (3 | RELATIVE, 1)),
            row("MPOL_LOCAL", "", &[], (4, 0)),
            row("MPOL_PREFERRED_MANY", "0", &[], (5, 1)),
            row("MPOL_WEIGHTED_INTERLEAVE", "0", &[], (6, 1)),
        ],
    )
}

fn memory_policy_that_makes_no_sense_is_refused(ctx: &Context) -> Outcome {
    let case = |mode: &str, nodes: &str, flags: &[&str], words: &'static str| {
        let value = json!({"mode": mode, "nodes": nodes, "flags": flags});
        ("/linux/memoryPolicy", value, words)
    };
    refused(
        ctx,
        &[
            case("MPOL_SOMEWHERE", "", &[], "MPOL_BIND"),
            case("MPOL_BIND", "", &[], "requires at least one node but got 0"),
            case("MPOL_LOCAL", "0", &[], "requires 0 nodes"),
            case("MPOL_BIND", "0-", &[], "invalid memory policy nodes"),
            case("MPOL_BIND", "0", &["MPOL_F_X"], "MPOL_F_X"),
            case(
                "MPOL_BIND",
                "0",
                &["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"],
                "exclude each other",
            ),
        ],
    )
}

fn memory_policy_of_a_missing_node_is_explained(ctx: &Context) -> Outcome {
    let nodes = json!({"mode": "MPOL_BIND", "nodes": "1000"});
    refused(ctx, &[("/linux/memoryPolicy", nodes, "set_mempolicy: invalid argument")])
}

/// The CPUs of this machine that this test's process may use, as the kernel lists them.
fn own_cpus() -> Outcome<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(list.unwrap_or_default().trim().to_owned())
}

fn needs_two_cpus() -> Outcome {
    match own_cpus()?.starts_with("0-") || own_cpus()?.starts_with("0,1") {
        true => Ok(()),
        false => Err(Stop::skip("needs CPUs 0 and 1")),
    }
}

/// The runtime, started on CPU 0 alone.
fn pinned(ctx: &Context, args: &[&str]) -> Outcome<Value> {
    let taskset = Path::new("/usr/bin/taskset");
    if !taskset.exists() {
        return Err(Stop::skip("no taskset"));
    }
    let (runtime, root) = (ctx.runtime.to_string_lossy(), ctx.root());
    let root = root.to_string_lossy();
    let all = [&["-c", "0", &runtime, "--root", &root], args].concat();
    let done = Run::new(taskset, &all, &ctx.dir)?.ok()?;
    Ok(parse_lines(&done.stdout)?.remove(0))
}

fn cpus_of_the_caller_are_not_the_containers(ctx: &Context) -> Outcome {
    needs_two_cpus()?;
    let c = Bundle::new(ctx)?.container()?;
    let facts = pinned(ctx, &["run", "--bundle", &c.dir.to_string_lossy(), &c.id])?;
    check_eq!(facts["cpus"], json!(own_cpus()?), "CPUs of the container");
    let c = idle(Bundle::new(ctx)?)?;
    let facts = pinned(ctx, &["exec", &c.id, "/bin/payload", "facts"])?;
    check_eq!(facts["cpus"], json!(own_cpus()?), "CPUs of an executed process");
    Ok(())
}

/// A container whose cpuset is this.
fn with_cpuset<'c>(ctx: &'c Context, cpus: &str) -> Outcome<Bundle<'c>> {
    needs_two_cpus()?;
    cgroups::needs(ctx.layout, "cpuset")?;
    Ok(Bundle::new(ctx)?.set("/linux/resources/cpu", json!({"cpus": cpus, "mems": "0"})))
}

fn cpus_of_the_cpuset_are_all_the_containers(ctx: &Context) -> Outcome {
    for cpus in ["1", "0-1"] {
        let c = with_cpuset(ctx, cpus)?.container()?;
        let facts = pinned(ctx, &["run", "--bundle", &c.dir.to_string_lossy(), &c.id])?;
        check_eq!(facts["cpus"], json!(cpus), "CPUs of the container");
        let c = idle(with_cpuset(ctx, cpus)?)?;
        let facts = pinned(ctx, &["exec", &c.id, "/bin/payload", "facts"])?;
        check_eq!(facts["cpus"], json!(cpus), "CPUs of an executed process");
    }
    Ok(())
}

fn cpus_of_an_executed_process_are_the_final_ones(ctx: &Context) -> Outcome {
    needs_two_cpus()?;
    let affinity = json!({"initial": "0", "final": " 1,, 1024-1500,"});
    let bundle = Bundle::new(ctx)?
        .set("/process/execCPUAffinity", affinity.clone())
        .payload(&["facts", ",", "sleep", "60000"]);
    let c = bundle.container()?;
    c.up()?;
    c.prints("}\n")?;
    let first = parse_lines(&c.printed())?.remove(0);
    check_eq!(first["cpus"], json!(own_cpus()?), "CPUs of the first process");
    check_eq!(c.exec_report(&[], &["facts"])?["cpus"], "1", "CPUs of an executed process");
    check_eq!(by_document(ctx, &c, &json!({}))?["cpus"], "1", "CPUs where the document has none");
    let document = json!({"execCPUAffinity": {"initial": "", "final": "0"}});
    check_eq!(by_document(ctx, &c, &document)?["cpus"], "0", "CPUs of the document");
    let document = json!({"execCPUAffinity": {"initial": "1"}});
    let facts = by_document(ctx, &c, &document)?;
    check_eq!(facts["cpus"], "1", "CPUs of a process that has initial ones alone");
    Ok(())
}

fn initial_cpus_count_before_the_cgroup_is_entered(ctx: &Context) -> Outcome {
    // CPU 0 cannot be asked for in the cpuset, only before it is entered.
    let c = idle(with_cpuset(ctx, "1")?)?;
    let document = json!({"execCPUAffinity": {"initial": "0"}});
    check_eq!(by_document(ctx, &c, &document)?["cpus"], "1", "CPUs that the kernel decides on");
    let document = json!({"execCPUAffinity": {"initial": "0", "final": "1"}});
    check_eq!(by_document(ctx, &c, &document)?["cpus"], "1", "final CPUs");
    Ok(())
}

fn cpus_without_a_member_are_refused(ctx: &Context) -> Outcome {
    let case = |list: &str| ("/process/execCPUAffinity", json!({"final": list}), "execCPUAffinity");
    refused(ctx, &[case("3-1"), case("x"), case(","), case("0-"), case("-1"), case("1 2")])?;
    let c = idle(Bundle::new(ctx)?)?;
    let file = ctx.dir.join("process.json");
    let affinity = json!({"initial": "70000"});
    let process = json!({"args": ["/bin/true"], "cwd": "/", "execCPUAffinity": affinity});
    fs::write(&file, process.to_string())?;
    let done = ctx.done(&["exec", "--process", &file.to_string_lossy(), &c.id])?.exits(255)?;
    done.says(&["/execCPUAffinity/initial"]).map(drop)
}

fn cpus_outside_of_the_cpuset_are_explained(ctx: &Context) -> Outcome {
    let c = idle(with_cpuset(ctx, "1")?.set("/process/execCPUAffinity", json!({"final": "0"})))?;
    let done = c.exec(&[], &["/bin/true"])?.exits(255)?;
    let done = done.says(&["sched_setaffinity: invalid argument"])?;
    done.says(&["/process/execCPUAffinity/final"]).map(drop)
}
