//! `tare delete`: the end of a container.

use super::{Command, Context};
use crate::args::Count;
use crate::failure::Outcome;

/// Delete what a container holds: its cgroup and its state.
#[derive(Debug, clap::Parser)]
pub(super) struct Delete {
    /// Kill the container if it still runs, and do not mind if there is none
    #[arg(short, long)]
    force: bool,
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
}

impl Command for Delete {
    const NAME: &'static str = "delete";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        let notices = context.runtime()?.delete(&self.id, self.force)?;
        context.log.notices(&notices);
        Ok(0)
    }
}
