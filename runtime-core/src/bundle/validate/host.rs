//! Rules that need a look at the host's files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::{Faults, dotted, namespace, path_of, sorted};
use crate::bundle::member;
use crate::error::Error;

/// What is wrong with `spec` on this host; `rootfs` is its resolved root.
pub fn check_host(spec: &Spec, rootfs: &Path) -> Vec<Error> {
    let mut faults = Faults::default();
    if spec.root().as_ref().is_some_and(|root| !root.path().as_os_str().is_empty()) {
        root(rootfs, &mut faults);
    }
    host_network(spec, &mut faults);
    if let Some(process) = spec.process() {
        faults.0.extend(super::check_labels(process, "/process"));
    }
    faults.0
}

/// config.md, Root: a directory MUST exist at the path. The root of the host
/// is nobody's container.
fn root(rootfs: &Path, faults: &mut Faults) {
    const POINTER: &str = "/root/path";
    if rootfs == Path::new("/") {
        let remedy = "use a directory of the container's own";
        return faults.add(POINTER, "invalid rootfs: must not be the root of the host", remedy);
    }
    match fs::metadata(rootfs) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            let message = format!("invalid rootfs: {}: not a directory", rootfs.display());
            faults.add(POINTER, message, "name the directory that holds the file system");
        }
        Err(error) => faults.0.push(
            Error::io("stat", &error)
                .with_kind(crate::error::ErrorKind::InvalidConfig)
                .path(rootfs)
                .at(POINTER)
                .context("invalid rootfs")
                .hint("make the directory, or correct the path"),
        ),
    }
}

/// A network namespace that is joined by path may be the runtime's own: its
/// parameters are then the host's, and no device can be moved there.
fn host_network(spec: &Spec, faults: &mut Faults) {
    let Some(linux) = spec.linux() else { return };
    let moves = linux.net_devices().as_ref().is_some_and(|devices| !devices.is_empty());
    let sysctl = linux.sysctl().as_ref().filter(|sysctl| !sysctl.is_empty());
    if sysctl.is_none() && !moves {
        return;
    }
    let joined = namespace(spec, LinuxNamespaceType::Network).and_then(path_of);
    if !joined.is_some_and(|path| is_same_file(path, Path::new("/proc/self/ns/net"))) {
        return;
    }
    if moves {
        let message = "unable to move network devices without a NET namespace";
        let remedy = "join another network namespace, or make a new one";
        faults.add("/linux/netDevices", message, remedy);
    }
    for (key, _) in sysctl.map(sorted).unwrap_or_default() {
        let name = dotted(key);
        if name.starts_with("net.") {
            let message = format!("sysctl {name:?} not allowed in host network namespace");
            let remedy = "join another network namespace, or make a new one";
            faults.add(member("/linux/sysctl", key), message, remedy);
        }
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::parse_spec;

    fn spec(linux: &str) -> Spec {
        let text = format!(r#"{{"root":{{"path":"x"}},"linux":{linux}}}"#);
        parse_spec(text.as_bytes()).unwrap().0
    }

    #[test]
    fn the_root_is_a_directory_other_than_the_hosts_root() {
        let says = |path: &str| {
            let faults = check_host(&spec("{}"), Path::new(path));
            faults.first().map(ToString::to_string).unwrap_or_default()
        };
        assert_eq!(says("/proc"), "");
        assert!(says("/").starts_with("invalid rootfs: must not be the root of the host"));
        assert!(says("/proc/version").contains("not a directory"));
        let missing = says("/nonexistent/rootfs");
        assert!(missing.contains("no such file or directory"), "{missing}");
    }

    #[test]
    fn network_parameters_are_refused_in_a_joined_namespace_that_is_our_own() {
        let linux = r#"{"namespaces":[{"type":"network","path":"/proc/self/ns/net"}],
            "sysctl":{"net.ipv4.ip_forward":"1","kernel.sem":"1"}}"#;
        let faults = check_host(&spec(linux), Path::new("/proc"));
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].pointer(), Some("/linux/sysctl/net.ipv4.ip_forward"));
    }

    #[test]
    fn no_device_is_moved_to_where_it_is() {
        let linux = r#"{"namespaces":[{"type":"network","path":"/proc/self/ns/net"}],
            "netDevices":{"eth0":{}}}"#;
        let faults = check_host(&spec(linux), Path::new("/proc"));
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].pointer(), Some("/linux/netDevices"));
    }
}
