//! The document that the conformance commands write their tables into.

use std::fs;
use std::path::{Path, PathBuf};

use crate::context::Kind;
use crate::outcome::{Outcome, Stop};
use crate::process::Run;

/// A runtime that has a column.
#[derive(Debug)]
pub struct Runtime {
    pub path: PathBuf,
    pub kind: Kind,
    /// Name and version, such as `runc 1.3.6`.
    pub name: String,
}

impl Runtime {
    /// Asks the program at `path` for its version; files go below `dir`.
    pub fn new(path: &Path, dir: &Path) -> Outcome<Self> {
        let path =
            fs::canonicalize(path).map_err(|e| Stop::fail(format!("{}: {e}", path.display())))?;
        let kind = Kind::of(&path);
        let files = dir.join(format!("tare-version-{}", std::process::id()));
        fs::create_dir_all(&files)?;
        let said = Run::new(&path, &["--version"], &files)?.ok()?.stdout;
        fs::remove_dir_all(&files)?;
        let line = said.lines().next().unwrap_or_default();
        let line = line.replace("version: ", "").replace("version ", "");
        let name = line.split_once('+').map_or(line.as_str(), |(name, _)| name).to_owned();
        Ok(Self { path, kind, name })
    }
}

/// The cgroup version that this machine mounts; its tables are filed under it.
pub fn cgroups() -> &'static str {
    if crate::host::has_v1() { "v1" } else { "v2" }
}

/// The line above a table: kernel, cgroups, what this machine does not give.
pub fn surroundings() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cgroups = cgroups();
    let withheld: Vec<String> = caps::all()
        .into_iter()
        .filter(|c| !crate::host::has_capability(*c))
        .map(|c| c.to_string())
        .collect();
    let withheld = if withheld.is_empty() { "none".to_owned() } else { withheld.join(", ") };
    format!(
        "Linux {}; cgroups of the machine: {cgroups}; capabilities that it withholds: {withheld}.\n",
        kernel.trim(),
    )
}

/// Replaces what stands in a document between the two comments of a name.
pub fn write(file: &Path, name: &str, table: &str) -> Outcome {
    let (begin, end) = (format!("<!-- begin {name} -->"), format!("<!-- end {name} -->"));
    let missing = || Stop::fail(format!("{}: no lines {begin} and {end}", file.display()));
    let text =
        fs::read_to_string(file).map_err(|e| Stop::fail(format!("{}: {e}", file.display())))?;
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(fs::write(file, format!("{before}{begin}\n{}\n{end}{after}", table.trim_end()))?)
}
