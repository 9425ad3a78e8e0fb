//! What a container may cost, in counts and not in time: system calls and memory.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::{Context, Kind, Layout};
use crate::outcome::{Outcome, Stop};
use crate::process::Run;
use crate::{cgroups, check, check_eq, family};

family!("budget":
    system_calls_of_a_whole_run_stay_in_the_budget,
    runtime_stays_in_its_memory,
    waiting_init_stays_in_its_memory,
    half_a_megabyte_is_enough_for_true,
);

/// The budgets bind `tare`; for the others the figures are printed.
fn within(ctx: &Context, what: &str, got: u64, most: u64) -> Outcome {
    println!("      {what}: {got} (budget {most})");
    check!(ctx.kind != Kind::Tare || got <= most, "{what}: {got} is over the budget of {most}");
    Ok(())
}

/// The bundle that `spec` writes, with `/bin/true`.
fn true_bundle(ctx: &Context) -> Outcome<Bundle<'_>> {
    Ok(Bundle::new(ctx)?.args(&["/bin/true"]))
}

fn system_calls_of_a_whole_run_stay_in_the_budget(ctx: &Context) -> Outcome {
    let strace = Path::new("/usr/bin/strace");
    if !strace.exists() {
        return Err(Stop::skip("no strace"));
    }
    let c = true_bundle(ctx)?.container()?;
    let report = ctx.dir.join("strace");
    let (report_text, runtime) = (report.to_string_lossy(), ctx.runtime.to_string_lossy());
    let (root, bundle) = (ctx.root(), c.dir.to_string_lossy());
    let root = root.to_string_lossy();
    let args =
        ["-f", "-o", &report_text, &runtime, "--root", &root, "run", "--bundle", &bundle, &c.id];
    Run::new(strace, &args, &ctx.dir)?.ok()?;
    let text = fs::read_to_string(&report)?;
    let most = if ctx.layout == Layout::V2 { 350 } else { 450 };
    within(ctx, "system calls of a whole run", count(&text), most)?;
    if let Some(init) = init_of(&text) {
        let own = text.lines().skip_while(|l| !(l.starts_with(init) && l.contains("execveat(")));
        let own = own.filter(|l| l.starts_with(init)).take_while(|l| !l.contains(" execve("));
        let own: Vec<_> = own.collect();
        println!("      system calls of init: {}", count(&own.join("\n")));
    }
    Ok(())
}

/// Calls begun in a report of strace; what it says of signals and ends are none.
fn count(report: &str) -> u64 {
    let calls = report.lines().filter_map(|l| Some(l.split_once(' ')?.1.trim_start()));
    let calls = calls.filter(|call| !call.starts_with(['<', '-', '+']));
    calls.count() as u64
}

/// The process that became init, as the report numbers it.
fn init_of(report: &str) -> Option<&str> {
    report.lines().find(|l| l.contains("execveat("))?.split(' ').next()
}

/// Most of it is the program's file: around each page fault the kernel maps what of it the page cache
/// holds in the right pieces, 200 kB more or less from run to run. The least of a few runs is the
/// program's own doing.
fn runtime_stays_in_its_memory(ctx: &Context) -> Outcome {
    let c = true_bundle(ctx)?.container()?;
    let mut peaks = Vec::new();
    for _ in 0..5 {
        peaks.push(peak_of_run(ctx, &c)?);
    }
    println!("      peak resident memory of each run in kB: {peaks:?}");
    let least = peaks.into_iter().min().ok_or_else(|| Stop::fail("no run"))?;
    within(ctx, "peak resident memory of the runtime in kB", least, 2304)
}

fn peak_of_run(ctx: &Context, c: &Container<'_>) -> Outcome<u64> {
    let (runtime, root, bundle) =
        (ctx.runtime.to_string_lossy(), ctx.root(), c.dir.to_string_lossy());
    let root = root.to_string_lossy();
    let args = ["peak-memory", &runtime, "--root", &root, "run", "--bundle", &bundle, &c.id];
    let line = crate::bundle::parse_lines(&ctx.helper(&args)?.ok()?.stdout)?.remove(0);
    check_eq!(line["code"], json!(0), "exit code");
    line["peak"].as_u64().ok_or_else(|| Stop::fail("no peak"))
}

fn waiting_init_stays_in_its_memory(ctx: &Context) -> Outcome {
    let c = true_bundle(ctx)?.container()?;
    c.create()?;
    let status = fs::read_to_string(format!("/proc/{}/status", c.pid()?))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name));
        line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok())
    };
    let peak = field("VmHWM:").ok_or_else(|| Stop::fail("init has no memory"))?;
    within(ctx, "peak resident memory of waiting init in kB", peak, 300)?;
    let exe = fs::metadata(format!("/proc/{}/exe", c.pid()?))?;
    println!("      size of init's program: {} bytes", exe.len());
    Ok(())
}

fn half_a_megabyte_is_enough_for_true(ctx: &Context) -> Outcome {
    cgroups::needs(ctx.layout, "memory")?;
    let bundle = true_bundle(ctx)?.set("/linux/resources/memory", json!({"limit": 512 << 10}));
    let c = bundle.container()?;
    let run = c.run(&[])?;
    if ctx.kind != Kind::Tare {
        println!("      exit code {}", run.code);
        return Ok(());
    }
    check_eq!(run.ok()?.code, 0, "exit code");
    Ok(())
}
