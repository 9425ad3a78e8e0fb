//! What the spec, the kernel and a runtime's safety demand of a configuration
//! beyond its JSON types. Each rule is a function of its own and cites where
//! it comes from; the phrases are those that engines and their users know.

mod devices;
mod filesystem;
mod hooks;
mod host;
mod identity;
mod labels;
mod lists;
mod mappings;
mod memory;
mod mounts;
mod namespaces;
mod network;
mod nul;
mod process;
mod resources;
mod rootless;
mod scheduling;
mod seccomp;
mod sysctl;
mod top;
mod warnings;

use std::collections::HashMap;
use std::path::Path;

use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType, LinuxResources, Process, Spec};

pub use host::check_host;
pub use labels::check_labels;
pub use nul::check_text;
pub use rootless::check_rootless;
pub(crate) use sysctl::{dotted, swap_separators};
pub use warnings::warnings;

use crate::error::Error;

/// The rules, in the order in which a user would want to hear of them.
const RULES: [fn(&Spec, &mut Faults); 14] = [
    top::version,
    process::first,
    top::root,
    top::names,
    top::annotations,
    namespaces::rules,
    mappings::rules,
    mounts::rules,
    devices::rules,
    network::rules,
    sysctl::rules,
    filesystem::rules,
    hooks::rules,
    seccomp::rules,
];

/// The rules for what resources say, under `/linux`.
const LINUX_RULES: [fn(&Linux, &mut Faults); 2] = [resources::rules, memory::rules];

/// Everything that is wrong in `spec` by itself, before any look at the host.
pub fn check(spec: &Spec) -> Vec<Error> {
    let mut faults = Faults::default();
    for rule in RULES {
        rule(spec, &mut faults);
    }
    if let Some(linux) = spec.linux() {
        for rule in LINUX_RULES {
            rule(linux, &mut faults);
        }
    }
    faults.0
}

/// Everything that is wrong in `process`, the object at the JSON pointer
/// `base`: `/process` in config.json, empty for a document of its own.
pub fn check_process(process: &Process, base: &str) -> Vec<Error> {
    let mut faults = Faults::default();
    process::rules(process, base, &mut faults);
    faults.0
}

/// Everything that is wrong in `resources`, limits to be changed.
pub fn check_resources(resources: &LinuxResources) -> Vec<Error> {
    let mut faults = Faults::default();
    resources::limits(resources, &mut faults);
    faults.0
}

/// Everything that is wrong in the mounts of `spec`.
pub fn check_mounts(spec: &Spec) -> Vec<Error> {
    let mut faults = Faults::default();
    mounts::rules(spec, &mut faults);
    faults.0
}

/// The faults found so far.
#[derive(Default)]
struct Faults(Vec<Error>);

impl Faults {
    /// `message` is wrong at `pointer`; `remedy` says what would be right.
    fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>, remedy: &str) {
        self.0.push(Error::config(pointer, message).hint(remedy));
    }
}

fn list<T>(entries: &Option<Vec<T>>) -> &[T] {
    entries.as_deref().unwrap_or_default()
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// The entries of a map by key, so that the first fault is always the same.
fn sorted<T>(map: &HashMap<String, T>) -> Vec<(&String, &T)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

fn namespace(spec: &Spec, kind: LinuxNamespaceType) -> Option<&LinuxNamespace> {
    let linux = spec.linux().as_ref()?;
    list(linux.namespaces()).iter().find(|namespace| namespace.typ() == kind)
}

fn has_namespace(spec: &Spec, kind: LinuxNamespaceType) -> bool {
    namespace(spec, kind).is_some()
}

/// Whether the container joins an existing namespace of `kind`.
fn joins(spec: &Spec, kind: LinuxNamespaceType) -> bool {
    namespace(spec, kind).is_some_and(|namespace| path_of(namespace).is_some())
}

/// The namespace to join; an empty path is an absent one.
fn path_of(namespace: &LinuxNamespace) -> Option<&Path> {
    namespace.path().as_deref().filter(|path| !path.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::parse_spec;

    /// The faults of a minimal good configuration changed by `change`, an
    /// object that replaces members, each as "pointer: message".
    pub(super) fn faults(change: &str) -> Vec<String> {
        let mut tree: serde_json::Value = serde_json::from_str(
            r#"{"ociVersion": "1.0.2", "root": {"path": "rootfs"},
                "process": {"cwd": "/", "args": ["sh"], "user": {}}}"#,
        )
        .unwrap();
        let change: serde_json::Value = serde_json::from_str(change).unwrap();
        merge(&mut tree, change);
        let (spec, _) = parse_spec(tree.to_string().as_bytes()).unwrap();
        check(&spec).iter().map(line).collect()
    }

    fn merge(into: &mut serde_json::Value, change: serde_json::Value) {
        match (into, change) {
            (serde_json::Value::Object(into), serde_json::Value::Object(change)) => {
                for (key, value) in change {
                    merge(into.entry(key).or_insert(serde_json::Value::Null), value);
                }
            }
            (into, change) => *into = change,
        }
    }

    fn line(fault: &Error) -> String {
        assert!(fault.remedy().is_some(), "{fault} says nothing of a remedy");
        let text = fault.to_string();
        let message = text.split(" (config.json").next().unwrap_or_default();
        format!("{}: {message}", fault.pointer().expect("every fault has a pointer"))
    }

    #[test]
    fn the_minimal_configuration_has_no_fault() {
        assert_eq!(faults("{}"), [""; 0]);
    }

    #[test]
    fn all_faults_are_reported_not_only_the_first() {
        let all = faults(r#"{"ociVersion":"2.0.0","process":{"args":[]},"hostname":"x"}"#);
        assert_eq!(all.len(), 3, "{all:?}");
    }
}
