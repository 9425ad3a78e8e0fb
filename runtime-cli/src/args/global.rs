//! The options before the command. They are read by a table and not by clap,
//! because every call pays for them.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use runtime_core::CgroupDriver;

use super::normalise::{Flag, Kind, Order, boolean, normalise};
use crate::failure::Failure;
use crate::logging::Format;
use crate::pages::Opt;

const fn text(long: &'static str) -> Flag<'static> {
    Flag { long, short: None, kind: Kind::Text }
}

const fn switch(long: &'static str) -> Flag<'static> {
    Flag { long, short: None, kind: Kind::Switch }
}

const FLAGS: &[Flag<'static>] = &[
    text("root"),
    text("log"),
    text("log-format"),
    text("error-format"),
    text("trace"),
    switch("debug"),
    switch("systemd-cgroup"),
    text("cgroup-manager"),
    text("rootless"),
    Flag { long: "version", short: Some('v'), kind: Kind::Switch },
];

/// How the value of each is called, if it takes one, and what to say of it.
const HELP: &[(&str, &str)] = &[
    (
        "DIR",
        "Keep the state of containers here; should be on a tmpfs [default: /run/tare, or \
         $XDG_RUNTIME_DIR/tare when not root]",
    ),
    (
        "PLACE",
        "Append log lines to this file, or send them to journald:[IDENTIFIER] or \
         syslog:[IDENTIFIER] [default: stderr]",
    ),
    ("text|json", "The form of log lines [default: text]"),
    (
        "text|json",
        "The form of a failure on stderr; as json it is one object that names the step, the \
         place in config.json and the remedy [default: text]",
    ),
    ("FILE", "Write how long each phase took to this file, as a Chrome trace"),
    ("", "Log more"),
    ("", "Have systemd make the cgroups; cgroupsPath is then \"slice:prefix:name\""),
    (
        "cgroupfs|systemd|disabled",
        "Who makes the cgroups, as crun has it; with disabled there are none [default: cgroupfs]",
    ),
    ("true|false|auto", "Do without what only root may do [default: auto]"),
    ("", "Print the version"),
];

/// The global options, for the page of the program.
pub(crate) fn options() -> Vec<Opt> {
    let option = |(flag, (value, text)): (&Flag<'_>, &(&str, &str))| Opt {
        value: (!value.is_empty()).then(|| (*value).to_owned()),
        ..Opt::switch(flag.long, flag.short, text)
    };
    FLAGS.iter().zip(HELP).map(option).collect()
}

/// The global options as they were given.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    root: Option<String>,
    pub(crate) log: Option<String>,
    log_format: Option<String>,
    error_format: Option<String>,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) debug: bool,
    systemd_cgroup: bool,
    cgroup_manager: Option<String>,
    rootless: Option<String>,
}

/// What the words before the command ask for.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Version,
    /// A command, with the words after its name.
    Command(String, Vec<String>),
}

impl Globals {
    /// Reads the global options and the name of the command.
    ///
    /// # Errors
    /// One line in Go's words about the first argument that breaks the rules.
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<(Self, Request), String> {
        let read = normalise(FLAGS, args, Order::BeforeOperands)?;
        let mut globals = Self::default();
        let mut version = false;
        for (name, value) in read.flags {
            match name {
                "root" => globals.root = value,
                "log" => globals.log = value,
                "log-format" => globals.log_format = value,
                "error-format" => globals.error_format = value,
                "trace" => globals.trace = value.map(PathBuf::from),
                "debug" => globals.debug = true,
                "systemd-cgroup" => globals.systemd_cgroup = true,
                "cgroup-manager" => globals.cgroup_manager = value,
                "rootless" => globals.rootless = value,
                _ => version = true,
            }
        }
        let mut words = read.operands.into_iter();
        let request = match words.next() {
            _ if read.help => Request::Help,
            _ if version => Request::Version,
            Some(command) => Request::Command(command, words.collect()),
            None => Request::Help,
        };
        Ok((globals, request))
    }

    /// Of options that break the rules, what can be read of how to tell so.
    pub(crate) fn after_fault(args: &[OsString]) -> Self {
        let mut globals = Self::default();
        let mut words = args.iter().map(|arg| arg.to_string_lossy());
        while let Some(word) = words.next().filter(|word| word.starts_with('-')) {
            let word = word.trim_start_matches('-');
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word, None),
            };
            if FLAGS.iter().any(|flag| flag.long == name && flag.kind == Kind::Text) {
                let value = value.or_else(|| words.next().map(Cow::into_owned));
                if name == "error-format" {
                    globals.error_format = value;
                }
            }
        }
        globals
    }

    /// The format of log lines.
    pub(crate) fn log_format(&self) -> Result<Format, Failure> {
        match self.log_format.as_deref() {
            None | Some("text") => Ok(Format::Text),
            Some("json") => Ok(Format::Json),
            Some(other) => Err(Failure::new(format!("invalid log-format: {other}"))),
        }
    }

    /// The format of a failure on stderr.
    pub(crate) fn error_format(&self) -> Result<Format, Failure> {
        match self.error_format.as_deref() {
            None | Some("text") => Ok(Format::Text),
            Some("json") => Ok(Format::Json),
            Some(other) => Err(Failure::new(format!("invalid error-format: {other}"))),
        }
    }

    /// Who makes cgroups.
    pub(crate) fn cgroup_driver(&self) -> Result<CgroupDriver, Failure> {
        match self.cgroup_manager.as_deref() {
            None if self.systemd_cgroup => Ok(CgroupDriver::Systemd),
            None | Some("cgroupfs") => Ok(CgroupDriver::Cgroupfs),
            Some("systemd") => Ok(CgroupDriver::Systemd),
            Some("disabled") => Ok(CgroupDriver::Disabled),
            Some(other) => Err(Failure::new(format!(
                "invalid value \"{other}\" for flag -cgroup-manager: must be cgroupfs, systemd or \
                 disabled"
            ))),
        }
    }

    /// Whether to do without root's powers; `None` leaves it to the library.
    pub(crate) fn rootless(&self) -> Result<Option<bool>, Failure> {
        match self.rootless.as_deref() {
            None | Some("auto") => Ok(None),
            Some(text) => match boolean(text) {
                Some(value) => Ok(Some(value)),
                None => Err(Failure::new(format!(
                    "invalid value \"{text}\" for flag -rootless: must be true, false or auto"
                ))),
            },
        }
    }

    /// Whether the user chose the directory of containers.
    pub(crate) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// The directory of containers: absolute, and not `/`.
    pub(crate) fn root(&self) -> Result<PathBuf, Failure> {
        let Some(given) = &self.root else {
            return Ok(private_root().unwrap_or_else(|| PathBuf::from("/run/tare")));
        };
        let absolute = std::path::absolute(given)
            .map_err(|error| Failure::file("getcwd", Path::new(given), &error))?;
        match clean(&absolute) {
            root if root == Path::new("/") => {
                Err(Failure::new("Option --root argument should not be set to /"))
            }
            root => Ok(root),
        }
    }

    /// Makes the default directory below `$XDG_RUNTIME_DIR`, with the sticky bit
    /// that keeps cleaners of that directory away from it.
    pub(crate) fn prepare_root(&self) -> Result<(), Failure> {
        const STICKY: u32 = 0o1700;
        let Some(root) = private_root().filter(|_| !self.has_root()) else { return Ok(()) };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&root);
        made.map_err(|error| Failure::file("mkdir", &root, &error))?;
        std::fs::set_permissions(&root, PermissionsExt::from_mode(STICKY))
            .map_err(|error| Failure::file("chmod", &root, &error))
    }
}

/// The default root of a user who may not write to `/run`.
fn private_root() -> Option<PathBuf> {
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty())?;
    is_private_user().then(|| Path::new(&runtime_dir).join("tare"))
}

/// Not root, or root of a user namespace only, who did not log in as root.
fn is_private_user() -> bool {
    let in_user_namespace = || matches!(whole_id_map(), Ok(false));
    let logged_in_as_root = || std::env::var_os("USER").is_some_and(|user| user == "root");
    !nix::unistd::geteuid().is_root() || (in_user_namespace() && !logged_in_as_root())
}

/// Whether all ids stand for themselves, as in the first user namespace.
fn whole_id_map() -> io::Result<bool> {
    let map = std::fs::read_to_string("/proc/self/uid_map")?;
    Ok(map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// `path` without its `.` and `..`, by its letters only.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::CurDir => {}
            other => cleaned.push(other),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> (Globals, Request) {
        Globals::parse(line.split_whitespace().map(str::to_owned)).unwrap()
    }

    #[test]
    fn the_call_of_an_engine_is_read_in_full() {
        let (globals, request) = parse(
            "--root /r/./a/../ns --log /l.json --log-format json --systemd-cgroup create -b B ID",
        );
        assert_eq!(globals.root().unwrap(), Path::new("/r/ns"));
        assert_eq!(globals.log.as_deref(), Some("/l.json"));
        assert_eq!(globals.log_format().unwrap(), Format::Json);
        assert_eq!(globals.cgroup_driver().unwrap(), CgroupDriver::Systemd);
        assert!(!globals.debug);
        let Request::Command(name, rest) = request else { panic!("{request:?}") };
        assert_eq!((name.as_str(), rest.join(" ").as_str()), ("create", "-b B ID"));
    }

    #[test]
    fn the_root_of_the_file_system_is_refused_however_it_is_written() {
        for root in ["/", "//", "/..", "/run/..", "/./"] {
            let (globals, _) = parse(&format!("--root={root} list"));
            let message = globals.root().unwrap_err().message;
            assert_eq!(message, "Option --root argument should not be set to /", "{root}");
        }
    }

    #[test]
    fn a_relative_root_is_made_absolute() {
        let (globals, _) = parse("--root here list");
        assert_eq!(globals.root().unwrap(), std::env::current_dir().unwrap().join("here"));
    }

    #[test]
    fn cgroups_have_the_manager_that_is_named() {
        let manager = |line: &str| parse(line).0.cgroup_driver();
        assert_eq!(manager("list").unwrap(), CgroupDriver::Cgroupfs);
        assert_eq!(manager("--cgroup-manager cgroupfs list").unwrap(), CgroupDriver::Cgroupfs);
        assert_eq!(manager("--cgroup-manager=systemd list").unwrap(), CgroupDriver::Systemd);
        assert_eq!(manager("--cgroup-manager disabled list").unwrap(), CgroupDriver::Disabled);
        assert!(manager("--cgroup-manager none list").is_err());
    }

    #[test]
    fn every_option_is_explained_and_those_with_a_value_name_it() {
        assert_eq!(FLAGS.len(), HELP.len());
        for (flag, (value, _)) in FLAGS.iter().zip(HELP) {
            assert_eq!(flag.kind == Kind::Text, !value.is_empty(), "{}", flag.long);
        }
    }

    #[test]
    fn how_failures_look_is_read_though_other_options_are_wrong() {
        let format = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            Globals::after_fault(&args).error_format().ok()
        };
        assert_eq!(format("--error-format json --bogus"), Some(Format::Json));
        assert_eq!(format("--bogus -error-format=json"), Some(Format::Json));
        assert_eq!(format("--log x --error-format json --root"), Some(Format::Json));
        assert_eq!(format("--log --error-format json"), Some(Format::Text));
        assert_eq!(format("--bogus exec x --error-format json"), Some(Format::Text));
        assert_eq!(format("--error-format yaml --bogus"), None);
    }

    #[test]
    fn rootless_is_true_false_or_undecided() {
        let rootless = |line: &str| parse(line).0.rootless();
        assert_eq!(rootless("list").unwrap(), None);
        assert_eq!(rootless("--rootless auto list").unwrap(), None);
        assert_eq!(rootless("--rootless=true list").unwrap(), Some(true));
        assert_eq!(rootless("--rootless false list").unwrap(), Some(false));
        assert!(rootless("--rootless maybe list").is_err());
    }

    #[test]
    fn help_and_version_win_over_a_command_and_no_command_means_help() {
        assert!(matches!(parse("--version list").1, Request::Version));
        assert!(matches!(parse("-v").1, Request::Version));
        assert!(matches!(parse("-h list").1, Request::Help));
        assert!(matches!(parse("").1, Request::Help));
        assert!(matches!(parse("list --version").1, Request::Command(..)));
    }
}
