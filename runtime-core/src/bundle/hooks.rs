//! The kinds of hooks, in the order of a container's life.

use oci_spec::runtime::{Hook, Hooks};

/// Their names in config.json (config.md, POSIX-platform Hooks).
pub(crate) const HOOK_KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The hooks of each kind.
pub(crate) fn hook_lists(hooks: &Hooks) -> [(&'static str, &Option<Vec<Hook>>); 6] {
    #[allow(deprecated, reason = "prestart hooks are deprecated, and what dockerd uses")]
    let lists = [
        hooks.prestart(),
        hooks.create_runtime(),
        hooks.create_container(),
        hooks.start_container(),
        hooks.poststart(),
        hooks.poststop(),
    ];
    std::array::from_fn(|kind| (HOOK_KINDS[kind], lists[kind]))
}
