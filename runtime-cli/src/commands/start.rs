//! `tare start`: let the process of a created container go.

use super::{Command, Context};
use crate::args::Count;
use crate::failure::Outcome;

/// Start the process of a created container.
#[derive(Debug, clap::Parser)]
pub(super) struct Start {
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
}

impl Command for Start {
    const NAME: &'static str = "start";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        context.runtime()?.container(&self.id)?.start()?;
        Ok(0)
    }
}
