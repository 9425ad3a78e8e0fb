//! The library inside a program of many threads: what it does there, and that it
//! leaves everything of that program as it was.
//!
//! Each test runs in a process of its own, in each of the places that `alone`
//! knows. Needs root and a static busybox.

mod alone;
mod company;
mod cost;
mod failure;
mod fixture;
mod many;
mod pester;
mod snapshot;
