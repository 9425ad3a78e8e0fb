//! Rules for kernel parameters: only those that belong to a namespace the
//! container owns. The rest of /proc/sys is the host's.

use oci_spec::runtime::{LinuxNamespaceType as Kind, Spec};

use super::{Faults, has_namespace, sorted};
use crate::bundle::member;

/// Parameters of an IPC namespace besides `fs.mqueue.*` (ipc_namespaces(7)).
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

const DOMAINNAME: &str = "kernel.domainname";

/// config-linux.md, Sysctl.
pub(super) fn rules(spec: &Spec, faults: &mut Faults) {
    let sysctl = spec.linux().as_ref().and_then(|linux| linux.sysctl().as_ref());
    for (key, value) in sysctl.map(sorted).unwrap_or_default() {
        let pointer = || member("/linux/sysctl", key);
        let name = dotted(key);
        if !is_wellformed(&name) {
            let message = format!("invalid sysctl name {key:?}");
            faults.add(pointer(), message, "write it as in net.ipv4.ip_forward");
        } else if let Err((message, remedy)) = belongs(&name, spec) {
            faults.add(pointer(), message, remedy);
        } else if name == DOMAINNAME && differs(value, spec.domainname()) {
            let message = format!("sysctl {name:?} conflicts with the OCI \"domainname\" field");
            faults.add(pointer(), message, "give both the same value, or use domainname alone");
        }
    }
}

/// One of the two would be lost.
fn differs(value: &str, field: &Option<String>) -> bool {
    field.as_ref().is_some_and(|name| !name.is_empty() && name != value)
}

/// `key` with dots between its parts. A key whose first separator is a slash
/// has them the other way round: there a dot is part of a name, which in the
/// dotted form is a slash (sysctl.d(5)).
pub(crate) fn dotted(key: &str) -> String {
    if key.find(['.', '/']).is_none_or(|at| key[at..].starts_with('.')) {
        return key.to_owned();
    }
    swap_separators(key)
}

/// Exchanges dots and slashes: a dotted name becomes its path below /proc/sys.
pub(crate) fn swap_separators(name: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect()
}

/// No part of the name leads out of /proc/sys or is missing.
fn is_wellformed(name: &str) -> bool {
    let path = swap_separators(name);
    path.contains('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn belongs(name: &str, spec: &Spec) -> Result<(), (String, &'static str)> {
    let private = |kind| has_namespace(spec, kind);
    if IPC.contains(&name) || name.starts_with("fs.mqueue.") {
        let message = || format!("sysctl {name:?} is not allowed in the hosts ipc namespace");
        return allow(private(Kind::Ipc), message, "add {\"type\": \"ipc\"} to linux.namespaces");
    }
    if name.starts_with("net.") {
        let message = || format!("sysctl {name:?} not allowed in host network namespace");
        let remedy = "add {\"type\": \"network\"} to linux.namespaces";
        return allow(private(Kind::Network), message, remedy);
    }
    if private(Kind::Uts) && name == DOMAINNAME {
        return Ok(());
    }
    if private(Kind::Uts) && name == "kernel.hostname" {
        let message = format!(
            "sysctl {name:?} is not allowed as it conflicts with the OCI \"hostname\" field"
        );
        return Err((message, "use hostname"));
    }
    if name.starts_with("user.") {
        let message = || format!("setting ucounts without a user namespace not allowed: {name}");
        return allow(private(Kind::User), message, "add {\"type\": \"user\"} to linux.namespaces");
    }
    let message = format!("sysctl {name:?} is not in a separate kernel namespace");
    Err((message, "set it on the host"))
}

fn allow(
    owned: bool,
    message: impl Fn() -> String,
    remedy: &'static str,
) -> Result<(), (String, &'static str)> {
    if owned { Ok(()) } else { Err((message(), remedy)) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;
    use super::*;

    fn sysctl(namespaces: &str, key: &str) -> Vec<String> {
        faults(&format!(r#"{{"linux":{{"namespaces":[{namespaces}],"sysctl":{{"{key}":"1"}}}}}}"#))
    }

    #[test]
    fn both_separators_name_the_same_parameter() {
        assert_eq!(dotted("net/ipv4/conf/eno2.100/rp_filter"), "net.ipv4.conf.eno2/100.rp_filter");
        assert_eq!(dotted("net.ipv4.conf.eno2/100.rp_filter"), "net.ipv4.conf.eno2/100.rp_filter");
        assert_eq!(dotted("kernel"), "kernel");
        assert_eq!(
            swap_separators("net.ipv4.conf.eno2/100.rp_filter"),
            "net/ipv4/conf/eno2.100/rp_filter"
        );
    }

    #[test]
    fn a_parameter_of_an_owned_namespace_is_allowed() {
        let none = [""; 0];
        assert_eq!(sysctl(r#"{"type":"ipc"}"#, "kernel.shmmax"), none);
        assert_eq!(sysctl(r#"{"type":"ipc"}"#, "fs/mqueue/msg_max"), none);
        assert_eq!(sysctl(r#"{"type":"network"}"#, "net.ipv4.ip_forward"), none);
        assert_eq!(sysctl(r#"{"type":"uts"}"#, "kernel.domainname"), none);
    }

    #[test]
    fn a_domain_name_is_said_once_or_twice_the_same() {
        let both = |name: &str| {
            faults(&format!(
                r#"{{"domainname":"{name}","linux":{{"namespaces":[{{"type":"uts"}}],
                    "sysctl":{{"kernel/domainname":"example.org"}}}}}}"#
            ))
        };
        assert_eq!(both("example.org"), [""; 0]);
        assert_eq!(
            both("example.com"),
            [
                "/linux/sysctl/kernel~1domainname: sysctl \"kernel.domainname\" conflicts with the OCI \
              \"domainname\" field"
            ]
        );
    }

    #[test]
    fn every_other_parameter_is_the_hosts() {
        for (namespaces, key, fault) in [
            ("", "kernel.sem", "sysctl \"kernel.sem\" is not allowed in the hosts ipc namespace"),
            ("", "net.x", "sysctl \"net.x\" not allowed in host network namespace"),
            (
                r#"{"type":"uts"}"#,
                "kernel.hostname",
                "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI \
                 \"hostname\" field",
            ),
            ("", "user.x", "setting ucounts without a user namespace not allowed: user.x"),
            (
                r#"{"type":"ipc"}"#,
                "kernel.core_pattern",
                "sysctl \"kernel.core_pattern\" is not in a separate kernel namespace",
            ),
        ] {
            assert_eq!(sysctl(namespaces, key), [format!("/linux/sysctl/{key}: {fault}")]);
        }
    }

    #[test]
    fn a_name_cannot_climb_out_of_its_directory() {
        for key in ["net.//.//.kernel.core_pattern", "net/../kernel/x", "net..x", "net.", "net"] {
            let faults = sysctl(r#"{"type":"network"}"#, key);
            assert!(faults[0].contains("invalid sysctl name"), "{key}: {faults:?}");
        }
    }
}
