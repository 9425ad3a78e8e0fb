//! The runtime as an engine's own code calls it: its words before the command, its environment.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::container::Container;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::process::{Done, Run};

/// An engine with containers in the state directory of a context.
pub(super) struct Engine<'c> {
    pub(super) ctx: &'c Context,
    /// The words before the command.
    before: Vec<String>,
    /// All of the runtime's environment, where the engine does not pass on its own.
    env: Option<Vec<(&'static str, OsString)>>,
}

impl<'c> Engine<'c> {
    /// containerd's shim, by go-runc.
    pub(super) fn containerd(ctx: &'c Context) -> Self {
        let before = ["--root", &root(ctx), "--log", &log(ctx), "--log-format", "json"];
        Self::new(ctx, &before, None)
    }

    /// buildkit, by go-runc with a log of its own.
    pub(super) fn buildkit(ctx: &'c Context) -> Self {
        // Without --root; the state of a test stays among the test's files.
        let before = ["--root", &root(ctx), "--log", &log(ctx), "--log-format", "json"];
        Self::new(ctx, &before, None)
    }

    /// podman, with a global option of the user's for the state directory.
    pub(super) fn podman(ctx: &'c Context) -> Self {
        let env = [runtime_dir(ctx), ("PATH", std::env::var_os("PATH").unwrap_or_default())];
        Self::new(ctx, &[&format!("--root={}", root(ctx))], Some(&env))
    }

    /// podman's conmon, which passes on an environment and has a log written.
    pub(super) fn conmon_of_podman(ctx: &'c Context) -> Self {
        let state = format!("--root={}", root(ctx));
        Self::new(ctx, &[&state, "--log-format=json", "--log", &log(ctx)], None)
    }

    /// CRI-O's own calls: an environment of one variable.
    pub(super) fn crio(ctx: &'c Context) -> Self {
        Self::new(ctx, &["--root", &root(ctx)], Some(&[runtime_dir(ctx)]))
    }

    /// CRI-O's conmon.
    pub(super) fn conmon_of_crio(ctx: &'c Context) -> Self {
        let state = format!("--root={}", root(ctx));
        Self::new(ctx, &[&state], Some(&[runtime_dir(ctx)]))
    }

    /// buildah, with a global option of the user's.
    pub(super) fn buildah(ctx: &'c Context) -> Self {
        Self::new(ctx, &[&format!("--root={}", root(ctx))], None)
    }

    fn new(ctx: &'c Context, before: &[&str], env: Option<&[(&'static str, OsString)]>) -> Self {
        let before = before.iter().map(|word| (*word).to_owned()).collect();
        Self { ctx, before, env: env.map(<[_]>::to_vec) }
    }

    /// The same with all of its own environment, as where XDG_RUNTIME_DIR is not set for it.
    pub(super) fn with_environment(mut self) -> Self {
        self.env = None;
        self
    }

    /// The same with `--systemd-cgroup` where the engine has it.
    pub(super) fn systemd(mut self) -> Self {
        self.before.push("--systemd-cgroup".to_owned());
        self
    }

    /// The runtime with these words.
    pub(super) fn cmd(&self, args: &[&str]) -> Outcome<Run> {
        let words: Vec<&str> =
            self.before.iter().map(String::as_str).chain(args.iter().copied()).collect();
        let run = Run::new(&self.ctx.runtime, &words, &self.ctx.dir)?;
        Ok(match &self.env {
            None => run,
            Some(variables) => {
                let variables: Vec<(&str, &OsStr)> =
                    variables.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
                run.only_env(&variables)
            }
        })
    }

    /// Runs the runtime to its end, whatever that is.
    pub(super) fn done(&self, args: &[&str]) -> Outcome<Done> {
        self.cmd(args)?.done()
    }

    /// Runs the runtime, which must succeed.
    pub(super) fn ok(&self, args: &[&str]) -> Outcome<Done> {
        self.cmd(args)?.ok()
    }

    /// `create` with an engine's options, which must succeed.
    pub(super) fn create(&self, c: &Container<'_>, options: &[&str]) -> Outcome {
        let (bundle, pid_file) = (text(&c.dir), text(&c.pid_file()));
        let args = ["create", "--bundle", &bundle, "--pid-file", &pid_file];
        let args = [&args[..], options, &[&c.id]].concat();
        c.finish_create(self.cmd(&args)?)?.ok().map(drop)
    }

    /// What `state` says the status is.
    pub(super) fn status(&self, id: &str) -> Outcome<String> {
        let state: Value = serde_json::from_str(&self.ok(&["state", id])?.stdout)?;
        Ok(state["status"].as_str().unwrap_or_default().to_owned())
    }

    /// The log as containerd reads it: a sequence of objects, of which the last error counts.
    pub(super) fn last_error(&self) -> Outcome<String> {
        let text = fs::read_to_string(log(self.ctx))?;
        let mut last = String::new();
        for entry in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            let entry = entry.map_err(|e| Stop::fail(format!("{e} in the log {text:?}")))?;
            let time = entry["time"].as_str().unwrap_or_default();
            crate::check!(is_rfc3339(time), "time {time:?} in the log {text:?}");
            if entry["level"] == "error" {
                entry["msg"].as_str().unwrap_or_default().clone_into(&mut last);
            }
        }
        Ok(last)
    }

    /// The log as podman reads it: the whole file is one object.
    pub(super) fn only_error(&self) -> Outcome<String> {
        let text = fs::read_to_string(log(self.ctx))?;
        let entry: Value = serde_json::from_str(&text)
            .map_err(|e| Stop::fail(format!("{e} in the log {text:?}")))?;
        Ok(entry["msg"].as_str().unwrap_or_default().to_owned())
    }
}

/// Writes the `process` that an engine hands to `exec --process`, as it makes it: the container's
/// with other arguments.
pub(super) fn process_file(
    ctx: &Context,
    c: &Container<'_>,
    args: &[&str],
    terminal: bool,
) -> Outcome<String> {
    let mut process = c.config["process"].clone();
    process["args"] = args.into();
    process["terminal"] = terminal.into();
    let file = ctx.dir.join(format!("process{}.json", ctx.number()));
    fs::write(&file, process.to_string())?;
    Ok(text(&file))
}

/// A path as a word of the command line.
pub(super) fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A path in a directory that is not there.
pub(super) fn missing(ctx: &Context) -> String {
    text(&ctx.dir.join("missing/where"))
}

/// The state directory of a context.
pub(super) fn root(ctx: &Context) -> String {
    text(&ctx.root())
}

/// The log file of a context.
pub(super) fn log(ctx: &Context) -> String {
    text(&ctx.dir.join("log.json"))
}

fn runtime_dir(ctx: &Context) -> (&'static str, OsString) {
    let dir: PathBuf = ctx.dir.clone();
    ("XDG_RUNTIME_DIR", dir.into_os_string())
}

/// Whether Go's `time.RFC3339` takes a text.
pub(super) fn is_rfc3339(text: &str) -> bool {
    let digits = |at: std::ops::Range<usize>| {
        text.get(at).is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()))
    };
    let marks = [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':')];
    let numbers = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19];
    let zone = text.get(19..).unwrap_or_default();
    let zone = zone
        .strip_prefix('.')
        .map_or(zone, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let offset = |zone: &str| {
        zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes().get(3) == Some(&b':')
    };
    numbers.into_iter().all(digits)
        && marks.iter().all(|(at, mark)| text[*at..].starts_with(*mark))
        && (zone == "Z" || offset(zone))
}

#[cfg(test)]
mod tests {
    use super::is_rfc3339;

    #[test]
    fn times_of_go_are_told_from_others() {
        for time in
            ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00+01:00"]
        {
            assert!(is_rfc3339(time), "{time}");
        }
        for time in ["", "2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00", "1767225600"]
        {
            assert!(!is_rfc3339(time), "{time}");
        }
    }
}
