//! `tare update`: other limits for a container.

use std::path::PathBuf;

use runtime_core::{Container, Update as Change, resources_from_json};
use serde_json::{Map, Value, json};

use super::{Command, Context, input, print};
use crate::args::Count;
use crate::failure::{Failure, Outcome};
use crate::size;

/// Change limits of a running container. Those not named stay as they are.
#[derive(Debug, clap::Parser)]
#[command(after_help = EXAMPLES)]
pub(super) struct Update {
    /// Read the limits from this file, or from standard input if it is -, as they would
    /// stand in config.json under linux.resources; all other options are overlooked
    #[arg(short, long, value_name = "FILE")]
    resources: Option<PathBuf>,
    /// Weight of block I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<String>,
    /// Period of the CPU quota, in microseconds
    #[arg(long, value_name = "USEC")]
    cpu_period: Option<String>,
    /// CPU time in each period, in microseconds; -1 for no limit
    #[arg(long, value_name = "USEC")]
    cpu_quota: Option<String>,
    /// CPU time that may be saved up for a burst, in microseconds
    #[arg(long, value_name = "USEC")]
    cpu_burst: Option<String>,
    /// Weight of CPU time, relative to others
    #[arg(long, value_name = "SHARES")]
    cpu_share: Option<String>,
    /// Period of the real-time quota, in microseconds
    #[arg(long, value_name = "USEC")]
    cpu_rt_period: Option<String>,
    /// Real-time CPU time in each period, in microseconds
    #[arg(long, value_name = "USEC")]
    cpu_rt_runtime: Option<String>,
    /// The CPUs to use, such as 0-3,7
    #[arg(long, value_name = "CPUS")]
    cpuset_cpus: Option<String>,
    /// The memory nodes to use, such as 0-1
    #[arg(long, value_name = "NODES")]
    cpuset_mems: Option<String>,
    /// 1 to run only when no other wants the CPU, 0 for normal
    #[arg(long, value_name = "0|1")]
    cpu_idle: Option<String>,
    /// Memory, in bytes or with k, m, g; -1 for no limit
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Memory that is left to the container when the host runs short
    #[arg(long, value_name = "SIZE")]
    memory_reservation: Option<String>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, value_name = "SIZE")]
    memory_swap: Option<String>,
    // No kernel has these any more; scripts still pass them.
    #[arg(long, hide = true)]
    kernel_memory: Option<String>,
    #[arg(long, hide = true)]
    kernel_memory_tcp: Option<String>,
    /// Processes and threads; -1 for no limit
    #[arg(long, value_name = "N")]
    pids_limit: Option<String>,
    /// A line of resctrl's schemata for the L3 cache
    #[arg(long, value_name = "SCHEMA")]
    l3_cache_schema: Option<String>,
    /// A line of resctrl's schemata for memory bandwidth
    #[arg(long, value_name = "SCHEMA")]
    mem_bw_schema: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
}

const EXAMPLES: &str = "\
# tare update --memory 512m --pids-limit 100 box
# tare update --dry-run --resources limits.json box
# echo '{\"cpu\": {\"quota\": 50000, \"period\": 100000}}' | tare update --resources - box";

impl Command for Update {
    const NAME: &'static str = "update";
    const ABOUT: &'static str = "change limits of a container";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        let container = context.container(&self.id)?;
        let change = self.change(context)?;
        if self.dry_run {
            return show(&container, &change);
        }
        context.log.notices(&container.update(&change)?);
        Ok(0)
    }
}

impl Update {
    fn change(&self, context: &Context) -> Result<Change, Failure> {
        let bytes = match &self.resources {
            Some(path) => input::read_or_stdin(path)?,
            None => {
                self.warn_of_kernel_memory(context);
                Value::Object(self.limits()?).to_string().into_bytes()
            }
        };
        Ok(Change {
            resources: resources_from_json(&bytes).map_err(|error| match &self.resources {
                Some(path) => Failure::from(error).context(path.display()),
                None => error.into(),
            })?,
            l3_cache_schema: self.l3_cache_schema.clone(),
            mem_bw_schema: self.mem_bw_schema.clone(),
        })
    }

    /// The options as they would stand in config.json.
    fn limits(&self) -> Result<Map<String, Value>, Failure> {
        let mut limits = Map::new();
        let mut add = |object: &str, member: &str, value: Value| {
            limits.entry(object).or_insert_with(|| json!({}))[member] = value;
        };
        let whole: [(&str, &Option<String>, &str, &str); 9] = [
            ("blkio-weight", &self.blkio_weight, "blockIO", "weight"),
            ("cpu-period", &self.cpu_period, "cpu", "period"),
            ("cpu-quota", &self.cpu_quota, "cpu", "quota"),
            ("cpu-burst", &self.cpu_burst, "cpu", "burst"),
            ("cpu-share", &self.cpu_share, "cpu", "shares"),
            ("cpu-rt-period", &self.cpu_rt_period, "cpu", "realtimePeriod"),
            ("cpu-rt-runtime", &self.cpu_rt_runtime, "cpu", "realtimeRuntime"),
            ("cpu-idle", &self.cpu_idle, "cpu", "idle"),
            ("pids-limit", &self.pids_limit, "pids", "limit"),
        ];
        for (option, value, object, member) in whole {
            let Some(text) = value else { continue };
            let number: i64 = text.parse().map_err(|_| invalid(option, text, "a whole number"))?;
            add(object, member, number.into());
        }
        let sizes: [(&str, &Option<String>, &str); 3] = [
            ("memory", &self.memory, "limit"),
            ("memory-reservation", &self.memory_reservation, "reservation"),
            ("memory-swap", &self.memory_swap, "swap"),
        ];
        for (option, value, member) in sizes {
            let Some(text) = value else { continue };
            let what = "a size such as 67108864, 64m or 1.5g, or -1";
            let bytes = size::parse(text).ok_or_else(|| invalid(option, text, what))?;
            add("memory", member, bytes.into());
        }
        let lists = [(&self.cpuset_cpus, "cpus"), (&self.cpuset_mems, "mems")];
        for (value, member) in lists {
            if let Some(list) = value {
                add("cpu", member, list.as_str().into());
            }
        }
        Ok(limits)
    }

    fn warn_of_kernel_memory(&self, context: &Context) {
        if self.kernel_memory.is_some() || self.kernel_memory_tcp.is_some() {
            context.log.warning("Kernel memory settings are ignored and will be removed");
        }
    }
}

fn invalid(option: &str, text: &str, what: &str) -> Failure {
    Failure::new(format!("invalid value for {option}: {text:?} is not {what}"))
}

/// One line a file.
fn show(container: &Container, change: &Change) -> Outcome {
    let mut text = String::new();
    for change in container.preview_update(change)? {
        let line = match change.now == change.then {
            true => format!("  {}: {}", change.file.display(), change.now),
            false => format!("* {}: {} -> {}", change.file.display(), change.now, change.then),
        };
        text.push_str(&line);
        text.push('\n');
    }
    print(&text)
}
