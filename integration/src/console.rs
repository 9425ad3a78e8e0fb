//! The receiving end of console, pidfd and seccomp sockets, and terminals of the test's own.

use std::fs::File;
use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use crate::outcome::{Outcome, Stop};
use crate::process::{DEADLINE, wait_for};
use crate::sys;

/// A listening socket that a runtime sends a descriptor to.
#[derive(Debug)]
pub struct Receiver {
    listener: UnixListener,
    path: PathBuf,
}

impl Receiver {
    /// Listens at a path.
    pub fn new(path: &Path) -> Outcome<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Where it listens, for the command line.
    pub fn path(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// The first descriptor that is sent, and the bytes that came with it.
    pub fn receive(&self) -> Outcome<(OwnedFd, String)> {
        let stream = wait_for("a connection", || match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                Ok(Some(stream))
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e.into()),
        })?;
        receive_from(&stream)
    }
}

fn receive_from(stream: &UnixStream) -> Outcome<(OwnedFd, String)> {
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut bytes = vec![0_u8; 64 << 10];
    let mut buffers = [IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!([i32; 4]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut buffers, Some(&mut space), flags)?;
    let count = message.bytes;
    let fd = message.cmsgs()?.find_map(|c| match c {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let fd = fd.ok_or_else(|| Stop::fail("a message without a descriptor"))?;
    Ok((sys::own(fd), String::from_utf8_lossy(&bytes[..count]).into_owned()))
}

/// The master's end of a terminal.
#[derive(Debug)]
pub struct Master {
    file: File,
    seen: String,
}

impl Master {
    /// Takes over a master that a runtime sent.
    pub fn new(fd: OwnedFd) -> Outcome<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self { file: File::from(fd), seen: String::new() })
    }

    /// A new terminal of this size: the master, and the slave for a program to stand on.
    pub fn open(rows: u16, columns: u16) -> Outcome<(Self, File)> {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None)?;
        Ok((Self::new(pair.master)?, File::from(pair.slave)))
    }

    /// What has come so far.
    pub fn seen(&mut self) -> &str {
        let mut bytes = [0_u8; 4096];
        // An error means that nothing is there now or, as EIO, that the last slave is closed.
        while let Ok(count) = self.file.read(&mut bytes)
            && count > 0
        {
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        &self.seen
    }

    /// Waits for a text to come.
    pub fn shows(&mut self, text: &str) -> Outcome {
        let outcome =
            wait_for(&format!("{text:?}"), || Ok(self.seen().contains(text).then_some(())));
        outcome.map_err(|_| Stop::fail(format!("{text:?} never came; {:?} did", self.seen)))
    }

    /// Collects what comes until `ended` says that no more will.
    pub fn until_end(&mut self, mut ended: impl FnMut() -> Outcome<bool>) -> Outcome<String> {
        wait_for("the end", || {
            self.seen();
            Ok(ended()?.then_some(()))
        })?;
        Ok(self.seen().to_owned())
    }

    /// Types a text.
    pub fn types(&mut self, text: &str) -> Outcome {
        Ok(self.file.write_all(text.as_bytes())?)
    }

    /// Sets the window's size.
    pub fn resize(&self, rows: u16, columns: u16) -> Outcome {
        Ok(sys::set_window_size(&self.file, rows, columns)?)
    }

    /// Whether the terminal's line discipline echoes what is typed.
    pub fn echoes(&self) -> Outcome<bool> {
        let settings = nix::sys::termios::tcgetattr(&self.file)?;
        Ok(settings.local_flags.contains(nix::sys::termios::LocalFlags::ECHO))
    }
}
