//! `tare ps`: the processes of a container, as the host sees them.

use std::process::{Command as Program, Stdio};

use super::{Command, Context, print};
use crate::args::{Count, Order};
use crate::failure::{Failure, Outcome};

/// Show the processes of a container.
#[derive(Debug, clap::Parser)]
#[command(after_help = EXAMPLES)]
pub(super) struct Ps {
    /// The form of the output
    #[arg(short, long, value_name = "table|json", default_value = "table")]
    format: String,
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
    /// Options for the ps of the host, whose output the table is taken from [default: -ef]
    #[arg(value_name = "ps-options")]
    options: Vec<String>,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Json,
}

impl Format {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            _ => Err(Failure::new("invalid format option")),
        }
    }
}

const EXAMPLES: &str = "\
# tare ps box
# tare ps box -o pid,ppid,args
# tare ps --format json box";

impl Command for Ps {
    const NAME: &'static str = "ps";
    const ABOUT: &'static str = "show the processes of a container";
    const COUNT: Count = Count { min: 1, max: usize::MAX };
    const ORDER: Order = Order::BeforeOperands;

    fn run(self, context: &Context) -> Outcome {
        let pids = context.container(&self.id)?.processes()?;
        match Format::parse(&self.format)? {
            Format::Json => print(&json(&pids)?),
            Format::Table => print(&filter(&host_ps(self.options)?, &pids)?),
        }
    }
}

fn json(pids: &[i32]) -> Result<String, Failure> {
    // No process is "null", as a Go slice that nothing was put into.
    let pids = (!pids.is_empty()).then_some(pids);
    let text = serde_json::to_string(&pids).map_err(|error| Failure::new(error.to_string()))?;
    Ok(text + "\n")
}

/// What the host's own ps prints with `options`.
fn host_ps(mut options: Vec<String>) -> Result<String, Failure> {
    if options.is_empty() {
        options.push("-ef".to_owned());
    }
    let ran = Program::new("ps").args(options).stdin(Stdio::null()).output();
    let output = ran.map_err(|error| Failure::file("exec", "ps".as_ref(), &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("ps: {}: {}", output.status, complaint.trim())))
}

/// The header of `listing` and those of its lines that are about `pids`.
fn filter(listing: &str, pids: &[i32]) -> Result<String, Failure> {
    let mut lines = listing.lines();
    let header = lines.next().unwrap_or_default();
    let column = header.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| Failure::new("couldn't find PID field in ps output"))?;
    let mut text = format!("{header}\n");
    for line in lines.filter(|line| !line.is_empty()) {
        let field = line.split_whitespace().nth(column).unwrap_or_default();
        let pid = field.parse::<i32>();
        let pid = pid.map_err(|_| Failure::new(format!("unable to parse pid: {field:?}")))?;
        if pids.contains(&pid) {
            text += line;
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "UID   PID PPID CMD\nroot    1    0 init\nme     42    1 sleep 1\n";

    #[test]
    fn only_lines_about_the_container_are_kept() {
        assert_eq!(filter(LISTING, &[42]).unwrap(), "UID   PID PPID CMD\nme     42    1 sleep 1\n");
        assert_eq!(filter(LISTING, &[]).unwrap(), "UID   PID PPID CMD\n");
    }

    #[test]
    fn a_listing_without_pids_is_refused() {
        let message = filter("COMMAND\nsleep\n", &[42]).unwrap_err().message;
        assert_eq!(message, "couldn't find PID field in ps output");
    }

    #[test]
    fn pids_are_a_json_array_and_null_when_there_are_none() {
        assert_eq!(json(&[42, 43]).unwrap(), "[42,43]\n");
        assert_eq!(json(&[]).unwrap(), "null\n");
    }
}
