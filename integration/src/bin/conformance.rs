//! `conformance fields [OPTION …] [FILTER …]`: tries the fields of config.json, one after the other.
//!
//! `conformance runtime-tools --checkout DIR [OPTION …] [FILTER …]`: runs the validation programs of
//! the OCI runtime-tools.
//!
//! `conformance all --checkout DIR --markdown FILE [OPTION …]`: both, for the document.
//!
//! Options: `--runtime PATH`, again for each column of the table (the first defaults to the variable
//! RUNTIME, then to `tare` beside this program); `--layout host|v1|v2`, which `fields` takes several
//! times, and `--layout all` for the machine's own and v2. The default is v1 where v1 is mounted, which
//! suits every runtime. `--markdown FILE` writes the tables into a document, between the comments that
//! name the table and the machine's cgroup version, such as `fields-v1`. For `runtime-tools` also
//! `--propagation private|slave|shared` and `--deadline SECONDS` for each program. A filter picks the
//! rows whose name holds it.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use integration::answers::Column;
use integration::context::{Kind, Layout};
use integration::document::{self, Runtime};
use integration::fields::{self, Table};
use integration::host;
use integration::outcome::{Outcome, Stop};
use integration::runner::Counts;
use integration::runtime_tools::{self, Checkout};

/// What the command line asks for.
#[derive(Default)]
struct Options {
    runtimes: Vec<PathBuf>,
    checkout: Option<PathBuf>,
    layouts: Vec<String>,
    propagation: Option<String>,
    deadline: Option<u64>,
    markdown: Option<PathBuf>,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Stop::Fail(message) | Stop::Skip(message)) => {
            eprintln!("conformance: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<bool> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    match command.as_str() {
        "fields" => try_fields(&options(args)?),
        "runtime-tools" => validate(&options(args)?),
        "all" => {
            let options = options(args)?;
            let fields = try_fields(&options)?;
            Ok(validate(&options)? && fields)
        }
        "answers" => answer(&args.collect::<Vec<_>>()),
        "inside" => inside(&args.collect::<Vec<_>>()).map(|never| match never {}),
        _ => Err(Stop::fail(format!(
            "{command:?}: no such command; there are fields, runtime-tools and all"
        ))),
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Stop::fail(format!("{arg} needs a value")));
        match arg.as_str() {
            "--runtime" => options.runtimes.push(value()?.into()),
            "--checkout" => options.checkout = Some(value()?.into()),
            "--layout" => options.layouts.push(value()?),
            "--propagation" => options.propagation = Some(value()?),
            "--deadline" => options.deadline = Some(value()?.parse()?),
            "--markdown" => options.markdown = Some(value()?.into()),
            flag if flag.starts_with('-') => {
                return Err(Stop::fail(format!("{flag}: no such option")));
            }
            _ => options.filters.push(arg),
        }
    }
    if options.runtimes.is_empty() {
        let beside = std::env::current_exe()?.with_file_name("tare");
        options.runtimes.push(std::env::var_os("RUNTIME").map_or(beside, PathBuf::from));
    }
    Ok(options)
}

impl Options {
    /// Writes a table where the command line asks for it, or prints it.
    fn write(&self, name: &str, table: &str) -> Outcome {
        match &self.markdown {
            Some(file) => document::write(file, &format!("{name}-{}", document::cgroups()), table),
            None => Ok(()),
        }
    }
}

/// Every runtime in every layout is a column, tried by a process of its own.
fn try_fields(options: &Options) -> Outcome<bool> {
    let layouts = host::layouts(&options.layouts);
    let names = fields::names();
    let mut table = Table { columns: Vec::new() };
    for runtime in &options.runtimes {
        let runtime = Runtime::new(runtime, &std::env::temp_dir())?;
        for layout in &layouts {
            let title = match layouts.len() {
                1 => runtime.name.clone(),
                _ => format!("{}, {layout}", runtime.name),
            };
            let strict = runtime.kind == Kind::Tare;
            let (rows, path) = (names.len(), &runtime.path);
            let column = Column::ask(title, strict, rows, layout, path, &options.filters)?;
            column.print(names.iter().map(String::as_str));
            table.columns.push(column);
        }
    }
    options.write("fields", &table.markdown())?;
    let mut counts = Counts::default();
    for column in table.columns.iter().filter(|c| c.strict) {
        counts.add(&column.counts().to_string());
    }
    println!("fields: {counts}");
    Ok(counts.failed == 0)
}

/// `answers LAYOUT RUNTIME FILTER …`: tries the rows with one runtime and prints its answers.
fn answer(args: &[String]) -> Outcome<bool> {
    let [layout, runtime, filters @ ..] = args else {
        return Err(Stop::fail("answers needs a layout and a runtime"));
    };
    print!("{}", fields::answers(Path::new(runtime), Layout::named(layout)?, filters)?);
    Ok(true)
}

fn validate(options: &Options) -> Outcome<bool> {
    let dir = options.checkout.as_ref().ok_or_else(|| Stop::fail("--checkout DIR is missing"))?;
    let checkout = Checkout {
        dir: std::fs::canonicalize(dir)?,
        layout: host::layouts(&options.layouts).remove(0),
        propagation: options.propagation.clone().unwrap_or_else(|| "private".to_owned()),
        deadline: Duration::from_secs(options.deadline.unwrap_or(90)),
    };
    let files = std::env::temp_dir().join(format!("tare-conformance-{}", std::process::id()));
    std::fs::create_dir_all(&files)?;
    let ran = runtime_tools::run(&checkout, &options.runtimes, &options.filters, &files);
    std::fs::remove_dir_all(&files)?;
    let (table, complaints) = ran?;
    options.write("runtime-tools", &table)?;
    complaints.iter().for_each(|complaint| println!("WRONG {complaint}"));
    Ok(complaints.is_empty())
}

/// `inside LAYOUT PROPAGATION PROGRAM`: becomes the program in a mount namespace of its own.
fn inside(args: &[String]) -> Outcome<Infallible> {
    let [layout, propagation, program] = args else {
        return Err(Stop::fail("inside needs a layout, a propagation and a program"));
    };
    host::enter_mounts(Layout::named(layout)?, propagation)?;
    Err(Command::new(program).exec().into())
}
