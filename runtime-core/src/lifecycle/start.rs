//! `start`.

use super::status::{First, first, status};
use super::{Container, StartOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::host::channel::{Channel, PATIENCE};
use crate::host::execute::became_program;
use crate::host::record::{Directory, GATE, Record};
use crate::host::{hooks, notify, sockets};
use crate::plan::hooks::Hooks;
use crate::plan::ops::Fact;
use crate::plan::{Step, blame, host_hook, no_process};
use crate::state::Status;
use crate::sys::pidfd;
use crate::trace::{Trace, timed};
use oci_spec::runtime::Spec;
use std::os::fd::AsFd;
use std::time::Instant;

impl Container {
    /// Lets a created container become its program. Comes back once it has.
    ///
    /// # Errors
    /// `InvalidState` when it is not created; what failed in a hook or at execve,
    /// the container being stopped then.
    pub fn start(&self) -> Result<()> {
        self.start_with(&StartOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As for [`Container::start`].
    pub fn start_with(&self, options: &StartOptions) -> Result<()> {
        let directory = self.directory()?;
        let record = directory.load()?;
        refuse_unless_created(status(&directory, &record)?)?;
        let waiting = first(&record).ok_or_else(stopped)?;
        let supervisor =
            options.notify_socket.as_deref().filter(|_| directory.exists(notify::DIRECTORY));
        let socket = supervisor.map(|_| notify::listen(&directory)).transpose()?;
        let spec = self.spec()?;
        if spec.process().is_none() {
            return Err(stop(&waiting, no_process()));
        }
        let trace = self.trace.as_ref();
        timed(trace, "start", "until the program runs", || {
            self.open_gate(&directory, &record, &spec, &waiting)
        })?;
        if let Err(error) = poststart(&record, &spec, trace) {
            return Err(stop(&waiting, error));
        }
        match (&socket, supervisor) {
            (Some(socket), Some(supervisor)) => {
                notify::relay(socket, supervisor, record.pid, waiting.pidfd.as_fd())
            }
            _ => Ok(()),
        }
    }

    /// Says go, and hears what fails before the program runs.
    fn open_gate(
        &self,
        directory: &Directory,
        record: &Record,
        spec: &Spec,
        waiting: &First,
    ) -> Result<()> {
        let knocker =
            sockets::knock(&directory.short_name(GATE)).map_err(|error| match error.errno() {
                Some(libc::ECONNREFUSED | libc::ENOENT) => stopped(),
                _ => error,
            })?;
        let unlimited = Hooks::of(spec, &record.bundle)
            .start_container
            .iter()
            .any(|hook| hook.timeout.is_none());
        let channel = Channel::over(knocker, (!unlimited).then_some(PATIENCE))?;
        channel.go()?;
        while let Some(heard) = channel.hear()? {
            if let (Fact::Begins, Some(trace)) = (heard.fact, &self.trace) {
                let step = self.step_at(directory, heard.message.op);
                crate::host::execute::note(trace, step.as_ref(), heard.message.value);
            }
            if heard.fact == Fact::Failed {
                // It is about to end: a stopped container from here on.
                let _ = pidfd::wait_ended(waiting.pidfd.as_fd(), Instant::now() + PATIENCE);
                let step = self.step_at(directory, heard.message.op);
                return Err(blame(step.as_ref(), heard.message, &heard.words));
            }
        }
        if let Some(trace) = &self.trace {
            trace.settled();
        }
        if spec.linux().as_ref().is_some_and(|linux| linux.seccomp().is_some()) {
            became_program(record.pid)?;
        }
        directory.remove_file(GATE)
    }

    /// The step that init named, from a plan made again: the same configuration
    /// leads to the same operations from the gate on, counted from the end.
    fn step_at(&self, directory: &Directory, place: u32) -> Option<Step> {
        let record = directory.load().ok()?;
        let bundle =
            crate::bundle::Bundle::from_bytes(&record.bundle, directory.load_config().ok()?)
                .ok()?;
        let runtime = super::Runtime::new(&self.root);
        let options = super::CreateOptions {
            inherit_fds: record.handed_on,
            console_socket: bundle
                .spec()
                .process()
                .as_ref()?
                .terminal()
                .filter(|on| *on)
                .map(|_| "/".into()),
            ..super::CreateOptions::default()
        };
        let mut plan = runtime.plan(&self.id, &bundle, &options).ok()?;
        let from_end = record.steps.checked_sub(place as usize + 1)?;
        let place = plan.steps.len().checked_sub(from_end + 1)?;
        Some(plan.steps.swap_remove(place))
    }
}

/// An error and a stopped container (runtime.md, Lifecycle, 9).
fn stop(waiting: &First, error: Error) -> Error {
    let _ = pidfd::send_signal(waiting.pidfd.as_fd(), libc::SIGKILL);
    let _ = pidfd::wait_ended(waiting.pidfd.as_fd(), Instant::now() + PATIENCE);
    error
}

fn stopped() -> Error {
    Error::new(ErrorKind::InvalidState, "cannot start a container that has stopped")
}

fn refuse_unless_created(status: Status) -> Result<()> {
    match status {
        Status::Created => Ok(()),
        Status::Stopped => Err(stopped()),
        Status::Running => {
            Err(Error::new(ErrorKind::InvalidState, "cannot start an already running container"))
        }
        other => Err(Error::new(
            ErrorKind::InvalidState,
            format!("cannot start a container in the {other} state"),
        )),
    }
}

/// The poststart hooks, once the program runs.
pub(super) fn poststart(record: &Record, spec: &Spec, trace: Option<&Trace>) -> Result<()> {
    let state = hooks::state_of(record, "running", record.pid);
    let Hooks { poststart, output, .. } = Hooks::of(spec, &record.bundle);
    for (index, hook) in poststart.iter().enumerate() {
        let hook = host_hook("poststart", index, hook, &output);
        timed(trace, "hook", "poststart hook", || hooks::run(&hook, &state, &record.bundle))?;
    }
    Ok(())
}
