//! Signals every process of the container.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use super::{LiveCgroup, file};
use crate::error::{Error, Result};
use crate::plan::cgroup::Directory;
use crate::sys::pidfd;

/// How often to look for processes that were forked while we signalled, where
/// the cgroup cannot be frozen.
const ROUNDS: usize = 100;

impl LiveCgroup {
    /// Sends `signal` to every process in the cgroup and below, including
    /// those that fork meanwhile. A frozen cgroup stays frozen, but for
    /// SIGKILL, which thaws it so that the processes can die.
    ///
    /// # Errors
    /// A process may not be signalled, or the cgroup cannot be read.
    pub fn kill(&self, signal: i32) -> Result<()> {
        if signal == libc::SIGKILL && self.kill_by_kernel()? {
            return Ok(());
        }
        let was_frozen = self.is_frozen()?;
        let is_frozen = was_frozen || self.freeze().is_ok();
        let signalled = self.signal_all(signal, is_frozen);
        if is_frozen && (!was_frozen || signal == libc::SIGKILL) {
            self.thaw()?;
        }
        signalled
    }

    /// `cgroup.kill` (Linux 5.14); whether it did the whole work.
    fn kill_by_kernel(&self) -> Result<bool> {
        let Some(directory) = self.v2_directory() else { return Ok(false) };
        let main = self.main_directory().unwrap_or(directory);
        if main != directory && self.pids_below(directory)? != self.pids_below(main)? {
            // Hybrid, and somebody moved a process in one hierarchy only.
            return Ok(false);
        }
        let path = format!("{}/cgroup.kill", directory.relative());
        match file::write(self.base(), &path, "1") {
            Ok(()) => {}
            Err(errno) if file::is_gone(errno) || errno == Errno::EOPNOTSUPP => return Ok(false),
            Err(errno) => return Err(self.failed("write", errno, &path)),
        }
        // The v1 freezer holds even the killed.
        if main != directory && self.is_frozen()? {
            self.thaw()?;
        }
        Ok(true)
    }

    fn signal_all(&self, signal: i32, is_frozen: bool) -> Result<()> {
        let Some(directory) = self.main_directory() else { return Ok(()) };
        let rounds = if is_frozen { 1 } else { ROUNDS };
        let mut signalled = Vec::new();
        for _ in 0..rounds {
            let new = self.signal_in(directory, signal, &signalled)?;
            if new.is_empty() {
                break;
            }
            signalled.extend(new);
        }
        Ok(())
    }

    /// Signals the processes of one hierarchy but for those in `except`, and
    /// returns their pids.
    ///
    /// Opens all before it signals any: a pid that is still listed after its
    /// process was opened was not reused before.
    pub(super) fn signal_in(
        &self,
        directory: &Directory,
        signal: i32,
        except: &[i32],
    ) -> Result<Vec<i32>> {
        let mut pids = self.pids_below(directory)?;
        pids.retain(|pid| !except.contains(pid));
        let opened: Vec<(i32, OwnedFd)> =
            pids.iter().filter_map(|&pid| Some((pid, pidfd::open(pid).ok()?))).collect();
        if opened.is_empty() {
            return Ok(pids);
        }
        let still = self.pids_below(directory)?;
        for (pid, process) in opened.iter().filter(|(pid, _)| still.contains(pid)) {
            match pidfd::send_signal(process.as_fd(), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => {
                    return Err(Error::os("pidfd_send_signal", errno as i32)
                        .context(format!("sending signal {signal} to process {pid}")));
                }
            }
        }
        Ok(pids)
    }
}
