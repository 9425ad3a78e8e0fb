//! Hooks, ready to be run.

use std::path::PathBuf;
use std::time::Duration;

use oci_spec::runtime::{Hook as Entry, Hooks as Lists};

use crate::bundle::{hook_lists, item, member};

/// A program to run at a point of a container's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program.
    pub path: PathBuf,
    /// Its arguments from argument 0, which is the path if none are given.
    pub args: Vec<String>,
    /// Its whole environment; `None` where the configuration says nothing.
    pub env: Option<Vec<String>>,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Where the configuration says so.
    pub pointer: String,
}

/// The hooks of a container by kind, each in the order in which they are run
/// (config.md, POSIX-platform Hooks).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Deprecated: before `create_runtime`.
    pub prestart: Vec<Hook>,
    /// By the runtime, once the namespaces are there.
    pub create_runtime: Vec<Hook>,
    /// In the container's namespaces, before its root becomes the root.
    pub create_container: Vec<Hook>,
    /// In the container, before the user's program.
    pub start_container: Vec<Hook>,
    /// By the runtime, after the user's program has started.
    pub poststart: Vec<Hook>,
    /// By the runtime, after the container is deleted.
    pub poststop: Vec<Hook>,
}

impl Hooks {
    /// The hooks of a configuration.
    pub fn of(lists: Option<&Lists>) -> Self {
        let Some(lists) = lists else { return Self::default() };
        let [prestart, create_runtime, create_container, start_container, poststart, poststop] =
            hook_lists(lists).map(|(kind, entries)| resolve(entries, kind));
        Self { prestart, create_runtime, create_container, start_container, poststart, poststop }
    }
}

fn resolve(entries: &Option<Vec<Entry>>, kind: &str) -> Vec<Hook> {
    let list = member("/hooks", kind);
    let entries = entries.as_deref().unwrap_or_default().iter().enumerate();
    entries.map(|(index, entry)| hook(entry, item(&list, index))).collect()
}

fn hook(entry: &Entry, pointer: String) -> Hook {
    let path = entry.path().clone();
    let args = entry.args().clone().filter(|args| !args.is_empty());
    Hook {
        args: args.unwrap_or_else(|| vec![path.to_string_lossy().into_owned()]),
        env: entry.env().clone(),
        timeout: entry.timeout().and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs),
        path,
        pointer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_without_arguments_gets_its_path_as_argument_0() {
        let lists: Lists = serde_json::from_str(
            r#"{"prestart":[{"path":"/a"}],
                "poststop":[{"path":"/b"},{"path":"/c","args":["x","y"],"env":[],"timeout":3}]}"#,
        )
        .unwrap();
        let hooks = Hooks::of(Some(&lists));
        assert_eq!(hooks.prestart[0].args, ["/a"]);
        assert_eq!((hooks.prestart[0].env.as_ref(), hooks.prestart[0].timeout), (None, None));
        let last = &hooks.poststop[1];
        assert_eq!((last.args.len(), last.env.as_deref()), (2, Some(&[][..])));
        assert_eq!(last.timeout, Some(Duration::from_secs(3)));
        assert_eq!(last.pointer, "/hooks/poststop/1");
        assert_eq!(Hooks::of(None), Hooks::default());
    }
}
