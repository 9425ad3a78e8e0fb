//! `bench [--rounds N] [--layout v1|v2] [RUNTIME …]`: how long run, create+start+delete and exec
//! take, side by side.
//!
//! The runtimes take turns within each round, so that whatever else the machine does hits all of
//! them alike; medians and their ratios are printed. All of them work in a private mount namespace
//! with one cgroup version, because Debian's crun refuses a hybrid layout.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use integration::bundle::Bundle;
use integration::container::{Container, read_pid};
use integration::context::{Context, Layout, Suite};
use integration::host;
use integration::outcome::{Outcome, Stop};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

const CASES: [(&str, Case); 3] =
    [("run", run), ("create+start+delete", create_start_delete), ("exec", exec)];

/// Does a thing once and gives the time that it took.
type Case = fn(&Bench<'_>) -> Outcome<Duration>;

struct Options {
    rounds: u32,
    layout: Layout,
    runtimes: Vec<PathBuf>,
}

/// One runtime with its containers.
struct Bench<'c> {
    ctx: &'c Context,
    /// `/bin/true`, run again and again.
    short: Container<'c>,
    /// Runs all the while, for exec.
    long: Container<'c>,
}

fn main() -> ExitCode {
    match options().and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Fail(message) | Stop::Skip(message)) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Outcome<Options> {
    let layout = if host::has_v1() { Layout::V1 } else { Layout::V2 };
    let mut options = Options { rounds: 100, layout, runtimes: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Stop::fail(format!("{arg} needs a value")));
        match arg.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--layout" => {
                options.layout = if value()? == "v2" { Layout::V2 } else { Layout::V1 };
            }
            _ => options.runtimes.push(PathBuf::from(arg)),
        }
    }
    if options.runtimes.is_empty() {
        let tare = std::env::current_exe()?.with_file_name("tare");
        let all = [tare, "/usr/sbin/runc".into(), "/usr/bin/crun".into()];
        options.runtimes = all.into_iter().filter(|path| path.exists()).collect();
    }
    Ok(options)
}

fn measure(options: &Options) -> Outcome {
    host::enter(options.layout)?;
    host::adopt_orphans()?;
    let suites: Vec<Suite> = options
        .runtimes
        .iter()
        .map(|runtime| Suite::new(runtime, options.layout))
        .collect::<Outcome<_>>()?;
    let contexts: Vec<Context> =
        suites.iter().map(|s| Context::new(s, s.dir.join(name(s)))).collect::<Outcome<_>>()?;
    let benches: Vec<Bench<'_>> = contexts.iter().filter_map(prepare).collect();
    println!("cgroups as {:?}, {} rounds, milliseconds", options.layout, options.rounds);
    println!("{:<22}{:<8}{:>8}{:>10}{:>10}", "", "", "median", "quartiles", "");
    for (title, case) in CASES {
        let times = take_turns(&benches, case, options.rounds)?;
        print_case(title, &benches, times);
    }
    drop(benches);
    for ctx in &contexts {
        integration::cgroups::remove(ctx.layout, &ctx.cgroup);
    }
    Ok(())
}

fn name(suite: &Suite) -> String {
    file_name(&suite.runtime)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A runtime that cannot run the bundle on this machine is left out, and why is said.
fn prepare(ctx: &Context) -> Option<Bench<'_>> {
    let bench = || -> Outcome<Bench<'_>> {
        let short = Bundle::new(ctx)?.args(&["/bin/true"]).container()?;
        short.run(&[])?.ok()?;
        let long = Bundle::new(ctx)?.args(&["sleep", "100000"]).container()?;
        long.up()?;
        Ok(Bench { ctx, short, long })
    };
    match bench() {
        Ok(bench) => Some(bench),
        Err(Stop::Fail(message) | Stop::Skip(message)) => {
            println!("{} is left out: {message}", ctx.runtime.display());
            None
        }
    }
}

fn take_turns(benches: &[Bench<'_>], case: Case, rounds: u32) -> Outcome<Vec<Vec<Duration>>> {
    let mut times = vec![Vec::new(); benches.len()];
    for round in 0..=rounds {
        for (bench, times) in benches.iter().zip(&mut times) {
            let time = case(bench)?;
            // The first round fills caches.
            if round > 0 {
                times.push(time);
            }
        }
    }
    Ok(times)
}

fn print_case(title: &str, benches: &[Bench<'_>], mut times: Vec<Vec<Duration>>) {
    times.iter_mut().for_each(|t| t.sort_unstable());
    let quantile = |times: &[Duration], part: usize| {
        times.get((times.len() * part / 4).min(times.len() - 1)).map_or(0.0, Duration::as_secs_f64)
            * 1000.0
    };
    let first = quantile(&times[0], 2);
    for (bench, times) in benches.iter().zip(&times) {
        let (low, median, high) = (quantile(times, 1), quantile(times, 2), quantile(times, 3));
        let name = file_name(&bench.ctx.runtime);
        println!(
            "{title:<22}{name:<8}{median:>8.2}{low:>9.2} –{high:>8.2}   {:.2} × {}",
            median / first,
            file_name(&benches[0].ctx.runtime),
        );
    }
}

/// Runs the runtime; only success counts.
fn call(bench: &Bench<'_>, args: &[&str]) -> Outcome {
    let status = Command::new(&bench.ctx.runtime)
        .arg("--root")
        .arg(bench.ctx.root())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(Stop::fail(format!("{} {args:?}: {status}", bench.ctx.runtime.display())))
}

fn run(bench: &Bench<'_>) -> Outcome<Duration> {
    let dir = bench.short.dir.to_string_lossy();
    let begin = Instant::now();
    call(bench, &["run", "--bundle", &dir, &bench.short.id])?;
    Ok(begin.elapsed())
}

fn create_start_delete(bench: &Bench<'_>) -> Outcome<Duration> {
    let (dir, id) = (bench.short.dir.to_string_lossy(), &bench.short.id);
    let pid_file = bench.short.pid_file();
    let begin = Instant::now();
    call(bench, &["create", "--bundle", &dir, "--pid-file", &pid_file.to_string_lossy(), id])?;
    call(bench, &["start", id])?;
    let pid = read_pid(&pid_file).ok_or_else(|| Stop::fail("no pid file"))?;
    // The end of /bin/true, which this process is told of as an engine's shim would be.
    waitpid(Pid::from_raw(pid), None)?;
    call(bench, &["delete", id])?;
    Ok(begin.elapsed())
}

fn exec(bench: &Bench<'_>) -> Outcome<Duration> {
    let begin = Instant::now();
    call(bench, &["exec", &bench.long.id, "/bin/true"])?;
    Ok(begin.elapsed())
}
