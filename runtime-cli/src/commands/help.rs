//! `tare help [COMMAND]`, and the help text of the program.

use super::{Context, TABLE, find, print};
use crate::args::{self, Count, Order};
use crate::failure::Outcome;
use crate::pages::{Opt, Page, help, program_name};

const NAME: &str = "help";
const ABOUT: &str = "print help on the program or a command";

/// Print help on the program, or on a command.
#[derive(Debug, clap::Parser)]
pub(super) struct Help {
    /// The command
    #[arg(value_name = "command-name")]
    command: Option<String>,
    /// What runc would overlook
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Prints the help text that `args` ask for.
pub(super) fn run(args: Vec<String>) -> Outcome {
    let count = Count { min: 0, max: usize::MAX };
    let asked = match args::parse::<Help>(NAME, ABOUT, args, Order::Anywhere, count) {
        Ok(asked) => asked.command,
        Err(Ok(help)) => return print(&help),
        Err(Err(failure)) => return Err(failure),
    };
    match asked.as_deref() {
        None => print(&program()),
        Some(NAME | "h") => run(vec!["--help".to_owned()]),
        Some(command) => (find(command)?.call)(&Context::default(), vec!["--help".to_owned()]),
    }
}

/// The help text of the program.
pub(super) fn program() -> String {
    help(&program_page(), &program_name())
}

/// The page of the program.
pub(super) fn program_page() -> Page {
    let commands = TABLE.iter().map(|entry| (entry.name, entry.about)).chain([(NAME, ABOUT)]);
    let help = Opt::switch("help", Some('h'), "Print help");
    Page {
        command: "",
        about: "Open Container Initiative runtime",
        description: DESCRIPTION.to_owned(),
        commands: commands.collect(),
        operands: Vec::new(),
        options: args::global_options().into_iter().chain([help]).collect(),
        examples: EXAMPLES.to_owned(),
    }
}

/// The page of this command.
#[cfg(test)]
pub(super) fn page() -> Page {
    args::page::<Help>(NAME, ABOUT)
}

const DESCRIPTION: &str = "Runs containers as the runtime-spec of the Open Container Initiative \
    describes them. A container is described by a bundle: a directory with a config.json and a \
    root file system. Engines such as containerd, docker and podman call this program in the place \
    of runc, whose commands and options it has.";

const EXAMPLES: &str = "\
Write a config.json into a bundle that has a root file system, and run it:

    # tare spec --bundle box
    # tare run --bundle box name

See what is wrong with this host or a bundle:

    # tare doctor --bundle box";
