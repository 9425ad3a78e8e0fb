//! The tests, one file a subject.

pub mod bad_input;
pub mod budget;
pub mod crash;
pub mod exec;
pub mod lifecycle;
pub mod mounts;
pub mod process;
pub mod samples;

use crate::runner::Family;

/// All families, in the order in which they run.
pub const ALL: &[Family] = &[
    lifecycle::FAMILY,
    process::FAMILY,
    mounts::FAMILY,
    exec::FAMILY,
    samples::FAMILY,
    bad_input::FAMILY,
    budget::FAMILY,
    crash::FAMILY,
];
