//! Carrying out a restore: the host side of the container's plan, with criu in the
//! place of init, and what criu's steps want meanwhile.

use super::images::WorkDirectory;
use super::places::{destinations, mounted_here};
use super::service::{Apart, Service, Step, Surroundings};
use super::{Images, cgroup_roots};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::host::cgroup::LiveCgroup;
use crate::host::record::{Directory, Phase, Record};
use crate::host::systemd::Starting;
use crate::host::{hooks, notify, proc_stat, resctrl, sockets};
use crate::plan::cgroup::systemd::Manager;
use crate::plan::cgroup::{CgroupPlan, Part};
use crate::plan::criu::rpc::{Opts, Request, kind};
use crate::plan::criu::{self, CriuSwitches, RESTORE_LOG, RestoreSwitches};
use crate::plan::namespaces::Join;
use crate::plan::{Action, HostOp, Plan};
use crate::sys::{fd, pidfd, tty};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use oci_spec::runtime::Spec;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Below the container's directory: what the root file system is bound at, for criu alone.
const ROOT: &str = "criu-root";

/// How long a process that was killed may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// What is to be restored, and how.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) bundle: &'a Path,
    pub(crate) rootfs: &'a Path,
    pub(crate) images: &'a Images,
    pub(crate) work: Option<&'a WorkDirectory>,
    pub(crate) streams: &'a [String],
    pub(crate) version: i32,
    pub(crate) switches: &'a CriuSwitches,
    pub(crate) restore: &'a RestoreSwitches,
    pub(crate) stdio: Option<[OwnedFd; 3]>,
    pub(crate) patience: Duration,
    /// Where the terminal's master is sent; it is handed back otherwise.
    pub(crate) console_socket: Option<&'a Path>,
    /// Whether it has one at all.
    pub(crate) terminal: bool,
}

/// The first process, back again.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) console: Option<OwnedFd>,
}

/// One restore on its way.
#[derive(Debug)]
pub(crate) struct Restoration<'a> {
    plan: &'a Plan,
    directory: &'a Directory,
    record: &'a mut Record,
    cgroup: Option<LiveCgroup>,
    starting: Option<Starting>,
    service: Option<Service>,
    first: Option<(i32, OwnedFd)>,
    console: Option<OwnedFd>,
}

impl<'a> Restoration<'a> {
    pub(crate) fn new(plan: &'a Plan, directory: &'a Directory, record: &'a mut Record) -> Self {
        Self {
            plan,
            directory,
            record,
            cgroup: None,
            starting: None,
            service: None,
            first: None,
            console: None,
        }
    }

    /// Restores. What fails leaves no process behind.
    pub(crate) fn run(mut self, mut wanted: Wanted<'_>) -> Result<Restored> {
        match self.carry_out(&mut wanted) {
            Ok(()) => {
                let missing = || Error::new(ErrorKind::Criu, "criu named no process");
                let (pid, pidfd) = self.first.take().ok_or_else(missing)?;
                Ok(Restored { pid, pidfd, console: self.console.take() })
            }
            Err(error) => {
                self.take_back();
                Err(error)
            }
        }
    }

    fn carry_out(&mut self, wanted: &mut Wanted<'_>) -> Result<()> {
        let root = self.root()?;
        let (mut opts, namespaces) = self.decide(wanted, &root)?;
        let namespaces = open_namespaces(namespaces)?;
        for (namespace, key) in &namespaces {
            let key = (*key).to_owned();
            opts.inherit_fd.push(criu::rpc::InheritFd { key, fd: namespace.as_raw_fd() });
        }
        let log_directory = wanted.work.unwrap_or(wanted.images.directory());
        let mut surroundings = Some(Surroundings {
            stdio: wanted.stdio.take().map(|stdio| stdio.map(Stdio::from)),
            keep: namespaces.iter().map(|(namespace, _)| namespace.as_raw_fd()).collect(),
            apart: Some(Apart {
                rootfs: wanted.rootfs,
                root: &root,
                directories: std::iter::once(wanted.images.directory())
                    .chain(wanted.work)
                    .map(WorkDirectory::path)
                    .collect(),
            }),
            log: Some(log_directory.path().join(RESTORE_LOG)),
            patience: wanted.patience,
        });
        let plan = self.plan;
        for step in &plan.steps {
            let Action::Host(op) = &step.action else { continue };
            self.take_step(op, &mut surroundings).map_err(|error| match step.pointer.as_str() {
                "" => error,
                pointer => error.at(pointer),
            })?;
        }
        let missing = || Error::new(ErrorKind::System, "the plan starts nothing");
        let service = self.service.take().ok_or_else(missing)?;
        if let Some(live) = &self.cgroup {
            live.join(service.pid())?;
            self.record.restoring = true;
            self.directory.save(self.record)?;
        }
        opts.cg_root = cgroup_roots(service.pid())?;
        let mut directories = service.directories();
        opts.images_dir_fd = directories.next().unwrap_or(-1);
        opts.work_dir_fd = directories.next();
        drop(directories);
        let request = Request { kind: kind::RESTORE, opts: Some(opts), ..Request::default() };
        service.serve(&request, |step| self.answer(step, wanted))?;
        Ok(())
    }

    /// Only criu sees what is mounted there; the directory goes with the container's.
    fn root(&self) -> Result<PathBuf> {
        let path = self.directory.path().join(ROOT);
        let failed = |error| Error::io("mkdir", &error).path(&path);
        std::fs::create_dir(&path).and_then(|()| path.canonicalize()).map_err(failed)
    }

    fn decide(
        &self,
        wanted: &Wanted<'_>,
        root: &Path,
    ) -> Result<(Opts, Vec<(Join, &'static str)>)> {
        let places = criu::places(wanted.spec, wanted.bundle)?;
        let destinations = destinations(wanted.rootfs, &places, true)
            .context(|| "making the mount points".to_owned())?;
        criu::restore(&criu::Restore {
            spec: wanted.spec,
            bundle: wanted.bundle,
            directory: self.directory.path(),
            root,
            cgroup: self.plan.cgroup.as_ref().map(|plan| &plan.cgroup),
            mounted: &mounted_here()?,
            destinations: &destinations,
            streams: wanted.streams,
            version: wanted.version,
            switches: wanted.switches,
            restore: wanted.restore,
        })
    }

    /// Hooks and the record wait for criu's word; what else the plan has is about init.
    fn take_step(
        &mut self,
        op: &HostOp,
        surroundings: &mut Option<Surroundings<'_>>,
    ) -> Result<()> {
        match op {
            HostOp::Record => self.directory.save(self.record),
            HostOp::OpenNotify => notify::open(self.directory),
            HostOp::MakeCgroup(part) => self.make_cgroup(*part),
            HostOp::StartUnit => self.start_unit(),
            HostOp::AwaitUnit => self.starting.take().map_or(Ok(()), Starting::finish),
            HostOp::LimitCgroup => match (&self.cgroup, &self.plan.cgroup) {
                (Some(live), Some(plan)) => live.apply(plan),
                _ => Ok(()),
            },
            HostOp::Spawn { .. } => {
                if let Some(surroundings) = surroundings.take() {
                    self.service = Some(Service::start(surroundings)?);
                }
                Ok(())
            }
            HostOp::MakeResctrlGroup(group) => self.make_resctrl_group(group),
            HostOp::CompareSchemata { group, schemata } => resctrl::compare(group, schemata),
            HostOp::WriteSchemata { group, schemata } => resctrl::write(group, schemata),
            HostOp::JoinResctrl(groups) => {
                let pid = self.service.as_ref().map_or(0, Service::pid);
                groups.iter().try_for_each(|group| resctrl::join(group, pid))
            }
            _ => Ok(()),
        }
    }

    fn make_cgroup(&mut self, part: Part) -> Result<()> {
        let Some(plan) = &self.plan.cgroup else { return Ok(()) };
        let mut live = match self.cgroup.take() {
            Some(live) => live,
            None => LiveCgroup::open(plan.cgroup.clone())?,
        };
        // On failure all that was made is gone, and `self.cgroup` stays empty.
        live.make(plan, part)?;
        self.record.cgroup = Some(live.record());
        self.cgroup = Some(live);
        Ok(())
    }

    fn start_unit(&mut self) -> Result<()> {
        let Some(CgroupPlan { cgroup, unit: Some(unit), .. }) = &self.plan.cgroup else {
            return Ok(());
        };
        let manager = cgroup.unit.as_ref().map_or(Manager::System, |unit| unit.manager);
        let pid = self.service.as_ref().map_or(0, Service::pid);
        self.starting = Some(Starting::ask(manager, unit, pid)?);
        Ok(())
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

    /// What one of criu's steps wants.
    fn answer(&mut self, step: Step, wanted: &Wanted<'_>) -> Result<()> {
        if let (None, Some(pid)) = (&self.first, step.pid) {
            let pidfd = pidfd::open(pid).map_err(|errno| Error::os("pidfd_open", errno as i32))?;
            self.first = Some((pid, pidfd));
        }
        match step.name.as_str() {
            "setup-namespaces" => self.run_hooks(),
            "post-restore" => self.record_restored(),
            "orphan-pts-master" => self.pass_console(step.attached, wanted),
            _ => Ok(()),
        }
    }

    fn pid(&self) -> i32 {
        self.first.as_ref().map_or(0, |(pid, _)| *pid)
    }

    fn run_hooks(&self) -> Result<()> {
        for step in &self.plan.steps {
            if let Action::Host(HostOp::Hook(hook)) = &step.action {
                let state = hooks::state_of(self.record, hook.status_in_create(), self.pid());
                hooks::run(hook, &state, &self.record.bundle)?;
            }
        }
        Ok(())
    }

    fn record_restored(&mut self) -> Result<()> {
        let pid = self.pid();
        let stat = proc_stat::read(pid)
            .ok_or_else(|| Error::new(ErrorKind::NotRunning, "the restored process has ended"))?;
        self.record.pid = pid;
        self.record.start_time = stat.start_time;
        self.record.phase = Phase::Created;
        self.record.restoring = false;
        self.directory.save(self.record)
    }

    fn pass_console(&mut self, master: Option<OwnedFd>, wanted: &Wanted<'_>) -> Result<()> {
        let Some(master) = master.filter(|_| wanted.terminal) else { return Ok(()) };
        match wanted.console_socket {
            Some(socket) => sockets::send_descriptor(socket, b"/dev/ptmx", master.as_fd())
                .context(|| "sending the terminal to the console socket".to_owned()),
            None => {
                tty::keep_line_ends(master.as_fd())?;
                self.console = Some(master);
                Ok(())
            }
        }
    }

    /// criu takes back what it has begun, unless it was killed itself. What is left is in
    /// the cgroup that was made for it.
    fn take_back(&mut self) {
        drop(self.service.take());
        if let Some((_, pidfd)) = self.first.take() {
            end(&pidfd);
        }
        match &self.cgroup {
            // Not made yet, so perhaps that of others: no undoing must touch it.
            None => self.record.cgroup = None,
            Some(live) => {
                let left = live.pids().unwrap_or_default();
                let left: Vec<OwnedFd> = left.into_iter().flat_map(pidfd::open).collect();
                let _ = live.kill(libc::SIGKILL);
                left.iter().for_each(end);
            }
        }
    }
}

/// Kills a process and takes its status if it is a child of ours.
fn end(process: &OwnedFd) {
    let _ = pidfd::send_signal(process.as_fd(), libc::SIGKILL);
    let _ = pidfd::wait_ended(process.as_fd(), Instant::now() + KILL_PATIENCE);
    let _ = pidfd::reap(process.as_fd());
}

/// Opens what criu gets as descriptors; standard streams take the numbers below 3.
fn open_namespaces(wanted: Vec<(Join, &'static str)>) -> Result<Vec<(OwnedFd, &'static str)>> {
    let one = |(join, key): (Join, &'static str)| {
        let failed = |error: std::io::Error| {
            Error::io("open", &error)
                .path(&join.path)
                .at(join.pointer.as_str())
                .hint("the namespace to join must exist")
        };
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let namespace = open(&join.path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        let namespace = fd::duplicate(namespace.as_raw_fd(), 3).map_err(failed)?;
        Ok((namespace, key))
    };
    wanted.into_iter().map(one).collect()
}
