//! Tests and measurements of a container runtime on a real kernel.
//!
//! The runtime is a program with runc's command line, so the same suite runs against `tare`, runc
//! and crun: a test that fails on all three is the test's fault.
#![allow(unreachable_pub, reason = "the programs in src/bin use the modules")]

pub mod answers;
pub mod bundle;
pub mod cgroups;
pub mod console;
pub mod container;
pub mod context;
pub mod contract;
pub mod cri;
pub mod criu;
pub mod differences;
pub mod document;
pub mod every;
pub mod expect;
pub mod families;
pub mod fields;
pub mod host;
#[path = "../../runtime-core/tests/json_schema/mod.rs"]
pub mod json_schema;
pub mod leftovers;
pub mod missing;
pub mod outcome;
pub mod process;
pub mod random;
pub mod runner;
pub mod runtime_tools;
mod sys;
pub mod systemd;
pub mod user;
