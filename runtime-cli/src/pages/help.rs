//! A page as help text, laid out as runc lays out its own.

use std::path::Path;

use super::{Opt, Page};
use crate::version::VERSION;

/// How wide a line of text gets.
const WIDTH: usize = 100;

/// What the user called this program.
pub(crate) fn program_name() -> String {
    let first = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&first).file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "tare".to_owned())
}

/// The help text of `page`, for a program that is called `program`.
pub(crate) fn help(page: &Page, program: &str) -> String {
    let full = full_name(page, program);
    let mut text =
        format!("NAME:\n   {full} - {}\n\nUSAGE:\n   {}\n", page.about, usage(page, program));
    let is_program = page.command.is_empty();
    if is_program {
        text += &format!("\nVERSION:\n   {VERSION}\n");
    }
    text += "\nDESCRIPTION:\n";
    for paragraph in page.description.split("\n\n") {
        wrap(paragraph, 3, &mut text);
    }
    let commands =
        page.commands.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned()));
    section("COMMANDS", commands.collect(), &mut text);
    let operands = page.operands.iter().map(|it| (it.name.clone(), it.text.clone()));
    section("ARGUMENTS", operands.collect(), &mut text);
    let options = page.options.iter().map(|it| (forms(it), it.text()));
    section(if is_program { "GLOBAL OPTIONS" } else { "OPTIONS" }, options.collect(), &mut text);
    if !page.examples.is_empty() {
        text += "\nEXAMPLES:\n";
        let lines = page.examples.lines();
        text.extend(lines.map(|line| format!("   {line}").trim_end().to_owned() + "\n"));
    }
    text
}

/// The name of the program, and of the command unless it is the program's page.
pub(super) fn full_name(page: &Page, program: &str) -> String {
    format!("{program} {}", page.command).trim_end().to_owned()
}

/// The words of a call, as in `tare ps [options] <container-id> [<ps-options>...]`.
pub(super) fn usage(page: &Page, program: &str) -> String {
    if page.command.is_empty() {
        return format!("{program} [global options] command [options] [arguments...]");
    }
    let operands = page.operands.iter().map(|it| {
        let dots = if it.many { "..." } else { "" };
        match it.required {
            true => format!(" <{}>{dots}", it.name),
            false => format!(" [<{}>{dots}]", it.name),
        }
    });
    format!("{} [options]{}", full_name(page, program), operands.collect::<String>())
}

/// The ways to write an option, as in `--bundle DIR, -b DIR`.
fn forms(option: &Opt) -> String {
    let value = option.value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
    let short = option.short.map(|short| format!(", -{short}{value}")).unwrap_or_default();
    format!("--{}{value}{short}", option.long)
}

/// A heading, and rows of a name and a text, which has a column of its own.
fn section(heading: &str, rows: Vec<(String, String)>, text: &mut String) {
    if rows.is_empty() {
        return;
    }
    *text += &format!("\n{heading}:\n");
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, about) in rows {
        *text += &format!("   {name:<width$}  ");
        let mut wrapped = String::new();
        wrap(&about, width + 5, &mut wrapped);
        *text += wrapped.trim_start();
    }
}

/// Appends the words of `words` in lines that are indented.
fn wrap(words: &str, indent: usize, text: &mut String) {
    // A narrow column is better than none.
    let width = WIDTH.saturating_sub(indent).max(40);
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            *text += &format!("{:indent$}{line}\n", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    *text += &format!("{:indent$}{line}\n", "");
}
