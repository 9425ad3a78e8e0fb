//! The file descriptors beyond stdio that a container gets: those of socket
//! activation first, then those of `--preserve-fds`.

use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::Path;

use crate::commands::Context;
use crate::failure::Failure;

/// How many descriptors from 3 on to hand over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inherited {
    /// Those of socket activation.
    pub(crate) listen: u32,
    /// All, `listen` among them.
    pub(crate) total: u32,
}

impl Inherited {
    /// What socket activation left to this process, and `preserve` more.
    pub(crate) fn with_sockets(context: &Context, preserve: u32) -> Result<Self, Failure> {
        Self::after(context, listen_fds(), preserve)
    }

    /// `preserve` descriptors and no sockets.
    pub(crate) fn preserved(context: &Context, preserve: u32) -> Result<Self, Failure> {
        Self::after(context, 0, preserve)
    }

    fn after(context: &Context, listen: u32, preserve: u32) -> Result<Self, Failure> {
        let first = 3 + u64::from(listen);
        // The log is the one file of our own that is open by now; its number shows that
        // nothing was handed to us there.
        let log = context.log.fd().and_then(|log| u64::try_from(log).ok());
        let is_given = |fd: u64| log != Some(fd) && is_open(fd);
        if let Some(index) = preserve.checked_sub(1) {
            let last = first + u64::from(index);
            if !is_given(last) {
                let message = format!("unable to stat preserved-fd {index} (of {preserve})");
                return Err(Failure::new(format!("{message}: no such file or directory")));
            }
            fill_gaps(last)?;
        }
        let total = listen.checked_add(preserve);
        let total = total.ok_or_else(|| Failure::new("too many file descriptors to preserve"))?;
        Ok(Self { listen, total })
    }
}

/// Podman's `--preserve-fd 9,40` comes as `--preserve-fds 38` with gaps. None of our own files
/// may get into a gap and be handed on from there, so each is filled with a file that closes at
/// execve, which the library leaves out.
fn fill_gaps(last: u64) -> Result<(), Failure> {
    if (3..last).all(is_open) {
        return Ok(());
    }
    let path = Path::new("/dev/null");
    loop {
        let filler = File::open(path).map_err(|error| Failure::file("open", path, &error))?;
        if u64::try_from(filler.as_raw_fd()).is_ok_and(|number| number > last) {
            return Ok(());
        }
        // Open until the end.
        let _number = filler.into_raw_fd();
    }
}

/// Whether descriptor `fd` is open. The link is asked, not what it leads to: that
/// may be gone, or have no name.
fn is_open(fd: u64) -> bool {
    Path::new(&format!("/proc/self/fd/{fd}")).symlink_metadata().is_ok()
}

/// `LISTEN_FDS`, if `LISTEN_PID` says that it is meant for this process.
fn listen_fds() -> u32 {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    match (number("LISTEN_FDS"), number("LISTEN_PID")) {
        (Some(count), Some(pid)) if pid == std::process::id() => count,
        _ => 0,
    }
}
