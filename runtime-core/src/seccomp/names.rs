//! Names of system calls → numbers. The tables are constants that `build.rs`
//! makes of `syscalls/table`: one list of names for all architectures, and for
//! each its numbers in the same order.

use super::hash;

include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));

/// In [`NUMBERS`]: the architecture has no such call.
const NONE: u16 = u16::MAX;
/// The first of ARM's private numbers in [`NUMBERS`], and what it stands for
/// (`__ARM_NR_BASE`).
const PRIVATE: u16 = 0xf000;
const PRIVATE_BASE: u32 = 0x0f_0000;
/// In [`CARRIED`]: the selector is one of ipc(2).
const IPC: u8 = 0x80;

/// The numbers of one architecture: a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    X86_64,
    X32,
    X86,
    Aarch64,
    Arm,
    Mips,
    Mips64,
    Mips64n32,
    Ppc,
    Ppc64,
    S390,
    S390x,
    Parisc,
    Parisc64,
    Riscv64,
    Loongarch64,
    M68k,
    Sh,
}

/// A system call that some architecture has, by its place in the list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call(u16);

/// How a call is made through another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// `socketcall` or `ipc`.
    pub(super) by: &'static str,
    /// The value of that call's argument 0 (`SYS_*` of linux/net.h, or
    /// linux/ipc.h).
    pub(super) selector: u32,
}

impl Call {
    pub(super) fn find(name: &str) -> Option<Self> {
        let indices = hash::probe(name).map_while(|slot| SLOTS[slot].checked_sub(1));
        indices.map(Self).find(|call| call.name() == name)
    }

    fn name(self) -> &'static str {
        let index = usize::from(self.0);
        let start = index.checked_sub(1).map_or(0, |before| ENDS[before]);
        &NAMES[usize::from(start)..usize::from(ENDS[index])]
    }

    /// Its number, without the mark of x32.
    pub(super) fn number(self, table: Table) -> Option<u32> {
        match NUMBERS[table as usize][usize::from(self.0)] {
            NONE => None,
            number @ PRIVATE.. => Some(PRIVATE_BASE | u32::from(number - PRIVATE)),
            number => Some(u32::from(number)),
        }
    }

    /// How it is made through socketcall(2) or ipc(2), where there are these.
    pub(super) fn carried(self) -> Option<Carried> {
        match CARRIED[usize::from(self.0)] {
            0 => None,
            bits if bits & IPC == 0 => Some(Carried { by: "socketcall", selector: bits.into() }),
            bits => Some(Carried { by: "ipc", selector: (bits & !IPC).into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [Table; 18] = [
        Table::X86_64,
        Table::X32,
        Table::X86,
        Table::Aarch64,
        Table::Arm,
        Table::Mips,
        Table::Mips64,
        Table::Mips64n32,
        Table::Ppc,
        Table::Ppc64,
        Table::S390,
        Table::S390x,
        Table::Parisc,
        Table::Parisc64,
        Table::Riscv64,
        Table::Loongarch64,
        Table::M68k,
        Table::Sh,
    ];

    fn number(name: &str, table: Table) -> Option<u32> {
        Call::find(name).and_then(|call| call.number(table))
    }

    #[test]
    fn tables_stand_in_the_order_of_the_columns() {
        let names = TABLES.map(|table| format!("{table:?}").to_lowercase());
        assert_eq!(names, COLUMNS);
        assert_eq!(TABLES.map(|table| table as usize), std::array::from_fn(|index| index));
    }

    #[test]
    fn every_name_is_found_and_no_other() {
        for index in 0..ENDS.len() as u16 {
            assert_eq!(Call::find(Call(index).name()), Some(Call(index)));
        }
        for name in ["", "frobnicate", "rea", "readv2"] {
            assert_eq!(Call::find(name), None);
        }
    }

    #[test]
    fn architectures_number_the_same_call_differently() {
        let ioctl = TABLES.map(|table| number("ioctl", table).unwrap());
        let own = [16, 514, 54, 29, 54, 4054, 5015, 6015, 54, 54, 54, 54, 54, 54, 29, 29, 54, 54];
        assert_eq!(ioctl, own);
        assert!(TABLES.into_iter().all(|table| number("read", table).is_some()));
        assert_eq!(number("chown32", Table::X86_64), None);
        assert_eq!(number("set_tls", Table::Arm), Some(0xf_0005));
    }

    #[test]
    fn new_calls_have_one_number_but_for_the_bases_of_mips() {
        for table in TABLES {
            let base = match table {
                Table::Mips => 4000,
                Table::Mips64 => 5000,
                Table::Mips64n32 => 6000,
                _ => 0,
            };
            assert_eq!(number("listns", table), Some(base + 470), "{table:?}");
        }
    }

    #[test]
    fn calls_with_64_bit_times_are_of_32_bit_kernels_only() {
        let has = |table| number("futex_time64", table).is_some();
        assert!(has(Table::X86) && has(Table::S390) && has(Table::Mips));
        assert!(!has(Table::Aarch64) && !has(Table::X32) && !has(Table::Mips64));
    }

    #[test]
    fn sockets_and_ipc_have_a_carrier_and_other_calls_none() {
        let carried = |name| Call::find(name).and_then(Call::carried);
        let found = |name| carried(name).map(|call| (call.by, call.selector));
        assert_eq!(found("accept4"), Some(("socketcall", 18)));
        assert_eq!(found("shmdt"), Some(("ipc", 22)));
        assert_eq!(found("read"), None);
    }
}
