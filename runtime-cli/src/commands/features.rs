//! `tare features`: what this runtime can do, as the runtime-spec defines it.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::{Command, Context, print};
use crate::args::Count;
use crate::failure::{Failure, Outcome};

/// Print what is built into this runtime as JSON, whatever the kernel can.
#[derive(Debug, clap::Parser)]
pub(super) struct Features {}

impl Command for Features {
    const NAME: &'static str = "features";
    const ABOUT: &'static str = "print what this runtime can do";
    const COUNT: Count = Count::NONE;

    fn run(self, _context: &Context) -> Outcome {
        let mut text = Vec::new();
        let mut writer =
            Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
        let written = runtime_core::features().serialize(&mut writer);
        written.map_err(|error| Failure::new(error.to_string()))?;
        text.push(b'\n');
        print(&String::from_utf8_lossy(&text))
    }
}
