//! `--trace`: how long each phase of a command took.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::process::Done;
use crate::{check, check_eq, family};

family!("trace":
    run_has_all_phases,
    create_and_start_share_the_work,
    exec_has_its_phases,
    failed_command_leaves_its_trace,
    filter_that_forbids_the_clock_is_no_hindrance,
    time_namespace_does_not_change_the_clock,
    traced_container_starts_without_a_trace,
    file_that_cannot_be_written_is_told_of_before_anything_is_done,
);

/// The commands of a test, each with a trace file of its own.
struct Traced<'c> {
    ctx: &'c Context,
    file: PathBuf,
}

/// One thing that took time, in nanoseconds.
#[derive(Debug, Clone)]
struct Span {
    name: String,
    category: String,
    lane: u64,
    begin: i64,
    end: i64,
}

/// The numbers of the file, microseconds since 1970, have room for a quarter of one.
const ROUNDING: i64 = 1000;
const MILLISECOND: i64 = 1_000_000;

impl<'c> Traced<'c> {
    fn new(ctx: &'c Context) -> Self {
        Self { ctx, file: ctx.dir.join(format!("trace{}", ctx.number())) }
    }

    fn done(&self, args: &[&str]) -> Outcome<Done> {
        self.ctx.done(&[&["--trace", &self.file.to_string_lossy()], args].concat())
    }

    fn run(&self, c: &Container<'_>) -> Outcome<Done> {
        self.done(&["run", "--bundle", &c.dir.to_string_lossy(), &c.id])
    }

    /// What the file holds: it must be whole, and each span within those around it.
    fn spans(&self) -> Outcome<Vec<Span>> {
        let file: Value = serde_json::from_str(&fs::read_to_string(&self.file)?)?;
        let events = file["traceEvents"].as_array().cloned().unwrap_or_default();
        let spans: Vec<Span> =
            events.iter().filter(|event| event["ph"] == "X").map(span).collect::<Outcome<_>>()?;
        check!(!spans.is_empty(), "nothing in {file}");
        for (at, one) in spans.iter().enumerate() {
            check!(one.end >= one.begin, "{one:?}");
            for other in spans[at + 1..].iter().filter(|other| other.lane == one.lane) {
                let apart = other.begin >= one.end - ROUNDING;
                let within = other.end <= one.end + ROUNDING;
                check!(apart || within, "{one:?} and {other:?} cross");
            }
        }
        Ok(spans)
    }
}

fn span(event: &Value) -> Outcome<Span> {
    let number = |member: &str| -> Outcome<i64> {
        let number = event[member].as_f64().ok_or(Stop::fail(format!("{event}")))?;
        Ok((number * 1000.0).round() as i64)
    };
    let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
    Ok(Span {
        name: text("name"),
        category: text("cat"),
        lane: event["tid"].as_u64().unwrap_or(0),
        begin: number("ts")?,
        end: number("ts")? + number("dur")?,
    })
}

fn of<'s>(spans: &'s [Span], category: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.category == category).collect()
}

fn one<'s>(spans: &'s [Span], category: &str) -> Outcome<&'s Span> {
    match of(spans, category)[..] {
        [one] => Ok(one),
        ref all => Err(Stop::fail(format!("{} spans of {category}", all.len()))),
    }
}

fn length(span: &Span) -> i64 {
    span.end - span.begin
}

fn hook(ctx: &Context) -> Value {
    json!([{"path": ctx.busybox, "args": ["sleep", "0.1"]}])
}

fn run_has_all_phases(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .set("/hooks/createRuntime", hook(ctx))
        .set("/hooks/createContainer", hook(ctx))
        .set("/hooks/poststart", hook(ctx))
        .payload(&["sleep", "50"])
        .container()?;
    let traced = Traced::new(ctx);
    traced.run(&c)?.ok()?;
    let spans = traced.spans()?;
    let command = one(&spans, "command")?;
    check_eq!(command.name, "tare run", "name of the whole");
    for category in ["parse", "plan", "execute", "clone", "start", "process"] {
        let phase = one(&spans, category)?;
        check!(command.begin <= phase.begin && phase.end <= command.end, "{phase:?}");
    }
    check!(!of(&spans, "cgroup").is_empty(), "nothing of cgroups");
    // Those of the runtime namespace, and one that init runs.
    let hooks = of(&spans, "hook");
    check_eq!(hooks.len(), 3, "hooks");
    for hook in hooks {
        check!((90 * MILLISECOND..10_000 * MILLISECOND).contains(&length(hook)), "{hook:?}");
    }
    let process = length(one(&spans, "process")?);
    check!(process < 10_000 * MILLISECOND, "the process took {process}");
    sums_up(&spans)
}

/// The steps of the host side make up most of what carrying out took, and those of init all of it
/// from its first to its last.
fn sums_up(spans: &[Span]) -> Outcome {
    let whole = one(spans, "execute")?;
    let steps = |span: &&&Span| {
        matches!(span.category.as_str(), "host" | "cgroup" | "clone" | "hook" | "wait")
            && span.lane == whole.lane
            && span.begin >= whole.begin
            && span.end <= whole.end
    };
    let sum: i64 = spans.iter().collect::<Vec<_>>().iter().filter(steps).map(|it| length(it)).sum();
    let share = sum as f64 / length(whole) as f64;
    check!((0.5..1.01).contains(&share), "steps are {share} of {whole:?}");
    let init: Vec<&Span> = spans.iter().filter(|span| span.lane != whole.lane).collect();
    check!(init.len() > 20, "{} operations of init", init.len());
    let (first, last) = (init[0], init[init.len() - 1]);
    let sum: i64 = init.iter().map(|span| length(span)).sum();
    let all = last.end - first.begin;
    check!(
        (sum - all).abs() < all / 20 + MILLISECOND / 10,
        "operations of init sum to {sum} of {all}"
    );
    let clone = one(spans, "clone")?;
    check!(first.begin >= clone.begin - ROUNDING, "init began before it was cloned: {first:?}");
    check!(init.iter().any(|span| span.name.contains("pivot_root")), "no pivot_root");
    Ok(())
}

fn create_and_start_share_the_work(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?
        .set("/hooks/startContainer", json!([{"path": "/bin/busybox", "args": ["sleep", "0.1"]}]))
        .payload(&["sleep", "60000"])
        .container()?;
    let traced = Traced::new(ctx);
    let dir = c.dir.to_string_lossy();
    let pid_file = c.pid_file();
    let args = ["create", "--bundle", &dir, "--pid-file", &pid_file.to_string_lossy(), &c.id];
    traced.done(&args)?.ok()?;
    let spans = traced.spans()?;
    sums_up(&spans)?;
    check!(of(&spans, "hook").is_empty(), "the hook ran in create");
    let start = Traced::new(ctx);
    start.done(&["start", &c.id])?.ok()?;
    let spans = start.spans()?;
    let phase = one(&spans, "start")?;
    let hook = one(&spans, "hook")?;
    check!(length(hook) >= 90 * MILLISECOND && hook.lane != phase.lane, "{hook:?}");
    check!(length(phase) >= length(hook), "{phase:?} and {hook:?}");
    check!(one(&spans, "command")?.name == "tare start", "{spans:?}");
    Ok(())
}

fn exec_has_its_phases(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let traced = Traced::new(ctx);
    traced.done(&["exec", &c.id, "/bin/payload", "true"])?.ok()?;
    let spans = traced.spans()?;
    for category in ["plan", "execute", "clone", "start", "process"] {
        one(&spans, category)?;
    }
    check!(of(&spans, "init").len() > 3, "{spans:?}");
    Ok(())
}

fn failed_command_leaves_its_trace(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.bind("/not/there".as_ref(), "/mnt", &["bind"]).container()?;
    let traced = Traced::new(ctx);
    traced.run(&c)?.exits(1)?.says(&["/not/there"])?;
    let spans = traced.spans()?;
    for category in ["command", "parse", "plan", "execute"] {
        one(&spans, category)?;
    }
    let c = Bundle::new(ctx)?.args(&["/not/a/program"]).container()?;
    let traced = Traced::new(ctx);
    traced.run(&c)?.exits(1)?;
    check!(of(&traced.spans()?, "init").len() > 20, "operations of init are missing");
    let traced = Traced::new(ctx);
    traced.done(&["state", "nobody"])?.exits(1)?;
    one(&traced.spans()?, "command").map(drop)
}

fn filter_that_forbids_the_clock_is_no_hindrance(ctx: &Context) -> Outcome {
    let filter = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["clock_gettime", "sendmsg"], "action": "SCMP_ACT_KILL_PROCESS"}],
    });
    for privileges in [true, false] {
        let c = Bundle::new(ctx)?
            .set("/linux/seccomp", filter.clone())
            .set("/process/noNewPrivileges", json!(privileges))
            .args(&["/bin/busybox", "true"])
            .container()?;
        let traced = Traced::new(ctx);
        traced.run(&c)?.ok()?;
        check!(of(&traced.spans()?, "init").len() > 20, "operations of init are missing");
    }
    Ok(())
}

fn time_namespace_does_not_change_the_clock(ctx: &Context) -> Outcome {
    if !std::path::Path::new("/proc/self/ns/time").exists() {
        return Err(Stop::skip("no time namespaces here"));
    }
    let c = Bundle::new(ctx)?
        .namespace("time", None)
        .set("/linux/timeOffsets", json!({"monotonic": {"secs": 100_000}}))
        .payload(&["true"])
        .container()?;
    let traced = Traced::new(ctx);
    traced.run(&c)?.ok()?;
    let spans = traced.spans()?;
    let command = one(&spans, "command")?;
    for span in of(&spans, "init") {
        let inside = span.begin >= command.begin && span.end <= command.end + ROUNDING;
        check!(inside, "{span:?} outside of {command:?}");
    }
    sums_up(&spans)
}

fn traced_container_starts_without_a_trace(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    let traced = Traced::new(ctx);
    let (dir, pid_file) = (c.dir.to_string_lossy(), c.pid_file());
    let args = ["create", "--bundle", &dir, "--pid-file", &pid_file.to_string_lossy(), &c.id];
    traced.done(&args)?.ok()?;
    c.start()?;
    c.has_status("running")
}

fn file_that_cannot_be_written_is_told_of_before_anything_is_done(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    let args = ["--trace", "/not/there/trace", "create", "--bundle"];
    let dir = c.dir.to_string_lossy();
    let done = ctx.done(&[&args[..], &[&dir, &c.id]].concat())?;
    done.exits(1)?.says(&["open /not/there/trace: no such file or directory"])?;
    check_eq!(c.verb("state")?.code, 1, "exit code of state: there is a container");
    Ok(())
}
