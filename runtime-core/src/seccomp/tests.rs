//! What compiled profiles answer.

use super::*;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const X32: u32 = abi::X32_BIT;

const KILL: Option<u32> = Some(0);
const EPERM: Option<u32> = Some(0x0005_0001);
const ENOSYS: Option<u32> = Some(0x0005_0026);
const ALLOW: Option<u32> = Some(0x7fff_0000);

fn compile_json(json: serde_json::Value) -> Result<Option<Program>> {
    let profile = serde_json::from_value(json).unwrap();
    let options = Options { native: Arch::ScmpArchX86_64, fail_unknown: false };
    compile(&profile, &options, &mut Vec::new())
}

/// The answers of a profile that allows `names`.
fn allowing(names: &[&str], architectures: &[&str]) -> impl Fn(u32, u32) -> Option<u32> {
    let program = compile_json(serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": architectures,
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    }));
    let program = program.unwrap().unwrap();
    move |arch, nr| program.evaluate(arch, nr, [0; 6])
}

#[test]
fn a_profile_that_allows_everything_is_nothing_to_load() {
    let json = serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    assert_eq!(compile_json(json).unwrap(), None);
}

#[test]
fn listed_calls_are_allowed_and_others_get_the_default() {
    let answer = allowing(&["read", "close", "fchmodat2"], &[]);
    assert_eq!([0, 1, 2, 3, 4].map(|nr| answer(X86_64, nr)), [ALLOW, EPERM, EPERM, ALLOW, EPERM]);
}

#[test]
fn calls_newer_than_the_profile_do_not_exist() {
    let answer = allowing(&["close_range"], &["SCMP_ARCH_X32"]);
    assert_eq!([435, 436, 437].map(|nr| answer(X86_64, nr)), [EPERM, ALLOW, ENOSYS]);
    assert_eq!([436, 437].map(|nr| answer(X86_64, X32 | nr)), [ALLOW, ENOSYS]);
}

#[test]
fn an_interface_that_is_not_listed_is_killed() {
    let answer = allowing(&["read"], &[]);
    assert_eq!((answer(I386, 3), answer(X86_64, X32), answer(X86_64, 0)), (KILL, KILL, ALLOW));
}

#[test]
fn a_tracer_can_skip_a_call_where_x32_is_killed() {
    let answer = allowing(&["close"], &[]);
    assert_eq!((answer(X86_64, u32::MAX - 1), answer(X86_64, u32::MAX)), (KILL, EPERM));
}

#[test]
fn arguments_are_compared_in_64_bits_or_in_32() {
    let program = compile_json(serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [{
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{ "index": 0, "value": 8, "op": "SCMP_CMP_EQ" }],
        }],
    }));
    let program = program.unwrap().unwrap();
    let answer = |arch, nr, value| program.evaluate(arch, nr, [value, 0, 0, 0, 0, 0]);
    assert_eq!([8, 9, 1 << 32 | 8].map(|value| answer(X86_64, 135, value)), [ALLOW, EPERM, EPERM]);
    assert_eq!([8, 9, 1 << 32 | 8].map(|value| answer(I386, 136, value)), [ALLOW, EPERM, ALLOW]);
}

#[test]
fn a_profile_too_large_for_the_kernel_is_refused() {
    let args = |value| serde_json::json!([{ "index": 0, "value": value, "op": "SCMP_CMP_EQ" }]);
    let rule = |name, value| serde_json::json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": args(value) });
    let rules: Vec<_> =
        (0..900).flat_map(|value| [rule("read", value), rule("write", value + 1)]).collect();
    let json = serde_json::json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules });
    let error = compile_json(json).unwrap_err();
    assert_eq!(error.pointer(), Some("/linux/seccomp/syscalls"));
    assert!(error.to_string().contains("4096"), "{error}");
}
