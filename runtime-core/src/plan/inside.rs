//! Inside the new root: what is set once, whoever the program will be.

use super::clone_flags::CLONE_NEWNS;
use super::container::Parts;
use super::ops::Op;
use super::{Plan, rootfs, sysctl};
use crate::bundle::{below_root, item};
use crate::error::Result;
use std::collections::HashSet;
use std::path::Path;

const LIST_MASKED: &str = "/linux/maskedPaths";
const LIST_READONLY: &str = "/linux/readonlyPaths";

/// Working directory, root mount, names, kernel parameters, covered paths.
pub(super) fn settle(plan: &mut Plan, parts: &Parts<'_>) -> Result<()> {
    let mounts = parts.namespaces.has(CLONE_NEWNS);
    let process = parts.spec.process().as_ref();
    if let Some(process) = process {
        // A missing one is made, before the root may become read-only.
        let cwd = process.cwd().as_path();
        if cwd != Path::new("/") {
            let op = Op::MakeDirectory { path: cwd.into(), mode: 0o755 };
            plan.init("/process/cwd", op);
        }
    }
    match process.filter(|process| process.terminal() == Some(true)) {
        Some(process) => {
            super::process::console(plan, process, "/process", parts.request.console_size, true);
        }
        None => plan.init("", Op::ReopenNull {}),
    }
    if mounts && parts.spec.root().as_ref().is_some_and(|root| root.readonly() == Some(true)) {
        plan.init("/root/readonly", Op::RootReadonly {});
    }
    if let Some(name) = parts.spec.hostname().as_ref().filter(|name| !name.is_empty()) {
        plan.init("/hostname", Op::Hostname { name: name.into() });
    }
    if let Some(name) = parts.spec.domainname().as_ref().filter(|name| !name.is_empty()) {
        plan.init("/domainname", Op::Domainname { name: name.into() });
    }
    let Some(linux) = parts.linux else { return Ok(()) };
    for parameter in linux.sysctl().iter().flat_map(sysctl::resolve) {
        let path = format!("sys/{}", parameter.path).into();
        plan.init(parameter.pointer, Op::Sysctl { path, value: parameter.value.into() });
    }
    for (index, path) in linux.readonly_paths().iter().flatten().enumerate() {
        let op = match below_root(Path::new(path)) == Path::new("/") {
            // Nothing can be mounted over it for the processes that are in it.
            true if mounts => Op::RootReadonly {},
            _ => Op::ReadonlyPath { path: path.into() },
        };
        plan.init(item(LIST_READONLY, index), op);
    }
    let label = linux.mount_label().as_deref().unwrap_or_default();
    let mut masked = HashSet::new();
    for (index, path) in linux.masked_paths().iter().flatten().enumerate() {
        if !masked.insert(below_root(Path::new(path))) {
            continue;
        }
        plan.init(
            item(LIST_MASKED, index),
            Op::MaskPath { path: path.into(), label: label.into() },
        );
    }
    rootfs::settled(plan, parts);
    Ok(())
}
