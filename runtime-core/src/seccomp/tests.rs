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

const ARCHES: [(&str, u32, u32); 23] = [
    // Name, AUDIT_ARCH_*, where the numbers begin.
    ("X86", 0x4000_0003, 0),
    ("X86_64", 0xc000_003e, 0),
    ("X32", 0xc000_003e, X32),
    ("ARM", 0x4000_0028, 0),
    ("AARCH64", 0xc000_00b7, 0),
    ("MIPS", 0x0000_0008, 4000),
    ("MIPS64", 0x8000_0008, 5000),
    ("MIPS64N32", 0xa000_0008, 6000),
    ("MIPSEL", 0x4000_0008, 4000),
    ("MIPSEL64", 0xc000_0008, 5000),
    ("MIPSEL64N32", 0xe000_0008, 6000),
    ("PPC", 0x0000_0014, 0),
    ("PPC64", 0x8000_0015, 0),
    ("PPC64LE", 0xc000_0015, 0),
    ("S390", 0x0000_0016, 0),
    ("S390X", 0x8000_0016, 0),
    ("PARISC", 0x0000_000f, 0),
    ("PARISC64", 0x8000_000f, 0),
    ("RISCV64", 0xc000_00f3, 0),
    ("LOONGARCH64", 0xc000_0102, 0),
    ("M68K", 0x0000_0004, 0),
    ("SH", 0x4000_002a, 0),
    ("SHEB", 0x0000_002a, 0),
];

/// A profile for the architectures of the whole specification at once.
fn for_all(rules: serde_json::Value) -> Program {
    let names = ARCHES.map(|(name, ..)| format!("SCMP_ARCH_{name}"));
    let program = compile_json(serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": names,
        "syscalls": rules,
    }));
    program.unwrap().unwrap()
}

#[test]
fn every_architecture_of_the_specification_has_its_own_answers() {
    let allow = "SCMP_ACT_ALLOW";
    let program = for_all(serde_json::json!([{ "names": ["close_range"], "action": allow }]));
    for (name, audit, base) in ARCHES {
        let answer = |nr| program.evaluate(audit, base + nr, [0; 6]);
        assert_eq!([435, 436, 437].map(answer), [EPERM, ALLOW, ENOSYS], "{name}");
    }
    assert_eq!(program.evaluate(0x9026, 436, [0; 6]), KILL, "an architecture that is not listed");
}

#[test]
fn halves_of_arguments_are_found_on_machines_of_either_order() {
    let compare = |op: &str, value: u64, two: u64| {
        let arg = serde_json::json!({ "index": 2, "value": value, "valueTwo": two, "op": op });
        for_all(serde_json::json!([
            { "names": ["close_range"], "action": "SCMP_ACT_ALLOW", "args": [arg] },
        ]))
    };
    const HIGH: u64 = 1 << 32;
    // What is compared, an argument, and whether it matches in 64 and in 32 bits.
    let cases = [
        ("SCMP_CMP_EQ", HIGH | 5, 0, HIGH | 5, true, true),
        ("SCMP_CMP_EQ", HIGH | 5, 0, (5 * HIGH) | 1, false, false),
        ("SCMP_CMP_NE", HIGH | 5, 0, 5, true, false),
        ("SCMP_CMP_LT", HIGH, 0, 9, true, false),
        ("SCMP_CMP_LE", (2 * HIGH) | 3, 0, HIGH | 4, true, false),
        ("SCMP_CMP_GE", 3, 0, HIGH, true, false),
        ("SCMP_CMP_GT", 3, 0, 4, true, true),
        ("SCMP_CMP_MASKED_EQ", (15 * HIGH) | 15, HIGH | 2, (17 * HIGH) | 18, true, true),
        ("SCMP_CMP_MASKED_EQ", 15 * HIGH, HIGH, 2 * HIGH, false, true),
    ];
    for (op, value, two, arg, wide, narrow) in cases {
        let program = compare(op, value, two);
        for (name, audit, base) in ARCHES {
            let is_wide = audit >> 31 != 0 && name != "X32" && !name.ends_with("N32");
            let matches = if is_wide { wide } else { narrow };
            let answer = program.evaluate(audit, base + 436, [0, 0, arg, 0, 0, 0]);
            assert_eq!(answer, if matches { ALLOW } else { EPERM }, "{name}: {arg:#x} {op}");
        }
    }
}

#[test]
fn sockets_and_ipc_go_through_their_carriers_where_there_are_some() {
    let program = for_all(serde_json::json!([
        { "names": ["listen", "shmget", "close_range"], "action": "SCMP_ACT_ALLOW" },
    ]));
    let carriers = |audit, base| {
        let answer = |nr, selector| program.evaluate(audit, base + nr, [selector, 0, 0, 0, 0, 0]);
        [answer(102, 4), answer(102, 5), answer(117, 23), answer(117, 24)]
    };
    let carrying = ["X86", "MIPS", "MIPSEL", "PPC", "PPC64", "PPC64LE", "S390", "S390X"];
    for (name, audit, base) in ARCHES {
        let through = [ALLOW, EPERM, ALLOW, EPERM];
        let carrying = carrying.contains(&name) || ["M68K", "SH", "SHEB"].contains(&name);
        assert_eq!(carriers(audit, base) == through, carrying, "{name}");
    }
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
