//! Becoming the program. Create and exec end in the same steps: two ways to the
//! same privileges is how seccomp and capabilities get lost in one of them.

use super::annotations::{self, PIDFD_RECEIVER};
use super::capabilities::{self, CapabilitySets};
use super::clone_flags::{CLONE_NEWPID, CLONE_NEWUSER};
use super::container::{Parts, init_hook};
use super::environment::Environment;
use super::filter::{self, Filter};
use super::hooks::Hook;
use super::identity::User;
use super::namespaces::Namespaces;
use super::numa::MemoryPolicy;
use super::ops::{Op, point};
use super::scheduling::{Affinity, Scheduler, io_priority};
use super::wire::List;
use super::{Descriptor, Facts, HostOp, Plan, executable, personality, rlimits, scheduling};
use crate::error::{Error, Result};
use oci_spec::runtime::{Linux, Process, Spec};
use std::path::PathBuf;

const CAP_SYS_ADMIN: u64 = 1 << 21;

/// What a process becomes, and who has a word in it.
pub(super) struct Program<'a> {
    /// The container's configuration.
    pub(super) spec: &'a Spec,
    pub(super) process: &'a Process,
    /// The process object's place in the configuration.
    pub(super) base: &'static str,
    pub(super) facts: &'a Facts,
    /// In a user namespace every capability can be had.
    pub(super) user_namespace: bool,
    pub(super) linux: Option<&'a Linux>,
    /// Whether it is the container's first process.
    pub(super) first: bool,
    /// The CPUs of an exec'd process; the first one has all of its cpuset's.
    pub(super) affinity: Affinity,
    /// `run.oci.keep_original_groups`.
    pub(super) keep_groups: bool,
    pub(super) end: End<'a>,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) pidfd_socket: Option<PathBuf>,
    /// `run.oci.pidfd_receiver`.
    pub(super) pidfd_receiver: Option<PathBuf>,
    pub(super) console_socket: Option<PathBuf>,
    /// Descriptors handed on from 3, and how many of them by socket activation.
    pub(super) handed_on: u32,
    pub(super) listen_fds: u32,
    pub(super) notify: bool,
}

/// How the process comes to execute.
pub(super) enum End<'a> {
    /// After `start`, by way of the startContainer hooks.
    Gate(&'a Parts<'a>),
    /// The same, but the host side is still there.
    Run(&'a Parts<'a>),
    /// At once.
    Exec,
    /// Never: without a process `start` fails.
    Wait,
}

impl<'a> Program<'a> {
    /// The container's `process`, or what stands for one that is not there.
    pub(super) fn of_container(parts: &'a Parts<'a>, process: &'a Process) -> Result<Self> {
        let request = parts.request;
        let end = match (parts.spec.process(), request.run) {
            (Some(_), true) => End::Run(parts),
            (Some(_), false) => End::Gate(parts),
            (None, true) => return Err(no_process()),
            (None, false) => End::Wait,
        };
        Ok(Self {
            spec: parts.spec,
            process,
            base: "/process",
            facts: request.facts,
            user_namespace: parts.namespaces.has(CLONE_NEWUSER),
            linux: parts.linux,
            first: true,
            affinity: Affinity::default(),
            keep_groups: annotations::keep_groups(parts.spec),
            end,
            pid_file: request.pid_file.clone(),
            pidfd_socket: request.pidfd_socket.clone(),
            pidfd_receiver: annotations::value(parts.spec, PIDFD_RECEIVER)
                .map(|path| request.bundle.dir().join(path)),
            console_socket: request.console_socket.clone(),
            handed_on: request.handed_on,
            listen_fds: request.listen_fds,
            notify: request.notify,
        })
    }

    fn at(&self, member: &str) -> String {
        format!("{}/{member}", self.base)
    }

    fn hooks(&self) -> Option<&'a Parts<'a>> {
        match self.end {
            End::Gate(parts) | End::Run(parts) => Some(parts),
            End::Exec | End::Wait => None,
        }
    }
}

/// runtime.md, Start: an error if `process` was not set.
pub(crate) fn no_process() -> Error {
    Error::config("/process", "process property must not be empty")
        .hint("say what the container runs: args and cwd")
}

/// What is there where a configuration has no `process`: nothing to run, and no privileges.
pub(crate) fn nothing() -> Process {
    let mut process = Process::default();
    process
        .set_args(None)
        .set_env(None)
        .set_capabilities(None)
        .set_rlimits(None)
        .set_no_new_privileges(None);
    process
}

/// The terminal, from the devpts inside.
pub(super) fn console(
    plan: &mut Plan,
    process: &Process,
    base: &str,
    given: Option<(u16, u16)>,
    mount: bool,
) {
    let wanted = process.console_size().as_ref().map(|size| (size.height(), size.width()));
    let wanted = wanted.filter(|size| *size != (0, 0));
    let (height, width) =
        wanted.or(given.map(|(rows, columns)| (rows.into(), columns.into()))).unwrap_or((0, 0));
    plan.init(
        format!("{base}/terminal"),
        Op::Console {
            mount: u64::from(mount),
            width,
            height,
            uid: u64::from(process.user().uid()),
        },
    );
}

/// All the steps from an unlimited init to execve.
pub(super) fn become_it(plan: &mut Plan, program: &Program<'_>) -> Result<()> {
    let process = program.process;
    let filter = Filter::of(plan, program.spec)?;
    labels(plan, program);
    scheduling(plan, program)?;
    let no_new_privileges = process.no_new_privileges() == Some(true);
    if no_new_privileges {
        plan.init(program.at("noNewPrivileges"), Op::NoNewPrivileges {});
    }
    limits(plan, program)?;
    let until_filter = if filter.is_some() && !no_new_privileges { CAP_SYS_ADMIN } else { 0 };
    identity(plan, program, until_filter);
    if let End::Wait = program.end {
        return wait(plan, program);
    }
    let environment = find_program(plan, program);
    plan.sync(point::READY, |plan| {
        ready(plan, program);
        Ok(())
    })?;
    let (at_create, at_start) = match filter {
        // An agent expects its listener from `create`.
        Some(filter) if filter.notifies() => (Some(filter), None),
        filter => (None, filter),
    };
    let filtered = at_create.is_some();
    if let Some(filter) = at_create {
        filter.load(plan);
        filter::pass_listener(plan, program.spec)?;
    }
    wait_for_start(plan, program, filtered);
    // Hooks in the container are confined like it. Without any, the filter is the last thing
    // before execve: what it forbids, nothing here needs any more.
    let (at_start, at_execve) = match start_hooks(program) {
        [] => (None, at_start),
        _ => (at_start, None),
    };
    if let Some(filter) = at_start {
        filter.load(plan);
    }
    run_start_hooks(plan, program, &environment);
    descriptors(plan, program);
    if let Some(filter) = at_execve {
        filter.load(plan);
    }
    execute(plan, program, environment);
    Ok(())
}

/// Labels that take effect at execve.
fn labels(plan: &mut Plan, program: &Program<'_>) {
    if let Some(profile) =
        program.process.apparmor_profile().as_ref().filter(|name| !name.is_empty())
    {
        plan.init(
            program.at("apparmorProfile"),
            Op::ExecLabel {
                path: "self/attr/apparmor/exec".into(),
                fallback: "self/attr/exec".into(),
                value: format!("exec {profile}").into(),
            },
        );
    }
    if let Some(label) = program.process.selinux_label().as_ref().filter(|label| !label.is_empty())
    {
        plan.init(
            program.at("selinuxLabel"),
            Op::ExecLabel {
                path: "self/attr/exec".into(),
                fallback: "".into(),
                value: label.into(),
            },
        );
    }
}

/// The deadline policy wants every CPU, so the CPUs come first.
fn scheduling(plan: &mut Plan, program: &Program<'_>) -> Result<()> {
    cpus(plan, program);
    if let Some(wanted) = program.process.scheduler() {
        plan.init(
            program.at("scheduler"),
            Op::Scheduler { attr: Scheduler::of(wanted).to_bytes() },
        );
    }
    if let Some(wanted) = program.process.io_priority() {
        let priority = u64::from(io_priority(*wanted));
        plan.init(program.at("ioPriority"), Op::IoPriority { priority });
    }
    let Some(linux) = program.linux else { return Ok(()) };
    if let Some(wanted) = linux.personality() {
        let persona = personality::resolve(wanted)?;
        plan.init("/linux/personality", Op::Personality { persona: u64::from(persona) });
    }
    if let Some(wanted) = linux.memory_policy() {
        let policy = MemoryPolicy::of(wanted)?;
        plan.init(
            "/linux/memoryPolicy",
            Op::MemoryPolicy {
                mode: u64::from(policy.mode),
                nodes: policy.nodes.iter().flat_map(|word| word.to_ne_bytes()).collect(),
                max_node: policy.nodes.len() as u64 * 64 + 1,
            },
        );
    }
    Ok(())
}

/// Where nothing is said, what the caller is pinned to does not count. With `initial`
/// alone the kernel has the last word (config.md, Linux Process).
fn cpus(plan: &mut Plan, program: &Program<'_>) {
    let affinity = &program.affinity;
    if let Some(mask) = &affinity.last {
        let pointer = program.at("execCPUAffinity/final");
        plan.init(pointer, Op::Affinity { mask: scheduling::mask(mask) });
    } else if affinity.initial.is_none() && program.facts.pinned {
        plan.init("", Op::EveryCpu {});
    }
}

/// Before the change of user, which the kernel checks against them. In a user
/// namespace nobody may raise a limit: the host side does.
fn limits(plan: &mut Plan, program: &Program<'_>) -> Result<()> {
    let limits =
        rlimits::resolve(program.process.rlimits().as_deref().unwrap_or_default(), program.base);
    if limits.is_empty() {
        return Ok(());
    }
    if program.user_namespace {
        return plan.sync(point::LIMITS, |plan| {
            for rlimits::Rlimit { resource, soft, hard, pointer } in limits {
                plan.host(pointer, HostOp::Rlimit { resource, soft, hard });
            }
            Ok(())
        });
    }
    for rlimits::Rlimit { resource, soft, hard, pointer } in limits {
        plan.init(pointer, Op::Rlimit { resource: resource.into(), soft, hard });
    }
    Ok(())
}

/// Bounding set, directory, user, the other sets: in the order in which each
/// still has the privilege that it needs.
fn identity(plan: &mut Plan, program: &Program<'_>, until_filter: u64) {
    let facts = program.facts;
    let every = capabilities::up_to(capabilities::LAST);
    // Who enters a user namespace has every capability there, in every set: also those
    // that are not known here.
    let (available, bounding) = match program.user_namespace {
        true => (every, every | facts.bounding),
        false => (facts.permitted & facts.bounding, facts.bounding),
    };
    let base = program.at("capabilities");
    let (sets, notices) =
        CapabilitySets::of(program.process.capabilities().as_ref(), available, &base);
    plan.notices.extend(notices);
    let until_filter = until_filter & available;
    plan.init(base.as_str(), Op::Bounding { drop: bounding & !sets.bounding });
    plan.init(
        program.at("cwd"),
        Op::WorkDirectory { path: program.process.cwd().as_path().into() },
    );
    let user = User::of(program.process.user());
    plan.init(
        program.at("user"),
        Op::User {
            uid: user.uid.into(),
            gid: user.gid.into(),
            groups: user.groups.iter().flat_map(|gid| gid.to_ne_bytes()).collect(),
            set_groups: u64::from(!program.keep_groups),
            umask: user.umask.into(),
        },
    );
    plan.init(
        base,
        Op::Capabilities {
            effective: sets.effective,
            permitted: sets.permitted,
            inheritable: sets.inheritable,
            ambient: sets.ambient,
            until_filter,
        },
    );
}

/// There is nothing to look up, to filter or to execute. The plan has nothing after the
/// gate, which nobody opens.
fn wait(plan: &mut Plan, program: &Program<'_>) -> Result<()> {
    plan.sync(point::READY, |plan| {
        ready(plan, program);
        Ok(())
    })?;
    gate(plan, program, false);
    Ok(())
}

/// Where `start` comes. A filter that is loaded by now decides about calls.
fn gate(plan: &mut Plan, program: &Program<'_>, filtered: bool) {
    let listed = program.linux.and_then(|linux| linux.namespaces().as_deref());
    let own_pids = Namespaces::of(listed.unwrap_or_default()).creates(CLONE_NEWPID);
    let hold = !own_pids && !filtered;
    if hold {
        plan.init("", Op::HoldSignals { on: 1 });
    }
    plan.init("", Op::Gate {});
    if hold {
        plan.init("", Op::HoldSignals { on: 0 });
    }
}

fn find_program(plan: &mut Plan, program: &Program<'_>) -> Environment {
    let environment = Environment::of(program.process.env().iter().flatten());
    if !environment.has_home {
        plan.init(program.at("env"), Op::Home { uid: program.process.user().uid().into() });
    }
    let name =
        program.process.args().iter().flatten().next().map(String::as_str).unwrap_or_default();
    let searched = !name.contains('/');
    let mut candidates: List =
        executable::candidates(name, environment.get("PATH")).into_iter().map(Into::into).collect();
    if candidates.is_empty() {
        // Nowhere to look: the name alone, for the error to say.
        candidates.push(name.into());
    }
    plan.init(
        program.at("args/0"),
        Op::FindExecutable { candidates, searched: u64::from(searched) },
    );
    environment
}

/// What the host side does when init is as the configuration wants it.
fn ready(plan: &mut Plan, program: &Program<'_>) {
    if let Some(group) = &plan.resctrl {
        let groups = group.joined();
        plan.host("/linux/intelRdt", HostOp::JoinResctrl(groups));
    }
    if let Some(score) = program.process.oom_score_adj().filter(|_| program.facts.uid == 0) {
        plan.host(program.at("oomScoreAdj"), HostOp::OomScore(i64::from(score)));
    }
    if program.process.terminal() == Some(true) {
        plan.host(
            program.at("terminal"),
            HostOp::Console { socket: program.console_socket.clone() },
        );
    }
    if program.first {
        plan.host("", HostOp::RecordCreated);
    }
    if let Some(socket) = &program.pidfd_socket {
        let payload = if program.first { "standard" } else { "setns" };
        plan.host("", HostOp::SendPidfd { socket: socket.clone(), payload });
    }
    if let Some(socket) = &program.pidfd_receiver {
        let pointer = annotations::pointer(PIDFD_RECEIVER);
        plan.host(pointer, HostOp::SendPidfd { socket: socket.clone(), payload: " " });
    }
    if let Some(path) = &program.pid_file {
        plan.host("", HostOp::PidFile(path.clone()));
    }
}

/// In a container, `start` comes between.
fn wait_for_start(plan: &mut Plan, program: &Program<'_>, filtered: bool) {
    if let End::Gate(_) = program.end {
        gate(plan, program, filtered);
    }
}

fn start_hooks<'a>(program: &Program<'a>) -> &'a [Hook] {
    program.hooks().map(|parts| parts.hooks.start_container.as_slice()).unwrap_or_default()
}

/// The program's environment is theirs where they have none of their own.
fn run_start_hooks(plan: &mut Plan, program: &Program<'_>, environment: &Environment) {
    let Some(parts) = program.hooks() else { return };
    for hook in start_hooks(program) {
        let op = init_hook(hook, parts, "created", Some(environment));
        plan.init(hook.pointer.as_str(), op);
    }
}

fn descriptors(plan: &mut Plan, program: &Program<'_>) {
    if program.handed_on > 0 {
        let first = plan.descriptors.len();
        for index in 0..program.handed_on {
            plan.descriptor(Descriptor::Inherited(index));
        }
        let first = super::ops::slot::FIRST_FREE + first as u64;
        plan.init("", Op::PassDescriptors { first, count: program.handed_on.into() });
    }
    plan.init("", Op::CloseOnExec { from: 3 + u64::from(program.handed_on) });
}

fn execute(plan: &mut Plan, program: &Program<'_>, environment: Environment) {
    let mut env: List = environment.entries.iter().map(Into::into).collect();
    if program.listen_fds > 0 {
        env.push(format!("LISTEN_FDS={}", program.listen_fds).into());
        env.push("LISTEN_PID=1".into());
    }
    if program.notify {
        env.push(format!("NOTIFY_SOCKET={}", NOTIFY_INSIDE).into());
    }
    if !environment.has_home {
        env.push("HOME=/".into());
    }
    plan.init(
        program.at("args"),
        Op::Exec {
            args: program.process.args().iter().flatten().map(Into::into).collect(),
            env,
            home: u64::from(!environment.has_home),
        },
    );
}

/// Where a container finds its notification socket.
pub(in crate::plan) const NOTIFY_DIRECTORY: &str = "/run/notify";
const NOTIFY_INSIDE: &str = "/run/notify/notify.sock";
