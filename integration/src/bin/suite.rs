//! `suite [--runtime PATH] [--layout host|v1|v2|all] [FILTER …]`: runs the integration tests.
//!
//! `--runtime` defaults to the variable RUNTIME, then to `tare` beside this program. `all`, the
//! default, runs the host's layout and then v2 in a mount namespace of its own. A filter picks the
//! tests whose name holds it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use integration::context::{Layout, Suite};
use integration::families::ALL;
use integration::outcome::{Outcome, Stop};
use integration::{host, runner};

/// What the command line asks for.
struct Options {
    runtime: PathBuf,
    layout: Option<Layout>,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| match options.layout {
        Some(layout) => run(&options, layout),
        None => run_all(&options),
    }) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Stop::Fail(message) | Stop::Skip(message)) => {
            eprintln!("suite: {message}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Outcome<Options> {
    let beside = std::env::current_exe()?.with_file_name("tare");
    let runtime = std::env::var_os("RUNTIME").map_or(beside, PathBuf::from);
    let mut options = Options { runtime, layout: None, filters: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Stop::fail(format!("{arg} needs a value")));
        match arg.as_str() {
            "--runtime" => options.runtime = PathBuf::from(value()?),
            "--layout" => options.layout = layout(&value()?)?,
            _ => options.filters.push(arg),
        }
    }
    Ok(options)
}

fn layout(name: &str) -> Outcome<Option<Layout>> {
    if name == "all" { Ok(None) } else { Layout::named(name).map(Some) }
}

/// One layout after the other, each in a process of its own.
fn run_all(options: &Options) -> Outcome<bool> {
    let crun = options.runtime.file_name().is_some_and(|n| n == "crun");
    // Debian's crun takes a hybrid layout for v2 and fails, and on v2 it raises a limit first.
    let first = if crun { "v1" } else { "host" };
    let v2_too = !crun || host::has_capability(caps::Capability::CAP_SYS_RESOURCE);
    let layouts: &[&str] = match (host::has_v1(), v2_too) {
        (true, true) => &[first, "v2"],
        (true, false) => &[first],
        (false, _) => &["v2"],
    };
    let mut all_passed = true;
    let mut counts = runner::Counts::default();
    for layout in layouts {
        let mut args = vec!["--runtime".to_owned(), path(&options.runtime), "--layout".to_owned()];
        args.push((*layout).to_owned());
        args.extend(options.filters.clone());
        let (code, last) = host::again(&args)?;
        all_passed &= code == 0;
        counts.add(&last);
    }
    println!("all layouts: {counts}");
    Ok(all_passed)
}

fn run(options: &Options, layout: Layout) -> Outcome<bool> {
    host::enter(layout)?;
    host::adopt_orphans()?;
    let suite = Suite::new(&options.runtime, layout)?;
    println!("{} with cgroups as {layout:?}", suite.runtime.display());
    let counts = runner::run(&suite, ALL, &options.filters)?;
    println!("{counts}");
    Ok(counts.failed == 0)
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
