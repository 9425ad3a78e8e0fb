//! Carrying out the host side of a plan, and hearing what init says of its own.

use super::cgroup::LiveCgroup;
use super::channel::Heard;
use super::network::Passage;
use super::record::{Directory, Phase, Record};
use super::spawn::{self, Init, Surroundings};
use super::systemd::Starting;
use super::{hooks, id_map, listener, notify, proc_stat, resctrl, sockets, user_namespace};
use crate::error::{Context, Error, ErrorKind, Notice, Result};
use crate::plan::cgroup::systemd::Manager;
use crate::plan::cgroup::{CgroupPlan, Part};
use crate::plan::ops::{Fact, Message, Op};
use crate::plan::{Action, HostOp, Plan, Step, blame, blame_rlimit};
use crate::sys::{pidfd, tty};
use crate::trace::Trace;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a process that was killed may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// One plan being carried out.
#[derive(Debug)]
pub(crate) struct Execution<'a> {
    plan: &'a Plan,
    /// Where the record is; `None` for exec, which keeps none.
    directory: Option<&'a Directory>,
    record: &'a mut Record,
    surroundings: Option<Surroundings<'a>>,
    cgroup: Option<LiveCgroup>,
    starting: Option<Starting>,
    init: Option<Init>,
    console: Option<OwnedFd>,
    listener: Option<i32>,
    /// The way of network devices, once one is moved.
    passage: Option<Passage>,
    /// A point that the child reached before its parent could say that it is there.
    reached: Option<u64>,
    /// Whether init is the child by now.
    adopted: bool,
    /// The step at hand.
    place: usize,
    trace: Option<&'a Trace>,
}

/// The process that a plan started.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) init: Init,
    pub(crate) console: Option<OwnedFd>,
    /// What the user should know.
    pub(crate) notices: Vec<Notice>,
}

impl<'a> Execution<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        directory: Option<&'a Directory>,
        record: &'a mut Record,
        surroundings: Surroundings<'a>,
    ) -> Self {
        Self {
            plan,
            directory,
            record,
            surroundings: Some(surroundings),
            cgroup: None,
            starting: None,
            init: None,
            console: None,
            listener: None,
            passage: None,
            reached: None,
            adopted: false,
            place: 0,
            trace: None,
        }
    }

    /// In a cgroup that is there already.
    pub(crate) fn in_cgroup(mut self, cgroup: Option<LiveCgroup>) -> Self {
        self.cgroup = cgroup;
        self
    }

    /// Keeping in `trace` how long each step takes.
    pub(crate) fn traced(mut self, trace: Option<&'a Trace>) -> Self {
        self.trace = trace;
        self
    }

    /// Carries the plan out up to its last host operation. What fails leaves no process behind.
    pub(crate) fn run(mut self) -> Result<Outcome> {
        match self.walk() {
            Ok(()) => {
                let init = self
                    .init
                    .take()
                    .ok_or_else(|| Error::new(ErrorKind::System, "the plan starts nothing"))?;
                Ok(Outcome {
                    init,
                    console: self.console.take(),
                    notices: self.without_cgroup().into_iter().collect(),
                })
            }
            Err(error) => {
                self.trace.inspect(|trace| trace.settled());
                let error = self.unless_out_of_memory(error);
                self.find_child();
                if self.cgroup.is_none() {
                    // Not made yet, so perhaps that of others: no undoing must touch it.
                    self.record.cgroup = None;
                }
                // Before init ends, and its namespace takes them along.
                if let Some(passage) = self.passage.take() {
                    passage.carry_back();
                }
                if let Some(init) = &self.init {
                    end(init);
                }
                Err(error)
            }
        }
    }

    /// Whatever failed, it did for want of memory if the kernel killed in the new cgroup.
    fn unless_out_of_memory(&self, error: Error) -> Error {
        let made = self.cgroup.as_ref().filter(|_| self.directory.is_some());
        let kills = |live: &LiveCgroup| live.oom_kills().ok();
        match made.and_then(kills) {
            None | Some(0) => error,
            Some(_) => Error::new(
                ErrorKind::NotRunning,
                "container init was OOM-killed (memory limit too low?)",
            )
            .at("/linux/resources/memory/limit")
            .hint("give a higher limit"),
        }
    }

    fn walk(&mut self) -> Result<()> {
        let plan = self.plan;
        for (place, step) in plan.steps.iter().enumerate() {
            self.place = place;
            match self.trace {
                Some(trace) if step.is_done_or_awaited_here() => {
                    trace.step(step.phase_here(), &step.words(), &step.pointer, || {
                        self.take_step(step)
                    })
                }
                _ => self.take_step(step),
            }?;
        }
        self.trace.map_or(Ok(()), |trace| self.await_gate(trace))
    }

    fn take_step(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Host(op) => self.carry_out(op).map_err(|error| match step.pointer.as_str() {
                "" => error,
                pointer => error.at(pointer),
            }),
            Action::Init(Op::Sync { point }) => self.await_point(*point),
            Action::Init(Op::Fork { .. }) => self.await_child(),
            Action::Init(_) => Ok(()),
        }
    }

    /// What init does between the last word to go on and the gate is measured, too.
    fn await_gate(&mut self, trace: &Trace) -> Result<()> {
        let gate = |step: &Step| matches!(step.action, Action::Init(Op::Gate {}));
        let Some(gate) = self.plan.steps.iter().position(gate) else { return Ok(()) };
        // What fails from here on is for `start` to tell.
        while let Some(heard) = self.init()?.channel.hear()? {
            if heard.fact != Fact::Begins {
                break;
            }
            note(trace, self.plan.steps.get(heard.message.op as usize), heard.message.value);
            if heard.message.op as usize >= gate {
                break;
            }
        }
        trace.settled();
        Ok(())
    }

    fn carry_out(&mut self, op: &HostOp) -> Result<()> {
        match op {
            HostOp::Record => self.save(),
            HostOp::OpenGate => self.open_gate(),
            HostOp::OpenNotify => self.directory.map_or(Ok(()), notify::open),
            HostOp::MakeCgroup(part) => self.make_cgroup(*part),
            HostOp::StartUnit => self.start_unit(),
            HostOp::AwaitUnit => self.await_unit(),
            HostOp::LimitCgroup => self.limit_cgroup(),
            HostOp::Spawn { into_cgroup, .. } => self.spawn(*into_cgroup),
            HostOp::UidMap(map) => id_map::write(id_map::USERS, self.pid(), map),
            HostOp::DenySetgroups => self.write_proc("setgroups", "deny"),
            HostOp::GidMap(map) => id_map::write(id_map::GROUPS, self.pid(), map),
            HostOp::OomScore(score) => self.write_proc("oom_score_adj", &score.to_string()),
            HostOp::MoveNetDevice { device, name } => self.move_net_device(device, name),
            HostOp::MakeResctrlGroup(group) => self.make_resctrl_group(group),
            HostOp::CompareSchemata { group, schemata } => resctrl::compare(group, schemata),
            HostOp::WriteSchemata { group, schemata } => resctrl::write(group, schemata),
            HostOp::JoinResctrl(groups) => {
                groups.iter().try_for_each(|group| resctrl::join(group, self.pid()))
            }
            HostOp::Hook(hook) => {
                let state = hooks::state_of(self.record, hook.status_in_create(), self.pid());
                hooks::run(hook, &state, &self.record.bundle)
            }
            HostOp::Rlimit { resource, soft, hard } => self.limit(*resource, *soft, *hard),
            HostOp::RecordCreated => self.record_created(),
            HostOp::PidFile(path) => write_pid_file(path, self.pid()),
            HostOp::SendPidfd { socket, payload } => {
                let init = self.init()?;
                sockets::send_descriptor(socket, payload.as_bytes(), init.pidfd.as_fd())
                    .context(|| "sending the pidfd".to_owned())
            }
            HostOp::Console { socket } => self.pass_console(socket.as_deref()),
            HostOp::Listener { socket, metadata } => self.pass_listener(socket, metadata),
            HostOp::Release { .. } => self.init()?.channel.go(),
        }
    }

    fn init(&self) -> Result<&Init> {
        self.init.as_ref().ok_or_else(|| Error::new(ErrorKind::System, "init is not started yet"))
    }

    fn pid(&self) -> i32 {
        self.init.as_ref().map_or(0, |init| init.pid)
    }

    fn save(&self) -> Result<()> {
        self.directory.map_or(Ok(()), |directory| directory.save(self.record))
    }

    fn open_gate(&mut self) -> Result<()> {
        if let (Some(directory), Some(surroundings)) = (self.directory, &mut self.surroundings) {
            surroundings.gate =
                Some(sockets::open_gate(&directory.short_name(super::record::GATE))?);
        }
        Ok(())
    }

    fn make_cgroup(&mut self, part: Part) -> Result<()> {
        let Some(plan) = &self.plan.cgroup else { return Ok(()) };
        let mut live = match self.cgroup.take() {
            Some(live) => live,
            None => LiveCgroup::open(plan.cgroup.clone())?,
        };
        let made = live.make(plan, part);
        // On failure all that was made is gone; a unit is not.
        if made.is_ok() || plan.unit.is_some() {
            self.record.cgroup = Some(live.record());
            self.cgroup = Some(live);
        }
        made
    }

    /// The record names it by now.
    fn start_unit(&mut self) -> Result<()> {
        let Some(CgroupPlan { cgroup, unit: Some(unit), .. }) = &self.plan.cgroup else {
            return Ok(());
        };
        let manager = cgroup.unit.as_ref().map_or(Manager::System, |unit| unit.manager);
        self.starting = Some(Starting::ask(manager, unit, self.pid())?);
        Ok(())
    }

    /// One that could not be started is not the container's to stop.
    fn await_unit(&mut self) -> Result<()> {
        let (Some(starting), Some(plan)) = (self.starting.take(), &self.plan.cgroup) else {
            return Ok(());
        };
        starting.finish()?;
        self.cgroup = Some(LiveCgroup::open(plan.cgroup.clone())?.with_resident(self.pid()));
        Ok(())
    }

    /// A container that the host gives no cgroup to runs without, if nothing asks for one.
    fn without_cgroup(&self) -> Option<Notice> {
        self.plan.cgroup.as_ref()?;
        self.cgroup.as_ref().filter(|live| live.is_empty())?;
        let message = match self.record.own_pids {
            true => {
                "no permission to make a cgroup: the container runs without, and cannot be \
                     paused or limited"
            }
            false => {
                "Creating a rootless container with no cgroup and no private pid namespace. \
                      Such configuration is strongly discouraged (as it is impossible to properly \
                      kill all container's processes)"
            }
        };
        Some(Notice::new("/linux/cgroupsPath", message))
    }

    fn limit_cgroup(&self) -> Result<()> {
        match (&self.cgroup, &self.plan.cgroup) {
            (Some(live), Some(plan)) => live.apply(plan),
            _ => Ok(()),
        }
    }

    fn spawn(&mut self, into_cgroup: bool) -> Result<()> {
        let mut surroundings = self
            .surroundings
            .take()
            .ok_or_else(|| Error::new(ErrorKind::System, "the plan starts init twice"))?;
        if let Some(live) = &self.cgroup {
            surroundings.cgroup = match (live.v2_descriptor(), surroundings.beside) {
                // The container has moved elsewhere, and its own cgroup is gone.
                (Err(error), Some((_, pid))) if error.errno() == Some(libc::ENOENT) => {
                    live.v2_descriptor_around(pid)?
                }
                (own, _) => own?,
            };
            surroundings.outside = !into_cgroup;
        }
        self.init = Some(spawn::start(self.plan, surroundings)?);
        Ok(())
    }

    fn write_proc(&self, file: &str, value: &str) -> Result<()> {
        let path = format!("/proc/{}/{file}", self.pid());
        std::fs::write(&path, value).map_err(|error| Error::io("write", &error).path(&path))
    }

    fn move_net_device(&mut self, device: &str, name: &str) -> Result<()> {
        let passage = match self.passage.take() {
            Some(passage) => passage,
            None => Passage::open(self.pid())?,
        };
        self.passage.insert(passage).carry(device, name)
    }

    /// One that could not be made is not the container's to remove.
    fn make_resctrl_group(&mut self, group: &Path) -> Result<()> {
        resctrl::make(group).inspect_err(|_| {
            if let Some(recorded) = &mut self.record.resctrl {
                recorded.own &= recorded.path != group;
                recorded.monitor = None;
            }
        })
    }

    fn limit(&self, resource: u32, soft: u64, hard: u64) -> Result<()> {
        crate::sys::rlimit::set(self.pid(), resource, soft, hard)
            .map_err(|error| blame_rlimit(resource, Error::io("prlimit", &error)))
    }

    fn record_created(&mut self) -> Result<()> {
        let pid = self.pid();
        let stat = proc_stat::read(pid)
            .ok_or_else(|| Error::new(ErrorKind::NotRunning, "init has ended"))?;
        self.record.pid = pid;
        self.record.start_time = stat.start_time;
        self.record.phase = Phase::Created;
        self.save()
    }

    fn pass_console(&mut self, socket: Option<&Path>) -> Result<()> {
        let Some(console) = &self.console else { return Ok(()) };
        let Some(socket) = socket else { return tty::keep_line_ends(console.as_fd()) };
        sockets::send_descriptor(socket, b"/dev/ptmx", console.as_fd())
            .context(|| "sending the terminal to the console socket".to_owned())?;
        self.console = None;
        Ok(())
    }

    fn pass_listener(&mut self, socket: &Path, metadata: &str) -> Result<()> {
        while self.listener.is_none() {
            let heard = self.hear()?;
            self.take(heard)?;
        }
        let init = self.init()?;
        let number = self.listener.unwrap_or(-1);
        listener::pass(init, number, socket, metadata, self.record)?;
        init.channel.go()
    }

    /// What init said, or the error of its death.
    fn hear(&self) -> Result<Heard> {
        let init = self.init()?;
        init.channel.hear()?.ok_or_else(|| died(init))
    }

    /// A fact that may come at any time.
    fn take(&mut self, heard: Heard) -> Result<()> {
        match heard.fact {
            Fact::Failed => return Err(self.blame(heard.message, &heard.words)),
            Fact::Child => self.adopt(heard.message.value)?,
            Fact::Console => self.console = heard.attached,
            Fact::Listener => self.listener = i32::try_from(heard.message.value).ok(),
            Fact::Reached => self.reached = Some(heard.message.value),
            Fact::Begins => {
                if let Some(trace) = self.trace {
                    let step = self.plan.steps.get(heard.message.op as usize);
                    note(trace, step, heard.message.value);
                }
            }
        }
        Ok(())
    }

    fn blame(&self, message: Message, words: &[u8]) -> Error {
        let step = self.plan.steps.get(message.op as usize);
        user_namespace::explain(blame(step, message, words), step)
    }

    fn await_point(&mut self, point: u64) -> Result<()> {
        while self.reached.is_none() {
            let heard = self.hear()?;
            self.take(heard)?;
        }
        match self.reached.take() {
            Some(reached) if reached == point => Ok(()),
            _ => Err(Error::new(ErrorKind::System, "init is at another point than the plan")),
        }
    }

    fn await_child(&mut self) -> Result<()> {
        let first = self.pid();
        while self.pid() == first {
            let heard = self.hear()?;
            self.take(heard)?;
        }
        Ok(())
    }

    /// A child may fail before its parent has said that it is there. Unknown, it
    /// would stay a zombie, and keep the pid namespace that it is in from ending.
    fn find_child(&mut self) {
        let forks = |step: &Step| matches!(step.action, Action::Init(Op::Fork { .. }));
        let Some(fork) = self.plan.steps.iter().position(forks) else { return };
        // Init is held before it, or has not come that far.
        let holds = |step: &Step| matches!(step.action, Action::Host(HostOp::Release { .. }));
        let before = self.plan.steps.get(self.place..fork).unwrap_or_default();
        if self.adopted || before.iter().any(holds) {
            return;
        }
        while !self.adopted
            && let Ok(Some(heard)) = self.hear_once()
        {
            let _ = self.take(heard);
        }
    }

    fn hear_once(&self) -> Result<Option<Heard>> {
        self.init()?.channel.hear()
    }

    /// From here on the child is init; its first process has ended, or is about to.
    fn adopt(&mut self, pid: u64) -> Result<()> {
        let pid = i32::try_from(pid)
            .map_err(|_| Error::new(ErrorKind::System, "init named no process"))?;
        let child = pidfd::open(pid).map_err(|errno| Error::os("pidfd_open", errno as i32))?;
        if let Some(init) = &mut self.init {
            self.adopted = true;
            let first = std::mem::replace(&mut init.pidfd, child);
            init.pid = pid;
            reap(first.as_fd());
        }
        Ok(())
    }
}

/// Waits for an ended child of this process and takes its status; nothing where
/// it is no child of ours.
fn reap(process: std::os::fd::BorrowedFd<'_>) {
    let _ = pidfd::wait_ended(process, Instant::now() + KILL_PATIENCE);
    let _ = pidfd::reap(process);
}

/// Kills a process and takes its status if it is a child of ours.
pub(crate) fn end(init: &Init) {
    let _ = pidfd::send_signal(init.pidfd.as_fd(), libc::SIGKILL);
    reap(init.pidfd.as_fd());
}

/// Init ended without a word: killed, by the kernel or by somebody.
fn died(init: &Init) -> Error {
    let _ = pidfd::wait_ended(init.pidfd.as_fd(), Instant::now() + KILL_PATIENCE);
    let error = match pidfd::reap(init.pidfd.as_fd()) {
        Ok(Some(pidfd::Exit::Signal(libc::SIGKILL))) => {
            Error::new(ErrorKind::NotRunning, "init was killed while setting up the container")
                .hint(
                    "container init was OOM-killed (memory limit too low?), or something killed it",
                )
        }
        Ok(Some(pidfd::Exit::Signal(signal))) => {
            Error::new(ErrorKind::System, format!("init ended by signal {signal}"))
        }
        Ok(Some(pidfd::Exit::Code(code))) => {
            Error::new(ErrorKind::System, format!("init ended with status {code}"))
        }
        _ => Error::new(ErrorKind::NotRunning, "init is gone"),
    };
    error.context("container init")
}

/// Hears the end of the story once init may execute: nothing more (it has become
/// the program), or what failed.
pub(crate) fn await_exec(init: &Init, plan: &Plan, trace: Option<&Trace>) -> Result<()> {
    let filtered = |step: &Step| matches!(step.action, Action::Init(Op::Seccomp { .. }));
    loop {
        match (init.channel.hear()?, trace) {
            (None, trace) => {
                trace.inspect(|trace| trace.settled());
                let doubtful = plan.steps.iter().any(filtered);
                return if doubtful { became_program(init.pid) } else { Ok(()) };
            }
            (Some(heard), Some(trace)) if heard.fact == Fact::Begins => {
                note(trace, plan.steps.get(heard.message.op as usize), heard.message.value);
            }
            (Some(heard), _) if heard.fact == Fact::Failed => {
                let error =
                    blame(plan.steps.get(heard.message.op as usize), heard.message, &heard.words);
                end(init);
                return Err(error);
            }
            (Some(_), _) => {}
        }
    }
}

/// A seccomp filter may forbid execve, and to say so: init ends without a word then,
/// still under its own name. A program gets its name soon after the socket has closed.
pub(crate) fn became_program(pid: i32) -> Result<()> {
    const PATIENCE: Duration = Duration::from_millis(200);
    let deadline = Instant::now() + PATIENCE;
    while let Some(stat) = proc_stat::read(pid).filter(|stat| stat.is_init) {
        if stat.ended {
            let text = "init ended before it could execute the program";
            return Err(Error::new(ErrorKind::Exec, text)
                .at("/linux/seccomp")
                .hint("the filter must let execve pass"));
        }
        if Instant::now() >= deadline {
            break;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Keeps that init began `step` at that time.
pub(crate) fn note(trace: &Trace, step: Option<&Step>, time: u64) {
    if let Some(step) = step {
        trace.begun(step.phase(), step.words(), &step.pointer, time);
    }
}

/// The pid in decimal, without a newline, under its name only when complete.
pub(crate) fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let name = path.file_name().ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, "the pid file's path names no file").path(path)
    })?;
    let mut fresh = std::ffi::OsString::from(".");
    fresh.push(name);
    let fresh = path.with_file_name(fresh);
    let failed = |name: &'static str| {
        move |error: std::io::Error| Error::io(name, &error).context("writing the pid file")
    };
    // One that was left by somebody killed is nobody's.
    let _ = std::fs::remove_file(&fresh);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o666);
    let mut file = options.open(&fresh).map_err(|error| failed("open")(error).path(&fresh))?;
    std::io::Write::write_all(&mut file, pid.to_string().as_bytes())
        .map_err(|error| failed("write")(error).path(&fresh))?;
    std::fs::rename(&fresh, path).map_err(|error| {
        let _ = std::fs::remove_file(&fresh);
        failed("rename")(error).path(path)
    })
}
