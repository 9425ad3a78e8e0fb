//! What `--version` says. Engines read the lines by their beginnings.

use runtime_core::SPEC_VERSION;

/// The version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from; packagers set `TARE_COMMIT` for the build.
const COMMIT: &str = match option_env!("TARE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The lines of `--version`.
pub(crate) fn text() -> String {
    format!("tare version {VERSION}\ncommit: {COMMIT}\nspec: {SPEC_VERSION}\n")
}
