//! `tare mounts`: mounts of a container that is there.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use runtime_core::mounts_from_json;
use serde_json::json;

use super::{Command, Context, input};
use crate::args::Count;
use crate::failure::{Failure, Outcome};

/// Add mounts to a running container, or remove some of its mounts, as crun has it. They are
/// given as a list, as under mounts in config.json, or by options, one. Sources are paths of the
/// host; destinations are looked up below the container's root. A filesystem proc or cgroup cannot
/// be added. To remove, only the destination counts: one of config.json, or that was added; what is
/// mounted below it goes with it.
#[derive(Debug, clap::Parser)]
#[command(after_help = EXAMPLES)]
pub(super) struct Mounts {
    /// The place in the container
    #[arg(long, value_name = "PATH")]
    destination: Option<PathBuf>,
    /// What is mounted there: a path of the host for a bind mount
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// The type of the filesystem, or bind
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// Options of the mount, with commas between them
    #[arg(short, long, value_name = "OPTIONS")]
    options: Vec<String>,
    /// What to do
    #[arg(value_name = "add|remove")]
    action: String,
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
    /// The list of mounts as JSON; - is standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
# tare mounts add --type bind --source /srv/data --destination /data --options ro,nosuid box
# tare mounts add box mounts.json
# echo '[{\"destination\": \"/cache\", \"type\": \"tmpfs\"}]' | tare mounts add box -
# tare mounts remove --destination /data box";

impl Command for Mounts {
    const NAME: &'static str = "mounts";
    const ABOUT: &'static str = "add mounts to a running container, or remove some";
    const COUNT: Count = Count { min: 2, max: 3 };

    fn run(self, context: &Context) -> Outcome {
        let add = match self.action.as_str() {
            "add" => true,
            "remove" => false,
            other => {
                return Err(Failure::new(format!(
                    "unknown command \"{other}\": use add or remove"
                )));
            }
        };
        let container = context.container(&self.id)?;
        let mounts = self.mounts()?;
        if add {
            context.log.notices(&container.add_mounts(&mounts)?);
            return Ok(0);
        }
        let places: Vec<PathBuf> = mounts.iter().map(|mount| mount.destination().clone()).collect();
        container.remove_mounts(&places)?;
        Ok(0)
    }
}

impl Mounts {
    fn mounts(&self) -> Result<Vec<Mount>, Failure> {
        let by_option = self.source.is_some() || self.r#type.is_some() || !self.options.is_empty();
        match (&self.file, &self.destination) {
            (Some(file), None) if !by_option => mounts_from_json(&input::read_or_stdin(file)?)
                .map_err(|error| Failure::from(error).context(file.display())),
            (Some(_), _) => {
                Err(Failure::new("a FILE and options for one mount exclude each other"))
            }
            (None, Some(destination)) => self.one(destination),
            (None, None) => Err(Failure::new("give a FILE with mounts, or --destination")),
        }
    }

    /// The list with the one mount that the options describe.
    fn one(&self, destination: &Path) -> Result<Vec<Mount>, Failure> {
        let options: Vec<&str> = self.options.iter().flat_map(|it| it.split(',')).collect();
        let is_bind = self.r#type.as_deref() == Some("bind")
            || options.iter().any(|option| matches!(*option, "bind" | "rbind"));
        let mut mount = json!({"destination": destination, "options": options});
        if let Some(kind) = &self.r#type {
            mount["type"] = json!(kind);
        }
        if let Some(source) = &self.source {
            // Relative to here, where it was typed.
            let place = if is_bind { std::path::absolute(source) } else { Ok(source.clone()) };
            let place = place.map_err(|error| Failure::file("getcwd", source, &error))?;
            mount["source"] = json!(place);
        }
        Ok(mounts_from_json(json!([mount]).to_string().as_bytes())?)
    }
}
