//! The process that sets up the inside of a container and then becomes it.
//!
//! It walks the operations of the plan in order. Nothing here decides, formats,
//! allocates or logs: a failure is a fact for the host side, which knows what
//! operation stood at that place.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[cfg_attr(target_arch = "x86_64", path = "sys/x86_64.rs")]
mod arch;
mod carry_out;
mod host;
// Shared with the library, which uses the rest.
#[allow(dead_code)]
#[path = "../src/plan/ops.rs"]
mod ops;
mod path;
mod sys;
mod wire;

use carry_out::State;
use host::{Fault, Host};
use ops::Call;

/// Called with the stack that execve made, before anything else.
extern "C" fn entry() -> ! {
    let mut host = Host::new(wire::descriptor(ops::slot::CONTROL).unwrap_or(-1));
    protect();
    let fault = match run(&mut host) {
        Ok(()) => Fault::new(Call::Plan, sys::errno::EINVAL),
        Err(fault) => fault,
    };
    host.failed(fault);
    sys::exit(1)
}

/// Out of reach of ptrace and /proc/self/fd of others until execve (CVE-2016-9962,
/// CVE-2019-5736), under a name that tells what it is, creating files with the mode asked for.
fn protect() {
    let _ = sys::set_dumpable(false);
    sys::set_name(c"tare-init");
    sys::umask(0);
}

/// Carries out the plan; comes back only when something failed.
fn run(host: &mut Host) -> Result<(), Fault> {
    let (mut reader, count, mut traced) = wire::Reader::new().ok_or(Fault::new(Call::Plan, sys::errno::EBADMSG))?;
    carry_out::program::close_strangers()?;
    let mut state = State::new();
    for _ in 0..count {
        let (place, op) = ops::Op::decode(&mut reader).ok_or(Fault::new(Call::Plan, sys::errno::EBADMSG))?;
        host.at(place);
        if traced {
            host.begins();
            // From there on the filter decides about calls.
            traced = !matches!(op, ops::Op::Seccomp { .. });
        }
        state.carry_out(op, host)?;
    }
    Ok(())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::exit(101)
}
