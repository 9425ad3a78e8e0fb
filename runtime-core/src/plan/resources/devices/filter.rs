//! Device rules for cgroup v2: a `BPF_PROG_TYPE_CGROUP_DEVICE` program.
//!
//! The kernel hands it `struct bpf_cgroup_dev_ctx { u32 access_type, major,
//! minor }` where `access_type` is `access << 16 | type`, and takes 0 for no
//! and 1 for yes (Linux 4.15, include/uapi/linux/bpf.h).

use serde::Serialize;

use super::{Access, DeviceKind, DeviceRule};

/// One eBPF instruction, laid out as the kernel's `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[repr(C)]
pub struct Instruction {
    /// The operation.
    pub code: u8,
    /// Destination register in the low, source register in the high half.
    pub registers: u8,
    /// How many instructions a jump skips, or the offset of a load.
    pub offset: i16,
    /// A constant.
    pub immediate: i32,
}

// Operation codes (include/uapi/linux/bpf.h, bpf_common.h).
const LOAD_WORD: u8 = 0x61; // dst = *(u32 *)(src + offset)
const MOVE: u8 = 0xb7; // dst = immediate
const COPY: u8 = 0xbf; // dst = src
const AND: u8 = 0x57; // dst &= immediate
const SHIFT_RIGHT: u8 = 0x77; // dst >>= immediate
const JUMP_EQUAL: u8 = 0x15; // if dst == immediate
const JUMP_NOT_EQUAL: u8 = 0x55; // if dst != immediate
const JUMP_NOT_EQUAL_32: u8 = 0x56; // the same on the low 32 bits
const EXIT: u8 = 0x95; // return r0

// Registers: the kernel's, then ours.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1; // free after the loads
const SCRATCH: u8 = CONTEXT;
const KIND: u8 = 2;
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// The program for `rules`, in which a later rule overrules an earlier one.
///
/// Walks the rules from the last to the first and takes from the wanted access
/// what a rule allows, until nothing is left or a rule denies some of it.
pub fn filter(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = load_request();
    // Denied is the end anyway, so the denials that come first say nothing.
    let first_allowed = rules.iter().position(|rule| rule.allow).unwrap_or(rules.len());
    for rule in rules[first_allowed..].iter().rev() {
        let verdict = verdict(rule);
        let past_verdict = verdict.len();
        program.extend(match_device(rule, past_verdict));
        program.extend(verdict);
    }
    program.extend(answer(false));
    program
}

/// Kind, access, major and minor into registers of their own.
fn load_request() -> Vec<Instruction> {
    vec![
        load(KIND, 0),
        Instruction { code: COPY, registers: WANTED | KIND << 4, offset: 0, immediate: 0 },
        constant(AND, KIND, 0xffff),
        constant(SHIFT_RIGHT, WANTED, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ]
}

/// Jumps over the next `skip` instructions for a device of another kind or
/// number.
fn match_device(rule: &DeviceRule, skip: usize) -> Vec<Instruction> {
    let kind = match rule.kind {
        DeviceKind::Block => 1,
        DeviceKind::Char => 2,
    };
    let mut tests = vec![(JUMP_NOT_EQUAL, KIND, kind)];
    tests.extend(rule.major.map(|major| (JUMP_NOT_EQUAL_32, MAJOR, major.cast_signed())));
    tests.extend(rule.minor.map(|minor| (JUMP_NOT_EQUAL_32, MINOR, minor.cast_signed())));
    let count = tests.len();
    let jumps = tests.into_iter().enumerate();
    jumps
        .map(|(i, (code, register, value))| jump(code, register, value, skip + count - 1 - i))
        .collect()
}

fn verdict(rule: &DeviceRule) -> Vec<Instruction> {
    let bits = |access: Access| i32::from(access.0);
    let [set_result, exit] = answer(rule.allow);
    if rule.access == Access::ALL {
        vec![set_result, exit]
    } else if rule.allow {
        let others = bits(Access::ALL.without(rule.access));
        let take = constant(AND, WANTED, others);
        vec![take, jump(JUMP_NOT_EQUAL, WANTED, 0, 2), set_result, exit]
    } else {
        let copy =
            Instruction { code: COPY, registers: SCRATCH | WANTED << 4, offset: 0, immediate: 0 };
        let denied = constant(AND, SCRATCH, bits(rule.access));
        vec![copy, denied, jump(JUMP_EQUAL, SCRATCH, 0, 2), set_result, exit]
    }
}

fn answer(allow: bool) -> [Instruction; 2] {
    [
        constant(MOVE, RESULT, i32::from(allow)),
        Instruction { code: EXIT, registers: 0, offset: 0, immediate: 0 },
    ]
}

fn load(register: u8, offset: i16) -> Instruction {
    Instruction { code: LOAD_WORD, registers: register | CONTEXT << 4, offset, immediate: 0 }
}

fn constant(code: u8, register: u8, immediate: i32) -> Instruction {
    Instruction { code, registers: register, offset: 0, immediate }
}

fn jump(code: u8, register: u8, immediate: i32, skip: usize) -> Instruction {
    // At most one rule's worth of instructions, ten.
    let offset = i16::try_from(skip).unwrap_or(i16::MAX);
    Instruction { code, registers: register, offset, immediate }
}

impl Instruction {
    /// The eight bytes as the kernel reads them on a little-endian machine.
    pub fn word(self) -> u64 {
        let [low, high] = self.offset.to_le_bytes();
        let [a, b, c, d] = self.immediate.to_le_bytes();
        u64::from_le_bytes([self.code, self.registers, low, high, a, b, c, d])
    }
}
