//! Names of system calls → numbers, for each interface: the tables of the
//! `syscalls` crate, and what they lack.

use std::str::FromStr;

use super::abi::X32_BIT;

pub(super) fn x86_64(name: &str) -> Option<u32> {
    let number = syscalls::x86_64::Sysno::from_str(name).ok().map(|call| call.id());
    number.and_then(to_u32).or_else(|| newer_than_the_tables(name))
}

/// x32 has the numbers of x86_64 but for the calls whose arguments hold
/// pointers in memory, and those that came and went before it.
pub(super) fn x32(name: &str) -> Option<u32> {
    let number = match X32_DIFFERS.binary_search_by_key(&name, |(name, _)| name) {
        Ok(place) => X32_DIFFERS[place].1,
        Err(_) => x86_64(name),
    };
    number.map(|number| number | X32_BIT)
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

/// Where x32 departs from x86_64, sorted by name; `None` is a call it lacks.
static X32_DIFFERS: [(&str, Option<u32>); 47] = [
    ("_sysctl", None),
    ("create_module", None),
    ("epoll_ctl_old", None),
    ("epoll_wait_old", None),
    ("execve", Some(520)),
    ("execveat", Some(545)),
    ("get_kernel_syms", None),
    ("get_robust_list", Some(531)),
    ("get_thread_area", None),
    ("getsockopt", Some(542)),
    ("io_setup", Some(543)),
    ("io_submit", Some(544)),
    ("ioctl", Some(514)),
    ("kexec_load", Some(528)),
    ("move_pages", Some(533)),
    ("mq_notify", Some(527)),
    ("nfsservctl", None),
    ("preadv", Some(534)),
    ("preadv2", Some(546)),
    ("process_vm_readv", Some(539)),
    ("process_vm_writev", Some(540)),
    ("ptrace", Some(521)),
    ("pwritev", Some(535)),
    ("pwritev2", Some(547)),
    ("query_module", None),
    ("readv", Some(515)),
    ("recvfrom", Some(517)),
    ("recvmmsg", Some(537)),
    ("recvmsg", Some(519)),
    ("rt_sigaction", Some(512)),
    ("rt_sigpending", Some(522)),
    ("rt_sigqueueinfo", Some(524)),
    ("rt_sigreturn", Some(513)),
    ("rt_sigtimedwait", Some(523)),
    ("rt_tgsigqueueinfo", Some(536)),
    ("sendmmsg", Some(538)),
    ("sendmsg", Some(518)),
    ("set_robust_list", Some(530)),
    ("set_thread_area", None),
    ("setsockopt", Some(541)),
    ("sigaltstack", Some(525)),
    ("timer_create", Some(526)),
    ("uselib", None),
    ("vmsplice", Some(532)),
    ("vserver", None),
    ("waitid", Some(529)),
    ("writev", Some(516)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_x32_is_sorted_for_its_search() {
        assert!(X32_DIFFERS.is_sorted_by_key(|(name, _)| name));
    }

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
