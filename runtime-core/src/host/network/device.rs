//! Moving network devices into a container (config-linux.md, Network Devices).
//!
//! Each namespace is spoken to through a socket that was opened in it: by a thread
//! that joins it and ends, since setns(2) changes the calling thread alone and the
//! caller's threads stay where they are.

use super::link::{self, Address};
use super::netlink::Socket;
use crate::error::{Error, ErrorKind, Result};
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A network namespace.
#[derive(Debug)]
struct Namespace {
    file: OwnedFd,
    socket: Socket,
}

/// A device that was moved, and what it was before.
#[derive(Debug)]
struct Moved {
    /// Its number in the container.
    index: u32,
    name: String,
    up: bool,
    addresses: Vec<Address>,
}

/// The way from the runtime's network namespace into the container's.
#[derive(Debug)]
pub(in crate::host) struct Passage {
    outside: Namespace,
    inside: Namespace,
    moved: Vec<Moved>,
}

fn failed(call: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::io(call, &error)
}

impl Passage {
    /// To the network namespace of the process `pid`.
    pub(in crate::host) fn open(pid: i32) -> Result<Self> {
        let outside = open_namespace(Path::new("/proc/thread-self/ns/net"))?;
        let inside = open_namespace(&PathBuf::from(format!("/proc/{pid}/ns/net")))?;
        let socket = socket_in(&inside)?;
        Ok(Self {
            outside: Namespace { file: outside, socket: Socket::open().map_err(failed("socket"))? },
            inside: Namespace { file: inside, socket },
            moved: Vec::new(),
        })
    }

    /// Moves `device`, which is called `name` inside, keeps its addresses, and brings it up.
    pub(in crate::host) fn carry(&mut self, device: &str, name: &str) -> Result<()> {
        self.steps(device, name).map_err(|error| {
            error.context(format!("moving network device {device:?} into the container"))
        })
    }

    fn steps(&mut self, device: &str, name: &str) -> Result<()> {
        let Self { outside, inside, moved } = self;
        let before = link::find(&mut outside.socket, device).map_err(not_there(device))?;
        let addresses =
            link::addresses(&mut outside.socket, before.index).map_err(failed("RTM_GETADDR"))?;
        // The kernel moves first and renames then. A name that nobody has comes
        // through both, and tells the number that the device has inside.
        let passing = format!("tare-{}", nix::unistd::gettid());
        link::send(&mut outside.socket, before.index, inside.file.as_fd(), &passing)
            .map_err(refused)?;
        let index = link::find(&mut inside.socket, &passing).map_err(failed("RTM_GETLINK"))?.index;
        moved.push(Moved { index, name: before.name, up: before.up, addresses });
        link::rename(&mut inside.socket, index, name).map_err(taken(name))?;
        for address in moved.iter().next_back().into_iter().flat_map(|moved| &moved.addresses) {
            link::add_address(&mut inside.socket, index, address).map_err(failed("RTM_NEWADDR"))?;
        }
        link::bring_up(&mut inside.socket, index).map_err(failed("RTM_NEWLINK"))
    }

    /// Where the container is not to be: devices become what they were, as far as that can be.
    pub(in crate::host) fn carry_back(mut self) {
        while let Some(device) = self.moved.pop() {
            let _ = self.back(&device);
        }
    }

    fn back(&mut self, device: &Moved) -> io::Result<()> {
        let Self { outside, inside, .. } = self;
        link::send(&mut inside.socket, device.index, outside.file.as_fd(), &device.name)?;
        let index = link::find(&mut outside.socket, &device.name)?.index;
        for address in &device.addresses {
            link::add_address(&mut outside.socket, index, address)?;
        }
        if device.up { link::bring_up(&mut outside.socket, index) } else { Ok(()) }
    }
}

fn open_namespace(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| Error::os("open", errno as i32).path(path))
}

fn socket_in(namespace: &OwnedFd) -> Result<Socket> {
    let enter = || {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        Socket::open()
    };
    let opened = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, enter)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended early")))
    });
    opened.map_err(|error| {
        Error::io("setns", &error).context("speaking to the container's network namespace")
    })
}

fn not_there(device: &str) -> impl Fn(io::Error) -> Error {
    move |error| match error.raw_os_error() {
        Some(libc::ENODEV) => {
            let text = format!("link not found for interface {device} on runtime namespace");
            Error::new(ErrorKind::InvalidConfig, text)
                .hint("the device must be in the runtime's own network namespace")
        }
        _ => Error::io("RTM_GETLINK", &error),
    }
}

fn refused(error: io::Error) -> Error {
    let failure = Error::io("RTM_NEWLINK", &error);
    match error.raw_os_error() {
        Some(libc::EINVAL) => failure.hint("the kernel lets no device of this kind be moved"),
        _ => failure,
    }
}

fn taken(name: &str) -> impl Fn(io::Error) -> Error {
    move |error| match error.raw_os_error() {
        Some(libc::EEXIST) => {
            let text = format!("network device {name:?} already exists in the container");
            Error::new(ErrorKind::InvalidConfig, text)
                .with_errno(libc::EEXIST)
                .hint("give it another name, or one with %d, which the kernel makes unique")
        }
        _ => Error::io("RTM_NEWLINK", &error),
    }
}
