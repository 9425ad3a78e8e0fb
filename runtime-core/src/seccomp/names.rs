//! Names of system calls → numbers, for each interface: the tables of the
//! `syscalls` crate, and what they lack.

use std::str::FromStr;

use super::abi::X32_BIT;

pub(super) fn x86_64(name: &str) -> Option<u32> {
    let number = syscalls::x86_64::Sysno::from_str(name).ok().map(|call| call.id());
    number.and_then(to_u32).or_else(|| newer_than_the_tables(name))
}

pub(super) fn x32(name: &str) -> Option<u32> {
    x86_64(name).and_then(of_x32).map(|number| number | X32_BIT)
}

pub(super) fn x86(name: &str) -> Option<u32> {
    if name == "break" {
        return Some(17);
    }
    let number = syscalls::x86::Sysno::from_str(name).ok().map(|call| call.id());
    number.and_then(to_u32).or_else(|| newer_than_the_tables(name))
}

pub(super) fn aarch64(name: &str) -> Option<u32> {
    if name == "newfstatat" {
        return Some(79);
    }
    let number = syscalls::aarch64::Sysno::from_str(name).ok().map(|call| call.id());
    // The crate lists the calls with 64-bit times there, which only 32-bit
    // kernels have.
    let number = number.filter(|number| !(403..=423).contains(number));
    number.and_then(to_u32).or_else(|| newer_than_the_tables(name))
}

pub(super) fn arm(name: &str) -> Option<u32> {
    let number = syscalls::arm::Sysno::from_str(name).ok().map(|call| call.id());
    number.and_then(to_u32).or_else(|| arm_private(name)).or_else(|| newer_than_the_tables(name))
}

fn to_u32(number: i32) -> Option<u32> {
    u32::try_from(number).ok()
}

/// Calls that came after the crate's tables; all interfaces number them alike.
fn newer_than_the_tables(name: &str) -> Option<u32> {
    match name {
        "listns" => Some(470),
        "rseq_slice_yield" => Some(471),
        _ => None,
    }
}

/// The calls of `__ARM_NR_BASE`.
fn arm_private(name: &str) -> Option<u32> {
    let offset = match name {
        "breakpoint" => 1,
        "cacheflush" => 2,
        "usr26" => 3,
        "usr32" => 4,
        "set_tls" => 5,
        "get_tls" => 6,
        _ => return None,
    };
    Some(0x0f_0000 + offset)
}

/// The number, without its mark, that x32 has for a call of x86_64: the same but
/// for calls that pass structures of pointers, and for those it never had.
fn of_x32(number: u32) -> Option<u32> {
    Some(match number {
        13 => 512,  // rt_sigaction
        15 => 513,  // rt_sigreturn
        16 => 514,  // ioctl
        19 => 515,  // readv
        20 => 516,  // writev
        45 => 517,  // recvfrom
        46 => 518,  // sendmsg
        47 => 519,  // recvmsg
        54 => 541,  // setsockopt
        55 => 542,  // getsockopt
        59 => 520,  // execve
        101 => 521, // ptrace
        127 => 522, // rt_sigpending
        128 => 523, // rt_sigtimedwait
        129 => 524, // rt_sigqueueinfo
        131 => 525, // sigaltstack
        206 => 543, // io_setup
        209 => 544, // io_submit
        222 => 526, // timer_create
        244 => 527, // mq_notify
        246 => 528, // kexec_load
        247 => 529, // waitid
        273 => 530, // set_robust_list
        274 => 531, // get_robust_list
        278 => 532, // vmsplice
        279 => 533, // move_pages
        295 => 534, // preadv
        296 => 535, // pwritev
        297 => 536, // rt_tgsigqueueinfo
        299 => 537, // recvmmsg
        307 => 538, // sendmmsg
        310 => 539, // process_vm_readv
        311 => 540, // process_vm_writev
        322 => 545, // execveat
        327 => 546, // preadv2
        328 => 547, // pwritev2
        // uselib, _sysctl, create_module, get_kernel_syms, query_module, nfsservctl,
        // set_thread_area, get_thread_area, epoll_ctl_old, epoll_wait_old, vserver
        134 | 156 | 174 | 177 | 178 | 180 | 205 | 211 | 214 | 215 | 236 => return None,
        number => number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_number_the_same_call_differently() {
        let numbers = |name| [x86_64(name), x32(name), x86(name), aarch64(name), arm(name)];
        let x32 = |number| Some(number | X32_BIT);
        assert_eq!(numbers("ioctl"), [Some(16), x32(514), Some(54), Some(29), Some(54)]);
        assert_eq!(numbers("chown32"), [None, None, Some(212), None, Some(212)]);
        assert_eq!(numbers("uselib"), [Some(134), None, Some(86), None, Some(86)]);
        assert_eq!(numbers("set_tls"), [None, None, None, None, Some(0xf_0005)]);
    }

    #[test]
    fn names_missing_from_the_crate_are_known() {
        assert_eq!((x86("break"), aarch64("newfstatat")), (Some(17), Some(79)));
        assert_eq!((x86_64("listns"), x32("listns")), (Some(470), Some(470 | X32_BIT)));
    }

    #[test]
    fn calls_with_64_bit_times_are_of_32_bit_kernels_only() {
        assert_eq!((x86("futex_time64"), aarch64("futex_time64")), (Some(422), None));
    }
}
