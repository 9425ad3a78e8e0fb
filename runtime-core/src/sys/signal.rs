//! Signal masks of the calling thread, for the length of a call.
use std::io;

/// All signals of this thread are blocked until this is dropped.
#[derive(Debug)]
pub(crate) struct BlockAll {
    before: nix::sys::signal::SigSet,
}

impl BlockAll {
    pub(crate) fn new() -> io::Result<Self> {
        let before = nix::sys::signal::SigSet::all()
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)
            .map_err(io::Error::from)?;
        Ok(Self { before })
    }
}

impl Drop for BlockAll {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}
