//! The system call interfaces that a filter can tell apart: one row each.

use oci_spec::runtime::Arch;
use seccompiler::SeccompCmpArgLen;

use super::{multiplex::Multiplexers, names};

/// The bit that marks a number as one of x32, which shares the architecture
/// token of x86_64 (`__X32_SYSCALL_BIT`).
pub(super) const X32_BIT: u32 = 1 << 30;

/// One interface: a way of numbering system calls and passing their arguments.
#[derive(Debug)]
pub(super) struct Abi {
    pub(super) arch: Arch,
    /// The `AUDIT_ARCH_*` value in `seccomp_data.arch`.
    pub(super) audit: u32,
    /// Whether arguments are compared in 32 or 64 bits.
    pub(super) width: SeccompCmpArgLen,
    /// The number of a system call, by name.
    pub(super) number: fn(&str) -> Option<u32>,
    /// The calls through which it reaches sockets and System V IPC as well.
    pub(super) multiplexers: Option<Multiplexers>,
}

const AUDIT_ARCH_I386: u32 = 0x4000_0003;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_ARM: u32 = 0x4000_0028;
const AUDIT_ARCH_AARCH64: u32 = 0xc000_00b7;

static ABIS: [Abi; 5] = [
    Abi {
        arch: Arch::ScmpArchX86_64,
        audit: AUDIT_ARCH_X86_64,
        width: SeccompCmpArgLen::Qword,
        number: names::x86_64,
        multiplexers: None,
    },
    Abi {
        arch: Arch::ScmpArchX32,
        audit: AUDIT_ARCH_X86_64,
        width: SeccompCmpArgLen::Dword,
        number: names::x32,
        multiplexers: None,
    },
    Abi {
        arch: Arch::ScmpArchX86,
        audit: AUDIT_ARCH_I386,
        width: SeccompCmpArgLen::Dword,
        number: names::x86,
        multiplexers: Some(Multiplexers { socketcall: 102, ipc: 117 }),
    },
    Abi {
        arch: Arch::ScmpArchAarch64,
        audit: AUDIT_ARCH_AARCH64,
        width: SeccompCmpArgLen::Qword,
        number: names::aarch64,
        multiplexers: None,
    },
    Abi {
        arch: Arch::ScmpArchArm,
        audit: AUDIT_ARCH_ARM,
        width: SeccompCmpArgLen::Dword,
        number: names::arm,
        multiplexers: None,
    },
];

/// The row of `arch`, if there is a table of its system calls.
pub(super) fn find(arch: Arch) -> Option<&'static Abi> {
    ABIS.iter().find(|abi| abi.arch == arch)
}

/// Whether any interface has a system call called `name`.
pub(super) fn knows(name: &str) -> bool {
    ABIS.iter().any(|abi| abi.has(name))
}

/// The architecture this program was built for; `Native` when there is no row.
pub(super) fn host() -> Arch {
    match std::env::consts::ARCH {
        "x86_64" => Arch::ScmpArchX86_64,
        "x86" => Arch::ScmpArchX86,
        "aarch64" => Arch::ScmpArchAarch64,
        "arm" => Arch::ScmpArchArm,
        _ => Arch::ScmpArchNative,
    }
}

impl Abi {
    fn has(&self, name: &str) -> bool {
        (self.number)(name).is_some()
            || self.multiplexers.as_ref().is_some_and(|calls| calls.find(name).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_row() {
        assert!(find(host()).is_some());
    }

    #[test]
    fn a_call_that_only_one_interface_has_is_known() {
        for name in ["read", "chown32", "set_tls", "recv"] {
            assert!(knows(name), "{name}");
        }
        assert!(!knows("frobnicate"));
    }
}
