//! Kernel parameters as files.

use std::collections::HashMap;

use crate::bundle::member;
use crate::bundle::validate::{dotted, swap_separators};

/// A value for a file below /proc/sys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sysctl {
    /// The file, relative to /proc/sys.
    pub path: String,
    /// What is written to it.
    pub value: String,
    /// Where the configuration says so.
    pub pointer: String,
}

/// The parameters of `linux.sysctl`, sorted by file, so that a plan is the
/// same each time.
pub fn resolve(parameters: &HashMap<String, String>) -> Vec<Sysctl> {
    let file = |(key, value): (&String, &String)| Sysctl {
        path: path(key),
        value: value.clone(),
        pointer: member("/linux/sysctl", key),
    };
    let mut files: Vec<_> = parameters.iter().map(file).collect();
    files.sort_unstable();
    files
}

/// The file of the parameter `key` relative to /proc/sys, whichever of the
/// two separators its parts have (sysctl.d(5)).
pub fn path(key: &str) -> String {
    swap_separators(&dotted(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_lead_to_the_same_file() {
        assert_eq!(path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net/ipv4/ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net/ipv4/conf/eth0.100/forwarding"), "net/ipv4/conf/eth0.100/forwarding");
        assert_eq!(path("net.ipv4.conf.eth0/100.forwarding"), "net/ipv4/conf/eth0.100/forwarding");
    }

    #[test]
    fn parameters_are_sorted_and_keep_their_place() {
        let parameters =
            [("net/b", "2"), ("kernel.a", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let files = resolve(&HashMap::from(parameters));
        let seen: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.pointer.as_str())).collect();
        assert_eq!(
            seen,
            [("kernel/a", "/linux/sysctl/kernel.a"), ("net/b", "/linux/sysctl/net~1b")]
        );
    }
}
