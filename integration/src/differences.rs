//! Tests that runc or crun is known to fail, with the reason.
//!
//! The lists keep the comparison honest: `tare` has none.

use crate::context::{Kind, Layout};

/// A test's name or the beginning of it, and why it fails.
type Known = (&'static str, &'static str);

const RUNC: &[Known] = &[(
    "lifecycle::forced_delete_removes_a_corrupt_container",
    "runc 1.1 stops at a state.json that it cannot read",
)];
const CRUN: &[Known] = &[];

/// Why this runtime is expected to fail this test, if it is.
pub fn reason(kind: Kind, _layout: Layout, name: &str) -> Option<&'static str> {
    let known = match kind {
        Kind::Tare => &[],
        Kind::Runc => RUNC,
        Kind::Crun => CRUN,
    };
    known.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, reason)| *reason)
}
