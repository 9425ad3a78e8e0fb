//! `tare spec`: a config.json to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{getegid, geteuid};

use super::{Command, Context};
use crate::args::Count;
use crate::failure::{Failure, Outcome};

/// Write a config.json to begin with into the bundle. One that is there is left alone.
#[derive(Debug, clap::Parser)]
pub(super) struct Spec {
    /// The bundle [default: the current directory]
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    bundle: PathBuf,
    /// For a container without root: map the user who calls this to its root
    #[arg(long)]
    rootless: bool,
}

impl Command for Spec {
    const NAME: &'static str = "spec";
    const ABOUT: &'static str = "write a config.json to begin with";
    const COUNT: Count = Count::NONE;

    fn run(self, _context: &Context) -> Outcome {
        let rootless = self.rootless.then(|| (geteuid().as_raw(), getegid().as_raw()));
        let text = runtime_core::template(rootless, host_has_cgroup2());
        write_new(&self.bundle.join("config.json"), &text)?;
        Ok(0)
    }
}

fn host_has_cgroup2() -> bool {
    let root = statfs("/sys/fs/cgroup");
    root.is_ok_and(|root| root.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new("File config.json exists. Remove it first"),
        _ => Failure::file("open", path, &error),
    })?;
    file.write_all(text.as_bytes()).map_err(|error| Failure::file("write", path, &error))
}
