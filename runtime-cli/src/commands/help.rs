//! `tare help [COMMAND]`, and the help text of the program.

use super::{Context, TABLE, find, print};
use crate::args::GLOBAL_HELP;
use crate::failure::Outcome;

/// Prints the help text of the command that `args` name, or of the program.
pub(super) fn run(args: Vec<String>) -> Outcome {
    match args.first() {
        Some(command) => (find(command)?.call)(&Context::default(), vec!["--help".to_owned()]),
        None => print(&program()),
    }
}

/// The help text of the program.
pub(super) fn program() -> String {
    let commands: String =
        TABLE.iter().map(|entry| format!("  {:<8} {}\n", entry.name, entry.about)).collect();
    format!(
        "tare runs containers as the OCI runtime-spec describes them.\n\n\
         Usage: tare [OPTIONS] <COMMAND> [ARGUMENTS]\n\n\
         Commands:\n{commands}  {:<8} print help on a command\n\n\
         Options:\n{GLOBAL_HELP}",
        "help"
    )
}
