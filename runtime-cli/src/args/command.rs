//! The options of one command, by its clap parser.

use std::any::TypeId;

use clap::{ArgAction, CommandFactory, FromArgMatches};

use super::normalise::{Flag, Kind, Order, normalise};
use crate::failure::Failure;
use crate::pages::{Page, help, program_name};

/// How many operands a command takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl Count {
    pub(crate) const ONE: Self = Self { min: 1, max: 1 };
    pub(crate) const NONE: Self = Self { min: 0, max: 0 };

    /// What is wrong with `given` operands to the command `name`.
    fn complaint(self, name: &str, given: usize) -> Option<String> {
        let wanted = match self {
            Self { min, max } if (min..=max).contains(&given) => return None,
            Self { min, max } if min == max => format!("exactly {min}"),
            Self { min, .. } if given < min => format!("a minimum of {min}"),
            Self { max, .. } => format!("a maximum of {max}"),
        };
        Some(format!("tare: \"{name}\" requires {wanted} argument(s)"))
    }
}

/// Reads the words after the command `name`; `Err(Ok(text))` is the help text
/// when that was asked for.
pub(crate) fn parse<T: CommandFactory + FromArgMatches>(
    name: &'static str,
    about: &'static str,
    args: Vec<String>,
    order: Order,
    count: Count,
) -> Result<T, Result<String, Failure>> {
    let mut command = T::command().name(name).args_override_self(true);
    let help =
        |command: &clap::Command| help(&Page::of_command(name, about, command), &program_name());
    let incorrect = |command: &clap::Command, note: &str, message: String| {
        let usage = format!("Incorrect Usage{note}\n\n{}", help(command));
        Err(Err(Failure::usage(message, usage)))
    };
    let known: Vec<Flag<'_>> = command.get_arguments().filter_map(flag).collect();
    let read = match normalise(&known, args.into_iter(), order) {
        Ok(read) if read.help => return Err(Ok(help(&command))),
        Ok(read) => read,
        Err(message) => return incorrect(&command, &format!(": {message}"), message),
    };
    if let Some(message) = count.complaint(name, read.operands.len()) {
        return incorrect(&command, ".", message);
    }
    let flags = read.flags.iter().map(|(name, value)| match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    });
    let words = flags.chain(["--".to_owned()]).chain(read.operands.iter().cloned());
    let words: Vec<String> = std::iter::once(name.to_owned()).chain(words).collect();
    let matches = command.try_get_matches_from_mut(words);
    matches.and_then(|matches| T::from_arg_matches(&matches)).map_err(|error| {
        let message = error.to_string();
        Err(Failure::new(message.trim_start_matches("error: ").lines().next().unwrap_or_default()))
    })
}

/// The flag rules of `arg`; `None` for an operand.
fn flag(arg: &clap::Arg) -> Option<Flag<'_>> {
    let kind = match arg.get_action() {
        ArgAction::Set | ArgAction::Append if is_number(arg) => Kind::Number,
        ArgAction::Set | ArgAction::Append => Kind::Text,
        _ => Kind::Switch,
    };
    arg.get_long().map(|long| Flag { long, short: arg.get_short(), kind })
}

fn is_number(arg: &clap::Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<u32>()
}

/// The page of the command `name`.
#[cfg(test)]
pub(crate) fn page<T: CommandFactory>(name: &'static str, about: &'static str) -> Page {
    Page::of_command(name, about, &T::command())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(min: usize, max: usize, given: usize) -> Option<String> {
        Count { min, max }.complaint("kill", given)
    }

    #[test]
    fn a_wrong_count_is_told_in_the_words_of_runc() {
        assert_eq!(complaint(1, 1, 1), None);
        let exactly = "tare: \"kill\" requires exactly 1 argument(s)";
        assert_eq!(complaint(1, 1, 0).as_deref(), Some(exactly));
        assert_eq!(complaint(1, 1, 2).as_deref(), Some(exactly));
        let minimum = "tare: \"kill\" requires a minimum of 1 argument(s)";
        assert_eq!(complaint(1, 2, 0).as_deref(), Some(minimum));
        let maximum = "tare: \"kill\" requires a maximum of 2 argument(s)";
        assert_eq!(complaint(1, 2, 3).as_deref(), Some(maximum));
    }
}
