//! `tare kill`: a signal for a container.

use super::{Command, Context};
use crate::args::{Count, Order};
use crate::failure::{Failure, Outcome};
use crate::signals;

/// Send a signal to the process of a container.
#[derive(Debug, clap::Parser)]
pub(super) struct Kill {
    // Engines pass it and nobody else needs it.
    #[arg(short, long, hide = true)]
    all: bool,
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
    /// The signal, by number or name
    #[arg(default_value = "SIGTERM")]
    signal: String,
}

impl Command for Kill {
    const NAME: &'static str = "kill";
    const COUNT: Count = Count { min: 1, max: 2 };
    const ORDER: Order = Order::BeforeOperands;

    fn run(self, context: &Context) -> Outcome {
        let container = context.runtime()?.container(&self.id)?;
        let unknown = || Failure::new(format!("unknown signal \"{}\"", self.signal));
        let signal = signals::number(&self.signal).ok_or_else(unknown)?;
        container.kill(signal, self.all)?;
        Ok(0)
    }
}
