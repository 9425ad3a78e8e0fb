//! `contract [OPTION …] [FILTER …]`: tries what engines take for granted of a runtime.
//!
//! Options: `--runtime PATH`, again for each column of the table (the first defaults to the variable
//! RUNTIME, then to `tare` beside this program); `--layout host|v1|v2`, again for each, or `all` for
//! the machine's own and v2, by default v1 where v1 is mounted, which suits every runtime;
//! `--own` leaves out the rows that a test of the suite proves, for where the suite has just run;
//! `--write FILE` writes the table into a document, between the comments that name it and the
//! machine's cgroup version. `--save FILE` adds the answers to a file, from which a later call with
//! `--from FILE`, again for each, makes the same table, be it on another machine. `--check FILE` tries nothing and looks whether the document has the rows
//! of today. A filter picks the rows whose promise, engine or group holds it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use integration::answers::Column;
use integration::context::{Kind, Layout};
use integration::contract::{self, Table};
use integration::document::{self, Runtime};
use integration::host;
use integration::outcome::{Outcome, Stop};
use integration::runner::Counts;

/// What the command line asks for.
#[derive(Default)]
struct Options {
    runtimes: Vec<PathBuf>,
    layouts: Vec<String>,
    write: Option<PathBuf>,
    check: Option<PathBuf>,
    save: Option<PathBuf>,
    from: Vec<PathBuf>,
    own: bool,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Stop::Fail(message) | Stop::Skip(message)) => {
            eprintln!("contract: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<bool> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [command, layout, runtime, filters @ ..] = &args[..]
        && command == "answers"
    {
        let (own, filters) = match filters {
            [first, rest @ ..] if first == "--own" => (true, rest),
            all => (false, all),
        };
        let layout = Layout::named(layout)?;
        print!("{}", contract::answers(Path::new(runtime), layout, own, filters)?);
        return Ok(true);
    }
    let options = options(args.into_iter())?;
    if let Some(file) = &options.check {
        contract::check(file)?;
        return Ok(true);
    }
    try_rows(&options)
}

fn options(mut args: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Stop::fail(format!("{arg} needs a value")));
        match arg.as_str() {
            "--runtime" => options.runtimes.push(value()?.into()),
            "--layout" => options.layouts.push(value()?),
            "--write" => options.write = Some(value()?.into()),
            "--save" => options.save = Some(value()?.into()),
            "--from" => options.from.push(value()?.into()),
            "--own" => options.own = true,
            "--check" => options.check = Some(value()?.into()),
            flag if flag.starts_with('-') => {
                return Err(Stop::fail(format!("{flag}: no such option")));
            }
            _ => options.filters.push(arg),
        }
    }
    if options.runtimes.is_empty() && options.from.is_empty() {
        let beside = std::env::current_exe()?.with_file_name("tare");
        options.runtimes.push(std::env::var_os("RUNTIME").map_or(beside, PathBuf::from));
    }
    Ok(options)
}

/// Every runtime in every layout is a column, tried by a process of its own.
fn try_rows(options: &Options) -> Outcome<bool> {
    let names = contract::names();
    let layouts = host::layouts(&options.layouts);
    let own = options.own.then(|| "--own".to_owned());
    let filters: Vec<String> = own.into_iter().chain(options.filters.iter().cloned()).collect();
    let mut table = Table { columns: Vec::new(), surroundings: document::surroundings() };
    let mut cgroups = document::cgroups().to_owned();
    for file in &options.from {
        let text = fs::read_to_string(file)?;
        Column::saved(&text, &names, &mut table.columns)?;
        if let Some((version, line)) = text.lines().next().and_then(|line| line.split_once(": ")) {
            version.clone_into(&mut cgroups);
            table.surroundings = format!("{line}\n");
        }
    }
    for runtime in &options.runtimes {
        let runtime = Runtime::new(runtime, &std::env::temp_dir())?;
        for layout in &layouts {
            let title = match layouts.len() {
                1 => runtime.name.clone(),
                _ => format!("{}, {layout}", runtime.name),
            };
            let strict = runtime.kind == Kind::Tare;
            let (rows, path) = (names.len(), &runtime.path);
            let column = Column::ask(title, strict, rows, layout, path, &filters)?;
            column.print(names.iter().copied());
            table.columns.push(column);
        }
    }
    if let Some(file) = &options.save {
        save(file, &table, &names)?;
    }
    if let Some(file) = &options.write {
        document::write(file, &format!("contract-{cgroups}"), &table.markdown())?;
    }
    let mut counts = Counts::default();
    for column in table.columns.iter().filter(|c| c.strict) {
        counts.add(&column.counts().to_string());
    }
    println!("contract: {counts}");
    Ok(counts.failed == 0)
}

/// Adds the answers to a file that says first where they were given.
fn save(file: &Path, table: &Table, names: &[&str]) -> Outcome {
    let mut text = String::new();
    if !file.exists() {
        text = format!("{}: {}", document::cgroups(), table.surroundings);
    }
    table.columns.iter().for_each(|column| text += &column.save(names));
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    Ok(file.write_all(text.as_bytes())?)
}
