//! The manual pages and completions in `man/` and `completions/`. This test says when they are
//! not what the options of the commands make of them; with UPDATE_PAGES=1 it writes them anew.

mod bash;
mod fish;
mod manual;
mod zsh;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Opt, Page};
use crate::commands::pages;

/// What can be completed in a place.
#[derive(Debug, PartialEq, Eq)]
enum Kind<'a> {
    Files,
    Directories,
    /// One of these.
    Words(Vec<&'a str>),
    Containers,
    Signals,
    Commands,
    /// Known to the user alone.
    Nothing,
}

/// What can be completed for a value or an operand that has this name.
fn kind(name: &str) -> Kind<'_> {
    match name {
        "FILE" | "PATH" | "PLACE" => Kind::Files,
        "DIR" => Kind::Directories,
        "container-id" => Kind::Containers,
        "signal" => Kind::Signals,
        "command-name" => Kind::Commands,
        words if words.contains('|') => Kind::Words(words.split('|').collect()),
        _ => Kind::Nothing,
    }
}

const SIGNALS: &str = "HUP INT QUIT ABRT KILL USR1 USR2 TERM CONT STOP TSTP WINCH";

/// The names of an option, with dashes.
fn names(option: &Opt) -> Vec<String> {
    let short = option.short.map(|short| format!("-{short}"));
    short.into_iter().chain([format!("--{}", option.long)]).collect()
}

/// All files, by their paths below the package.
fn files() -> BTreeMap<PathBuf, String> {
    let pages = pages();
    let mut files = BTreeMap::new();
    for page in &pages {
        let dash = if page.command.is_empty() { "" } else { "-" };
        let name = format!("man/tare{dash}{}.8", page.command);
        files.insert(name.into(), manual::page(page, &pages));
    }
    files.insert("completions/tare.bash".into(), bash::script(&pages));
    files.insert("completions/_tare".into(), zsh::script(&pages));
    files.insert("completions/tare.fish".into(), fish::script(&pages));
    files
}

#[test]
fn the_manual_pages_and_completions_that_are_shipped_are_current() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        for (path, text) in &files {
            let path = package.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    for (path, text) in &files {
        let shipped = fs::read_to_string(package.join(path)).unwrap_or_default();
        assert!(shipped == *text, "{} is not current: UPDATE_PAGES=1 cargo test", path.display());
    }
    for folder in ["man", "completions"] {
        for entry in fs::read_dir(package.join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            assert!(files.contains_key(&path), "{} is of no command", path.display());
        }
    }
}

#[test]
fn every_option_says_what_it_is_for() {
    for page in pages() {
        assert!(!page.about.is_empty() && !page.description.is_empty(), "{page:?}");
        for option in &page.options {
            assert!(option.text.len() > 5, "{}: {option:?}", page.command);
        }
        for operand in &page.operands {
            assert!(operand.text.len() > 5, "{}: {operand:?}", page.command);
        }
    }
}
