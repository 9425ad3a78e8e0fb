//! Signals that interrupt system calls, as programs with handlers and timers get them.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;

const SIGNAL: Signal = Signal::SIGUSR1;

extern "C" fn nothing(_: i32) {}

/// Handles the signal, without asking for interrupted calls to be restarted.
pub(crate) fn prepare() {
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing at all.
    unsafe { sigaction(SIGNAL, &action) }.unwrap();
}

/// Signals the program until told to end; any thread that does not block it may be hit.
pub(crate) fn pester(end: &AtomicBool) -> usize {
    let mut count = 0;
    while !end.load(Ordering::Relaxed) {
        kill(Pid::this(), SIGNAL).unwrap();
        count += 1;
        std::thread::sleep(Duration::from_micros(300));
    }
    count
}
