//! Rules for hooks.

use oci_spec::runtime::{Hook, Spec};

use super::{Faults, identity, list};
use crate::bundle::{hook_lists, item, member};

/// config.md, POSIX-platform Hooks.
pub(super) fn rules(spec: &Spec, faults: &mut Faults) {
    let Some(hooks) = spec.hooks() else { return };
    for (kind, entries) in hook_lists(hooks) {
        for (index, entry) in list(entries).iter().enumerate() {
            hook(entry, kind, index, faults);
        }
    }
}

fn hook(hook: &Hook, kind: &str, index: usize, faults: &mut Faults) {
    let base = || item(&member("/hooks", kind), index);
    if !hook.path().is_absolute() {
        let message = format!("hook path {:?} is not absolute", hook.path());
        faults.add(member(&base(), "path"), message, "give the path from /");
    }
    if let Some(timeout) = hook.timeout().filter(|timeout| *timeout <= 0) {
        let message = format!("hook timeout {timeout} is not greater than zero");
        faults.add(member(&base(), "timeout"), message, "give seconds, or remove it");
    }
    identity::environment(list(hook.env()), || member(&base(), "env"), faults);
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn hooks_have_absolute_paths_positive_timeouts_and_an_environment() {
        assert_eq!(
            faults(
                r#"{"hooks":{"poststop":[{"path":"/a"},{"path":"b","timeout":0,"env":["X"]}]}}"#
            ),
            [
                "/hooks/poststop/1/path: hook path \"b\" is not absolute",
                "/hooks/poststop/1/timeout: hook timeout 0 is not greater than zero",
                "/hooks/poststop/1/env/0: invalid environment variable: missing '='",
            ]
        );
    }
}
