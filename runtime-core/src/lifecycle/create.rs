//! `create`, `run`, and what they would do.

use super::process::Process;
use super::{CgroupDriver, Container, CreateOptions, Runtime, check_id};
use crate::bundle::{Bundle, validate};
use crate::error::{Error, ErrorKind, Notice, Result};
use crate::host::channel::PATIENCE;
use crate::host::execute::{Execution, Outcome, await_exec, end};
use crate::host::record::{Directory, Phase, Record};
use crate::host::spawn::Surroundings;
use crate::host::systemd::{manager_cgroup, manager_is_roots};
use crate::host::{cgroup, facts, notify, resctrl};
use crate::plan::cgroup::Mode;
use crate::plan::cgroup::systemd::Manager;
use crate::plan::ops::Op;
use crate::plan::{self, Action, Plan, Request};
use crate::trace::{Trace, timed};
use oci_spec::runtime::Spec;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

impl Runtime {
    /// What `create` would do, in order. Changes nothing, and needs no privilege.
    ///
    /// # Errors
    /// Those of a configuration that cannot be.
    pub fn plan(&self, id: &str, bundle: &Bundle, options: &CreateOptions) -> Result<Plan> {
        check_id(id)?;
        self.decide(id, bundle, options, false)
    }

    /// Creates a container: its first process is set up and waits for `start`.
    ///
    /// # Errors
    /// What failed, with its place in config.json; nothing of the container is left then.
    pub fn create(&self, id: &str, bundle: &Bundle, options: CreateOptions) -> Result<Container> {
        let creation = self.begin(id, bundle, options, false)?;
        let (made, _) = creation.carry_out()?;
        Ok(made.container())
    }

    /// Creates a container and starts it at once. The process is the caller's to wait for.
    ///
    /// # Errors
    /// What failed; nothing of the container is left then.
    pub fn run(
        &self,
        id: &str,
        bundle: &Bundle,
        options: CreateOptions,
    ) -> Result<(Container, Process)> {
        let supervisor = options.notify_socket.clone();
        let creation = self.begin(id, bundle, options, true)?;
        let (mut made, outcome) = creation.carry_out()?;
        match made.follow(&outcome, bundle.spec(), supervisor.as_deref()) {
            Ok(()) => Ok((made.container(), Process::new(outcome.init, outcome.console))),
            Err(error) => {
                end(&outcome.init);
                made.undo();
                Err(error)
            }
        }
    }

    pub(super) fn decide(
        &self,
        id: &str,
        bundle: &Bundle,
        options: &CreateOptions,
        run: bool,
    ) -> Result<Plan> {
        bundle.validate()?;
        let spec = bundle.spec();
        check_terminal(
            spec.process().as_ref().and_then(oci_spec::runtime::Process::terminal),
            options,
            run,
        )?;
        let cgroups_path = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().as_ref());
        let own_cgroup = !cgroups_path.is_some_and(|path| path.is_absolute());
        let cgroups = self.driver != CgroupDriver::Disabled;
        let mut facts = facts::gather(cgroups.then_some(own_cgroup))?;
        facts.v2_without_cgroup = !cgroups && cgroup::is_unified();
        if facts.uid != 0
            && let Some(fault) = validate::check_rootless(spec).into_iter().next()
        {
            return Err(fault);
        }
        let systemd = self.driver == CgroupDriver::Systemd;
        let named = cgroups_path.is_some_and(|path| !path.as_os_str().is_empty());
        let rootless = options.rootless.or_else(|| match (facts.uid, named || systemd) {
            // The host's systemd does nothing for the root of a user namespace.
            (0, _) if systemd && !manager_is_roots() && facts::in_user_namespace() => Some(true),
            // Asked only when something is denied.
            (0, true) => None,
            (0, false) => Some(facts::in_user_namespace()),
            _ => Some(true),
        });
        let on_v2 = facts.layout.as_ref().is_some_and(|layout| layout.mode == Mode::V2);
        if systemd && on_v2 && rootless == Some(true) {
            facts.manager_cgroup = Some(manager_cgroup(Manager::User)?);
        }
        if let Some(rdt) = spec.linux().as_ref().and_then(|linux| linux.intel_rdt().as_ref()) {
            let name = plan::resctrl::group_name(rdt, id);
            facts.resctrl = resctrl::look(self.resctrl.as_deref(), name)?;
        }
        let mut plan = plan::container(&Request {
            id,
            bundle,
            facts: &facts,
            directory: &self.root().join(id),
            systemd_cgroup: systemd,
            rootless,
            no_pivot: options.no_pivot,
            no_new_keyring: options.no_new_keyring,
            run,
            handed_on: handed_on(options.inherit_fds, &options.fds),
            listen_fds: options.listen_fds,
            live: false,
            notify: options.notify_socket.is_some(),
            console_socket: options.console_socket.clone(),
            console_size: options.console_size,
            pid_file: options.pid_file.clone(),
            pidfd_socket: options.pidfd_socket.clone(),
        })?;
        plan.notices.extend(validate::warnings(spec));
        Ok(plan)
    }

    fn begin<'a>(
        &'a self,
        id: &str,
        bundle: &'a Bundle,
        options: CreateOptions,
        run: bool,
    ) -> Result<Creation<'a>> {
        check_id(id)?;
        let trace = self.trace.as_ref();
        let mut plan =
            timed(trace, "plan", "check and plan", || self.decide(id, bundle, &options, run))?;
        plan.traced = trace.is_some();
        let directory = Directory::create(self.root(), id)?;
        let record = record(id, bundle, &plan, &options);
        Ok(Creation {
            runtime: self,
            bundle,
            made: Made { directory, record, plan, root: self.root(), trace },
            options,
        })
    }
}

/// How many descriptors are handed on.
pub(super) fn handed_on(inherited: u32, given: &[OwnedFd]) -> u32 {
    inherited.max(u32::try_from(given.len()).unwrap_or(u32::MAX))
}

/// A terminal needs somebody to hand its master to.
fn check_terminal(terminal: Option<bool>, options: &CreateOptions, run: bool) -> Result<()> {
    let refuse =
        |text: &str| Err(Error::new(ErrorKind::InvalidArgument, text).at("/process/terminal"));
    match (terminal == Some(true), &options.console_socket) {
        (true, None) if !(run && options.foreground_console) => {
            refuse("cannot allocate tty if the runtime will detach without setting console socket")
        }
        (false, Some(_)) => {
            refuse("cannot use console socket if the runtime will not detach or allocate tty")
        }
        _ => Ok(()),
    }
}

/// Silence of init is a fault unless a hook of its own may take as long as it likes.
pub(super) fn patience(plan: &Plan) -> Option<Duration> {
    let unlimited = |op: &Op| matches!(op, Op::Hook { timeout_ms: 0, .. });
    let any =
        plan.steps.iter().any(|step| matches!(&step.action, Action::Init(op) if unlimited(op)));
    (!any).then_some(PATIENCE)
}

pub(super) fn record(id: &str, bundle: &Bundle, plan: &Plan, options: &CreateOptions) -> Record {
    let spec = bundle.spec();
    let namespaces =
        spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    let namespaces = plan::namespaces::Namespaces::of(namespaces);
    Record {
        version: Record::VERSION,
        phase: Phase::Creating,
        oci_version: spec.version().clone(),
        id: id.to_owned(),
        bundle: bundle.dir().to_owned(),
        rootfs: bundle.rootfs().to_owned(),
        created: crate::state::now(),
        owner: nix::unistd::geteuid().as_raw(),
        annotations: spec
            .annotations()
            .iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        cgroup: plan.cgroup.as_ref().map(|plan| plan.cgroup.clone()),
        resctrl: plan.resctrl.clone(),
        own_mounts: namespaces.has(plan::clone_flags::CLONE_NEWNS),
        own_pids: namespaces.creates(plan::clone_flags::CLONE_NEWPID),
        no_new_keyring: options.no_new_keyring,
        handed_on: handed_on(options.inherit_fds, &options.fds),
        restoring: false,
        steps: plan.steps.len(),
        pid: 0,
        start_time: 0,
    }
}

/// A container about to be created.
struct Creation<'a> {
    runtime: &'a Runtime,
    bundle: &'a Bundle,
    options: CreateOptions,
    made: Made<'a>,
}

/// A container that leaves something behind from here on.
struct Made<'a> {
    root: &'a Path,
    directory: Directory,
    record: Record,
    plan: Plan,
    trace: Option<&'a Trace>,
}

impl<'a> Creation<'a> {
    fn carry_out(self) -> Result<(Made<'a>, Outcome)> {
        let Self { runtime, bundle, options, mut made } = self;
        let surroundings = Surroundings {
            directory: Some(runtime.root()),
            gate: None,
            stdio: options.stdio,
            given: options.fds,
            cgroup: None,
            outside: false,
            process: None,
            beside: None,
            patience: patience(&made.plan),
        };
        if let Err(error) = made.directory.save_config(bundle.raw()) {
            // Nothing else is there yet.
            let _ = made.directory.remove();
            return Err(error);
        }
        let execution =
            Execution::new(&made.plan, Some(&made.directory), &mut made.record, surroundings)
                .traced(made.trace);
        match timed(made.trace, "execute", "carry out the plan", || execution.run()) {
            Ok(mut outcome) => {
                made.plan.notices.append(&mut outcome.notices);
                Ok((made, outcome))
            }
            Err(error) => {
                made.undo();
                Err(error)
            }
        }
    }
}

impl Made<'_> {
    fn container(self) -> Container {
        let notices: Vec<Notice> = self.plan.notices;
        Container {
            root: self.root.to_owned(),
            id: self.record.id,
            notices,
            trace: self.trace.cloned(),
        }
    }

    /// From the word to go on to the running program.
    fn follow(&mut self, outcome: &Outcome, spec: &Spec, supervisor: Option<&Path>) -> Result<()> {
        let socket = supervisor.map(|_| notify::listen(&self.directory)).transpose()?;
        timed(self.trace, "start", "until the program runs", || {
            await_exec(&outcome.init, &self.plan, self.trace)
        })?;
        super::start::poststart(&self.record, spec, self.trace)?;
        if let (Some(socket), Some(supervisor)) = (&socket, supervisor) {
            notify::relay(socket, supervisor, outcome.init.pid, outcome.init.pidfd.as_fd())?;
        }
        Ok(())
    }

    /// After a failure: as if the container had never been. The failure is what
    /// the caller hears of; what cannot be undone stays for `delete --force`.
    fn undo(&self) {
        let _ = super::delete::destroy(&self.directory, &self.record);
    }
}
