//! The plan of a new container, told once from the record to execve.

use super::cgroup::{Cgroup, CgroupPlan, CgroupRequest, Part, SystemdRequest};
use super::clone_flags::CLONE_NEWPID;
use super::environment::Environment;
use super::hooks::{Hook, Hooks, Output, OutputFile};
use super::namespaces::Namespaces;
use super::ops::{NO_SLOT, Op, point};
use super::process::Program;
use super::wire::List;
use super::{Descriptor, Facts, HostHook, HostOp, Plan, enter, inside, process, resctrl, rootfs};
use crate::bundle::Bundle;
use crate::error::Result;
use oci_spec::runtime::{Linux, Spec};
use std::path::{Path, PathBuf};

/// What a container's plan is made from.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its bundle, checked.
    pub bundle: &'a Bundle,
    /// The host and the caller.
    pub facts: &'a Facts,
    /// The container's state directory.
    pub directory: &'a Path,
    /// Whether systemd makes the cgroup.
    pub systemd_cgroup: bool,
    /// Whether to do without what only root can do; `None` where it shows when something
    /// is denied.
    pub rootless: Option<bool>,
    /// Move the rootfs over / instead of pivot_root.
    pub no_pivot: bool,
    /// Stay in the caller's session keyring.
    pub no_new_keyring: bool,
    /// Whether the host side goes on to start the container itself.
    pub run: bool,
    /// Descriptors handed on from 3.
    pub handed_on: u32,
    /// How many of those are of socket activation.
    pub listen_fds: u32,
    /// Whether the container is there, and init joins it only to change its mounts.
    pub live: bool,
    /// Whether readiness is relayed to a supervisor.
    pub notify: bool,
    /// Where the terminal's master is sent.
    pub console_socket: Option<PathBuf>,
    /// Rows and columns, where the configuration has none.
    pub console_size: Option<(u16, u16)>,
    /// Where the pid is written.
    pub pid_file: Option<PathBuf>,
    /// Where the process's pidfd is sent.
    pub pidfd_socket: Option<PathBuf>,
}

impl<'a> Request<'a> {
    /// A plain `create`: nothing handed on, nothing sent, all that the caller may do.
    pub fn new(id: &'a str, bundle: &'a Bundle, facts: &'a Facts, directory: &'a Path) -> Self {
        Self {
            id,
            bundle,
            facts,
            directory,
            systemd_cgroup: false,
            rootless: Some(false),
            no_pivot: false,
            no_new_keyring: false,
            run: false,
            handed_on: 0,
            listen_fds: 0,
            live: false,
            notify: false,
            console_socket: None,
            console_size: None,
            pid_file: None,
            pidfd_socket: None,
        }
    }
}

/// What the parts of the plan share.
pub(super) struct Parts<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) spec: &'a Spec,
    pub(super) linux: Option<&'a Linux>,
    pub(super) namespaces: Namespaces,
    pub(super) hooks: Hooks,
    pub(super) cgroup: Option<Cgroup>,
}

/// Everything that creating (and, with `run`, starting) the container will do.
/// Looks at nothing but `request`: the same request leads to the same plan.
///
/// # Errors
/// What in the configuration cannot be carried out, with its place.
pub fn container(request: &Request<'_>) -> Result<Plan> {
    let spec = request.bundle.spec();
    let linux = spec.linux().as_ref();
    let entries = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    let mut plan = Plan::new();
    let mut parts = Parts {
        request,
        spec,
        linux,
        namespaces: Namespaces::of(entries),
        hooks: Hooks::of(spec, request.bundle.dir()),
        cgroup: None,
    };
    cgroup(&mut plan, &mut parts)?;
    plan.resctrl = resctrl::group(&parts)?;
    record(&mut plan, &parts);
    enter::spawn(&mut plan, &parts)?;
    rootfs::build(&mut plan, &parts)?;
    before_pivot(&mut plan, &parts)?;
    rootfs::change(&mut plan, &parts)?;
    inside::settle(&mut plan, &parts)?;
    let nothing = process::nothing();
    let process = spec.process().as_ref().unwrap_or(&nothing);
    let program = Program::of_container(&parts, process)?;
    process::become_it(&mut plan, &program)?;
    Ok(plan)
}

fn cgroup(plan: &mut Plan, parts: &mut Parts<'_>) -> Result<()> {
    let resources = parts.linux.and_then(|linux| linux.resources().as_ref());
    let Some(layout) = &parts.request.facts.layout else {
        let own_pids = parts.namespaces.creates(CLONE_NEWPID);
        return super::cgroup::do_without(resources, own_pids, &mut plan.notices);
    };
    let cgroup = CgroupPlan::new(&CgroupRequest {
        layout,
        id: parts.request.id,
        cgroups_path: parts.linux.and_then(|linux| linux.cgroups_path().as_deref()),
        resources,
        systemd: parts.request.systemd_cgroup.then_some(SystemdRequest {
            manager_cgroup: parts.request.facts.manager_cgroup.as_deref().unwrap_or_default(),
            annotations: parts.spec.annotations().as_ref(),
        }),
        rootless: parts.request.rootless,
        owner: super::cgroup::owner(parts),
    })?;
    plan.notices.extend(cgroup.notices.iter().cloned());
    parts.cgroup = Some(cgroup.cgroup.clone());
    plan.cgroup = Some(cgroup);
    Ok(())
}

/// Whatever leaves something behind comes after the record that names it.
fn record(plan: &mut Plan, parts: &Parts<'_>) {
    plan.host("", HostOp::Record);
    if parts.request.notify {
        plan.host("", HostOp::OpenNotify);
    }
    if !parts.request.run {
        plan.host("", HostOp::OpenGate);
    }
    let is_ours = |cgroup: &Cgroup| cgroup.v2_directory().is_some() && cgroup.unit.is_none();
    if parts.cgroup.as_ref().is_some_and(is_ours) {
        plan.host("/linux/cgroupsPath", HostOp::MakeCgroup(Part::V2));
    }
    resctrl::prepare(plan, parts);
}

/// Hooks that see the container's mounts at the host's path of its rootfs.
fn before_pivot(plan: &mut Plan, parts: &Parts<'_>) -> Result<()> {
    let hooks = &parts.hooks;
    if !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty() {
        plan.sync(point::MOUNTED, |plan| {
            host_hooks(plan, "prestart", &hooks.prestart, &hooks.output);
            host_hooks(plan, "createRuntime", &hooks.create_runtime, &hooks.output);
            Ok(())
        })?;
    }
    inside_output(plan, hooks);
    for hook in &hooks.create_container {
        let op = init_hook(hook, parts, "creating", None);
        plan.init(hook.pointer.as_str(), op);
    }
    Ok(())
}

/// Files of the host for hooks that init will run.
fn inside_output(plan: &mut Plan, hooks: &Hooks) {
    if hooks.create_container.is_empty() && hooks.start_container.is_empty() {
        return;
    }
    let Output { stdout, stderr } = &hooks.output;
    let Some(first) = stdout.as_ref().or(stderr.as_ref()) else { return };
    let mut slot = |file: &Option<OutputFile>| match file {
        Some(file) => plan.descriptor(Descriptor::HookOutput(file.clone())),
        None => NO_SLOT,
    };
    let op = Op::HookOutput { stdout: slot(stdout), stderr: slot(stderr) };
    plan.init(first.pointer.as_str(), op);
}

fn host_hooks(plan: &mut Plan, kind: &'static str, hooks: &[Hook], output: &Output) {
    for (index, hook) in hooks.iter().enumerate() {
        plan.host(hook.pointer.as_str(), HostOp::Hook(host_hook(kind, index, hook, output)));
    }
}

/// A hook for the host side to run.
pub(crate) fn host_hook(
    kind: &'static str,
    index: usize,
    hook: &Hook,
    output: &Output,
) -> HostHook {
    HostHook {
        kind,
        index,
        path: hook.path.to_string_lossy().into_owned(),
        args: hook.args.clone(),
        env: hook.env.clone(),
        timeout_ms: hook.timeout.map(milliseconds),
        output: output.clone(),
    }
}

/// A hook for init to run; its pid is known only there.
pub(super) fn init_hook(
    hook: &Hook,
    parts: &Parts<'_>,
    status: &str,
    inherited: Option<&Environment>,
) -> Op {
    let bundle = parts.request.bundle;
    let annotations = parts.spec.annotations().as_ref();
    let (head, tail) = crate::state::around_pid(
        parts.spec.version(),
        parts.request.id,
        status,
        bundle.dir(),
        annotations,
    );
    let inherited = inherited.filter(|_| hook.env.is_none());
    let entries = inherited.map(|environment| environment.entries.as_slice());
    let mut env: List =
        hook.env.as_deref().or(entries).unwrap_or_default().iter().map(Into::into).collect();
    // The last of them is the one that init looks up.
    let home = inherited.is_some_and(|environment| !environment.has_home);
    if home {
        env.push("HOME=/".into());
    }
    Op::Hook {
        path: hook.path.as_path().into(),
        args: hook.args.iter().map(Into::into).collect(),
        env,
        home: u64::from(home),
        timeout_ms: hook.timeout.map_or(0, milliseconds),
        state_head: head.into(),
        state_tail: tail.into(),
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
