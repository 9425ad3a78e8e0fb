//! `tare pause`: stop all processes of a container where they are.

use super::{Command, Context};
use crate::args::Count;
use crate::failure::Outcome;

/// Suspend all processes of a container by freezing its cgroup, until `tare resume`.
#[derive(Debug, clap::Parser)]
pub(super) struct Pause {
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
}

impl Command for Pause {
    const NAME: &'static str = "pause";
    const ABOUT: &'static str = "suspend all processes of a container";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        context.container(&self.id)?.pause()?;
        Ok(0)
    }
}
