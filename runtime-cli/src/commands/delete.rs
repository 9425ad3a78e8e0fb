//! `tare delete`: the end of a container.

use runtime_core::Runtime;

use super::{Command, Context, matching};
use crate::args::Count;
use crate::failure::{Failure, Outcome};

/// Delete what a container holds: its cgroup and its state. It must have stopped, or never
/// have been started.
#[derive(Debug, clap::Parser)]
pub(super) struct Delete {
    /// Kill the container if it still runs, and do not mind if there is none
    #[arg(short, long)]
    force: bool,
    /// Delete every container whose id matches the regular expression
    #[arg(short, long)]
    regex: bool,
    /// The container, or the expression
    #[arg(value_name = "container-id")]
    id: String,
}

impl Command for Delete {
    const NAME: &'static str = "delete";
    const ABOUT: &'static str = "delete what a container holds";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        let delete = |runtime: &Runtime, id: &str| -> Result<(), Failure> {
            let notices = runtime.delete(id, self.force)?;
            context.log.notices(&notices);
            Ok(())
        };
        if self.regex {
            return matching::each(context, &self.id, delete);
        }
        context.log.about(&self.id);
        delete(&context.runtime()?, &self.id).map(|()| 0)
    }
}
