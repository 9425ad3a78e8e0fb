//! `tare run`: create and start, and by default stay until the end.

use runtime_core::Container;

use super::create::NewOptions;
use super::{Command, Context};
use crate::args::Count;
use crate::failure::Outcome;
use crate::foreground::Foreground;

/// Create a container from a bundle and start its process. Unless detached, lend
/// it this terminal, forward signals to it, and end with its exit code, or 128 and
/// the signal when it was killed.
#[derive(Debug, clap::Parser)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    #[command(flatten)]
    options: NewOptions,
    /// Return as soon as the process runs
    #[arg(short, long)]
    detach: bool,
    /// Do not delete the container when its process has ended
    #[arg(long)]
    keep: bool,
    /// Accepted for the sake of runc's callers: tare never is a subreaper
    // runc reaps what its container orphans. Here the container's process is a
    // child of ours already, orphans of a private pid namespace go to the
    // container's init, and those of a shared one to whom they would go without us.
    #[arg(long)]
    no_subreaper: bool,
    /// The name of the container, its own on this host
    #[arg(value_name = "container-id")]
    id: String,
}

const EXAMPLES: &str = "\
# tare run --bundle box name
# tare run --detach --pid-file box.pid --bundle box name";

impl Command for Run {
    const NAME: &'static str = "run";
    const ABOUT: &'static str = "create and start a container";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        self.create_and_start(context).map_err(|failure| failure.starting("tare run failed"))
    }
}

impl Run {
    fn create_and_start(self, context: &Context) -> Outcome {
        context.log.about(&self.id);
        let bundle = self.options.load(context)?;
        let options = self.options.prepare(context, &bundle, self.detach)?;
        let runtime = context.runtime()?;
        if self.detach {
            let (container, _process) = runtime.run(&self.id, &bundle, options)?;
            context.log.notices(container.notices());
            return Ok(0);
        }
        let foreground = Foreground::prepare()?;
        let (container, process) = runtime.run(&self.id, &bundle, options)?;
        context.log.notices(container.notices());
        let code = context.phase("process", || foreground.attend(process));
        if !self.keep {
            delete(context, &container);
        }
        code
    }
}

/// Deletes what is left of `container`. Its process has ended with a code of its
/// own, which a failure here must not hide.
pub(super) fn delete(context: &Context, container: &Container) {
    match container.delete(true) {
        Ok(notices) => context.log.notices(&notices),
        Err(error) => {
            context.log.warning(&format!("deleting container {}: {error}", container.id()));
        }
    }
}
