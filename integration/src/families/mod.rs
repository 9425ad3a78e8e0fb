//! The tests, one file a subject.

pub mod lifecycle;
pub mod samples;

use crate::runner::Family;

/// All families, in the order in which they run.
pub const ALL: &[Family] = &[lifecycle::FAMILY, samples::FAMILY];
