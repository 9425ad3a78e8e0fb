//! Reading the command line, in two stages: the global options by a table, then
//! the options of the one command that was named by its own clap parser. Both
//! stages go through `normalise`, which knows the flag rules of Go that
//! engines rely on.

mod command;
mod global;
mod normalise;

#[cfg(test)]
pub(crate) use command::page;
pub(crate) use command::{Count, parse};
pub(crate) use global::{Globals, Request, options as global_options};
pub(crate) use normalise::Order;
