//! Runs a program as the kernel would: to ask what a profile answers.

use seccompiler::sock_filter;

use super::Program;
use super::abi::is_big_endian;

const LD_W_ABS: u16 = 0x20;
const ALU_AND_K: u16 = 0x54;
const JMP_JA: u16 = 0x05;
const JMP_JEQ_K: u16 = 0x15;
const JMP_JGT_K: u16 = 0x25;
const JMP_JGE_K: u16 = 0x35;
const JMP_JSET_K: u16 = 0x45;
const RET_K: u16 = 0x06;

impl Program {
    /// The `SECCOMP_RET_*` value, with its data, that the program returns for
    /// the system call `nr` of the architecture `arch` (an `AUDIT_ARCH_*`
    /// value) with `args`.
    ///
    /// `None` if it is not a program that the kernel would load: it uses other
    /// instructions than filters need, or runs past its end.
    pub fn evaluate(&self, arch: u32, nr: u32, args: [u64; 6]) -> Option<u32> {
        run(&self.instructions, &seccomp_data(arch, nr, args))
    }
}

/// `struct seccomp_data` as 32-bit words, on a machine of that architecture. The
/// instruction pointer is left 0.
fn seccomp_data(arch: u32, nr: u32, args: [u64; 6]) -> [u32; 16] {
    let mut words = [0; 16];
    words[0] = nr;
    words[1] = arch;
    for (words, arg) in words[4..].chunks_exact_mut(2).zip(args) {
        words[0] = arg as u32;
        words[1] = (arg >> 32) as u32;
        if is_big_endian(arch) {
            words.swap(0, 1);
        }
    }
    words
}

fn run(instructions: &[sock_filter], data: &[u32; 16]) -> Option<u32> {
    let mut accumulator = 0;
    let mut next = 0_usize;
    loop {
        let &sock_filter { code, jt, jf, k } = instructions.get(next)?;
        next += 1;
        let branch = |taken| usize::from(if taken { jt } else { jf });
        match code {
            LD_W_ABS if k % 4 == 0 => accumulator = *data.get(k as usize / 4)?,
            ALU_AND_K => accumulator &= k,
            JMP_JA => next = next.checked_add(k as usize)?,
            JMP_JEQ_K => next += branch(accumulator == k),
            JMP_JGT_K => next += branch(accumulator > k),
            JMP_JGE_K => next += branch(accumulator >= k),
            JMP_JSET_K => next += branch(accumulator & k != 0),
            RET_K => return Some(k),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Program {
        let instructions = instructions.iter();
        let instructions =
            instructions.map(|&(code, jt, jf, k)| sock_filter { code, jt, jf, k }).collect();
        Program { instructions, flags: 0, notify: false }
    }

    #[test]
    fn the_halves_of_an_argument_are_in_the_order_of_the_architecture() {
        const LITTLE: u32 = 1 << 30;
        let args = [0, 0x1111_2222_3333_4444, 0, 0, 0, 0];
        let (low, high) = (0x3333_4444, 0x1111_2222);
        for (arch, offset, half) in [(LITTLE, 24, low), (LITTLE, 28, high), (0, 24, high)] {
            let load = [
                (LD_W_ABS, 0, 0, offset),
                (JMP_JEQ_K, 0, 1, half),
                (RET_K, 0, 0, 1),
                (RET_K, 0, 0, 2),
            ];
            assert_eq!(program(&load).evaluate(arch, 0, args), Some(1));
        }
    }

    #[test]
    fn a_program_that_is_not_one_has_no_answer() {
        for bad in
            [&[][..], &[(LD_W_ABS, 0, 0, 64)], &[(JMP_JA, 0, 0, u32::MAX)], &[(0xff, 0, 0, 0)]]
        {
            assert_eq!(program(bad).evaluate(0, 0, [0; 6]), None);
        }
    }
}
