//! `tare state`: the state of a container as the runtime-spec defines it.

use super::{Command, Context, print};
use crate::args::Count;
use crate::failure::{Failure, Outcome};

/// Print the state of a container as JSON.
#[derive(Debug, clap::Parser)]
pub(super) struct State {
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
}

impl Command for State {
    const NAME: &'static str = "state";
    const ABOUT: &'static str = "print the state of a container";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        let state = context.container(&self.id)?.state()?;
        let text = serde_json::to_string_pretty(&state);
        print(&text.map_err(|error| Failure::new(error.to_string()))?)
    }
}
