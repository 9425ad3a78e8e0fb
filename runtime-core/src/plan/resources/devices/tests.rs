use oci_spec::runtime::LinuxDeviceCgroup;
use serde_json::json;

use super::*;
use crate::error::ErrorKind;
use crate::plan::resources::Write;

fn parse(devices: serde_json::Value) -> Result<Vec<DeviceRule>> {
    let devices: Vec<LinuxDeviceCgroup> = serde_json::from_value(devices).unwrap();
    rules(Some(&devices))
}

fn lines(rules: &[DeviceRule]) -> Vec<String> {
    v1(rules).unwrap().iter().map(|write| format!("{} {}", write.file, write.value)).collect()
}

/// The meaning of a rule list, told directly.
fn allowed(rules: &[DeviceRule], kind: DeviceKind, number: (u32, u32), wanted: u8) -> bool {
    (0..3).map(|bit| Access(1 << bit)).filter(|bit| bit.0 & wanted != 0).all(|bit| {
        let decides = |rule: &&DeviceRule| {
            rule.kind == kind
                && rule.major.is_none_or(|major| major == number.0)
                && rule.minor.is_none_or(|minor| minor == number.1)
                && !rule.access.and(bit).is_empty()
        };
        rules.iter().rev().find(decides).is_some_and(|rule| rule.allow)
    })
}

/// Runs a program as the kernel would; panics where the verifier would refuse.
fn run(program: &[Instruction], context: [u32; 3]) -> u64 {
    let mut registers = [None::<u64>; 11];
    registers[1] = Some(0);
    let mut at = 0;
    for _ in 0..=program.len() {
        let insn = program[at];
        let (dst, src) = (usize::from(insn.registers & 15), usize::from(insn.registers >> 4));
        let constant = i64::from(insn.immediate).cast_unsigned();
        let jump = usize::try_from(insn.offset.max(0)).unwrap();
        at += 1;
        match insn.code {
            0x61 => {
                assert_eq!(src, 1, "only the context is memory");
                assert_eq!(registers[1], Some(0), "the context pointer is still there");
                let word = context[usize::try_from(insn.offset).unwrap() / 4];
                registers[dst] = Some(u64::from(word));
            }
            0xb7 => registers[dst] = Some(constant),
            0xbf => registers[dst] = Some(registers[src].unwrap()),
            0x57 => registers[dst] = Some(registers[dst].unwrap() & constant),
            0x77 => registers[dst] = Some(registers[dst].unwrap() >> constant),
            0x15 if registers[dst].unwrap() == constant => at += jump,
            0x55 if registers[dst].unwrap() != constant => at += jump,
            0x56 if registers[dst].unwrap() & 0xffff_ffff != constant & 0xffff_ffff => at += jump,
            0x15 | 0x55 | 0x56 => {}
            0x95 => return registers[0].unwrap(),
            code => panic!("unknown instruction {code:#x}"),
        }
    }
    panic!("the program does not end");
}

fn same_as_direct(rules: &[DeviceRule]) {
    let program = filter(rules);
    let numbers = [0, 1, 3, 5, 136, 200, 0xffff_fff0];
    for (code, kind) in [(1, DeviceKind::Block), (2, DeviceKind::Char)] {
        for major in numbers {
            for minor in numbers {
                for wanted in 1..8u8 {
                    let context = [u32::from(wanted) << 16 | code, major, minor];
                    assert_eq!(
                        run(&program, context) == 1,
                        allowed(rules, kind, (major, minor), wanted),
                        "{kind:?} {major}:{minor} access {wanted} of {rules:?}"
                    );
                }
            }
        }
    }
}

/// A fixed sequence: a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn rules(&mut self) -> Vec<DeviceRule> {
        let numbers = [None, Some(1), Some(3), Some(5), Some(136), Some(0xffff_fff0)];
        let count = self.below(12);
        let mut rule = || DeviceRule {
            allow: self.below(2) == 0,
            kind: [DeviceKind::Block, DeviceKind::Char][self.below(2)],
            major: numbers[self.below(6)],
            minor: numbers[self.below(6)],
            access: Access(u8::try_from(1 + self.below(7)).unwrap()),
            pointer: String::new(),
        };
        (0..count).map(|_| rule()).collect()
    }
}

#[test]
fn a_configuration_without_rules_gets_the_default_devices_only() {
    let rules = rules(None).unwrap();
    assert_eq!(
        lines(&rules),
        [
            "devices.deny a",
            "devices.allow c *:* m",
            "devices.allow b *:* m",
            "devices.allow c 1:3 rwm",
            "devices.allow c 1:8 rwm",
            "devices.allow c 1:7 rwm",
            "devices.allow c 5:0 rwm",
            "devices.allow c 1:5 rwm",
            "devices.allow c 1:9 rwm",
            "devices.allow c 5:1 rwm",
            "devices.allow c 136:* rwm",
            "devices.allow c 5:2 rwm",
            "devices.allow c 10:200 rwm",
        ]
    );
}

#[test]
fn rules_of_an_engine_that_repeat_the_defaults_cost_nothing() {
    let engine = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
    ]);
    let lines = lines(&parse(engine).unwrap());
    assert_eq!(lines[..2], ["devices.deny a", "devices.allow c 10:229 rw"]);
    assert_eq!(lines.len(), 14);
}

#[test]
fn allow_all_starts_from_allowed() {
    let rules = parse(json!([
        {"allow": true, "access": "rwm"},
        {"allow": false, "type": "b", "major": 8, "access": "w"},
    ]))
    .unwrap();
    assert_eq!(lines(&rules), ["devices.allow a", "devices.deny b 8:* w"]);
}

#[test]
fn a_hole_in_a_wildcard_is_refused_on_v1_and_enforced_on_v2() {
    let rules = parse(json!([
        {"allow": true, "type": "c", "major": 7, "access": "rwm"},
        {"allow": false, "type": "c", "major": 7, "minor": 3, "access": "w"},
    ]))
    .unwrap();
    let error = v1(&rules).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.pointer(), Some("/linux/resources/devices/1"));
    let program = filter(&rules);
    let access = |wanted: u32, minor| run(&program, [wanted << 16 | 2, 7, minor]);
    assert_eq!([access(4, 4), access(4, 3), access(2, 3), access(6, 3)], [1, 0, 1, 0]);
}

#[test]
fn a_denial_takes_back_the_narrower_rules_it_covers() {
    let rules = parse(json!([
        {"allow": true, "type": "c", "major": 7, "minor": 3, "access": "rw"},
        {"allow": false, "type": "c", "major": 7, "access": "w"},
    ]))
    .unwrap();
    assert!(lines(&rules).contains(&"devices.allow c 7:3 r".to_owned()));
}

#[test]
fn malformed_rules_name_their_place() {
    for (rule, place, says) in [
        (json!({"allow": true, "type": "c"}), "0/access", "device access at 0 field"),
        (json!({"allow": true, "access": "x"}), "0/access", "invalid device access"),
        (json!({"allow": true, "type": "p", "access": "r"}), "0/type", "FIFO"),
        (json!({"allow": true, "major": -2, "access": "r"}), "0/major", "no device number"),
        (json!({"allow": true, "minor": 1i64 << 32, "access": "r"}), "0/minor", "no device number"),
    ] {
        let error = parse(json!([rule])).unwrap_err();
        assert_eq!(error.pointer(), Some(format!("/linux/resources/devices/{place}").as_str()));
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn the_program_decides_as_the_rules_do() {
    let mut random = Random(7);
    same_as_direct(&rules(None).unwrap());
    for _ in 0..300 {
        same_as_direct(&random.rules());
    }
}

#[test]
fn dropping_overruled_rules_changes_no_decision() {
    let mut random = Random(11);
    for _ in 0..300 {
        let rules = random.rules();
        let fewer = without_overruled(rules.clone());
        for number in [(1, 3), (3, 3), (5, 136), (200, 1)] {
            for kind in [DeviceKind::Block, DeviceKind::Char] {
                for wanted in 1..8 {
                    assert_eq!(
                        allowed(&rules, kind, number, wanted),
                        allowed(&fewer, kind, number, wanted),
                        "{rules:?} and {fewer:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_v1_table_allows_nothing_that_the_rules_deny() {
    // The kernel's test: with a default of no, one exception must cover the
    // request; with a default of yes, no exception may touch it.
    let by_table = |writes: &[Write], kind, number: (u32, u32), wanted: u8| {
        let default_yes = writes[0].file == "devices.allow";
        let touches = writes[1..].iter().any(|write| {
            let text = &write.value;
            let (head, access) = text.rsplit_once(' ').unwrap();
            let access = Access::parse(access, "").unwrap();
            let (major, minor) = head[2..].split_once(':').unwrap();
            let is = |text: &str, n: u32| text == "*" || text == n.to_string();
            let letter = if kind == DeviceKind::Char { "c" } else { "b" };
            let device = text.starts_with(letter) && is(major, number.0) && is(minor, number.1);
            let enough = if default_yes { access.0 & wanted != 0 } else { wanted & !access.0 == 0 };
            device && enough
        });
        touches != default_yes
    };
    let mut random = Random(13);
    let mut compared = 0;
    for _ in 0..400 {
        let rules = random.rules();
        let Ok(writes) = v1(&rules) else { continue };
        for number in [(1, 3), (3, 3), (5, 136), (200, 1)] {
            for kind in [DeviceKind::Block, DeviceKind::Char] {
                for wanted in 1..8 {
                    let table = by_table(&writes, kind, number, wanted);
                    assert!(!table || allowed(&rules, kind, number, wanted), "{rules:?}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 1000);
}
