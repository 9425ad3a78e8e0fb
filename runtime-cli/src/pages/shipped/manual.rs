//! A page as a manual page, for section 8 like those of runc.

use super::super::help::{full_name, usage};
use super::{Opt, Page};

/// The source of the manual page of `page`.
pub(super) fn page(page: &Page, all: &[Page]) -> String {
    let name = full_name(page, "tare").replace(' ', "-");
    let mut text =
        String::from(".\\\" Made from the options of the commands: UPDATE_PAGES=1 cargo test\n");
    text += &format!(".TH \"{}\" 8\n.SH NAME\n", name.to_uppercase());
    text += &format!("{} \\- {}\n", plain(&name), plain(page.about));
    text += &format!(".SH SYNOPSIS\n{}\n", synopsis(&usage(page, "tare")));
    text += ".SH DESCRIPTION\n";
    text += &page.description.split("\n\n").map(lines).collect::<Vec<_>>().join(".PP\n");
    if !page.commands.is_empty() {
        text += ".SH COMMANDS\n";
        for (command, about) in &page.commands {
            text += &row(&bold(command), about);
        }
    }
    if !page.operands.is_empty() {
        text += ".SH ARGUMENTS\n";
        for operand in &page.operands {
            text += &row(&italic(&operand.name), &operand.text);
        }
    }
    text += if page.command.is_empty() { ".SH GLOBAL OPTIONS\n" } else { ".SH OPTIONS\n" };
    for option in &page.options {
        text += &row(&forms(option), &option.text());
    }
    if !page.examples.is_empty() {
        text += &format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", verbatim(&page.examples));
    }
    text + ".SH SEE ALSO\n" + &see_also(page, all)
}

/// A name and the text that belongs to it.
fn row(name: &str, text: &str) -> String {
    format!(".TP\n{name}\n{}", lines(text))
}

/// An option as it may be written.
fn forms(option: &Opt) -> String {
    let value = option.value.as_ref().map(|value| format!(" {}", italic(value)));
    let value = value.unwrap_or_default();
    let forms = super::names(option).into_iter().map(|name| bold(&name) + &value);
    forms.collect::<Vec<_>>().join(", ")
}

/// The words of a call: those that stand for others in italics.
fn synopsis(usage: &str) -> String {
    let words = usage.split(' ').map(|word| {
        let (before, rest) = word.split_once('<').unwrap_or((word, ""));
        match rest.split_once('>') {
            Some((name, after)) => format!("{before}{}{}", italic(name), plain(after)),
            None => plain(word),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn see_also(page: &Page, all: &[Page]) -> String {
    let others = all.iter().filter(|other| other.command != page.command);
    let names = others.map(|other| full_name(other, "tare").replace(' ', "-"));
    let names: Vec<String> = names.map(|name| format!("{}(8)", bold(&name))).collect();
    names.join(",\n") + "\n"
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", plain(text))
}

fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", plain(text))
}

/// `text` as lines, none of which is taken for a request.
fn lines(text: &str) -> String {
    let text = plain(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}\n"),
        false => text + "\n",
    }
}

/// Lines that stay as they are.
fn verbatim(text: &str) -> String {
    let line = |line: &str| match line.starts_with(['.', '\'']) {
        true => format!("\\&{}", plain(line)),
        false => plain(line),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// `text` for roff: a dash is what can be copied into a shell.
fn plain(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
