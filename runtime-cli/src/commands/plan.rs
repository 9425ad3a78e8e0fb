//! `tare plan`: what create would do, without doing it.

use std::path::PathBuf;

use runtime_core::{Bundle, CreateOptions};

use super::{Command, Context, print};
use crate::args::Count;
use crate::failure::Outcome;

/// Show, in order, every operation that `create` would carry out, each with the
/// place in config.json that it comes from. Changes nothing and needs no privilege.
#[derive(Debug, clap::Parser)]
pub(super) struct Plan {
    /// The bundle [default: the current directory]
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    bundle: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The name that the container would have
    #[arg(value_name = "container-id", default_value = "container")]
    id: String,
}

impl Command for Plan {
    const NAME: &'static str = "plan";
    const ABOUT: &'static str = "show what create would do, and do nothing";
    const COUNT: Count = Count { min: 0, max: 1 };

    fn run(self, context: &Context) -> Outcome {
        let bundle = Bundle::load(&self.bundle)?;
        context.log.notices(bundle.notices());
        let rootless = context.globals.rootless()?;
        let options = CreateOptions { rootless, ..CreateOptions::default() };
        let plan = context.runtime()?.plan(&self.id, &bundle, &options)?;
        match self.json {
            true => print(&(plan.to_json() + "\n")),
            false => print(&plan.to_string()),
        }
    }
}
