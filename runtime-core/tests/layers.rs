//! A file uses only what is below it, and unsafe code stays where it belongs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The parts of the library from the lowest up, each with what it may use.
/// `lib.rs` tells the whole, and uses all.
const LAYERS: [(&str, &[&str]); 11] = [
    ("error", &[]),
    ("trace", &[]),
    ("sys", &["error"]),
    ("state", &["error"]),
    ("bundle", &["error"]),
    ("seccomp", &["error"]),
    ("plan", &["error", "state", "bundle", "seccomp"]),
    ("features", &["bundle", "seccomp", "plan"]),
    ("host", &["error", "trace", "sys", "state", "plan"]),
    ("lifecycle", &["error", "trace", "sys", "state", "bundle", "plan", "host"]),
    ("doctor", &["error", "sys", "bundle", "seccomp", "plan", "host", "lifecycle"]),
];

/// Parts that decide, and never ask the machine.
const PURE: [&str; 4] = ["state", "seccomp", "plan", "features"];

/// What reaches the machine.
const MACHINE: [&str; 5] = ["nix::", "std::fs", "std::net", "std::process", "std::os::fd::OwnedFd"];

/// The only places for unsafe code: the host side, init, the tests' programs.
const UNSAFE: [&str; 6] = [
    "runtime-core/src/sys/",
    "runtime-core/init/sys.rs",
    "runtime-core/init/sys/",
    "integration/src/sys.rs",
    "integration/src/bin/payload/sys.rs",
    "integration/tests/embedded/pester.rs",
];

#[test]
fn a_file_uses_only_what_is_below_it() {
    let mut wrong = Vec::new();
    for (file, text) in library() {
        let own = part_of(&file);
        if own == "lib" {
            continue;
        }
        let layer = LAYERS.iter().find(|(name, _)| *name == own);
        let (_, below) = layer.unwrap_or_else(|| panic!("{own} has no place among the layers"));
        for used in uses(&file, &text) {
            if used != own && !below.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_decides_does_not_ask_the_machine() {
    let mut wrong = Vec::new();
    for (file, text) in library().into_iter().filter(|(file, _)| PURE.contains(&&*part_of(file))) {
        let found = MACHINE.iter().filter(|name| names_path(&text, name));
        wrong.extend(found.map(|name| format!("{} uses {name}", file.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn unsafe_code_is_only_where_system_calls_are_made() {
    let wrong: Vec<_> = with_unsafe_code()
        .into_iter()
        .filter(|file| !UNSAFE.iter().any(|place| file.starts_with(place)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_with_unsafe_code_is_described() {
    let described = fs::read_to_string(project().join("docs/unsafe.md")).unwrap();
    let missing: Vec<_> = with_unsafe_code()
        .into_iter()
        .filter(|file| !described.contains(&format!("`{file}`")))
        .collect();
    assert!(missing.is_empty(), "not in docs/unsafe.md: {missing:#?}");
}

#[test]
fn uses_are_found_however_they_are_written() {
    let text = code(
        "use crate::a::{x, y};\nuse crate::{b, c::{d, e}};\n// crate::comment\nlet f = crate::f::g;\n\
         use super::near;\nuse super::super::{h, i};\n#[cfg(test)]\nmod tests { use crate::t; }",
    );
    let found: Vec<String> = uses(Path::new("part/file.rs"), &text).into_iter().collect();
    assert_eq!(found, ["a", "b", "c", "f", "h", "i"]);
    let found = uses(Path::new("part.rs"), &code("use super::{j, k};\n"));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["j", "k"]);
}

/// Files of the project, by their paths in it, that have unsafe code.
fn with_unsafe_code() -> Vec<String> {
    let project = project();
    let folders = ["runtime-core", "runtime-cli", "integration", "fuzz"];
    let mut files = Vec::new();
    folders.iter().for_each(|folder| rust_files(&project.join(folder), &mut files));
    files.retain(|file| has_word(&code(&fs::read_to_string(file).unwrap()), "unsafe"));
    let names = files.iter().map(|file| file.strip_prefix(&project).unwrap());
    // A test that names the word in its strings, as this one does, is no unsafe code.
    let names = names.filter(|name| *name != Path::new("runtime-core/tests/layers.rs"));
    names.map(|name| name.to_str().unwrap().to_owned()).collect()
}

/// The library's files, by their paths below `src`, without comments and unit tests.
fn library() -> Vec<(PathBuf, String)> {
    let source = project().join("runtime-core/src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let read = |file: PathBuf| {
        let text = code(&fs::read_to_string(&file).unwrap());
        (file.strip_prefix(&source).unwrap().to_owned(), text)
    };
    files.into_iter().filter(|file| !file.ends_with("tests.rs")).map(read).collect()
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name() != Some("target".as_ref()) {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Without comments, and without the unit tests at the end of a file.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn names_path(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| !text[..at].ends_with(char::is_alphanumeric))
}

fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    text.split(|character| !part_of_word(character)).any(|found| found == word)
}

/// The folder below `src`, or the file that stands there alone.
fn part_of(file: &Path) -> String {
    let first = file.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The parts that a file names, as `crate::…` or with as many `super::` as lead there.
fn uses(file: &Path, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is_folder = file.file_name() == Some("mod.rs".as_ref());
    let depth = file.components().count() - usize::from(is_folder);
    let mut leading = vec!["crate::".to_owned()];
    leading.push("super::".repeat(depth));
    for prefix in leading {
        for (at, _) in text.match_indices(&prefix) {
            let is_word_start = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            // Fewer steps up lead elsewhere; more are found at their own place.
            let is_whole = !text[..at].ends_with("super::");
            if is_word_start && is_whole {
                found.extend(heads(&text[at + prefix.len()..]));
            }
        }
    }
    found
}

/// The first names of what a path goes on with: one, or those of a group.
fn heads(text: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut heads = vec![name(group)];
    let mut depth = 1;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(name(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}
