//! tare: an OCI container runtime with the command surface of runc. All that
//! happens to a container happens in `runtime_core`; this program reads
//! arguments, reports, and lends its terminal.

mod args;
mod commands;
mod duration;
mod failure;
mod foreground;
mod inherit;
mod logging;
mod pages;
mod passwd;
mod pump;
mod report;
mod signals;
mod size;
mod table;
mod terminal;
mod time;
mod trace_file;
mod version;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(commands::main(std::env::args_os().skip(1)))
}
