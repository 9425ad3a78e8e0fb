//! linux.seccomp: actions, errnos, conditions, architectures, flags, notification.

use serde_json::{Value, json};

use super::needs::Need;
use super::row::{Row, row};
use crate::bundle::{Bundle, parse_lines};
use crate::check_eq;
use crate::console::Receiver;
use crate::context::Context;
use crate::outcome::Outcome;

const SECCOMP: &str = "config-linux.md#seccomp";
const STATE: &str = "config-linux.md#the-container-process-state";
const GETPRIORITY: &str = "140";
const SETPRIORITY: &str = "141";

pub(super) fn rows() -> Vec<Row> {
    [actions(), errnos(), operators(), others(), mistakes(), notification()]
        .into_iter()
        .flatten()
        .collect()
}

fn profile(rule: Value) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [rule],
    })
}

fn filtered(field: &str, profile: Value) -> Row {
    row(format!("/linux/seccomp/{field}"), SECCOMP)
        .set("/linux/seccomp", profile)
        .asks(&["syscall", GETPRIORITY])
}

fn actions() -> Vec<Row> {
    let action = |name: &str| {
        let rule = json!({"names": ["getpriority"], "action": name});
        filtered(&format!("syscalls/action {name}"), profile(rule))
    };
    vec![
        action("SCMP_ACT_ALLOW").sees("/0/errno", json!(0)),
        action("SCMP_ACT_LOG").sees("/0/errno", json!(0)),
        action("SCMP_ACT_ERRNO").sees("/0/errno", json!(1)),
        // Nobody traces: the kernel says ENOSYS.
        action("SCMP_ACT_TRACE").sees("/0/errno", json!(38)),
        action("SCMP_ACT_TRAP").sees("/0/signal", json!(31)),
        action("SCMP_ACT_KILL").sees("/0/signal", json!(31)),
        action("SCMP_ACT_KILL_THREAD").sees("/0/signal", json!(31)),
        action("SCMP_ACT_KILL_PROCESS").sees("/0/signal", json!(31)),
    ]
}

/// All that the payload needs and no more.
fn default_deny() -> Value {
    let sample = include_str!("../../../bundles/samples/docker-run-default.json");
    let sample: Value = serde_json::from_str(sample).unwrap_or_default();
    let mut names = sample["linux"]["seccomp"]["syscalls"][0]["names"].clone();
    if let Some(names) = names.as_array_mut() {
        names.retain(|n| n != "getpriority");
        names.extend([json!("arch_prctl"), json!("clone")]);
    }
    json!({
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
    })
}

fn errnos() -> Vec<Row> {
    let default = |field: &str, members: Value| {
        let mut profile = default_deny();
        for (name, value) in members.as_object().into_iter().flatten() {
            profile[name] = value.clone();
        }
        filtered(field, profile)
    };
    vec![
        default("defaultAction", json!({"defaultAction": "SCMP_ACT_ERRNO"}))
            .sees("/0/errno", json!(1)),
        default(
            "defaultErrnoRet",
            json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 42}),
        )
        .sees("/0/errno", json!(42)),
        filtered(
            "syscalls/errnoRet",
            profile(json!({"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77})),
        )
        .sees("/0/errno", json!(77)),
    ]
}

/// Two values of setpriority's second argument: the rule's errno for the first, not for the second.
fn operators() -> Vec<Row> {
    let operator = |op: &'static str,
                    value: u64,
                    two: Option<u64>,
                    meets: &'static str,
                    misses: &'static str| {
        let mut condition = json!({"index": 1, "value": value, "op": op});
        if let Some(two) = two {
            condition["valueTwo"] = json!(two);
        }
        let rule = json!({
            "names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99,
            "args": [condition],
        });
        row(format!("/linux/seccomp/syscalls/args/op {op}"), SECCOMP)
            .set("/linux/seccomp", profile(rule))
            .asks(&["syscall", SETPRIORITY, "9", meets, ",", "syscall", SETPRIORITY, "9", misses])
            .sees("/0/errno", json!(99))
            .sees("/1/errno", json!(22))
    };
    vec![
        operator("SCMP_CMP_NE", 5, None, "6", "5"),
        operator("SCMP_CMP_LT", 5, None, "4", "5"),
        operator("SCMP_CMP_LE", 5, None, "5", "6"),
        operator("SCMP_CMP_EQ", 5, None, "5", "4"),
        operator("SCMP_CMP_GE", 5, None, "5", "4"),
        operator("SCMP_CMP_GT", 5, None, "6", "5"),
        operator("SCMP_CMP_MASKED_EQ", 0xf0, Some(0x50), "95", "127"),
        row("/linux/seccomp/syscalls/args, several", SECCOMP)
            .set(
                "/linux/seccomp",
                profile(json!({
                    "names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99,
                    "args": [
                        {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"},
                        {"index": 2, "value": 2, "op": "SCMP_CMP_EQ"},
                    ],
                })),
            )
            .asks(&[
                "syscall",
                SETPRIORITY,
                "9",
                "1",
                "2",
                ",",
                "syscall",
                SETPRIORITY,
                "9",
                "1",
                "3",
            ])
            .sees("/0/errno", json!(99))
            .sees("/1/errno", json!(22)),
    ]
}

fn others() -> Vec<Row> {
    let errno = || json!({"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"});
    let with = |member: &str, value: Value| {
        let mut profile = profile(errno());
        profile[member] = value;
        profile
    };
    let flag = |name: &str| {
        filtered(&format!("flags {name}"), with("flags", json!([name]))).sees("/0/errno", json!(1))
    };
    vec![
        filtered("architectures", with("architectures", json!(["SCMP_ARCH_X86_64"])))
            .needs(Need::X86)
            // getpriority of the 32-bit entry ends the process.
            .asks(&["syscall-x86", "96"])
            .sees("/0/signal", json!(31)),
        filtered("architectures, absent", with("architectures", json!([])))
            .sees("/0/errno", json!(1)),
        flag("SECCOMP_FILTER_FLAG_TSYNC"),
        flag("SECCOMP_FILTER_FLAG_LOG"),
        flag("SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
        filtered(
            "syscalls/names, unknown",
            profile(json!({
                "names": ["from_the_future", "getpriority"], "action": "SCMP_ACT_ERRNO",
            })),
        )
        .sees("/0/errno", json!(1)),
        filtered("without noNewPrivileges", profile(errno()))
            .set("/process/noNewPrivileges", json!(false))
            .sees("/0/errno", json!(1)),
        filtered("of a user that is not root", profile(errno()))
            .set("/process/user", json!({"uid": 1000, "gid": 1000}))
            .sees("/0/errno", json!(1)),
        row("/linux/seccomp of an executed process", SECCOMP).proves(move |ctx| {
            let c = Bundle::new(ctx)?
                .set(
                    "/linux/seccomp",
                    profile(json!({"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"})),
                )
                .payload(&["sleep", "60000"])
                .container()?;
            c.up()?;
            check_eq!(c.exec_report(&[], &["syscall", GETPRIORITY])?["errno"], json!(1), "errno");
            Ok(())
        }),
    ]
}

fn mistakes() -> Vec<Row> {
    vec![
        filtered("defaultAction, unknown", json!({"defaultAction": "SCMP_ACT_WORDS"}))
            .refused("/linux/seccomp/defaultAction"),
        filtered(
            "syscalls/action, unknown",
            profile(json!({"names": ["acct"], "action": "WORDS"})),
        )
        .refused("/linux/seccomp/syscalls/0/action"),
        filtered(
            "syscalls/args/op, unknown",
            profile(json!({
                "names": ["acct"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 0, "value": 1, "op": "WORDS"}],
            })),
        )
        .refused("/linux/seccomp/syscalls/0/args/0/op"),
        filtered(
            "architectures, unknown",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["WORDS"]}),
        )
        .refused("/linux/seccomp/architectures/0"),
    ]
}

fn notification() -> Vec<Row> {
    vec![
        row("/linux/seccomp/listenerPath, SCMP_ACT_NOTIFY", SECCOMP).proves(|ctx| {
            check_eq!(notified(ctx)?["fds"], json!(["seccompFd"]), "names of descriptors");
            Ok(())
        }),
        row("/linux/seccomp/listenerMetadata", STATE).proves(|ctx| {
            check_eq!(notified(ctx)?["metadata"], json!("words"), "metadata");
            Ok(())
        }),
        row("/linux/seccomp/flags SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP)
            .needs(Need::Linux(5, 19))
            .proves(|ctx| notify(ctx, json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])).map(drop)),
    ]
}

fn notified(ctx: &Context) -> Outcome<Value> {
    notify(ctx, Value::Null)
}

/// What the listener is told; the process then gets ENOSYS, because nobody answers.
fn notify(ctx: &Context, flags: Value) -> Outcome<Value> {
    let receiver = Receiver::new(&ctx.dir.join("listener"))?;
    let mut profile = profile(json!({"names": ["getpriority"], "action": "SCMP_ACT_NOTIFY"}));
    profile["listenerPath"] = json!(receiver.path());
    profile["listenerMetadata"] = json!("words");
    if !flags.is_null() {
        profile["flags"] = flags;
    }
    let c = Bundle::new(ctx)?
        .set("/linux/seccomp", profile)
        .payload(&["syscall", GETPRIORITY])
        .container()?;
    // Some runtimes send it at create, some at start, which waits for the listener.
    c.create()?;
    c.start()?;
    let (fd, text) = receiver.receive()?;
    drop(fd);
    c.exit_code()?;
    check_eq!(parse_lines(&c.printed())?[0]["errno"], json!(38), "errno");
    Ok(serde_json::from_str(&text)?)
}
