//! `tare start`: let the process of a created container go.

use runtime_core::StartOptions;

use super::create::notify_socket;
use super::{Command, Context};
use crate::args::Count;
use crate::failure::Outcome;

/// Start the process of a container that `tare create` has made.
#[derive(Debug, clap::Parser)]
pub(super) struct Start {
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
}

impl Command for Start {
    const NAME: &'static str = "start";
    const ABOUT: &'static str = "start the process of a created container";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        let options = StartOptions { notify_socket: notify_socket() };
        context.container(&self.id)?.start_with(&options)?;
        Ok(0)
    }
}
