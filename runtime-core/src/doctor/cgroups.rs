//! cgroups: where they are, and which limits they can set for this caller.

use super::{Finding, is_root};
use crate::host::cgroup::detect;
use crate::plan::cgroup::{Hierarchy, Layout, Mode};
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};

const AREA: &str = "cgroups";

/// What engines set limits with, by the names of v2 and of v1.
const WANTED: [(&str, &str); 4] =
    [("cpu", "cpu"), ("io", "blkio"), ("memory", "memory"), ("pids", "pids")];

pub(super) fn check() -> Vec<Finding> {
    let layout = match detect(true) {
        Ok(layout) => layout,
        Err(error) => {
            let remedy = "mount them: mount -t cgroup2 none /sys/fs/cgroup";
            return vec![Finding::problem(AREA, "mode", error.to_string(), remedy)];
        }
    };
    let mode = match layout.mode {
        Mode::V1 => "v1",
        Mode::Hybrid => "hybrid: v1 for the limits, v2 beside it",
        Mode::V2 => "v2",
    };
    let base = if layout.base.is_empty() { "/" } else { &layout.base };
    let mut findings = vec![Finding::fine(AREA, "mode", format!("{mode}, below {base}"))];
    findings.push(controllers(&layout));
    findings.push(permission(&layout));
    findings
}

fn controllers(layout: &Layout) -> Finding {
    const SUBJECT: &str = "controllers";
    let there = available(layout);
    let missing: Vec<&str> = WANTED
        .iter()
        .filter(|(v2, v1)| !there.iter().any(|name| name == v2 || name == v1))
        .map(|(name, _)| *name)
        .collect();
    let listed = if there.is_empty() { "none".to_owned() } else { there.join(" ") };
    match missing.is_empty() {
        true => Finding::fine(AREA, SUBJECT, listed),
        false => Finding::note(
            AREA,
            SUBJECT,
            format!("{listed}; no limits of {}", missing.join(", ")),
            match is_root() {
                true => {
                    "enable them in the cgroup.subtree_control of every cgroup above, or do not \
                     disable them when booting"
                }
                false => {
                    "have them delegated: Delegate=cpu cpuset io memory pids in a drop-in of \
                     user@.service"
                }
            },
        ),
    }
}

/// Those of v1 hierarchies, and those that the v2 hierarchy has where containers of this
/// caller go: at its top for root, in the caller's own cgroup for others.
fn available(layout: &Layout) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for hierarchy in &layout.hierarchies {
        if !hierarchy.controllers.is_empty() {
            names.extend(hierarchy.controllers.iter().filter(|name| !name.contains('=')).cloned());
            continue;
        }
        let place = if is_root() { top(layout, hierarchy) } else { own(layout, hierarchy) };
        let text = std::fs::read_to_string(place.join("cgroup.controllers")).unwrap_or_default();
        names.extend(text.split_whitespace().map(str::to_owned));
    }
    names.sort();
    names.dedup();
    names
}

fn permission(layout: &Layout) -> Finding {
    const SUBJECT: &str = "permission";
    let place = |hierarchy| match is_root() {
        true => top(layout, hierarchy),
        false => own(layout, hierarchy),
    };
    let denied: Vec<String> = layout
        .hierarchies
        .iter()
        .map(place)
        .filter(|path| access(path, AccessFlags::W_OK).is_err())
        .map(|path| path.display().to_string())
        .collect();
    match (denied.is_empty(), is_root()) {
        (true, _) => Finding::fine(AREA, SUBJECT, "cgroups can be made"),
        (false, true) => Finding::problem(
            AREA,
            SUBJECT,
            format!("no cgroup can be made in {}", denied.join(", ")),
            "mount them writable, or delegate a subtree and name it in linux.cgroupsPath",
        ),
        (false, false) => Finding::note(
            AREA,
            SUBJECT,
            format!("no cgroup can be made in {}: containers run without", denied.join(", ")),
            "run below a delegated cgroup: systemd-run --user --scope -p Delegate=yes, or \
             --systemd-cgroup",
        ),
    }
}

fn top(layout: &Layout, hierarchy: &Hierarchy) -> PathBuf {
    Path::new("/").join(layout.base.trim_start_matches('/')).join(&hierarchy.mount)
}

fn own(layout: &Layout, hierarchy: &Hierarchy) -> PathBuf {
    top(layout, hierarchy).join(hierarchy.own.trim_start_matches('/'))
}
