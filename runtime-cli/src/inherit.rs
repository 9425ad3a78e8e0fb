//! The file descriptors beyond stdio that a container gets: those of socket
//! activation first, then those of `--preserve-fds`.

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
        for index in 0..preserve {
            let fd = first + u64::from(index);
            // The log is the one file of our own that is open by now; its
            // number shows that nothing was handed to us there.
            let is_log = context.log.fd().is_some_and(|log| u64::try_from(log) == Ok(fd));
            if is_log || !is_open(fd) {
                let message = format!("unable to stat preserved-fd {index} (of {preserve})");
                return Err(Failure::new(format!("{message}: no such file or directory")));
            }
        }
        let total = listen.checked_add(preserve);
        let total = total.ok_or_else(|| Failure::new("too many file descriptors to preserve"))?;
        Ok(Self { listen, total })
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
