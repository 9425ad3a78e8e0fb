//! `exec`.

use super::create::{handed_on, patience};
use super::process::Process;
use super::status::{first, status};
use super::{Container, ExecCommand, ExecOptions, ExecProcess};
use crate::bundle::{parse_spec, validate};
use crate::error::{Error, ErrorKind, Notice, Result};
use crate::host::cgroup::LiveCgroup;
use crate::host::execute::{Execution, await_exec, end};
use crate::host::facts;
use crate::host::record::Record;
use crate::host::spawn::Surroundings;
use crate::plan::cgroup::Cgroup;
use crate::plan::{self, ExecRequest, capabilities};
use crate::state::Status;
use crate::trace::timed;
use oci_spec::runtime as oci;
use std::os::fd::AsFd;

impl Container {
    /// Runs another process in the container. Comes back once it has become its
    /// program; it is the caller's to wait for, as [`Process`] tells.
    ///
    /// # Errors
    /// `NotRunning` and `Paused`; what failed before the program ran.
    pub fn exec(&self, process: ExecProcess, options: ExecOptions) -> Result<Process> {
        let directory = self.directory()?;
        let mut record = directory.load()?;
        refuse_unless_running(status(&directory, &record)?, options.ignore_paused)?;
        let target = first(&record).ok_or_else(stopped)?;
        let (spec, _) = parse_spec(&directory.load_config()?)?;
        let mut notices = Vec::new();
        let (process, base) = whole(process, &spec, &mut notices)?;
        check_terminal(&process, &options)?;
        let place = sub_cgroup(&record, &options.cgroup)?;
        let cgroup = place.clone().map(LiveCgroup::open).transpose()?;
        let whole_cgroup = options.cgroup.is_empty();
        let facts = facts::gather(None)?;
        let trace = self.trace.as_ref();
        let decide =
            |request: &ExecRequest<'_>| timed(trace, "plan", "plan", || plan::exec(request));
        let mut plan = decide(&ExecRequest {
            id: &self.id,
            pid: u64::from(record.pid.cast_unsigned()),
            spec: &spec,
            process: &process,
            facts: &facts,
            base,
            no_new_keyring: record.no_new_keyring,
            cgroup: place.as_ref(),
            // One that was removed meanwhile left its processes to the group of all.
            resctrl: record.resctrl.as_ref().filter(|group| group.path.is_dir()),
            handed_on: handed_on(options.inherit_fds, &options.fds),
            console_socket: options.console_socket,
            console_size: options.console_size,
            pid_file: options.pid_file,
            pidfd_socket: options.pidfd_socket,
        })?;
        plan.traced = trace.is_some();
        let surroundings = Surroundings {
            directory: Some(&self.root),
            gate: None,
            stdio: options.stdio,
            given: options.fds,
            cgroup: None,
            outside: false,
            process: Some(target.pidfd.as_fd()),
            beside: place.as_ref().filter(|_| whole_cgroup).map(|place| (place, record.pid)),
            patience: patience(&plan),
        };
        let execution = Execution::new(&plan, None, &mut record, surroundings).in_cgroup(cgroup);
        let execution = execution.traced(trace);
        let outcome = timed(trace, "execute", "carry out the plan", || execution.run())?;
        timed(trace, "start", "until the program runs", || await_exec(&outcome.init, &plan, trace))
            .inspect_err(|_| end(&outcome.init))?;
        notices.extend(plan.notices);
        Ok(Process::new(outcome.init, outcome.console).with_notices(notices))
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::NotRunning, "cannot exec in a stopped container")
}

fn refuse_unless_running(status: Status, ignore_paused: bool) -> Result<()> {
    match status {
        Status::Stopped | Status::Creating => Err(stopped()),
        Status::Paused if !ignore_paused => Err(Error::new(
            ErrorKind::Paused,
            "cannot exec in a paused container (use --ignore-paused to override)",
        )),
        _ => Ok(()),
    }
}

fn check_terminal(process: &oci::Process, options: &ExecOptions) -> Result<()> {
    let refuse = |text: &str| Err(Error::new(ErrorKind::InvalidArgument, text));
    match (process.terminal() == Some(true), &options.console_socket) {
        (true, None) if !options.foreground_console => {
            refuse("cannot allocate tty if the runtime will detach without setting console socket")
        }
        (false, Some(_)) => {
            refuse("cannot use console socket if the runtime will not detach or allocate tty")
        }
        _ => Ok(()),
    }
}

fn sub_cgroup(record: &Record, wanted: &[String]) -> Result<Option<Cgroup>> {
    let Some(own) = &record.cgroup else { return Ok(None) };
    if let Some(path) = wanted.iter().find(|wanted| escapes(wanted)) {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("bad sub cgroup path: {path}"))
            .hint("a sub-cgroup is below the container's own"));
    }
    let place =
        wanted.iter().try_fold(own.clone(), |place, wanted| match wanted.split_once(':') {
            Some((controllers, path)) => {
                place.sub_cgroup(&controllers.split(',').collect::<Vec<_>>(), path)
            }
            None => place.sub_cgroup(&[], wanted),
        })?;
    Ok(Some(place))
}

fn escapes(wanted: &str) -> bool {
    let path = wanted.split_once(':').map_or(wanted, |(_, path)| path);
    path.split('/').any(|component| component == "..")
}

/// The process object with everything in it, and its place in the configuration.
fn whole(
    process: ExecProcess,
    spec: &oci::Spec,
    notices: &mut Vec<Notice>,
) -> Result<(oci::Process, &'static str)> {
    let (process, base) = match process {
        ExecProcess::Document(process) => (completed(*process, spec), ""),
        ExecProcess::Command(command) => (merged(command, spec, notices), "/process"),
    };
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        return Err(Error::new(ErrorKind::InvalidArgument, "exec args cannot be empty"));
    }
    let faults = validate::check_process(&process, base).into_iter();
    match faults.chain(validate::check_labels(&process, base)).next() {
        Some(error) => Err(error),
        None => Ok((process, base)),
    }
}

/// What a document leaves out of confinement and scheduling is the container's: leaving it
/// out is no way around. Its resource limits are its own, as with runc and crun.
fn completed(mut process: oci::Process, spec: &oci::Spec) -> oci::Process {
    let Some(own) = spec.process() else { return process };
    macro_rules! complete {
        ($($field:ident, $set:ident;)*) => {
            $( if process.$field().is_none() {
                process.$set(own.$field().clone());
            } )*
        };
    }
    complete! {
        capabilities, set_capabilities;
        io_priority, set_io_priority;
        scheduler, set_scheduler;
        exec_cpu_affinity, set_exec_cpu_affinity;
        oom_score_adj, set_oom_score_adj;
    }
    let empty = |label: &Option<String>| label.as_ref().is_none_or(String::is_empty);
    if empty(process.apparmor_profile()) {
        process.set_apparmor_profile(own.apparmor_profile().clone());
    }
    if empty(process.selinux_label()) {
        process.set_selinux_label(own.selinux_label().clone());
    }
    if process.user().umask().is_none() {
        let mut user = process.user().clone();
        user.set_umask(own.user().umask());
        process.set_user(user);
    }
    process
}

/// The container's own process with the command's differences. Its terminal is
/// not inherited.
fn merged(command: ExecCommand, spec: &oci::Spec, notices: &mut Vec<Notice>) -> oci::Process {
    let mut process = spec.process().clone().unwrap_or_else(plan::nothing);
    process.set_args(Some(command.args)).set_terminal(Some(command.terminal));
    if let Some(cwd) = command.cwd {
        process.set_cwd(cwd.into());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(command.env);
    process.set_env(Some(env));
    let mut user = process.user().clone();
    if let Some((uid, gid)) = command.user {
        user.set_uid(uid);
        if let Some(gid) = gid {
            user.set_gid(gid);
        }
    }
    let mut groups = user.additional_gids().clone().unwrap_or_default();
    groups.extend(command.additional_gids);
    user.set_additional_gids(Some(groups));
    process.set_user(user);
    if command.selinux_label.is_some() {
        process.set_selinux_label(command.selinux_label);
    }
    if command.apparmor.is_some() {
        process.set_apparmor_profile(command.apparmor);
    }
    if command.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if !command.caps.is_empty() {
        let added = capabilities::parse_known(&command.caps, notices);
        process
            .set_capabilities(Some(capabilities::granted(process.capabilities().as_ref(), added)));
    }
    process
}
