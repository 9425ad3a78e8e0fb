//! Which namespaces are made and which are joined.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType as Type};

use super::clone_flags::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME,
    CLONE_NEWUSER, CLONE_NEWUTS,
};
use crate::bundle::item;

/// A type of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its type in the configuration.
    pub typ: Type,
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its file in `/proc/<pid>/ns`.
    pub file: &'static str,
    /// Its flag for clone3(2) and setns(2).
    pub flag: u64,
}

const fn kind(typ: Type, name: &'static str, file: &'static str, flag: u64) -> Kind {
    Kind { typ, name, file, flag }
}

/// Every type, in the order in which they are joined: the user namespace
/// first, for it gives the right to join the others; the mount namespace
/// after those whose paths it would change.
pub const KINDS: [Kind; 8] = [
    kind(Type::User, "user", "user", CLONE_NEWUSER),
    kind(Type::Ipc, "ipc", "ipc", CLONE_NEWIPC),
    kind(Type::Uts, "uts", "uts", CLONE_NEWUTS),
    kind(Type::Network, "network", "net", CLONE_NEWNET),
    kind(Type::Pid, "pid", "pid", CLONE_NEWPID),
    kind(Type::Mount, "mount", "mnt", CLONE_NEWNS),
    kind(Type::Cgroup, "cgroup", "cgroup", CLONE_NEWCGROUP),
    kind(Type::Time, "time", "time", CLONE_NEWTIME),
];

/// The names of the configuration, sorted: what `features` lists.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    names.sort_unstable();
    names
}

/// The name of the namespace whose clone flag is `flag`.
pub fn name_of(flag: u64) -> Option<&'static str> {
    KINDS.iter().find(|kind| kind.flag == flag).map(|kind| kind.name)
}

/// The names of all namespaces in `flags`.
pub fn names_of(flags: u64) -> Vec<&'static str> {
    KINDS.iter().filter(|kind| flags & kind.flag != 0).map(|kind| kind.name).collect()
}

/// The namespaces of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The flags of those to make.
    pub create: u64,
    /// Those to join, in order.
    pub join: Vec<Join>,
}

/// A namespace to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Its type, which the file must turn out to be.
    pub kind: Kind,
    /// The file to open, in the runtime's mount namespace.
    pub path: PathBuf,
    /// Where the configuration says so.
    pub pointer: String,
}

impl Namespaces {
    /// What `linux.namespaces` asks for. An empty path is no path.
    pub fn of(entries: &[LinuxNamespace]) -> Self {
        let mut namespaces = Self::default();
        for kind in KINDS {
            let wanted = entries.iter().enumerate().find(|(_, entry)| entry.typ() == kind.typ);
            let Some((index, entry)) = wanted else { continue };
            match entry.path().as_ref().filter(|path| !path.as_os_str().is_empty()) {
                None => namespaces.create |= kind.flag,
                Some(path) => namespaces.join.push(Join {
                    kind,
                    path: path.clone(),
                    pointer: item("/linux/namespaces", index),
                }),
            }
        }
        namespaces
    }

    /// Whether the container gets a new namespace of the type with `flag`.
    pub fn creates(&self, flag: u64) -> bool {
        self.create & flag != 0
    }

    /// The joined namespace of the type with `flag`.
    pub fn joined(&self, flag: u64) -> Option<&Join> {
        self.join.iter().find(|join| join.kind.flag == flag)
    }

    /// Whether the container has a namespace of the type with `flag` that the
    /// configuration names, new or joined.
    pub fn has(&self, flag: u64) -> bool {
        self.creates(flag) || self.joined(flag).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> LinuxNamespace {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn new_namespaces_are_flags_and_joined_ones_come_in_joining_order() {
        let namespaces = Namespaces::of(&[
            entry(r#"{"type":"pid"}"#),
            entry(r#"{"type":"mount","path":""}"#),
            entry(r#"{"type":"network","path":"/run/netns/a"}"#),
            entry(r#"{"type":"user","path":"/proc/7/ns/user"}"#),
        ]);
        assert_eq!(namespaces.create, CLONE_NEWPID | CLONE_NEWNS);
        let joined: Vec<_> =
            namespaces.join.iter().map(|join| (join.kind.name, join.pointer.as_str())).collect();
        assert_eq!(joined, [("user", "/linux/namespaces/3"), ("network", "/linux/namespaces/2")]);
        assert!(namespaces.has(CLONE_NEWUSER) && !namespaces.creates(CLONE_NEWUSER));
        assert!(!namespaces.has(CLONE_NEWTIME));
    }

    #[test]
    fn all_eight_types_are_listed() {
        assert_eq!(names(), ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]);
    }
}
