//! `tare kill`: a signal for a container.

use runtime_core::Runtime;

use super::{Command, Context, matching};
use crate::args::{Count, Order};
use crate::failure::{Failure, Outcome};
use crate::signals;

/// Send a signal to the first process of a container. Where the container has no pid
/// namespace of its own, SIGKILL goes to all its processes.
#[derive(Debug, clap::Parser)]
#[command(after_help = EXAMPLES)]
pub(super) struct Kill {
    // Engines pass it and nobody else needs it.
    #[arg(short, long, hide = true)]
    all: bool,
    /// Send it to every container whose id matches the regular expression
    #[arg(short, long)]
    regex: bool,
    /// The container, or the expression
    #[arg(value_name = "container-id")]
    id: String,
    /// The signal, by number or name, with or without SIG
    #[arg(value_name = "signal", default_value = "SIGTERM")]
    signal: String,
}

const EXAMPLES: &str = "\
# tare kill box
# tare kill box KILL
# tare kill --regex '^test-' SIGHUP";

impl Command for Kill {
    const NAME: &'static str = "kill";
    const ABOUT: &'static str = "send a signal to a container";
    const COUNT: Count = Count { min: 1, max: 2 };
    const ORDER: Order = Order::BeforeOperands;

    fn run(self, context: &Context) -> Outcome {
        let kill = |runtime: &Runtime, id: &str| -> Result<(), Failure> {
            let container = runtime.container(id)?;
            // An engine passes what it was not given so.
            let name = if self.signal.is_empty() { "SIGTERM" } else { &self.signal };
            let unknown = || Failure::new(format!("unknown signal \"{}\"", self.signal));
            let signal = signals::number(name).ok_or_else(unknown)?;
            context.log.notices(&container.kill(signal, self.all)?);
            Ok(())
        };
        if self.regex {
            return matching::each(context, &self.id, kill);
        }
        context.log.about(&self.id);
        kill(&context.runtime()?, &self.id).map(|()| 0)
    }
}
