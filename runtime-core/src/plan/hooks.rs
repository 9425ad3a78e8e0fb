//! Hooks, ready to be run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::{Hook as Entry, Spec};
use serde::Serialize;

use super::annotations::{self, HOOKS_STDERR, HOOKS_STDOUT};

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

/// A file that hooks append to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputFile {
    /// The file, made if it is not there.
    pub path: PathBuf,
    /// Where the configuration says so.
    pub pointer: String,
}

/// Where hooks write. What no file is named for is kept for the error of a hook
/// that fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Output {
    /// `run.oci.hooks.stdout`.
    pub stdout: Option<OutputFile>,
    /// `run.oci.hooks.stderr`.
    pub stderr: Option<OutputFile>,
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
    /// Where all of them write.
    pub output: Output,
}

impl Hooks {
    /// The hooks of the configuration in the bundle at `bundle`.
    pub fn of(spec: &Spec, bundle: &Path) -> Self {
        let Some(lists) = spec.hooks() else { return Self::default() };
        let [prestart, create_runtime, create_container, start_container, poststart, poststop] =
            hook_lists(lists).map(|(kind, entries)| resolve(entries, kind));
        let output = Output {
            stdout: output_file(spec, HOOKS_STDOUT, bundle),
            stderr: output_file(spec, HOOKS_STDERR, bundle),
        };
        Self {
            prestart,
            create_runtime,
            create_container,
            start_container,
            poststart,
            poststop,
            output,
        }
    }
}

fn output_file(spec: &Spec, name: &str, bundle: &Path) -> Option<OutputFile> {
    let path = annotations::value(spec, name)?;
    Some(OutputFile { path: bundle.join(path), pointer: annotations::pointer(name) })
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

    fn hooks(text: &str) -> Hooks {
        let (spec, _) = crate::bundle::parse_spec(text.as_bytes()).unwrap();
        Hooks::of(&spec, Path::new("/bundle"))
    }

    #[test]
    fn a_hook_without_arguments_gets_its_path_as_argument_0() {
        let hooks = hooks(
            r#"{"hooks":{"prestart":[{"path":"/a"}],
                "poststop":[{"path":"/b"},{"path":"/c","args":["x","y"],"env":[],"timeout":3}]}}"#,
        );
        assert_eq!(hooks.prestart[0].args, ["/a"]);
        assert_eq!((hooks.prestart[0].env.as_ref(), hooks.prestart[0].timeout), (None, None));
        let last = &hooks.poststop[1];
        assert_eq!((last.args.len(), last.env.as_deref()), (2, Some(&[][..])));
        assert_eq!(last.timeout, Some(Duration::from_secs(3)));
        assert_eq!(last.pointer, "/hooks/poststop/1");
        assert_eq!(Hooks::of(&Spec::default(), Path::new("/b")), Hooks::default());
    }

    #[test]
    fn files_for_their_output_are_relative_to_the_bundle() {
        let hooks = hooks(
            r#"{"hooks":{},"annotations":{"run.oci.hooks.stdout":"out","run.oci.hooks.stderr":"/err"}}"#,
        );
        let stdout = hooks.output.stdout.unwrap();
        assert_eq!(stdout.path, Path::new("/bundle/out"));
        assert_eq!(stdout.pointer, "/annotations/run.oci.hooks.stdout");
        assert_eq!(hooks.output.stderr.unwrap().path, Path::new("/err"));
    }
}
