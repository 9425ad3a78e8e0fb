//! System call filters: actions, argument conditions, architectures, notification.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use nix::poll::{PollFd, PollFlags, poll};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::console::Receiver;
use crate::container::Container;
use crate::context::Context;
use crate::expect;
use crate::outcome::{Outcome, Stop};
use crate::process::wait_for;
use crate::sys;
use crate::{check, check_eq, family};

family!("seccomp":
    errno_is_the_rules_own_or_eperm,
    default_errno_is_used,
    allowing_nothing_but_a_list_works,
    every_operator_compares_64_bits,
    conditions_on_different_arguments_are_all_needed,
    conditions_on_one_argument_are_alternatives,
    kill_ends_the_process_with_sigsys,
    killing_a_thread_leaves_the_others,
    trap_raises_sigsys,
    trap_tells_a_handler_the_call,
    log_lets_pass,
    trace_without_a_tracer_is_enosys,
    profile_that_forbids_everything_is_told,
    filter_is_loaded_without_no_new_privileges,
    filter_is_loaded_for_a_user_that_is_not_root,
    unknown_names_are_ignored,
    flags_are_accepted,
    other_entry_points_are_refused_when_only_x86_64_is_listed,
    x32_numbers_are_refused_when_only_x86_64_is_listed,
    profile_that_allows_everything_refuses_nothing,
    rules_hold_for_32_bit_and_x32_calls_where_listed,
    every_architecture_of_the_specification_may_be_listed,
    notification_descriptor_goes_to_the_listener,
    agent_answers_in_place_of_the_kernel,
    killable_wait_for_an_agent_is_accepted,
    older_name_of_the_listener_is_an_annotation,
    program_of_an_annotation_goes_before_the_profile,
);

const GETPRIORITY: &str = "140";
const SETPRIORITY: u64 = 141;

/// Runs the default bundle with a profile and checks every answer that can be worked out.
fn holds(ctx: &Context, profile: Value) -> Outcome {
    let bundle = Bundle::new(ctx)?.set("/linux/seccomp", profile);
    let commands = expect::commands(&bundle.config);
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let c = bundle.payload(&commands).container()?;
    let lines = c.up_and_report()?;
    expect::everything(ctx, &c.config, &lines)
}

/// Makes one system call under a profile.
fn call(ctx: &Context, profile: &Value, words: &[&str]) -> Outcome<Value> {
    Bundle::new(ctx)?.set("/linux/seccomp", profile.clone()).report(words)
}

fn one_rule(action: &str) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["getpriority"], "action": action}],
    })
}

fn errno_is_the_rules_own_or_eperm(ctx: &Context) -> Outcome {
    holds(
        ctx,
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            "syscalls": [
                {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77},
                {"names": ["acct"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0},
                {"names": ["swapoff", "reboot"], "action": "SCMP_ACT_ERRNO"},
            ],
        }),
    )
}

/// What the payload needs, so that everything else may be refused.
fn needed() -> Value {
    let sample = include_str!("../../../bundles/samples/docker-run-default.json");
    let sample: Value = serde_json::from_str(sample).unwrap_or_default();
    let mut names = sample["linux"]["seccomp"]["syscalls"][0]["names"].clone();
    // Docker allows these under conditions.
    if let Some(names) = names.as_array_mut() {
        names.extend([json!("arch_prctl"), json!("clone")]);
    }
    names
}

fn default_errno_is_used(ctx: &Context) -> Outcome {
    holds(
        ctx,
        json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 42,
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": needed(), "action": "SCMP_ACT_ALLOW"}],
        }),
    )
}

fn allowing_nothing_but_a_list_works(ctx: &Context) -> Outcome {
    holds(
        ctx,
        json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [{"names": needed(), "action": "SCMP_ACT_ALLOW"}],
        }),
    )
}

/// setpriority with a condition on its second argument answers 99.
fn conditional(args: &Value) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99, "args": args},
        ],
    })
}

/// Whether the rule matches: its errno, or EINVAL for the senseless first argument.
fn matches(ctx: &Context, args: &Value, second: u64, third: u64) -> Outcome<bool> {
    let (nr, second, third) = (SETPRIORITY.to_string(), second.to_string(), third.to_string());
    let line = call(ctx, &conditional(args), &["syscall", &nr, "9", &second, &third])?;
    match line["errno"].as_u64() {
        Some(99) => Ok(true),
        Some(22) => Ok(false),
        _ => Err(crate::outcome::Stop::fail(format!("setpriority: {line}"))),
    }
}

fn every_operator_compares_64_bits(ctx: &Context) -> Outcome {
    const BIG: u64 = 1 << 32;
    let value = BIG + 5;
    let cases: [(&str, [bool; 4]); 6] = [
        ("SCMP_CMP_NE", [true, false, true, true]),
        ("SCMP_CMP_LT", [true, false, false, true]),
        ("SCMP_CMP_LE", [true, true, false, true]),
        ("SCMP_CMP_EQ", [false, true, false, false]),
        ("SCMP_CMP_GE", [false, true, true, false]),
        ("SCMP_CMP_GT", [false, false, true, false]),
    ];
    for (operator, expected) in cases {
        let args = json!([{"index": 1, "value": value, "op": operator}]);
        for (given, expected) in [value - 1, value, value + 1, 5].into_iter().zip(expected) {
            check_eq!(matches(ctx, &args, given, 0)?, expected, "{operator} {given:#x}");
        }
    }
    let mask = json!([
        {"index": 1, "value": BIG | 0xf0, "valueTwo": BIG | 0x50, "op": "SCMP_CMP_MASKED_EQ"},
    ]);
    for (given, expected) in [(BIG | 0x5f, true), (0x5f, false), (BIG | 0x7f, false)] {
        check_eq!(matches(ctx, &mask, given, 0)?, expected, "masked {given:#x}");
    }
    Ok(())
}

fn conditions_on_different_arguments_are_all_needed(ctx: &Context) -> Outcome {
    let args = json!([
        {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 2, "op": "SCMP_CMP_EQ"},
    ]);
    check!(matches(ctx, &args, 1, 2)?, "both hold");
    check!(!matches(ctx, &args, 1, 3)?, "only the first holds");
    check!(!matches(ctx, &args, 3, 2)?, "only the second holds");
    Ok(())
}

fn conditions_on_one_argument_are_alternatives(ctx: &Context) -> Outcome {
    let args = json!([
        {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"},
    ]);
    check!(matches(ctx, &args, 1, 0)?, "the first holds");
    check!(matches(ctx, &args, 2, 0)?, "the second holds");
    check!(!matches(ctx, &args, 3, 0)?, "neither holds");
    Ok(())
}

fn kill_ends_the_process_with_sigsys(ctx: &Context) -> Outcome {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS"] {
        let line = call(ctx, &one_rule(action), &["syscall", GETPRIORITY])?;
        check_eq!(line["signal"], json!(31), "{action}");
    }
    Ok(())
}

fn trap_raises_sigsys(ctx: &Context) -> Outcome {
    let line = call(ctx, &one_rule("SCMP_ACT_TRAP"), &["syscall", GETPRIORITY])?;
    check_eq!(line["signal"], json!(31), "signal");
    Ok(())
}

fn killing_a_thread_leaves_the_others(ctx: &Context) -> Outcome {
    let words = ["syscall-in-thread", GETPRIORITY];
    let line = call(ctx, &one_rule("SCMP_ACT_KILL_THREAD"), &words)?;
    check_eq!(line["outlived"], json!(true), "KILL_THREAD: {line}");
    let line = call(ctx, &one_rule("SCMP_ACT_KILL_PROCESS"), &words)?;
    check_eq!(line["signal"], json!(31), "KILL_PROCESS: {line}");
    Ok(())
}

fn trap_tells_a_handler_the_call(ctx: &Context) -> Outcome {
    let line = call(ctx, &one_rule("SCMP_ACT_TRAP"), &["syscall-trapped", GETPRIORITY])?;
    check_eq!(line["trapped"], json!(140), "{line}");
    Ok(())
}

fn log_lets_pass(ctx: &Context) -> Outcome {
    let line = call(ctx, &one_rule("SCMP_ACT_LOG"), &["syscall", GETPRIORITY])?;
    check_eq!(line["errno"], json!(0), "errno");
    Ok(())
}

fn trace_without_a_tracer_is_enosys(ctx: &Context) -> Outcome {
    let line = call(ctx, &one_rule("SCMP_ACT_TRACE"), &["syscall", GETPRIORITY])?;
    check_eq!(line["errno"], json!(38), "errno");
    Ok(())
}

/// Init can neither execute the program then, nor say so, nor exit.
fn profile_that_forbids_everything_is_told(ctx: &Context) -> Outcome {
    for action in ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"] {
        let c = Bundle::new(ctx)?
            .set("/linux/seccomp", json!({"defaultAction": action}))
            .payload(&["true"])
            .container()?;
        c.run(&[])?.exits(1)?.says(&["filter must let execve pass"])?;
        let c = Bundle::new(ctx)?
            .set("/linux/seccomp", json!({"defaultAction": action}))
            .payload(&["true"])
            .container()?;
        c.create()?;
        c.verb("start")?.exits(1)?.says(&["filter must let execve pass"])?;
        c.has_status("stopped")?;
    }
    Ok(())
}

fn filter_is_loaded_without_no_new_privileges(ctx: &Context) -> Outcome {
    let mut profile = one_rule("SCMP_ACT_ERRNO");
    profile["syscalls"][0]["errnoRet"] = json!(99);
    let bundle = Bundle::new(ctx)?.set("/process/noNewPrivileges", json!(false));
    let lines =
        bundle.set("/linux/seccomp", profile).reports(&["facts", ",", "syscall", GETPRIORITY])?;
    check_eq!(lines[0]["noNewPrivileges"], json!(false), "no_new_privs");
    check_eq!(lines[1]["errno"], json!(99), "errno");
    Ok(())
}

fn filter_is_loaded_for_a_user_that_is_not_root(ctx: &Context) -> Outcome {
    for no_new_privs in [true, false] {
        let line = Bundle::new(ctx)?
            .set("/process/user", json!({"uid": 1000, "gid": 1000}))
            .set("/process/noNewPrivileges", json!(no_new_privs))
            .set("/process/capabilities", json!({}))
            .set("/linux/seccomp", one_rule("SCMP_ACT_ERRNO"))
            .report(&["syscall", GETPRIORITY])?;
        check_eq!(line["errno"], json!(1), "errno with no_new_privs {no_new_privs}");
    }
    Ok(())
}

fn unknown_names_are_ignored(ctx: &Context) -> Outcome {
    let mut profile = one_rule("SCMP_ACT_ERRNO");
    profile["syscalls"][0]["names"] = json!(["from_the_future", "getpriority", "socketcall"]);
    check_eq!(call(ctx, &profile, &["syscall", GETPRIORITY])?["errno"], json!(1), "errno");
    Ok(())
}

fn flags_are_accepted(ctx: &Context) -> Outcome {
    let mut profile = one_rule("SCMP_ACT_ERRNO");
    profile["flags"] = json!([
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    ]);
    check_eq!(call(ctx, &profile, &["syscall", GETPRIORITY])?["errno"], json!(1), "errno");
    profile["flags"] = json!([]);
    check_eq!(call(ctx, &profile, &["syscall", GETPRIORITY])?["errno"], json!(1), "errno");
    Ok(())
}

fn only_x86_64() -> Value {
    let mut profile = one_rule("SCMP_ACT_ERRNO");
    profile["architectures"] = json!(["SCMP_ARCH_X86_64"]);
    profile
}

fn other_entry_points_are_refused_when_only_x86_64_is_listed(ctx: &Context) -> Outcome {
    // 96 is getpriority there.
    let line = call(ctx, &only_x86_64(), &["syscall-x86", "96"])?;
    check_eq!(line["signal"], json!(31), "{line}");
    Ok(())
}

fn x32_numbers_are_refused_when_only_x86_64_is_listed(ctx: &Context) -> Outcome {
    let nr = (0x4000_0000_u64 | 140).to_string();
    let line = call(ctx, &only_x86_64(), &["syscall", &nr])?;
    check_eq!(line["signal"], json!(31), "{line}");
    Ok(())
}

fn rules_hold_for_32_bit_and_x32_calls_where_listed(ctx: &Context) -> Outcome {
    let mut profile = one_rule("SCMP_ACT_ERRNO");
    profile["syscalls"][0]["errnoRet"] = json!(99);
    let line = call(ctx, &profile, &["syscall-x86", "96"])?;
    if line["signal"] == 11 {
        return Err(Stop::skip("the kernel has no 32-bit entry"));
    }
    check_eq!(line["errno"], json!(99), "getpriority of x86: {line}");
    let nr = (0x4000_0000_u64 | 140).to_string();
    let line = call(ctx, &profile, &["syscall", &nr])?;
    check_eq!(line["errno"], json!(99), "getpriority of x32: {line}");
    Ok(())
}

const ARCHITECTURES: [&str; 23] = [
    "X86",
    "X86_64",
    "X32",
    "ARM",
    "AARCH64",
    "MIPS",
    "MIPS64",
    "MIPS64N32",
    "MIPSEL",
    "MIPSEL64",
    "MIPSEL64N32",
    "PPC",
    "PPC64",
    "PPC64LE",
    "S390",
    "S390X",
    "PARISC",
    "PARISC64",
    "RISCV64",
    "LOONGARCH64",
    "M68K",
    "SH",
    "SHEB",
];

fn every_architecture_of_the_specification_may_be_listed(ctx: &Context) -> Outcome {
    let mut profile = one_rule("SCMP_ACT_ERRNO");
    profile["architectures"] = json!(ARCHITECTURES.map(|name| format!("SCMP_ARCH_{name}")));
    check_eq!(call(ctx, &profile, &["syscall", GETPRIORITY])?["errno"], json!(1), "errno");
    Ok(())
}

fn profile_that_allows_everything_refuses_nothing(ctx: &Context) -> Outcome {
    let line = call(ctx, &json!({"defaultAction": "SCMP_ACT_ALLOW"}), &["syscall", GETPRIORITY])?;
    check_eq!(line["errno"], json!(0), "errno");
    Ok(())
}

fn notification_descriptor_goes_to_the_listener(ctx: &Context) -> Outcome {
    let receiver = Receiver::new(&ctx.dir.join("listener"))?;
    let mut profile = one_rule("SCMP_ACT_NOTIFY");
    profile["listenerPath"] = json!(receiver.path());
    profile["listenerMetadata"] = json!("words for the listener");
    let c = Bundle::new(ctx)?
        .set("/linux/seccomp", profile)
        .payload(&["syscall", GETPRIORITY])
        .container()?;
    c.create()?;
    let (fd, text) = receiver.receive()?;
    let link = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    check_eq!(link.to_string_lossy(), "anon_inode:seccomp notify", "what was received");
    let state: Value = serde_json::from_str(&text)?;
    check_eq!(state["fds"], json!(["seccompFd"]), "names of descriptors");
    check_eq!(state["pid"], json!(c.pid()?), "pid");
    check_eq!(state["metadata"], json!("words for the listener"), "metadata");
    check_eq!(state["state"]["id"], json!(c.id), "id in the state");
    // Without a listener the kernel answers ENOSYS.
    drop(fd);
    c.start()?;
    c.exit_code()?;
    check_eq!(crate::bundle::parse_lines(&c.printed())?[0]["errno"], json!(38), "errno");
    Ok(())
}

/// Starts a container that makes one call, answers it in place of the kernel, and checks
/// what the container saw.
fn check_agent(c: &Container<'_>, receiver: &Receiver) -> Outcome {
    // crun sends the listener no sooner than at start.
    c.up()?;
    let (listener, _) = receiver.receive()?;
    wait_for("a notification", || {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, 0_u8)? == 1;
        Ok(ready.then_some(()))
    })?;
    check_eq!(sys::answer_notification(&listener, 77)?, 140, "the call that is told of");
    c.exit_code()?;
    check_eq!(crate::bundle::parse_lines(&c.printed())?[0]["errno"], json!(77), "errno");
    Ok(())
}

fn agent_answers_in_place_of_the_kernel(ctx: &Context) -> Outcome {
    agent_answers(ctx, one_rule("SCMP_ACT_NOTIFY"))
}

fn killable_wait_for_an_agent_is_accepted(ctx: &Context) -> Outcome {
    let mut profile = one_rule("SCMP_ACT_NOTIFY");
    profile["flags"] = json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
    agent_answers(ctx, profile)
}

fn agent_answers(ctx: &Context, mut profile: Value) -> Outcome {
    let receiver = Receiver::new(&ctx.dir.join("listener"))?;
    profile["listenerPath"] = json!(receiver.path());
    let bundle = Bundle::new(ctx)?.set("/linux/seccomp", profile);
    check_agent(&bundle.payload(&["syscall", GETPRIORITY]).container()?, &receiver)
}

fn older_name_of_the_listener_is_an_annotation(ctx: &Context) -> Outcome {
    let receiver = Receiver::new(&ctx.dir.join("listener"))?;
    let bundle = Bundle::new(ctx)?
        .set("/linux/seccomp", one_rule("SCMP_ACT_NOTIFY"))
        .set("/annotations", json!({"run.oci.seccomp.receiver": receiver.path()}));
    check_agent(&bundle.payload(&["syscall", GETPRIORITY]).container()?, &receiver)
}

/// Answers getpriority with errno 55, and lets everything else pass:
/// `ld nr; jeq 140, 0, 1; ret ERRNO|55; ret ALLOW`.
const PROGRAM: &str = "IAAAAAAAAAAVAAABjAAAAAYAAAA3AAUABgAAAAAA/38=";

fn program_of_an_annotation_goes_before_the_profile(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .set("/linux/seccomp", one_rule("SCMP_ACT_KILL_PROCESS"))
        .set("/annotations", json!({"run.oci.seccomp_bpf_data": PROGRAM}))
        .payload(&["syscall", GETPRIORITY, ",", "sleep", "60000"])
        .container()?;
    c.up()?;
    c.prints("\n")?;
    check_eq!(crate::bundle::parse_lines(&c.printed())?[0]["errno"], json!(55), "errno");
    let line = c.exec_report(&[], &["syscall", GETPRIORITY])?;
    check_eq!(line["errno"], json!(55), "errno of what is executed");
    Ok(())
}
