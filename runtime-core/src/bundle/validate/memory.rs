//! Rules for the NUMA memory policy and for Intel RDT.

use oci_spec::runtime::{
    Linux, LinuxIntelRdt, LinuxMemoryPolicy, MemoryPolicyFlagType as Flag,
    MemoryPolicyModeType as Mode,
};

use super::{Faults, list, lists, text};
use crate::bundle::{item, member};

pub(super) fn rules(linux: &Linux, faults: &mut Faults) {
    if let Some(policy) = linux.memory_policy() {
        nodes(policy, faults);
        flags(policy, faults);
    }
    if let Some(rdt) = linux.intel_rdt() {
        closid(text(rdt.clos_id()), faults);
        schemata(rdt, faults);
    }
}

/// config-linux.md, Memory policy; set_mempolicy(2).
fn nodes(policy: &LinuxMemoryPolicy, faults: &mut Faults) {
    let nodes = text(policy.nodes());
    let message = match policy.mode() {
        _ if !nodes.is_empty() && !lists::is_list(nodes) => {
            format!("invalid memory policy nodes {nodes:?}")
        }
        Mode::MpolDefault | Mode::MpolLocal if !nodes.is_empty() => {
            format!("memory policy mode requires 0 nodes but got {}", lists::count(nodes))
        }
        Mode::MpolBind
        | Mode::MpolInterleave
        | Mode::MpolPreferredMany
        | Mode::MpolWeightedInterleave
            if nodes.is_empty() =>
        {
            "memory policy mode requires at least one node but got 0".to_owned()
        }
        _ => return,
    };
    let remedy = "write numbers and ranges, such as 0-3,7, or nothing for MPOL_DEFAULT and \
                  MPOL_LOCAL";
    faults.add("/linux/memoryPolicy/nodes", message, remedy);
}

/// set_mempolicy(2), which says no more than EINVAL to these.
fn flags(policy: &LinuxMemoryPolicy, faults: &mut Faults) {
    const POINTER: &str = "/linux/memoryPolicy/flags";
    let flags = list(policy.flags());
    let has = |flag: Flag| flags.contains(&flag);
    let numbered = has(Flag::MpolFStaticNodes) || has(Flag::MpolFRelativeNodes);
    let nowhere = text(policy.nodes()).is_empty();
    if has(Flag::MpolFStaticNodes) && has(Flag::MpolFRelativeNodes) {
        let message = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other";
        faults.add(POINTER, message, "keep one of the two");
    }
    if numbered && nowhere && matches!(policy.mode(), Mode::MpolPreferred | Mode::MpolLocal) {
        let message = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES need nodes";
        faults.add(POINTER, message, "name the nodes, or leave the flag out");
    }
    if has(Flag::MpolFNumaBalancing)
        && !matches!(policy.mode(), Mode::MpolBind | Mode::MpolPreferredMany)
    {
        let message = "MPOL_F_NUMA_BALANCING is for MPOL_BIND and MPOL_PREFERRED_MANY alone";
        faults.add(POINTER, message, "leave it out, or use one of those modes");
    }
}

/// One directory below resctrl that is none of its own, or `/` for the default group.
fn closid(closid: &str, faults: &mut Faults) {
    let is_name = !closid.contains(|c: char| c == '/' || c.is_control())
        && !matches!(closid, "." | ".." | "info" | "mon_data" | "mon_groups");
    if !is_name && closid != "/" {
        let message = format!("invalid intelRdt.ClosID {closid:?}");
        faults.add("/linux/intelRdt/closID", message, "name one directory, or / for the default");
    }
}

/// config-linux.md, IntelRdt: values MUST NOT contain newlines.
fn schemata(rdt: &LinuxIntelRdt, faults: &mut Faults) {
    const BASE: &str = "/linux/intelRdt";
    let mut one_line = |value: &str, pointer: String| {
        if value.contains('\n') {
            faults.add(pointer, "schema contains a newline", "give one line");
        }
    };
    one_line(text(rdt.mem_bw_schema()), member(BASE, "memBwSchema"));
    for (index, line) in list(rdt.schemata()).iter().enumerate() {
        one_line(line, item(&member(BASE, "schemata"), index));
    }
    let bandwidth = text(rdt.mem_bw_schema());
    if !bandwidth.is_empty() && !bandwidth.starts_with("MB:") {
        let message = "memBwSchema does not start with MB:";
        faults.add(member(BASE, "memBwSchema"), message, "write it as MB:0=50");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn each_mode_takes_its_nodes() {
        let nodes = |mode: &str, nodes: &str| {
            faults(&format!(
                r#"{{"linux":{{"memoryPolicy":{{"mode":"MPOL_{mode}","nodes":"{nodes}"}}}}}}"#
            ))
        };
        assert_eq!(nodes("BIND", "0-1"), [""; 0]);
        assert_eq!(nodes("PREFERRED", ""), [""; 0]);
        assert_eq!(
            nodes("LOCAL", "0"),
            ["/linux/memoryPolicy/nodes: memory policy mode requires 0 nodes but got 1"]
        );
        assert_eq!(
            nodes("BIND", ""),
            ["/linux/memoryPolicy/nodes: memory policy mode requires at least one node but got 0"]
        );
        assert_eq!(
            nodes("BIND", "x"),
            ["/linux/memoryPolicy/nodes: invalid memory policy nodes \"x\""]
        );
    }

    #[test]
    fn flags_that_the_kernel_would_refuse_are_refused_with_a_reason() {
        let flags = |mode: &str, nodes: &str, flags: &str| {
            faults(&format!(
                r#"{{"linux":{{"memoryPolicy":{{"mode":"MPOL_{mode}","nodes":"{nodes}",
                    "flags":[{flags}]}}}}}}"#
            ))
        };
        let (fixed, relative) = (r#""MPOL_F_STATIC_NODES""#, r#""MPOL_F_RELATIVE_NODES""#);
        let balancing = r#""MPOL_F_NUMA_BALANCING""#;
        assert_eq!(flags("BIND", "0", &format!("{fixed},{balancing}")), [""; 0]);
        assert_eq!(flags("DEFAULT", "", fixed), [""; 0]);
        for (mode, nodes, wrong) in [
            ("BIND", "0", format!("{fixed},{relative}").as_str()),
            ("PREFERRED", "", fixed),
            ("LOCAL", "", relative),
            ("INTERLEAVE", "0", balancing),
        ] {
            let faults = flags(mode, nodes, wrong);
            assert_eq!(faults.len(), 1, "{mode} {wrong}");
            assert!(faults[0].starts_with("/linux/memoryPolicy/flags: MPOL_F_"), "{faults:?}");
        }
    }

    #[test]
    fn rdt_names_one_directory_and_writes_single_lines() {
        assert_eq!(faults(r#"{"linux":{"intelRdt":{"closID":"/"}}}"#), [""; 0]);
        for bad in ["info", "a/b", "..", "//", "a\\n"] {
            let found = faults(&format!(r#"{{"linux":{{"intelRdt":{{"closID":"{bad}"}}}}}}"#));
            assert!(found[0].contains("invalid intelRdt.ClosID"), "{bad}: {found:?}");
        }
        assert_eq!(
            faults(
                r#"{"linux":{"intelRdt":{"closID":"a/b","memBwSchema":"L3:0=1",
                    "schemata":["L3:0=f","MB:0=1\nL3:0=0"]}}}"#
            ),
            [
                "/linux/intelRdt/closID: invalid intelRdt.ClosID \"a/b\"",
                "/linux/intelRdt/schemata/1: schema contains a newline",
                "/linux/intelRdt/memBwSchema: memBwSchema does not start with MB:",
            ]
        );
    }
}
