//! The configuration that `spec` writes for a user to start from.

const ROOT: &str = include_str!("template/root.json");
/// Not JSON until `UID` and `GID` are replaced by numbers.
const ROOTLESS: &str = include_str!("template/rootless.json");
const CGROUP_NAMESPACE: &str = ",\n\t\t\t{\n\t\t\t\t\"type\": \"cgroup\"\n\t\t\t}";

/// The text of a config.json that runs `sh` in `rootfs`, indented by tabs and
/// without a final newline.
///
/// `rootless` names the user and group that container root is mapped to; such
/// a configuration has a user namespace, shares the network of the host and
/// sets no limits. `cgroup2` adds a cgroup namespace, which only a unified
/// hierarchy makes useful.
pub fn template(rootless: Option<(u32, u32)>, cgroup2: bool) -> String {
    let text = match rootless {
        None => ROOT.to_owned(),
        Some((uid, gid)) => ROOTLESS
            .replacen("\"hostID\": UID", &format!("\"hostID\": {uid}"), 1)
            .replacen("\"hostID\": GID", &format!("\"hostID\": {gid}"), 1),
    };
    if cgroup2 { text } else { text.replacen(CGROUP_NAMESPACE, "", 1) }
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxNamespaceType as Namespace;

    use super::*;
    use crate::bundle::{parse_spec, validate};

    fn namespaces(text: &str) -> Vec<Namespace> {
        let (spec, notices) = parse_spec(text.as_bytes()).unwrap();
        assert_eq!((validate::check(&spec).len(), notices.len()), (0, 0));
        let namespaces = spec.linux().clone().unwrap().namespaces().clone().unwrap();
        namespaces.iter().map(|namespace| namespace.typ()).collect()
    }

    #[test]
    fn every_template_is_a_valid_configuration() {
        use Namespace::{Cgroup, Ipc, Mount, Network, Pid, User, Uts};
        assert_eq!(namespaces(&template(None, false)), [Pid, Network, Ipc, Uts, Mount]);
        assert_eq!(namespaces(&template(None, true)), [Pid, Network, Ipc, Uts, Mount, Cgroup]);
        let rootless = Some((1000, 1001));
        assert_eq!(namespaces(&template(rootless, false)), [Pid, Ipc, Uts, Mount, User]);
        assert_eq!(namespaces(&template(rootless, true)), [Pid, Ipc, Uts, Mount, Cgroup, User]);
    }

    #[test]
    fn the_rootless_template_maps_root_to_the_caller() {
        let (spec, _) = parse_spec(template(Some((1000, 1001)), false).as_bytes()).unwrap();
        let linux = spec.linux().clone().unwrap();
        let host = |mappings: &Option<Vec<oci_spec::runtime::LinuxIdMapping>>| {
            mappings.as_ref().unwrap()[0].host_id()
        };
        assert_eq!((host(linux.uid_mappings()), host(linux.gid_mappings())), (1000, 1001));
        assert!(linux.resources().is_none());
    }
}
