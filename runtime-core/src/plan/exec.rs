//! The plan of a process in a container that is there: another way in, the same
//! way to execve.

use super::annotations;
use super::cgroup::Cgroup;
use super::clone_flags::{CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER};
use super::namespaces::{Namespaces, names_of};
use super::ops::Op;
use super::process::{End, Program};
use super::resctrl::ResctrlGroup;
use super::scheduling::Affinity;
use super::{Descriptor, Facts, HostOp, Plan, process, scheduling};
use crate::error::Result;
use oci_spec::runtime::{Process, Spec};
use std::path::PathBuf;

/// What the plan of an exec is made from.
#[derive(Clone, Debug)]
pub struct ExecRequest<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The container's first process, as the host numbers it.
    pub pid: u64,
    /// The container's configuration as it was at creation.
    pub spec: &'a Spec,
    /// What is to be executed.
    pub process: &'a Process,
    /// The host and the caller.
    pub facts: &'a Facts,
    /// Where the process object was read, for the places of errors.
    pub base: &'static str,
    /// Stay in the caller's session keyring.
    pub no_new_keyring: bool,
    /// The cgroup to run in.
    pub cgroup: Option<&'a Cgroup>,
    /// The container's group in resctrl.
    pub resctrl: Option<&'a ResctrlGroup>,
    /// Descriptors handed on from 3.
    pub handed_on: u32,
    /// Where the terminal's master is sent.
    pub console_socket: Option<PathBuf>,
    /// Rows and columns, where the process object has none.
    pub console_size: Option<(u16, u16)>,
    /// Where the pid is written.
    pub pid_file: Option<PathBuf>,
    /// Where the process's pidfd is sent.
    pub pidfd_socket: Option<PathBuf>,
}

impl<'a> ExecRequest<'a> {
    /// A process object of its own; no cgroup is joined, nothing handed on, nothing sent.
    pub fn new(id: &'a str, spec: &'a Spec, process: &'a Process, facts: &'a Facts) -> Self {
        Self {
            id,
            pid: 0,
            spec,
            process,
            facts,
            base: "",
            no_new_keyring: false,
            cgroup: None,
            resctrl: None,
            handed_on: 0,
            console_socket: None,
            console_size: None,
            pid_file: None,
            pidfd_socket: None,
        }
    }
}

/// Everything that executing the process will do.
///
/// # Errors
/// What in the process object cannot be carried out, with its place.
pub fn exec(request: &ExecRequest<'_>) -> Result<Plan> {
    let linux = request.spec.linux().as_ref();
    let entries = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    let namespaces = Namespaces::of(entries);
    let affinity = match request.process.exec_cpu_affinity() {
        Some(wanted) => Affinity::of(wanted, request.base)?,
        None => Affinity::default(),
    };
    let mut plan = Plan::new();
    plan.resctrl = request.resctrl.cloned();
    enter(&mut plan, request, &namespaces, &affinity);
    plan.init("", Op::OpenRoot { path: "/".into() });
    if request.process.terminal() == Some(true) {
        process::console(&mut plan, request.process, request.base, request.console_size, false);
    }
    let program = Program {
        spec: request.spec,
        process: request.process,
        base: request.base,
        facts: request.facts,
        user_namespace: namespaces.has(CLONE_NEWUSER),
        linux,
        first: false,
        affinity,
        keep_groups: annotations::keep_groups(request.spec),
        end: End::Exec,
        pid_file: request.pid_file.clone(),
        pidfd_socket: request.pidfd_socket.clone(),
        pidfd_receiver: None,
        console_socket: request.console_socket.clone(),
        handed_on: request.handed_on,
        listen_fds: 0,
        notify: false,
    };
    process::become_it(&mut plan, &program)?;
    Ok(plan)
}

/// All namespaces of the container in one call, then a child where joining
/// counts for children only.
fn enter(plan: &mut Plan, request: &ExecRequest<'_>, namespaces: &Namespaces, affinity: &Affinity) {
    let joined =
        namespaces.join.iter().fold(namespaces.create, |flags, join| flags | join.kind.flag);
    let v2 = request.cgroup.is_some_and(|cgroup| cgroup.v2_directory().is_some());
    plan.host(
        "",
        HostOp::Spawn {
            namespaces: names_of(0),
            // Nothing comes before a cgroup that it begins in.
            into_cgroup: v2 && affinity.initial.is_none(),
        },
    );
    plan.init("", Op::Signals { reset: request.facts.ignored_signals });
    super::enter::oom_score(plan, request.facts, Some(request.process), request.base);
    plan.init("", Op::Stdio {});
    if let Some(mask) = &affinity.initial {
        let pointer = format!("{}/execCPUAffinity/initial", request.base);
        plan.init(pointer, Op::Affinity { mask: scheduling::mask(mask) });
    }
    if let Some(cgroup) = request.cgroup {
        // Before a child is made, which would stay behind.
        super::enter::join_cgroups(plan, cgroup);
    }
    if joined != 0 {
        let slot = plan.descriptor(Descriptor::Process);
        plan.init("/linux/namespaces", Op::JoinProcess { slot, flags: joined, pid: request.pid });
    }
    if joined & CLONE_NEWUSER != 0 {
        plan.init("/linux/namespaces", Op::BecomeRoot {});
    }
    if joined & (CLONE_NEWPID | CLONE_NEWTIME) != 0 {
        plan.init("/linux/namespaces", Op::Fork { flags: 0 });
    }
    plan.init("", Op::Session {});
    if !request.no_new_keyring {
        plan.init(
            "",
            Op::Keyring {
                name: format!("_ses.{}", request.id).into(),
                label: request.process.selinux_label().as_deref().unwrap_or_default().into(),
            },
        );
    }
}
