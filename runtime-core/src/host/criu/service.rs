//! One criu that serves one request over a socket, and ends.

use super::log;
use super::progress::Progress;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::criu::rpc::{Request, Response, kind};
use crate::sys::{child, fd, pidfd};
use nix::cmsg_space;
use nix::fcntl::{OFlag, open};
use nix::poll::PollFlags;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType, recvmsg, send,
    shutdown, socketpair,
};
use nix::sys::stat::Mode;
use prost::Message;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How many steps a dump or a restore has at most.
const MOST_STEPS: u32 = 1000;

/// More than criu ever says at once.
const LARGEST: usize = 64 << 10;

/// What criu is given besides the request.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// Its standard streams; those of this process when absent.
    pub(crate) stdio: Option<[Stdio; 3]>,
    /// Descriptors that it has under the numbers that they have here.
    pub(crate) keep: Vec<RawFd>,
    /// A mount namespace of its own.
    pub(crate) apart: Option<Apart<'a>>,
    /// Where it logs.
    pub(crate) log: Option<PathBuf>,
    /// How long it may do nothing.
    pub(crate) patience: Duration,
}

/// A mount namespace of criu's own, in which the root file system is a mount, as criu wants
/// it, of which the host sees nothing.
#[derive(Debug)]
pub(crate) struct Apart<'a> {
    /// What is bound.
    pub(crate) rootfs: &'a Path,
    /// Where.
    pub(crate) root: &'a Path,
    /// Directories that are opened there: criu mounts in the one that it works in, which
    /// must be of its own namespace.
    pub(crate) directories: Vec<&'a Path>,
}

impl Surroundings<'_> {
    /// Nothing, for `patience`.
    pub(crate) fn alone(patience: Duration) -> Self {
        let stdio = Some([Stdio::null(), Stdio::null(), Stdio::null()]);
        Self { stdio, keep: Vec::new(), apart: None, log: None, patience }
    }
}

/// A step that criu has come to, and waits at.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its name.
    pub(crate) name: String,
    /// The first process, once there is one.
    pub(crate) pid: Option<i32>,
    /// What came with it.
    pub(crate) attached: Option<OwnedFd>,
}

/// A criu that runs. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Service {
    process: Child,
    pidfd: OwnedFd,
    socket: OwnedFd,
    directories: Vec<OwnedFd>,
    log: Option<PathBuf>,
    progress: Progress,
    /// Processes whose work is criu's.
    workers: Vec<i32>,
}

impl Service {
    /// Starts it; it waits for the request.
    pub(crate) fn start(surroundings: Surroundings<'_>) -> Result<Self> {
        let os = |name| move |errno: nix::Error| Error::os(name, errno as i32);
        let Surroundings { stdio, mut keep, apart, log, patience } = surroundings;
        let seqpacket = SockType::SeqPacket;
        let (socket, theirs) =
            socketpair(AddressFamily::Unix, seqpacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(os("socketpair"))?;
        // Standard streams take the numbers below.
        let theirs =
            fd::duplicate(theirs.as_raw_fd(), 3).map_err(|error| Error::io("fcntl", &error))?;
        let mut command = Command::new("criu");
        command.args(["swrk", &theirs.as_raw_fd().to_string()]);
        if let Some([input, output, errors]) = stdio {
            command.stdin(input).stdout(output).stderr(errors);
        }
        keep.push(theirs.as_raw_fd());
        child::keep(&mut command, keep);
        let (process, directories) = match apart {
            None => (command.spawn().map_err(|error| not_started(&error))?, Vec::new()),
            Some(apart) => spawn_apart(&mut command, &apart)?,
        };
        let pid = process.id().cast_signed();
        let pidfd = pidfd::open(pid).map_err(os("pidfd_open"))?;
        let progress = Progress::new(patience, log.as_deref());
        Ok(Self { process, pidfd, socket, directories, log, progress, workers: vec![pid] })
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// The descriptors in this process of [`Apart::directories`].
    pub(crate) fn directories(&self) -> impl Iterator<Item = RawFd> {
        self.directories.iter().map(AsRawFd::as_raw_fd)
    }

    /// Has `request` served. Each step on the way is for `on_step`; once one has failed,
    /// criu takes everything back, and the failure is what comes of it.
    pub(crate) fn serve(
        mut self,
        request: &Request,
        mut on_step: impl FnMut(Step) -> Result<()>,
    ) -> Result<Response> {
        self.say(request)?;
        let mut failure = None;
        let mut steps = 0;
        let response = loop {
            let (response, attached) = match self.hear() {
                Ok(heard) => heard,
                Err(error) => return Err(failure.unwrap_or(error)),
            };
            if response.kind != kind::NOTIFY {
                break response;
            }
            steps += 1;
            if steps > MOST_STEPS {
                return Err(self.failed("criu comes to no end".to_owned()));
            }
            let notify = response.notify.unwrap_or_default();
            self.workers.extend(notify.pid.filter(|pid| !self.workers.contains(pid)));
            if failure.is_none() {
                let name = notify.script.unwrap_or_default();
                failure = on_step(Step { name, pid: notify.pid, attached }).err();
                self.progress.note();
            }
            let answer = Request {
                kind: kind::NOTIFY,
                notify_success: Some(failure.is_none()),
                ..Request::default()
            };
            if let Err(error) = self.say(&answer) {
                return Err(failure.unwrap_or(error));
            }
        };
        let error = failure.or_else(|| self.judge(request, &response));
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Write);
        let ended = self.end()?;
        match error {
            Some(error) => Err(error),
            // After a pre-dump it has waited for another request.
            None if ended.success() || request.kind == kind::PRE_DUMP => Ok(response),
            None => Err(self.failed(format!("criu failed: {ended}"))),
        }
    }

    fn judge(&self, request: &Request, response: &Response) -> Option<Error> {
        if response.success && response.kind == request.kind {
            return None;
        }
        let name = kind::name(response.kind);
        let errno = response.cr_errno.unwrap_or(0);
        let error = self.failed(format!("criu failed: type {name} errno {errno}"));
        Some(match response.cr_errmsg.as_deref().map(str::trim) {
            Some(words) if error.words().is_none() && !words.is_empty() => error.saying(words),
            _ => error,
        })
    }

    /// With what the log says, and where it is.
    fn failed(&self, text: String) -> Error {
        let error = Error::new(ErrorKind::Criu, text);
        let Some(log) = self.log.as_deref().filter(|log| log.exists()) else { return error };
        let error = error.path(log);
        match log::errors(log) {
            Some(words) => error.saying(words),
            None => error,
        }
    }

    fn say(&mut self, request: &Request) -> Result<()> {
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let bytes = request.encode_to_vec();
        loop {
            match send(self.socket.as_raw_fd(), &bytes, flags) {
                Ok(_) => return Ok(()),
                Err(nix::Error::EAGAIN) => self.wait(Waiting::Room)?,
                Err(nix::Error::EPIPE | nix::Error::ECONNRESET) => {
                    return Err(self.failed("criu has ended without an answer".to_owned()));
                }
                Err(errno) => return Err(Error::os("send", errno as i32)),
            }
        }
    }

    fn hear(&mut self) -> Result<(Response, Option<OwnedFd>)> {
        self.wait(Waiting::Word)?;
        let mut bytes = vec![0; LARGEST];
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let mut space = cmsg_space!([RawFd; 1]);
        let message = recvmsg::<()>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )
        .map_err(|errno| Error::os("recvmsg", errno as i32))?;
        let mut attached = None;
        for control in message.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                attached = numbers.into_iter().map(fd::own).next_back();
            }
        }
        let count = message.bytes;
        if count == 0 {
            return Err(self.failed("criu has ended without an answer".to_owned()));
        }
        self.progress.note();
        let response = Response::decode(&bytes[..count]).map_err(|error| {
            Error::new(ErrorKind::Criu, format!("criu's answer cannot be read: {error}"))
        })?;
        Ok((response, attached))
    }

    fn end(&mut self) -> Result<ExitStatus> {
        self.wait(Waiting::End)?;
        self.process.wait().map_err(|error| Error::io("waitid", &error))
    }

    /// Waits for a word, for room for one, or for the end, for as long as criu gets on.
    fn wait(&mut self, waiting: Waiting) -> Result<()> {
        loop {
            let until = Instant::now() + self.progress.pause();
            let (on, events) = match waiting {
                Waiting::Word => (self.socket.as_fd(), PollFlags::POLLIN),
                Waiting::Room => (self.socket.as_fd(), PollFlags::POLLOUT),
                Waiting::End => (self.pidfd.as_fd(), PollFlags::POLLIN),
            };
            match pidfd::poll_until(on, events, until) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(errno) => return Err(Error::os("poll", errno as i32)),
            }
            if self.progress.has_stopped(&self.workers) {
                let seconds = self.progress.patience().as_secs_f64();
                let text = format!("criu has done nothing for {seconds} s, and was killed");
                return Err(self.failed(text).with_kind(ErrorKind::Timeout));
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Waiting {
    Word,
    Room,
    End,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = pidfd::send_signal(self.pidfd.as_fd(), libc::SIGKILL);
        let _ = self.process.wait();
    }
}

fn not_started(error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        let text = "criu: executable file not found in $PATH";
        return Error::new(ErrorKind::Unsupported, text)
            .with_errno(libc::ENOENT)
            .hint("install criu, which checkpoint and restore need");
    }
    Error::io("execve", error).path("criu")
}

/// The namespace is that of a thread, which ends; criu keeps it.
fn spawn_apart(command: &mut Command, apart: &Apart<'_>) -> Result<(Child, Vec<OwnedFd>)> {
    use nix::mount::{MsFlags, mount};
    const NONE: Option<&str> = None;
    let os = |name, errno: nix::Error| Error::os(name, errno as i32);
    let spawn = || {
        unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| os("unshare", errno))?;
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)
            .map_err(|errno| os("mount", errno).path("/"))?;
        let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(apart.rootfs), apart.root, NONE, bind, NONE)
            .map_err(|errno| os("mount", errno).path(apart.root))?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = |path: &&Path| {
            open(*path, flags, Mode::empty()).map_err(|errno| os("open", errno).path(path))
        };
        let directories = apart.directories.iter().map(directory).collect::<Result<_>>()?;
        let process = command.spawn().map_err(|error| not_started(&error))?;
        Ok((process, directories))
    };
    let ended = || Error::new(ErrorKind::System, "the thread that starts criu ended early");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, spawn);
        let thread = thread.map_err(|error| Error::io("clone", &error))?;
        thread.join().unwrap_or_else(|_| Err(ended()))
    })
}
