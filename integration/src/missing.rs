//! An older kernel: system calls that answer as if they, or a flag of theirs, were not there yet.

use nix::errno::Errno;
use syscalls::Sysno;

use crate::outcome::{Outcome, Stop};
use crate::sys;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// What a system call's second argument looks like when the call is refused.
#[derive(Debug, Clone, Copy)]
enum When {
    Always,
    /// It has one of these bits.
    Bits(u32),
    /// It has more than one bit.
    SeveralBits,
}

/// Something that the kernel does not have.
#[derive(Debug, Clone, Copy)]
pub struct Missing {
    call: Sysno,
    when: When,
    answer: Errno,
}

impl Missing {
    /// `CALL[=ERRNO]`, ENOSYS unless it says otherwise, or the name of a flag.
    pub fn named(word: &str) -> Outcome<Self> {
        let flag = |call, when, answer| Ok(Self { call, when, answer });
        match word {
            // Linux before 5.8: a pidfd stands for several namespaces, a file for one.
            "setns-pidfd" => flag(Sysno::setns, When::SeveralBits, Errno::EINVAL),
            // Linux 5.9 and 5.10.
            "close-range-cloexec" => flag(Sysno::close_range, When::Bits(4), Errno::EINVAL),
            // MFD_EXEC, before Linux 6.3 and under vm.memfd_noexec=2.
            "memfd-exec" => flag(Sysno::memfd_create, When::Bits(0x10), Errno::EINVAL),
            "memfd-program" => flag(Sysno::memfd_create, When::Bits(0x10), Errno::EACCES),
            _ => {
                let (call, answer) = word.split_once('=').unwrap_or((word, "ENOSYS"));
                let call =
                    call.parse().map_err(|()| Stop::fail(format!("{word}: no such call")))?;
                flag(call, When::Always, errno(answer)?)
            }
        }
    }

    fn instructions(self) -> Vec<libc::sock_filter> {
        let condition = match self.when {
            When::Always => Vec::new(),
            When::Bits(bits) => vec![load_second_argument(), jump(libc::BPF_JSET, bits, 0, 1)],
            When::SeveralBits => vec![
                load_second_argument(),
                plain(libc::BPF_MISC | libc::BPF_TAX, 0),
                plain(libc::BPF_ALU | libc::BPF_SUB | libc::BPF_K, 1),
                plain(libc::BPF_ALU | libc::BPF_AND | libc::BPF_X, 0),
                jump(libc::BPF_JEQ, 0, 1, 0),
            ],
        };
        let number = u32::try_from(self.call.id()).unwrap_or(u32::MAX);
        let past = u8::try_from(condition.len() + 1).unwrap_or(u8::MAX);
        let mut all = vec![load(0), jump(libc::BPF_JEQ, number, 0, past)];
        all.extend(condition);
        all.push(give(libc::SECCOMP_RET_ERRNO | (self.answer as i32).cast_unsigned()));
        all
    }
}

fn errno(name: &str) -> Outcome<Errno> {
    match name {
        "ENOSYS" => Ok(Errno::ENOSYS),
        "EPERM" => Ok(Errno::EPERM),
        "EINVAL" => Ok(Errno::EINVAL),
        "E2BIG" => Ok(Errno::E2BIG),
        _ => Err(Stop::fail(format!("{name}: no answer of an older kernel"))),
    }
}

/// Takes these away from this process and all that it starts. It keeps its privileges and may
/// still gain some, and filters of its own come on top.
pub fn take_away(missing: &[Missing]) -> Outcome {
    let mut program = vec![load(4), jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0), allow()];
    program.extend(missing.iter().flat_map(|one| one.instructions()));
    program.push(allow());
    Ok(sys::load_filter(&program)?)
}

fn plain(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// A word of `struct seccomp_data`.
fn load(offset: u32) -> libc::sock_filter {
    plain(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

/// Its low half, which has all flags that are asked for here.
fn load_second_argument() -> libc::sock_filter {
    load(16 + 8)
}

fn jump(test: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | test | libc::BPF_K) as u16;
    libc::sock_filter { code, jt, jf, k }
}

fn give(answer: u32) -> libc::sock_filter {
    plain(libc::BPF_RET | libc::BPF_K, answer)
}

fn allow() -> libc::sock_filter {
    give(libc::SECCOMP_RET_ALLOW)
}
