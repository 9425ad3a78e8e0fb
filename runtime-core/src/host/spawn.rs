//! From a plan to a running init: its descriptors, its image, its clone.

use super::cgroup::{self, LiveCgroup};
use super::channel::Channel;
use super::trees::Trees;
use super::{hooks, image};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::Cgroup;
use crate::plan::ops::{Header, slot};
use crate::plan::{Descriptor, Plan};
use crate::sys;
use crate::sys::spawn::{Refusal, Started};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a child of another thread may take from fork to execve.
const BUSY: Duration = Duration::from_secs(10);

/// What init is given besides the plan.
#[derive(Debug, Default)]
pub(crate) struct Surroundings<'a> {
    /// The state root, for an image that cannot be in memory.
    pub(crate) directory: Option<&'a Path>,
    pub(crate) gate: Option<OwnedFd>,
    pub(crate) stdio: Option<[OwnedFd; 3]>,
    /// Descriptors handed on as 3, 4, … in the place of inherited ones.
    pub(crate) given: Vec<OwnedFd>,
    /// The directory of the v2 cgroup to start in.
    pub(crate) cgroup: Option<OwnedFd>,
    /// Start outside: init moves itself into the cgroup.
    pub(crate) outside: bool,
    /// The process whose namespaces are joined.
    pub(crate) process: Option<BorrowedFd<'a>>,
    /// The cgroup that `cgroup` is part of, and a process whose place in it does
    /// when it takes no processes itself.
    pub(crate) beside: Option<(&'a Cgroup, i32)>,
    /// How long init may be silent.
    pub(crate) patience: Option<Duration>,
}

/// Init, started.
#[derive(Debug)]
pub(crate) struct Init {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) channel: Channel,
}

/// A descriptor for init: one of ours, or one that the caller has open.
enum Handed<'a> {
    Owned(OwnedFd),
    Borrowed(BorrowedFd<'a>),
    Number(RawFd),
    /// Not for the container; init keeps the number from its own descriptors, and closes it.
    Placeholder(RawFd),
    Nothing,
}

impl Handed<'_> {
    fn number(&self) -> RawFd {
        match self {
            Self::Owned(fd) => fd.as_raw_fd(),
            Self::Borrowed(fd) => fd.as_raw_fd(),
            Self::Number(number) | Self::Placeholder(number) => *number,
            Self::Nothing => -1,
        }
    }

    /// As it stands in the table.
    fn word(&self) -> i64 {
        let number = i64::from(self.number());
        if let Self::Placeholder(_) = self { number | Header::PLACEHOLDER } else { number }
    }
}

/// Starts init with `plan`.
pub(crate) fn start(plan: &Plan, surroundings: Surroundings<'_>) -> Result<Init> {
    let handed_on =
        plan.descriptors.iter().filter(|fd| matches!(fd, Descriptor::Inherited(_))).count();
    // Numbers from 3 on belong to what is handed on; ours must not stand there.
    let lowest = 3 + RawFd::try_from(handed_on).unwrap_or(RawFd::MAX);
    let (channel, theirs) = Channel::pair(surroundings.patience)?;
    let mut handed = vec![Handed::Owned(above(theirs, lowest)?)];
    handed.push(match surroundings.gate {
        Some(gate) => Handed::Owned(above(gate, lowest)?),
        None => Handed::Nothing,
    });
    match surroundings.stdio {
        Some(streams) => {
            for stream in streams {
                handed.push(Handed::Owned(above(stream, lowest)?));
            }
        }
        None => handed.extend([const { Handed::Nothing }; 3]),
    }
    let directory = surroundings.directory.unwrap_or(Path::new("/"));
    let mut trees = Trees::of(plan, directory);
    let mut given = surroundings.given.into_iter();
    let mut v2_slot = None;
    for descriptor in &plan.descriptors {
        handed.push(match descriptor {
            Descriptor::V2Tasks => {
                v2_slot = Some(handed.len());
                Handed::Nothing
            }
            Descriptor::Tree(tree) => Handed::Owned(above(trees.open(tree)?, lowest)?),
            other => open_for(other, &mut given, surroundings.process, lowest)?,
        });
    }
    debug_assert!(handed.len() as u64 >= slot::FIRST_FREE);
    let launch_in = |handed: &[Handed<'_>], cgroup: Option<&OwnedFd>| {
        launch(plan, handed, directory, cgroup.map(AsFd::as_fd))
    };
    let tasks = |cgroup: OwnedFd| {
        let beside = if is_inner(&cgroup) { beside(surroundings.beside)? } else { None };
        let tasks = open_tasks(&beside.unwrap_or(cgroup))?;
        Ok(Handed::Owned(above(tasks, lowest)?))
    };
    let into_cgroup = surroundings.cgroup.is_some();
    let started = match surroundings.cgroup {
        None => launch_in(&handed, None)?,
        Some(cgroup) if surroundings.outside => {
            if let Some(place) = v2_slot {
                handed[place] = tasks(cgroup)?;
            }
            launch_in(&handed, None)?
        }
        Some(cgroup) => match launch_in(&handed, Some(&cgroup))? {
            Err(refusal) if refusal.error.raw_os_error() == Some(libc::EBUSY) => {
                match beside(surroundings.beside)? {
                    Some(beside) => launch_in(&handed, Some(&beside))?,
                    None => Err(refusal),
                }
            }
            Err(refusal) if refusal.is_too_new() => {
                if let Some(place) = v2_slot {
                    handed[place] = tasks(cgroup)?;
                }
                launch_in(&handed, None)?
            }
            started => started,
        },
    };
    let started =
        started.map_err(|refusal| spawn_failed(&refusal, plan.clone_flags, into_cgroup))?;
    Ok(Init { pid: started.pid, pidfd: started.pidfd, channel })
}

fn launch(
    plan: &Plan,
    handed: &[Handed<'_>],
    directory: &Path,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<std::result::Result<Started, Refusal>> {
    let table: Vec<i64> = handed.iter().map(Handed::word).collect();
    let keep: Vec<RawFd> =
        handed.iter().map(Handed::number).filter(|number| *number >= 0).collect();
    let image = image::with_plan(&plan.encode(&table), directory)?;
    let start = sys::spawn::Start {
        image: image.as_fd(),
        keep: &keep,
        namespaces: plan.clone_flags,
        cgroup,
    };
    Ok(spawn_unless_busy(&start))
}

/// An image on disk is busy while a child of another thread has a copy of the
/// descriptor that it was written through: until that child's own execve.
fn spawn_unless_busy(start: &sys::spawn::Start<'_>) -> std::result::Result<Started, Refusal> {
    let deadline = Instant::now() + BUSY;
    loop {
        match sys::spawn::spawn(start) {
            Err(refusal)
                if refusal.error.raw_os_error() == Some(libc::ETXTBSY)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            answer => return answer,
        }
    }
}

/// The cgroup of the container's first process. One that passes controllers on to
/// cgroups below it, as a container with systemd in it does, takes no processes.
fn beside(place: Option<(&Cgroup, i32)>) -> Result<Option<OwnedFd>> {
    let Some((cgroup, pid)) = place else { return Ok(None) };
    LiveCgroup::open(cgroup.clone())?.v2_descriptor_of(pid)
}

/// Asked where init moves itself and cannot look for another.
fn is_inner(cgroup: &OwnedFd) -> bool {
    let mut controllers = [0; 1];
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    nix::fcntl::openat(cgroup, "cgroup.subtree_control", flags, Mode::empty())
        .and_then(|file| nix::unistd::read(&file, &mut controllers))
        .is_ok_and(|length| length > 0 && controllers != *b"\n")
}

fn open_tasks(cgroup: &OwnedFd) -> Result<OwnedFd> {
    nix::fcntl::openat(cgroup, "cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| Error::os("open", errno as i32).path("cgroup.procs"))
}

fn spawn_failed(refusal: &Refusal, namespaces: u64, into_cgroup: bool) -> Error {
    let failure = Error::io(refusal.call, &refusal.error).context("starting init");
    match refusal.error.raw_os_error() {
        Some(libc::EACCES) if refusal.call == "execveat" => failure.hint(image::NO_PLACE),
        Some(libc::EACCES) if into_cgroup => failure.at("/linux/cgroupsPath").hint(
            "entering a cgroup needs write access to the cgroup.procs of the nearest cgroup above \
             it and the caller: call from inside the delegated subtree (systemd-run --user --scope)",
        ),
        Some(libc::EBUSY) if into_cgroup => Error::io(refusal.call, &refusal.error)
            .context(cgroup::ADDING)
            .at("/linux/cgroupsPath")
            .hint("the cgroup passes controllers on to its children: join one of those"),
        Some(libc::EPERM) if namespaces != 0 => failure
            .at("/linux/namespaces")
            .hint("new namespaces need CAP_SYS_ADMIN, or a new user namespace"),
        Some(libc::ENOSPC | libc::EUSERS) => failure
            .at("/linux/namespaces")
            .hint("a limit in /proc/sys/user/max_*_namespaces is reached"),
        Some(libc::EAGAIN) => {
            failure.hint("a limit of processes is reached (ulimit -u, pids.max, kernel.pid_max)")
        }
        _ => failure,
    }
}

fn above(fd: OwnedFd, lowest: RawFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() >= lowest {
        return Ok(fd);
    }
    sys::fd::duplicate(fd.as_raw_fd(), lowest).map_err(|error| Error::io("fcntl", &error))
}

fn open_for<'a>(
    descriptor: &Descriptor,
    given: &mut impl Iterator<Item = OwnedFd>,
    process: Option<BorrowedFd<'a>>,
    lowest: RawFd,
) -> Result<Handed<'a>> {
    match descriptor {
        Descriptor::Namespace { path, pointer } => {
            let namespace =
                open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty())
                    .map_err(|errno| {
                    Error::os("open", errno as i32)
                        .path(path)
                        .at(pointer.as_str())
                        .hint("the namespace to join must exist")
                })?;
            Ok(Handed::Owned(above(namespace, lowest)?))
        }
        Descriptor::V2Tasks | Descriptor::Tree(_) => Ok(Handed::Nothing),
        Descriptor::Process => Ok(process.map_or(Handed::Nothing, Handed::Borrowed)),
        Descriptor::Inherited(index) => {
            if let Some(fd) = given.next() {
                return Ok(Handed::Owned(above(fd, lowest)?));
            }
            let number = 3 + index.cast_signed();
            let inheritable = sys::fd::is_inheritable(number).map_err(|error| {
                Error::io("fcntl", &error)
                    .context(format!("unable to stat preserved-fd {index}"))
                    .with_kind(ErrorKind::InvalidArgument)
            })?;
            Ok(if inheritable { Handed::Number(number) } else { Handed::Placeholder(number) })
        }
        Descriptor::HookOutput(output) => {
            Ok(Handed::Owned(above(hooks::open_output(output)?.into(), lowest)?))
        }
    }
}
