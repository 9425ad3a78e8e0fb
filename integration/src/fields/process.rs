//! process: user, capabilities, limits, scheduling, environment, terminal.

use caps::Capability;
use serde_json::{Value, json};

use super::needs::Need;
use super::row::{Row, row};
use crate::bundle::{Bundle, parse_lines};
use crate::console::{Master, Receiver};
use crate::context::Context;
use crate::host::hard_limit;
use crate::outcome::Outcome;
use crate::{check, check_eq};

const PROCESS: &str = "config.md#process";
const POSIX: &str = "config.md#posix-process";
const LINUX: &str = "config.md#linux-process";
const USER: &str = "config.md#posix-platform-user";

pub(super) fn rows() -> Vec<Row> {
    [basics(), user(), capabilities(), rlimits(), scheduler(), io_priority(), affinity(), labels()]
        .into_iter()
        .flatten()
        .collect()
}

fn basics() -> Vec<Row> {
    vec![
        row("/process/terminal", PROCESS).proves(|ctx| {
            let tty = &terminal(ctx, Value::Null)?;
            check_eq!(tty["fds"][0]["terminal"], json!(true), "standard input is a terminal");
            check_eq!(tty["controlling"], json!(true), "controlling terminal");
            check_eq!(tty["console"], json!(true), "/dev/console");
            Ok(())
        }),
        row("/process/consoleSize", PROCESS).proves(|ctx| {
            let tty = &terminal(ctx, json!({"height": 33, "width": 101}))?;
            check_eq!(tty["fds"][0]["rows"], json!(33), "rows");
            check_eq!(tty["fds"][0]["columns"], json!(101), "columns");
            Ok(())
        }),
        row("/process/cwd", PROCESS)
            .set("/process/cwd", json!("/tmp"))
            .sees("/0/cwd", json!("/tmp")),
        row("/process/cwd, relative", PROCESS)
            .set("/process/cwd", json!("tmp"))
            .refused("/process/cwd"),
        row("/process/env", PROCESS)
            .set("/process/env", json!(["PATH=/bin", "WORDS=a b=c", "EMPTY=", "HOME=/"]))
            .sees("/0/env", json!(["PATH=/bin", "WORDS=a b=c", "EMPTY=", "HOME=/"])),
        row("/process/args", POSIX)
            .with(|_, bundle| Ok(bundle.args(&["/bin/payload", "facts"])))
            .sees("/0/args", json!(["/bin/payload", "facts"])),
        row("/process/args, looked up in PATH of the container", POSIX)
            .with(|_, b| {
                Ok(b.set("/process/env", json!(["PATH=/no:/bin"])).args(&["payload", "facts"]))
            })
            .sees("/0/exe", json!("/bin/payload")),
        row("/process/args, empty", POSIX).set("/process/args", json!([])).refused("/process/args"),
        row("/process/noNewPrivileges true", LINUX)
            .set("/process/noNewPrivileges", json!(true))
            .sees("/0/noNewPrivileges", json!(true)),
        row("/process/noNewPrivileges false", LINUX)
            .set("/process/noNewPrivileges", json!(false))
            .sees("/0/noNewPrivileges", json!(false)),
        row("/process/oomScoreAdj", LINUX)
            .set("/process/oomScoreAdj", json!(321))
            .sees("/0/oomScoreAdj", json!(321)),
        row("/process/oomScoreAdj, out of range", LINUX)
            .set("/process/oomScoreAdj", json!(1001))
            .refused("/process/oomScoreAdj"),
    ]
}

/// What the payload says of its terminal.
fn terminal(ctx: &Context, size: Value) -> Outcome<Value> {
    let mut bundle = Bundle::new(ctx)?.set("/process/terminal", json!(true)).payload(&["tty"]);
    if !size.is_null() {
        bundle = bundle.set("/process/consoleSize", size);
    }
    let c = bundle.container()?;
    let receiver = Receiver::new(&ctx.dir.join("console"))?;
    c.try_create(&["--console-socket", &receiver.path()])?.ok()?;
    let mut master = Master::new(receiver.receive()?.0)?;
    c.start()?;
    Ok(parse_lines(&master.until_end(|| c.ended())?)?.remove(0))
}

fn user() -> Vec<Row> {
    vec![
        row("/process/user/uid", USER)
            .set("/process/user/uid", json!(1000))
            .sees("/0/uids", json!([1000, 1000, 1000, 1000])),
        row("/process/user/gid", USER)
            .set("/process/user/gid", json!(100))
            .sees("/0/gids", json!([100, 100, 100, 100])),
        row("/process/user/additionalGids", USER)
            .set("/process/user/additionalGids", json!([4, 27, 1000]))
            .sees("/0/groups", json!([4, 27, 1000])),
        row("/process/user/additionalGids, absent", USER).sees("/0/groups", json!([])),
        row("/process/user/umask", USER)
            .set("/process/user/umask", json!(0o077))
            .sees("/0/umask", json!(0o077)),
        row("/process/user/umask, absent", USER).sees("/0/umask", json!(0o022)),
    ]
}

fn capabilities() -> Vec<Row> {
    let kill = 1_u64 << 5;
    let raw = 1_u64 << 13;
    vec![
        row("/process/capabilities/bounding", LINUX)
            .set("/process/capabilities", json!({"bounding": ["CAP_KILL", "CAP_NET_RAW"]}))
            .sees("/0/caps/bounding", json!(kill | raw)),
        row("/process/capabilities/permitted, effective", LINUX)
            .set(
                "/process/capabilities",
                json!({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]}),
            )
            .sees("/0/caps/permitted", json!(kill))
            .sees("/0/caps/effective", json!(kill)),
        row("/process/capabilities/inheritable", LINUX)
            .set(
                "/process/capabilities",
                json!({
                    "bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"],
                    "inheritable": ["CAP_KILL"],
                }),
            )
            .sees("/0/caps/inheritable", json!(kill)),
        row("/process/capabilities/ambient", LINUX)
            .set("/process/user/uid", json!(1000))
            .set(
                "/process/capabilities",
                json!({
                    "bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"],
                    "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
                }),
            )
            .sees("/0/caps/ambient", json!(kill))
            .sees("/0/caps/effective", json!(kill)),
        row("/process/capabilities, absent", LINUX)
            .remove("/process", "capabilities")
            .sees("/0/caps/bounding", json!(0))
            .sees("/0/caps/effective", json!(0)),
        row("/process/capabilities, a name that is unknown", LINUX)
            .push("/process/capabilities/bounding", json!("CAP_FROM_THE_FUTURE"))
            .sees("/0/uids/0", json!(0)),
    ]
}

fn rlimits() -> Vec<Row> {
    let limits = [
        ("RLIMIT_AS", 1 << 33),
        ("RLIMIT_CORE", 4096),
        ("RLIMIT_CPU", 600),
        ("RLIMIT_DATA", 1 << 32),
        ("RLIMIT_FSIZE", 1 << 33),
        ("RLIMIT_LOCKS", 100),
        ("RLIMIT_MEMLOCK", 4096),
        ("RLIMIT_MSGQUEUE", 4096),
        ("RLIMIT_NICE", 0),
        ("RLIMIT_NOFILE", 100),
        ("RLIMIT_NPROC", 1000),
        ("RLIMIT_RSS", 1 << 32),
        ("RLIMIT_RTPRIO", 0),
        ("RLIMIT_RTTIME", 1_000_000),
        ("RLIMIT_SIGPENDING", 100),
        ("RLIMIT_STACK", 1 << 20),
    ];
    let mut rows: Vec<Row> = limits
        .into_iter()
        .map(|(name, value): (&'static str, u64)| {
            row(format!("/process/rlimits {name}"), POSIX).proves(move |ctx| {
                // No higher than it is, which takes a capability.
                let hard = value.min(hard_limit(name)?);
                let soft = hard / 2;
                let limits = json!([{"type": name, "soft": soft, "hard": hard}]);
                let facts = Bundle::new(ctx)?.set("/process/rlimits", limits).facts()?;
                check_eq!(facts["rlimits"][name], json!([soft, hard]), "{name}");
                Ok(())
            })
        })
        .collect();
    rows.push(
        row("/process/rlimits, raised", POSIX)
            .needs(Need::Capability(Capability::CAP_SYS_RESOURCE))
            .proves(|ctx| {
                let hard = hard_limit("RLIMIT_NOFILE")?.saturating_add(1);
                let limits = json!([{"type": "RLIMIT_NOFILE", "soft": hard, "hard": hard}]);
                let facts = Bundle::new(ctx)?.set("/process/rlimits", limits).facts()?;
                check_eq!(facts["rlimits"]["RLIMIT_NOFILE"], json!([hard, hard]), "RLIMIT_NOFILE");
                Ok(())
            }),
    );
    rows.push(
        row("/process/rlimits, unknown", POSIX)
            .set("/process/rlimits", json!([{"type": "RLIMIT_TEST", "soft": 1, "hard": 1}]))
            .refused("/process/rlimits"),
    );
    rows.push(
        row("/process/rlimits, the same twice", POSIX)
            .set(
                "/process/rlimits",
                json!([
                    {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 10},
                    {"type": "RLIMIT_NOFILE", "soft": 11, "hard": 11},
                ]),
            )
            .refused("/process/rlimits"),
    );
    rows
}

/// A field of /proc/self/stat, counted as in proc_pid_stat(5).
fn stat(lines: &[Value], field: usize) -> Option<i64> {
    let text = lines.first()?["text"].as_str()?;
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(field - 3)?.parse().ok()
}

fn scheduled(name: &str, scheduler: Value, wants: &'static [(usize, i64)]) -> Row {
    row(format!("/process/scheduler {name}"), LINUX)
        .set("/process/scheduler", scheduler)
        .asks(&["cat", "/proc/self/stat"])
        .meets(move |lines| {
            for (field, want) in wants {
                check_eq!(stat(lines, *field), Some(*want), "field {field} of /proc/self/stat");
            }
            Ok(())
        })
}

fn scheduler() -> Vec<Row> {
    const NICE: usize = 19;
    const PRIORITY: usize = 40;
    const POLICY: usize = 41;
    let real_time = Need::Capability(Capability::CAP_SYS_NICE);
    vec![
        scheduled("SCHED_OTHER", json!({"policy": "SCHED_OTHER"}), &[(POLICY, 0), (NICE, 0)]),
        scheduled("nice", json!({"policy": "SCHED_OTHER", "nice": 7}), &[(POLICY, 0), (NICE, 7)]),
        scheduled(
            "SCHED_BATCH",
            json!({"policy": "SCHED_BATCH", "nice": 3}),
            &[(POLICY, 3), (NICE, 3)],
        ),
        scheduled("SCHED_IDLE", json!({"policy": "SCHED_IDLE"}), &[(POLICY, 5)]),
        scheduled(
            "SCHED_FIFO, priority",
            json!({"policy": "SCHED_FIFO", "priority": 5}),
            &[(POLICY, 1), (PRIORITY, 5)],
        )
        .needs(real_time)
        .needs(Need::RealTime),
        scheduled(
            "SCHED_RR",
            json!({"policy": "SCHED_RR", "priority": 6}),
            &[(POLICY, 2), (PRIORITY, 6)],
        )
        .needs(real_time)
        .needs(Need::RealTime),
        scheduled(
            "SCHED_DEADLINE, runtime, deadline, period",
            json!({
                "policy": "SCHED_DEADLINE", "runtime": 10_000_000, "deadline": 30_000_000,
                "period": 30_000_000,
            }),
            &[(POLICY, 6)],
        )
        .needs(real_time)
        .needs(Need::RealTime),
        scheduled(
            "flags",
            json!({"policy": "SCHED_OTHER", "nice": 4, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
            &[(POLICY, 0), (NICE, 4)],
        ),
        row("/process/scheduler, unknown policy", "config.md#valid-values")
            .set("/process/scheduler", json!({"policy": "SCHED_FAIR"}))
            .refused("/process/scheduler"),
    ]
}

fn io_priority() -> Vec<Row> {
    let class = |name: &'static str, priority: u32, words: &'static str| {
        row(format!("/process/ioPriority {name}"), LINUX).proves(move |ctx| {
            let output = Bundle::new(ctx)?
                .set("/process/ioPriority", json!({"class": name, "priority": priority}))
                .args(&["/bin/busybox", "ionice", "-p", "1"])
                .output()?;
            check_eq!(output.trim(), words, "what ionice says");
            Ok(())
        })
    };
    vec![
        class("IOPRIO_CLASS_BE", 6, "best-effort: prio 6"),
        class("IOPRIO_CLASS_RT", 2, "realtime: prio 2")
            .needs(Need::Capability(Capability::CAP_SYS_NICE)),
        class("IOPRIO_CLASS_IDLE", 0, "idle"),
    ]
}

fn affinity() -> Vec<Row> {
    vec![
        row("/process/execCPUAffinity/final", LINUX)
            .needs(Need::TwoProcessors)
            .proves(|ctx| affine(ctx, json!({"final": "1"}), &["1"])),
        // It holds until the process has joined its cgroup; then the final one does, or none.
        row("/process/execCPUAffinity/initial", LINUX)
            .needs(Need::TwoProcessors)
            .proves(|ctx| affine(ctx, json!({"initial": "0", "final": "0-1"}), &["0-1"])),
        row("/process/execCPUAffinity, no list", "config.md#valid-values")
            .set("/process/execCPUAffinity", json!({"final": "one"}))
            .refused("/process/execCPUAffinity"),
    ]
}

/// The processors that an executed process may use.
fn affine(ctx: &Context, affinity: Value, allowed: &[&str]) -> Outcome {
    let c = Bundle::new(ctx)?
        .set("/process/execCPUAffinity", affinity)
        .payload(&["sleep", "60000"])
        .container()?;
    c.up()?;
    let line = c.exec_report(&[], &["cat", "/proc/self/status"])?;
    let text = line["text"].as_str().unwrap_or_default();
    let got = text.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    check!(allowed.contains(&got.trim()), "allowed processors: {got:?}, expected {allowed:?}");
    Ok(())
}

fn labels() -> Vec<Row> {
    vec![
        row("/process/apparmorProfile", LINUX)
            .needs(Need::AppArmor)
            .set("/process/apparmorProfile", json!("docker-default"))
            .asks(&["cat", "/proc/self/attr/current"])
            .holds("/0/text", "docker-default (enforce)"),
        row("/process/apparmorProfile that is not loaded", LINUX)
            .set("/process/apparmorProfile", json!("no-such-profile"))
            .refused("/process/apparmorProfile"),
        row("/process/selinuxLabel", LINUX)
            .needs(Need::File("/sys/fs/selinux/enforce", "SELinux"))
            .set("/process/selinuxLabel", json!("system_u:system_r:container_t:s0:c1,c2"))
            .asks(&["cat", "/proc/self/attr/current"])
            .holds("/0/text", "container_t"),
    ]
}
