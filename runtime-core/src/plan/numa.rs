//! The NUMA memory policy of a container.

use oci_spec::runtime::{
    LinuxMemoryPolicy, MemoryPolicyFlagType as Flag, MemoryPolicyModeType as Mode,
};

use super::bitmask;
use crate::error::{Error, Result};

/// The modes, by the names that `features` lists (linux/mempolicy.h).
const MODES: [(&str, Mode, u32); 7] = [
    ("MPOL_BIND", Mode::MpolBind, 2),
    ("MPOL_DEFAULT", Mode::MpolDefault, 0),
    ("MPOL_INTERLEAVE", Mode::MpolInterleave, 3),
    ("MPOL_LOCAL", Mode::MpolLocal, 4),
    ("MPOL_PREFERRED", Mode::MpolPreferred, 1),
    ("MPOL_PREFERRED_MANY", Mode::MpolPreferredMany, 5),
    ("MPOL_WEIGHTED_INTERLEAVE", Mode::MpolWeightedInterleave, 6),
];

/// The flags, by the names that `features` lists (linux/mempolicy.h).
const FLAGS: [(&str, Flag, u32); 3] = [
    ("MPOL_F_NUMA_BALANCING", Flag::MpolFNumaBalancing, 1 << 13),
    ("MPOL_F_RELATIVE_NODES", Flag::MpolFRelativeNodes, 1 << 14),
    ("MPOL_F_STATIC_NODES", Flag::MpolFStaticNodes, 1 << 15),
];

/// The names of the modes, sorted.
pub fn mode_names() -> Vec<&'static str> {
    MODES.iter().map(|(name, _, _)| *name).collect()
}

/// The names of the flags, sorted.
pub fn flag_names() -> Vec<&'static str> {
    FLAGS.iter().map(|(name, _, _)| *name).collect()
}

/// The arguments of set_mempolicy(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// An `MPOL_*` together with its flags.
    pub mode: u32,
    /// The nodes, in words of 64 bits; empty for none.
    pub nodes: Vec<u64>,
}

impl MemoryPolicy {
    /// The policy that `linux.memoryPolicy` asks for.
    pub fn of(wanted: &LinuxMemoryPolicy) -> Result<Self> {
        let mode = MODES.iter().filter(|(_, mode, _)| *mode == wanted.mode());
        let set = wanted.flags().as_deref().unwrap_or_default();
        let flags = FLAGS.iter().filter(|(_, flag, _)| set.contains(flag));
        let bits = |all, entry: u32| all | entry;
        let mode = mode.map(|(_, _, number)| *number).fold(0, bits);
        let flags = flags.map(|(_, _, bit)| *bit).fold(0, bits);
        Ok(Self { mode: mode | flags, nodes: nodes(wanted)? })
    }
}

fn nodes(wanted: &LinuxMemoryPolicy) -> Result<Vec<u64>> {
    let list = wanted.nodes().as_deref().unwrap_or_default();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    bitmask::from_list(list).ok_or_else(|| {
        let message = format!("invalid memory policy nodes {list:?}");
        Error::config("/linux/memoryPolicy/nodes", message)
            .hint("write numbers up to 65535 and ranges, such as 0-3,7")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_flags_are_one_number() {
        let policy = |text: &str| MemoryPolicy::of(&serde_json::from_str(text).unwrap());
        let wanted =
            policy(r#"{"mode":"MPOL_INTERLEAVE","nodes":"2-3","flags":["MPOL_F_STATIC_NODES"]}"#);
        assert_eq!(wanted.unwrap(), MemoryPolicy { mode: 0x8003, nodes: vec![0xc] });
        assert!(policy(r#"{"mode":"MPOL_BIND","nodes":"x"}"#).is_err());
    }

    #[test]
    fn the_names_are_sorted() {
        assert!(mode_names().is_sorted() && flag_names().is_sorted());
    }
}
