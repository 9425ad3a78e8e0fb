//! The plan of a change to the mounts of a container that is there.
//!
//! Init joins the namespaces in which mounts are made, but neither the cgroup nor the pid
//! namespace: no process of the container sees it, so that it may hold descriptors of the host's.
//! What comes from the host is opened there by the host side. Paths of the container are looked up
//! below its root; those of /proc are the host's.

use super::clone_flags::{CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER};
use super::container::Parts;
use super::hooks::Hooks;
use super::mounts;
use super::namespaces::{Namespaces, names_of};
use super::ops::{Op, point};
use super::{Descriptor, Facts, HostOp, Plan, Request};
use crate::bundle::{Bundle, below_root, item, member};
use crate::error::{Error, ErrorKind, Result};
use oci_spec::runtime::Mount;
use std::path::Path;

/// What is known of the container.
#[derive(Clone, Debug)]
pub struct LiveRequest<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its first process, as the host numbers it.
    pub pid: u64,
    /// Its configuration as it was at creation; sources are relative to the bundle.
    pub bundle: &'a Bundle,
    /// The host and the caller.
    pub facts: &'a Facts,
    /// The container's state directory.
    pub directory: &'a Path,
}

/// Everything that adding `mount`, the object at the JSON pointer `pointer`, will do.
///
/// # Errors
/// What cannot be mounted in a container that is there, with its place.
pub fn add_mount(request: &LiveRequest<'_>, mount: &Mount, pointer: &str) -> Result<Plan> {
    refuse_kernel_interfaces(mount, pointer)?;
    refuse_remount(mount, pointer)?;
    change(request, |plan, parts| {
        let mut later = Vec::new();
        mounts::one(plan, parts, mount, pointer, &mut later)?;
        for (pointer, op) in later {
            plan.init(pointer, op);
        }
        Ok(())
    })
}

/// Everything that detaching the mount at `destination` will do.
///
/// # Errors
/// `Unsupported` when the container's mounts are the host's.
pub fn remove_mount(request: &LiveRequest<'_>, destination: &Path, pointer: &str) -> Result<Plan> {
    change(request, |plan, _| {
        let target = below_root(destination);
        plan.init(pointer, Op::Unmount { target: target.as_path().into() });
        Ok(())
    })
}

/// A procfs is of the pid namespace of its maker, and v1 hierarchies take the cgroup's path.
fn refuse_kernel_interfaces(mount: &Mount, pointer: &str) -> Result<()> {
    match mount.typ().as_deref() {
        Some(kind @ ("proc" | "cgroup")) => {
            let message = format!("a filesystem {kind} can only be mounted at creation");
            Err(Error::config(member(pointer, "type"), message)
                .hint("list it in config.json of a new container"))
        }
        _ => Ok(()),
    }
}

/// Links are the container's: one could lead to what keeps its own paths masked or read-only.
fn refuse_remount(mount: &Mount, pointer: &str) -> Result<()> {
    let options = mount.options().as_deref().unwrap_or_default();
    match options.iter().position(|option| option == "remount") {
        Some(index) => {
            let place = item(&member(pointer, "options"), index);
            Err(Error::config(place, "a mount of a container that is there keeps its options")
                .hint("remove it and add it with others"))
        }
        None => Ok(()),
    }
}

fn change(
    request: &LiveRequest<'_>,
    mounts: impl FnOnce(&mut Plan, &Parts<'_>) -> Result<()>,
) -> Result<Plan> {
    let spec = request.bundle.spec();
    let linux = spec.linux().as_ref();
    let entries = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    let namespaces = Namespaces::of(entries);
    if !namespaces.has(CLONE_NEWNS) {
        let text = "the container has no mount namespace: its mounts are the host's";
        return Err(Error::new(ErrorKind::Unsupported, text).hint("use mount(8)"));
    }
    let mut plan = Plan::new();
    enter(&mut plan, request, &namespaces);
    let whole = Request { live: true, ..request.as_request() };
    let hooks = Hooks::of(spec, request.bundle.dir());
    let parts = Parts { request: &whole, spec, linux, namespaces, hooks, cgroup: None };
    mounts(&mut plan, &parts)?;
    // The host side ends init when it has come so far.
    plan.init("", Op::Sync { point: point::READY });
    Ok(plan)
}

impl<'a> LiveRequest<'a> {
    fn as_request(&self) -> Request<'a> {
        Request::new(self.id, self.bundle, self.facts, self.directory)
    }
}

fn enter(plan: &mut Plan, request: &LiveRequest<'_>, namespaces: &Namespaces) {
    let all = namespaces.join.iter().fold(namespaces.create, |flags, join| flags | join.kind.flag);
    let joined = all & !(CLONE_NEWPID | CLONE_NEWTIME);
    plan.host("", HostOp::Spawn { namespaces: names_of(0), into_cgroup: false });
    plan.init("", Op::Signals { reset: request.facts.ignored_signals });
    plan.init("", Op::HostRoot { back: 0 });
    let slot = plan.descriptor(Descriptor::Process);
    plan.init("/linux/namespaces", Op::JoinProcess { slot, flags: joined, pid: request.pid });
    if joined & CLONE_NEWUSER != 0 {
        plan.init("/linux/namespaces", Op::BecomeRoot {});
    }
    plan.init("", Op::HostRoot { back: 1 });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{parse_mounts, parse_spec};

    fn plan(namespaces: &str, mount: &str) -> Result<Plan> {
        let text = format!(
            r#"{{"ociVersion":"1.2.0","root":{{"path":"r"}},"linux":{{"namespaces":[{namespaces}]}}}}"#
        );
        let (spec, _) = parse_spec(text.as_bytes()).unwrap();
        let bundle = Bundle::from_parts("/", spec).unwrap();
        let mounts = parse_mounts(format!("[{mount}]").as_bytes()).unwrap();
        let request = LiveRequest {
            id: "a",
            pid: 7,
            bundle: &bundle,
            facts: &Facts::default(),
            directory: Path::new("/run/a"),
        };
        add_mount(&request, &mounts[0], "/mounts/0")
    }

    #[test]
    fn init_stays_out_of_the_containers_sight_and_takes_sources_from_the_host_side() {
        let all =
            r#"{"type":"pid"},{"type":"mount"},{"type":"user"},{"type":"time"},{"type":"ipc"}"#;
        let bind = r#"{"destination":"/m","type":"bind","source":"s","options":["bind"]}"#;
        let plan = plan(all, bind).unwrap();
        let joined = plan.steps.iter().find_map(|step| match &step.action {
            super::super::Action::Init(Op::JoinProcess { flags, .. }) => Some(names_of(*flags)),
            _ => None,
        });
        assert_eq!(joined.unwrap(), ["user", "ipc", "mount"]);
        let trees = plan.descriptors.iter().filter_map(|descriptor| match descriptor {
            Descriptor::Tree(tree) => Some(tree.source.as_path()),
            _ => None,
        });
        assert_eq!(trees.collect::<Vec<_>>(), [Path::new("/s")]);
    }

    #[test]
    fn what_shows_the_makers_namespaces_is_refused_and_so_are_the_hosts_mounts() {
        let own = r#"{"type":"mount"}"#;
        for kind in ["proc", "cgroup"] {
            let error = plan(own, &format!(r#"{{"destination":"/m","type":"{kind}"}}"#));
            assert_eq!(error.unwrap_err().pointer(), Some("/mounts/0/type"));
        }
        let anew = r#"{"destination":"/m","options":["bind","remount"]}"#;
        let error = plan(own, anew).unwrap_err();
        assert_eq!(error.pointer(), Some("/mounts/0/options/1"));
        let tmpfs = r#"{"destination":"/m","type":"tmpfs"}"#;
        assert!(plan(own, tmpfs).is_ok());
        assert_eq!(plan("", tmpfs).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
