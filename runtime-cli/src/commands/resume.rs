//! `tare resume`: let the processes of a paused container go on.

use super::{Command, Context};
use crate::args::Count;
use crate::failure::Outcome;

/// Let the processes of a paused container go on.
#[derive(Debug, clap::Parser)]
pub(super) struct Resume {
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
}

impl Command for Resume {
    const NAME: &'static str = "resume";
    const ABOUT: &'static str = "let the processes of a paused container go on";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        context.container(&self.id)?.resume()?;
        Ok(0)
    }
}
