//! `tare list`: all containers below the root.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use runtime_core::{Container, Error, State};

use super::ps::Format;
use super::{Command, Context, print};
use crate::args::Count;
use crate::failure::{Failure, Outcome};
use crate::{passwd, table};

/// An entry of the root: the name of a container, and the container if it could be read.
type Found = (String, Result<Container, Error>);

/// List the containers below the root.
#[derive(Debug, clap::Parser)]
pub(super) struct List {
    /// The form of the output
    #[arg(short, long, value_name = "table|json", default_value = "table")]
    format: String,
    /// Print the names of the containers only
    #[arg(short, long)]
    quiet: bool,
}

impl Command for List {
    const NAME: &'static str = "list";
    const ABOUT: &'static str = "list containers";
    const COUNT: Count = Count::NONE;

    fn run(self, context: &Context) -> Outcome {
        let containers = containers(context)?;
        if self.quiet {
            return print(&containers.iter().map(|(id, _)| format!("{id}\n")).collect::<String>());
        }
        let format = Format::parse(&self.format)?;
        let states = states(&context.globals.root()?, containers, context);
        match format {
            Format::Table => print(&table(&states)),
            Format::Json => print(&json(&states)?),
        }
    }
}

/// What is below the root, by name. A root that the user chose must be there.
fn containers(context: &Context) -> Result<Vec<Found>, Failure> {
    let runtime = context.runtime()?;
    if context.globals.has_root() {
        let root = runtime.root();
        root.metadata().map_err(|error| Failure::file("open", root, &error))?;
    }
    let mut containers = runtime.list()?;
    containers.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(containers)
}

/// The states of `containers`, with owners; what cannot be read is told of and left out.
fn states(root: &Path, containers: Vec<Found>, context: &Context) -> Vec<State> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut states = Vec::with_capacity(containers.len());
    for (id, container) in containers {
        match container.and_then(|container| container.state()) {
            Ok(mut state) => {
                let owner = root.join(&id).metadata().map(|metadata| metadata.uid());
                state.owner = owner.map(|uid| passwd::user_name(&passwd, uid)).unwrap_or_default();
                states.push(state);
            }
            Err(error) => context.log.warning(&format!("load container {id}: {error}")),
        }
    }
    states
}

fn table(states: &[State]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let row = |state: &State| {
        [
            state.id.clone(),
            state.pid.to_string(),
            state.status.to_string(),
            state.bundle.display().to_string(),
            state.created.clone(),
            state.owner.clone(),
        ]
    };
    let rows: Vec<_> = std::iter::once(header).chain(states.iter().map(row)).collect();
    table::render(&rows)
}

fn json(states: &[State]) -> Result<String, Failure> {
    // No container is "null", as a Go slice that nothing was put into.
    let states = (!states.is_empty()).then_some(states);
    let text = serde_json::to_string(&states).map_err(|error| Failure::new(error.to_string()))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_containers_are_null_in_json_and_a_header_in_a_table() {
        assert_eq!(json(&[]).unwrap(), "null\n");
        let header = "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n";
        assert_eq!(table(&[]), header);
    }
}
