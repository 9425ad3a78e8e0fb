//! `tare events`: what a container uses, and when its memory runs out.

mod prometheus;

use std::time::Duration;

use runtime_core::{Container, Event, Stats, Status};
use serde::Serialize;

use super::{Command, Context, print};
use crate::args::Count;
use crate::duration;
use crate::failure::{Failure, Outcome};

/// Show what a container uses at each interval, and when its memory runs out, until it
/// stops.
#[derive(Debug, clap::Parser)]
#[command(after_help = EXAMPLES)]
pub(super) struct Events {
    /// Time between two reports, such as 500ms or 1m30s
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    interval: String,
    /// Show what the container uses now, and nothing else
    #[arg(long)]
    stats: bool,
    /// The form of the output: an object a line, or the text format of Prometheus
    #[arg(long, value_name = "json|prometheus", default_value = "json")]
    format: String,
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
}

const EXAMPLES: &str = "\
# tare events --interval 1s box
# tare events --stats --format prometheus box";

impl Command for Events {
    const NAME: &'static str = "events";
    const ABOUT: &'static str = "show what a container uses, and when memory runs out";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        let format = Format::parse(&self.format)?;
        let interval = interval(&self.interval)?;
        let container = context.container(&self.id)?;
        if interval.is_zero() {
            return Err(Failure::new("duration interval must be greater than 0"));
        }
        if !self.stats {
            return follow(context, &container, interval, format);
        }
        if matches!(container.status()?, Status::Stopped | Status::Creating) {
            return Err(Failure::new(format!("container with id {} is not running", self.id)));
        }
        print(&format.stats(&self.id, &container.stats()?, 0)?)
    }
}

/// Until the container stops. A report that fails is told of, and the next may do better.
fn follow(context: &Context, container: &Container, interval: Duration, format: Format) -> Outcome {
    let id = container.id();
    let mut ooms = 0;
    for event in container.events(interval)? {
        let text = match event {
            Ok(Event::Oom) => {
                ooms += 1;
                format.oom(id)?
            }
            Ok(Event::Stats(stats)) => format.stats(id, &stats, ooms)?,
            Ok(_) => continue,
            Err(error) => {
                context.log.warning(&error.to_string());
                continue;
            }
        };
        print(&text)?;
    }
    Ok(0)
}

fn interval(text: &str) -> Result<Duration, Failure> {
    let invalid = || format!("invalid value \"{text}\" for flag -interval: parse error");
    duration::parse(text).ok_or_else(|| Failure::new(invalid()))
}

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Prometheus,
}

/// A line of JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Stats>,
}

impl Format {
    fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "json" => Ok(Self::Json),
            "prometheus" => Ok(Self::Prometheus),
            _ => Err(Failure::new("invalid format option")),
        }
    }

    /// `ooms` is how often memory ran out while we watched.
    fn stats(self, id: &str, stats: &Stats, ooms: u64) -> Result<String, Failure> {
        match self {
            Self::Json => json(&Line { kind: "stats", id, data: Some(stats) }),
            Self::Prometheus => Ok(prometheus::text(id, stats, ooms)),
        }
    }

    /// In the text format of Prometheus it is a counter of the next report.
    fn oom(self, id: &str) -> Result<String, Failure> {
        match self {
            Self::Json => json(&Line { kind: "oom", id, data: None }),
            Self::Prometheus => Ok(String::new()),
        }
    }
}

fn json(line: &Line<'_>) -> Result<String, Failure> {
    let text = serde_json::to_string(line).map_err(|error| Failure::new(error.to_string()))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_report_has_the_members_that_runc_always_writes() {
        let line = Format::Json.stats("c", &Stats::default(), 0).unwrap();
        let cpuset = r#"{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0}"#;
        let all = format!(
            r#"{{"type":"stats","id":"c","data":{{"cpu":{{}},"cpuset":{cpuset},"memory":{{}},"pids":{{}},"blkio":{{}},"hugetlb":{{}},"intel_rdt":{{}},"network_interfaces":null}}}}"#
        );
        assert_eq!(line, all + "\n");
        assert_eq!(Format::Json.oom("c").unwrap(), "{\"type\":\"oom\",\"id\":\"c\"}\n");
    }
}
