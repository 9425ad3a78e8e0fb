//! Classic BPF, assembled from its end: BPF only jumps forward, so whatever an
//! instruction jumps to has its place already.

use seccompiler::sock_filter;

pub(super) const LD_W_ABS: u16 = 0x20;
const JMP_JA: u16 = 0x05;
const JMP_JEQ_K: u16 = 0x15;
const JMP_JGE_K: u16 = 0x35;
const RET_K: u16 = 0x06;

/// How far a conditional jump can go.
const REACH: usize = u8::MAX as usize;

/// Something to jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Return the value; any instruction that does will serve.
    Return(u32),
    /// Go on at an instruction, counted from the end of the program.
    Code(usize),
}

/// How to compare the accumulator with a constant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compare {
    Equal,
    GreaterOrEqual,
}

/// A program, last instruction first.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    reversed: Vec<sock_filter>,
    /// Where each value was returned last, that is, nearest.
    returns: Vec<(u32, usize)>,
}

impl Assembler {
    pub(super) fn finish(mut self) -> Vec<sock_filter> {
        self.reversed.reverse();
        self.reversed
    }

    /// Loads the 32-bit word at `offset` of `seccomp_data`, then goes on at `next`.
    pub(super) fn load(&mut self, offset: u32, next: Target) -> Target {
        self.fall_into(next);
        self.push(LD_W_ABS, 0, 0, offset)
    }

    /// Compares the accumulator with `k`, then goes on at `yes` or `no`.
    pub(super) fn branch(&mut self, compare: Compare, k: u32, yes: Target, no: Target) -> Target {
        // The second may put an instruction between the first and the jump.
        let yes = self.within(yes, REACH - 1);
        let no = self.within(no, REACH);
        let code = match compare {
            Compare::Equal => JMP_JEQ_K,
            Compare::GreaterOrEqual => JMP_JGE_K,
        };
        let (yes, no) = (self.distance(yes), self.distance(no));
        self.push(code, yes as u8, no as u8, k)
    }

    /// Runs `test`, which goes on behind itself or skips one instruction more:
    /// returns `value` in the first case, goes on at `otherwise` in the second.
    pub(super) fn test(&mut self, test: Vec<sock_filter>, value: u32, otherwise: Target) -> Target {
        self.fall_into(otherwise);
        self.push_return(value);
        self.reversed.extend(test.into_iter().rev());
        self.here()
    }

    /// Makes `target` what follows the next instruction.
    fn fall_into(&mut self, target: Target) {
        if self.place(target).is_none_or(|place| place + 1 != self.reversed.len()) {
            self.push_stand_in(target);
        }
    }

    /// The place of `target`, or of a stand-in for it, not farther than `reach`
    /// from the next instruction.
    fn within(&mut self, target: Target, reach: usize) -> usize {
        match self.place(target) {
            Some(place) if self.distance(place) <= reach => place,
            _ => {
                self.push_stand_in(target);
                self.reversed.len() - 1
            }
        }
    }

    /// The nearest place of `target`; a value may not be returned yet.
    fn place(&self, target: Target) -> Option<usize> {
        match target {
            Target::Code(place) => Some(place),
            Target::Return(value) => {
                self.returns.iter().find(|(other, _)| *other == value).map(|(_, place)| *place)
            }
        }
    }

    /// Puts an instruction here that amounts to `target`.
    fn push_stand_in(&mut self, target: Target) {
        match target {
            Target::Code(place) => {
                let distance = self.distance(place) as u32;
                self.push(JMP_JA, 0, 0, distance);
            }
            Target::Return(value) => self.push_return(value),
        }
    }

    /// How many instructions the next one skips to get to `place`.
    fn distance(&self, place: usize) -> usize {
        self.reversed.len() - 1 - place
    }

    fn push_return(&mut self, value: u32) {
        let place = self.reversed.len();
        match self.returns.iter_mut().find(|(other, _)| *other == value) {
            Some(last) => last.1 = place,
            None => self.returns.push((value, place)),
        }
        self.push(RET_K, 0, 0, value);
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Target {
        self.reversed.push(sock_filter { code, jt, jf, k });
        self.here()
    }

    fn here(&self) -> Target {
        Target::Code(self.reversed.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::Program;

    const YES: Target = Target::Return(1);
    const NO: Target = Target::Return(2);

    /// What the program answers to a number, which is loaded first.
    fn answers(mut assembler: Assembler, start: Target) -> impl Fn(u32) -> Option<u32> {
        assembler.load(0, start);
        let program = Program { instructions: assembler.finish(), flags: 0, notify: false };
        move |number| program.evaluate(0, number, [0; 6])
    }

    #[test]
    fn returns_are_shared_within_reach() {
        let mut assembler = Assembler::default();
        let low = assembler.branch(Compare::Equal, 3, YES, NO);
        let start = assembler.branch(Compare::GreaterOrEqual, 9, YES, low);
        assert_eq!(assembler.reversed.len(), 4);
        let answer = answers(assembler, start);
        assert_eq!([2, 3, 8, 9].map(answer), [Some(2), Some(1), Some(2), Some(1)]);
    }

    #[test]
    fn jumps_beyond_reach_get_a_stand_in() {
        let mut assembler = Assembler::default();
        let far = assembler.branch(Compare::Equal, 7, YES, NO);
        let mut start = far;
        for number in (100..500).rev() {
            let other = if number % 2 == 0 { far } else { Target::Return(number) };
            start = assembler.branch(Compare::Equal, number, other, start);
        }
        let answer = answers(assembler, start);
        assert_eq!([7, 8, 100, 101, 499].map(answer), [1, 2, 2, 101, 499].map(Some));
    }

    #[test]
    fn an_empty_program_can_be_fallen_into() {
        let mut assembler = Assembler::default();
        let start = assembler.test(Vec::new(), 1, NO);
        assert_eq!(assembler.reversed.len(), 2);
        assert_eq!(answers(assembler, start)(0), Some(1));
    }
}
