//! The system call interfaces that a filter can tell apart: one row each.

use oci_spec::runtime::Arch;

use super::names::{Call, Table};

/// The bit that marks a number as one of x32, which shares the architecture
/// token of x86_64 (`__X32_SYSCALL_BIT`).
pub(super) const X32_BIT: u32 = 1 << 30;

/// In an `AUDIT_ARCH_*` value (`__AUDIT_ARCH_LE`).
const LITTLE_ENDIAN: u32 = 1 << 30;

/// One interface: a way of numbering system calls and passing their arguments.
#[derive(Debug)]
pub(super) struct Abi {
    pub(super) arch: Arch,
    /// The `AUDIT_ARCH_*` value in `seccomp_data.arch`.
    pub(super) audit: u32,
    pub(super) layout: Layout,
    table: Table,
    /// Whether sockets and System V IPC are reached by socketcall(2) and ipc(2)
    /// as well.
    multiplexed: bool,
}

/// How an interface passes arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// They are compared in 64 bits, not in 32.
    pub(super) wide: bool,
    /// The higher half comes first in `seccomp_data`.
    pub(super) big_endian: bool,
}

/// A call as it is made through another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Multiplexed {
    /// The number of the call that carries it.
    pub(super) carrier: u32,
    /// The value of that call's argument 0.
    pub(super) selector: u32,
}

const fn direct(arch: Arch, table: Table, bits: u32) -> Abi {
    // oci-spec gives an architecture the token of the kernel, but for x32.
    let audit = if matches!(arch, Arch::ScmpArchX32) { Arch::ScmpArchX86_64 } else { arch };
    let audit = audit as u32;
    let layout = Layout { wide: bits == 64, big_endian: is_big_endian(audit) };
    Abi { arch, audit, layout, table, multiplexed: false }
}

const fn multiplexed(arch: Arch, table: Table, bits: u32) -> Abi {
    Abi { multiplexed: true, ..direct(arch, table, bits) }
}

/// Widths and carriers are libseccomp's: it compares what x32 and n32 pass in 64
/// bits by the lower half.
static ABIS: [Abi; 23] = [
    direct(Arch::ScmpArchX86_64, Table::X86_64, 64),
    direct(Arch::ScmpArchX32, Table::X32, 32),
    multiplexed(Arch::ScmpArchX86, Table::X86, 32),
    direct(Arch::ScmpArchAarch64, Table::Aarch64, 64),
    direct(Arch::ScmpArchArm, Table::Arm, 32),
    multiplexed(Arch::ScmpArchMips, Table::Mips, 32),
    direct(Arch::ScmpArchMips64, Table::Mips64, 64),
    direct(Arch::ScmpArchMips64n32, Table::Mips64n32, 32),
    multiplexed(Arch::ScmpArchMipsel, Table::Mips, 32),
    direct(Arch::ScmpArchMipsel64, Table::Mips64, 64),
    direct(Arch::ScmpArchMipsel64n32, Table::Mips64n32, 32),
    multiplexed(Arch::ScmpArchPpc, Table::Ppc, 32),
    multiplexed(Arch::ScmpArchPpc64, Table::Ppc64, 64),
    multiplexed(Arch::ScmpArchPpc64le, Table::Ppc64, 64),
    multiplexed(Arch::ScmpArchS390, Table::S390, 32),
    multiplexed(Arch::ScmpArchS390x, Table::S390x, 64),
    direct(Arch::ScmpArchParisc, Table::Parisc, 32),
    direct(Arch::ScmpArchParisc64, Table::Parisc64, 64),
    direct(Arch::ScmpArchRiscv64, Table::Riscv64, 64),
    direct(Arch::ScmpArchLoongarch64, Table::Loongarch64, 64),
    multiplexed(Arch::ScmpArchM68k, Table::M68k, 32),
    multiplexed(Arch::ScmpArchSh, Table::Sh, 32),
    multiplexed(Arch::ScmpArchSheb, Table::Sh, 32),
];

/// The row of `arch`. `Native` has none.
pub(super) fn find(arch: Arch) -> Option<&'static Abi> {
    ABIS.iter().find(|abi| abi.arch == arch)
}

/// Every row.
pub(super) fn all() -> impl Iterator<Item = &'static Abi> {
    ABIS.iter()
}

/// The architecture this program was built for; `Native` when there is no row.
pub(super) fn host() -> Arch {
    const BIG: bool = cfg!(target_endian = "big");
    match std::env::consts::ARCH {
        "x86_64" if cfg!(target_pointer_width = "32") => Arch::ScmpArchX32,
        "x86_64" => Arch::ScmpArchX86_64,
        "x86" => Arch::ScmpArchX86,
        "aarch64" => Arch::ScmpArchAarch64,
        "arm" => Arch::ScmpArchArm,
        "mips" if BIG => Arch::ScmpArchMips,
        "mips" => Arch::ScmpArchMipsel,
        "mips64" if BIG => Arch::ScmpArchMips64,
        "mips64" => Arch::ScmpArchMipsel64,
        "powerpc" => Arch::ScmpArchPpc,
        "powerpc64" if BIG => Arch::ScmpArchPpc64,
        "powerpc64" => Arch::ScmpArchPpc64le,
        "s390x" => Arch::ScmpArchS390x,
        "riscv64" => Arch::ScmpArchRiscv64,
        "loongarch64" => Arch::ScmpArchLoongarch64,
        "m68k" => Arch::ScmpArchM68k,
        _ => Arch::ScmpArchNative,
    }
}

/// Whether an architecture token is one of a processor that stores the higher
/// half of an argument first.
pub(super) const fn is_big_endian(audit: u32) -> bool {
    audit & LITTLE_ENDIAN == 0
}

impl Abi {
    /// The number of `call`, if the interface has it for itself.
    pub(super) fn number(&self, call: Call) -> Option<u32> {
        let number = call.number(self.table)?;
        Some(if self.arch == Arch::ScmpArchX32 { number | X32_BIT } else { number })
    }

    /// How `call` is made through another here, if it can be.
    pub(super) fn multiplexed(&self, call: Call) -> Option<Multiplexed> {
        let carried = call.carried().filter(|_| self.multiplexed)?;
        let carrier = Call::find(carried.by).and_then(|carrier| self.number(carrier))?;
        Some(Multiplexed { carrier, selector: carried.selector })
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
    fn tokens_tell_interfaces_apart_but_for_x32() {
        let mut tokens: Vec<_> = ABIS.iter().map(|abi| abi.audit).collect();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), ABIS.len() - 1);
        assert_eq!(find(Arch::ScmpArchX32).unwrap().audit, 0xc000_003e);
    }

    #[test]
    fn tokens_tell_the_order_of_bytes() {
        let big = ["Mips", "Mips64", "Mips64n32", "Ppc", "Ppc64", "S390", "S390x", "Parisc"];
        let big = big.into_iter().chain(["Parisc64", "M68k", "Sheb"]);
        let found = ABIS.iter().filter(|abi| is_big_endian(abi.audit));
        let found: Vec<_> = found.map(|abi| format!("{:?}", abi.arch)).collect();
        assert_eq!(found, big.map(|name| format!("ScmpArch{name}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_carrier_has_the_number_of_its_interface() {
        let carrier = |arch, name| {
            let call = Call::find(name).unwrap();
            find(arch).unwrap().multiplexed(call).map(|call| (call.carrier, call.selector))
        };
        assert_eq!(carrier(Arch::ScmpArchX86, "accept4"), Some((102, 18)));
        assert_eq!(carrier(Arch::ScmpArchMips, "shmdt"), Some((4117, 22)));
        assert_eq!(carrier(Arch::ScmpArchX86_64, "accept4"), None);
    }
}
