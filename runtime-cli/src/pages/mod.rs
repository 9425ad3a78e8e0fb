//! What there is to say about the program and its commands: the help text, and from the same
//! data the manual pages and completions of shells that are shipped.

mod help;
#[cfg(test)]
mod shipped;

use clap::{Arg, ArgAction};

pub(crate) use help::{help, program_name};

/// A page: that of the program, or of one command.
#[derive(Debug)]
pub(crate) struct Page {
    /// The command; empty for the program.
    pub(crate) command: &'static str,
    /// What it is for, in a few words.
    pub(crate) about: &'static str,
    pub(crate) description: String,
    /// The commands of the program, with what they are for.
    pub(crate) commands: Vec<(&'static str, &'static str)>,
    pub(crate) operands: Vec<Operand>,
    pub(crate) options: Vec<Opt>,
    /// Lines of examples, if there are any.
    pub(crate) examples: String,
}

/// What is told by its place.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) name: String,
    pub(crate) required: bool,
    pub(crate) many: bool,
    pub(crate) text: String,
}

/// What is told by its name.
#[derive(Debug)]
pub(crate) struct Opt {
    pub(crate) long: String,
    pub(crate) short: Option<char>,
    /// How its value is called, if it takes one: `FILE`, `DIR`, `PATH`, words to choose from
    /// with `|` between them, or what there is nothing to complete for.
    pub(crate) value: Option<String>,
    pub(crate) repeated: bool,
    pub(crate) text: String,
}

impl Page {
    /// The page of the command that `parser` reads the arguments of.
    pub(crate) fn of_command(
        name: &'static str,
        about: &'static str,
        parser: &clap::Command,
    ) -> Self {
        let description = parser.get_long_about().or(parser.get_about());
        let shown = || parser.get_arguments().filter(|arg| !arg.is_hide_set());
        let help = Opt::switch("help", Some('h'), "Print help");
        Self {
            command: name,
            about,
            // What derives the parser takes the last point away.
            description: description.map(|text| format!("{text}.")).unwrap_or_default(),
            commands: Vec::new(),
            operands: shown().filter(|arg| arg.get_long().is_none()).map(operand).collect(),
            options: shown().filter_map(option).chain([help]).collect(),
            examples: parser.get_after_help().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl Opt {
    /// One without a value.
    pub(crate) fn switch(long: &str, short: Option<char>, text: &str) -> Self {
        Self { long: long.to_owned(), short, value: None, repeated: false, text: text.to_owned() }
    }

    /// What it does, and whether it may be given more than once.
    fn text(&self) -> String {
        let repeated = if self.repeated { "; may be repeated" } else { "" };
        format!("{}{repeated}", self.text)
    }
}

fn operand(arg: &Arg) -> Operand {
    let many = matches!(arg.get_action(), ArgAction::Append);
    Operand { name: value_name(arg), required: arg.is_required_set(), many, text: text(arg) }
}

fn option(arg: &Arg) -> Option<Opt> {
    let repeated = matches!(arg.get_action(), ArgAction::Append);
    let takes_value = repeated || matches!(arg.get_action(), ArgAction::Set);
    Some(Opt {
        long: arg.get_long()?.to_owned(),
        short: arg.get_short(),
        value: takes_value.then(|| value_name(arg)),
        repeated,
        text: text(arg),
    })
}

fn value_name(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first());
    name.map_or_else(|| arg.get_id().to_string(), ToString::to_string)
}

/// What the argument is for, and its default unless the words have it already.
fn text(arg: &Arg) -> String {
    let text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    match arg.get_default_values() {
        [default, ..] if !arg.is_hide_default_value_set() => {
            format!("{text} [default: {}]", default.display())
        }
        _ => text,
    }
}
