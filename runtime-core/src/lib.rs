//! The OCI runtime-spec lifecycle as a library.
//!
//! A [`Bundle`] is read and checked; everything is then decided into one
//! immutable [`Plan`]; the host side and a tiny init carry out its two halves.
//!
//! ```no_run
//! use runtime_core::{Bundle, CreateOptions, Runtime};
//! # fn main() -> runtime_core::Result<()> {
//! let runtime = Runtime::new("/run/example");
//! let bundle = Bundle::load("/bundles/hello")?;
//! let container = runtime.create("hello", &bundle, CreateOptions::default())?;
//! container.start()?;
//! container.delete(true)?;
//! # Ok(()) }
//! ```

#![warn(missing_docs)]

pub mod bundle;
pub mod doctor;
mod error;
mod features;
pub mod host;
mod lifecycle;
pub mod plan;
pub mod seccomp;
mod state;
pub mod sys;
mod trace;

pub use bundle::SPEC_VERSION;
pub use bundle::{Bundle, template};
pub use error::{Error, ErrorKind, Notice, Result, errno_text};
pub use features::{Features, features};
pub use host::cgroup::LimitChange;
pub use lifecycle::{
    CgroupDriver, CheckpointOptions, Container, CreateOptions, Event, Events, ExecCommand,
    ExecOptions, ExecProcess, ExitStatus, Process, RestoreOptions, Runtime, StartOptions, Stats,
    Update,
};
pub use plan::Plan;
pub use plan::criu::{CgroupsMode, CriuSwitches, DumpSwitches, NetworkLock, RestoreSwitches};
pub use state::{State, Status};
pub use sys::tty::{set_window_size, window_size};
pub use trace::{Lane, Span, Trace};

/// Reads limits, as `update --resources` gets them.
///
/// # Errors
/// What is wrong in them, with its place.
pub fn resources_from_json(bytes: &[u8]) -> Result<oci_spec::runtime::LinuxResources> {
    bundle::parse_resources(bytes).map(|(resources, _)| resources)
}

/// Reads a list of mounts, as `mounts add` gets it.
///
/// # Errors
/// What is wrong in it, with its place.
pub fn mounts_from_json(bytes: &[u8]) -> Result<Vec<oci_spec::runtime::Mount>> {
    bundle::parse_mounts(bytes)
}

/// Reads a process object, as `exec --process` gets one.
///
/// # Errors
/// What is wrong in it, with its place.
pub fn exec_process_from_json(bytes: &[u8]) -> Result<(oci_spec::runtime::Process, Vec<Notice>)> {
    bundle::parse_process(bytes)
}
