//! A program that somebody else has compiled.

use seccompiler::sock_filter;

use super::tree::MAX_INSTRUCTIONS;

/// The instructions in `text`: base64 of what the kernel takes, in this
/// machine's order of bytes. The error says what is wrong with it.
///
/// What the kernel would refuse is refused here, before anything is done, but for
/// reads of scratch memory that was not written.
pub(super) fn instructions(text: &str) -> Result<Vec<sock_filter>, String> {
    let bytes = decode(text).ok_or("it is not base64")?;
    let (instructions, rest) = bytes.as_chunks::<{ size_of::<sock_filter>() }>();
    if !rest.is_empty() {
        return Err(format!("{} bytes are no whole number of instructions", bytes.len()));
    }
    if instructions.is_empty() || instructions.len() > MAX_INSTRUCTIONS {
        let count = instructions.len();
        return Err(format!("{count} instructions; the kernel takes 1 to {MAX_INSTRUCTIONS}"));
    }
    let instructions: Vec<_> = instructions.iter().map(instruction).collect();
    for (index, instruction) in instructions.iter().enumerate() {
        let behind = instructions.len() - 1 - index;
        if !is_allowed(instruction, behind) {
            return Err(format!("the kernel takes no instruction {index}: {instruction:?}"));
        }
    }
    Ok(instructions)
}

/// Whether the kernel takes `instruction` where `behind` others follow
/// (`bpf_check_classic`, `seccomp_check_filter`).
fn is_allowed(instruction: &sock_filter, behind: usize) -> bool {
    let sock_filter { code, jt, jf, k } = *instruction;
    let within = |distance: u32| (distance as usize) < behind;
    match code {
        // ret; without it there must be a next instruction.
        0x06 | 0x16 => true,
        _ if behind == 0 => false,
        // ja; jeq, jgt, jge, jset, with a constant or with x.
        0x05 => within(k),
        0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => {
            within(jt.into()) && within(jf.into())
        }
        // ld of a word of seccomp_data.
        0x20 => k < SECCOMP_DATA && k.is_multiple_of(4),
        // ld, ldx, st, stx of scratch memory.
        0x60 | 0x61 | 0x02 | 0x03 => k < SCRATCH_WORDS,
        // div, lsh, rsh by a constant.
        0x34 => k != 0,
        0x64 | 0x74 => k < u32::BITS,
        // ld and ldx of the length or of a constant; tax, txa; arithmetic.
        0x80 | 0x81 | 0x00 | 0x01 | 0x07 | 0x87 => true,
        0x04 | 0x0c | 0x14 | 0x1c | 0x24 | 0x2c | 0x3c | 0x44 | 0x4c | 0x54 | 0x5c | 0x6c
        | 0x7c | 0x84 | 0xa4 | 0xac => true,
        _ => false,
    }
}

/// The size of `struct seccomp_data`.
const SECCOMP_DATA: u32 = 64;
/// `BPF_MEMWORDS`.
const SCRATCH_WORDS: u32 = 16;

fn instruction(bytes: &[u8; 8]) -> sock_filter {
    let [code, code_end, jt, jf, k @ ..] = *bytes;
    sock_filter { code: u16::from_ne_bytes([code, code_end]), jt, jf, k: u32::from_ne_bytes(k) }
}

/// Base64 of RFC 4648, with its padding or without.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let padded_wrongly = padding > 2 || padding > 0 && !text.len().is_multiple_of(4);
    if padded_wrongly || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0;
        for digit in group {
            bits = bits << 6 | value(*digit)?;
        }
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_and_without_padding() {
        let text = |text| decode(text).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(text("dGFyZQ=="), Some("tare".to_owned()));
        assert_eq!(text("dGFyZQ"), Some("tare".to_owned()));
        assert_eq!(text("dGFyZXM="), Some("tares".to_owned()));
        assert_eq!(decode("+/8"), Some(vec![0xfb, 0xff]));
        for bad in ["d", "dGFy!A==", "dGFyZQ=", "====", "dGF yZQ="] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn instructions_are_those_of_the_kernel() {
        // ret ALLOW.
        let found = instructions("BgAAAAAA/38=").unwrap();
        let ret = sock_filter { code: 6, jt: 0, jf: 0, k: u32::from_ne_bytes([0, 0, 0xff, 0x7f]) };
        assert_eq!(found, [ret]);
    }

    #[test]
    fn what_is_no_program_is_refused_with_the_reason() {
        let reason = |text: &str| instructions(text).unwrap_err();
        assert!(reason("BgAAAAAA").contains("6 bytes"));
        assert!(reason("").contains("0 instructions"));
        assert!(reason("*").contains("base64"));
        // ld nr, and nothing behind it; ld [1]; jeq beyond the end.
        assert!(reason("IAAAAAAAAAA=").contains("instruction 0"));
        assert!(reason("IAAAAAEAAAAGAAAAAAD/fw==").contains("instruction 0"));
        assert!(reason("FQABAAAAAAAGAAAAAAD/fw==").contains("instruction 0"));
        assert!(reason(&"BgAAAAAA/38GAAAAAAD/fwYAAAAAAP9/".repeat(1366)).contains("4098"));
    }
}
