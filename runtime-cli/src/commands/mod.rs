//! The commands: one file each, a table of them, and the way from the words of
//! the command line to one of them.

mod checkpoint;
mod create;
mod criu;
mod delete;
mod doctor;
mod events;
mod exec;
mod features;
mod help;
mod input;
mod kill;
mod list;
mod matching;
mod mounts;
mod pause;
mod plan;
mod ps;
mod restore;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod update;

use std::ffi::OsString;
use std::io::Write;

use runtime_core::{Container, Runtime, Trace};

use crate::args::{self, Count, Globals, Order, Request};
use crate::failure::{Failure, Outcome};
use crate::logging::{Format, Log};
#[cfg(test)]
use crate::pages::Page;
use crate::trace_file::TraceFile;
use crate::version;

/// A command of the command line: its options are the fields of its clap parser.
pub(crate) trait Command: clap::Parser {
    const NAME: &'static str;
    /// What it is for, in a few words.
    const ABOUT: &'static str;
    const COUNT: Count;
    const ORDER: Order = Order::Anywhere;

    /// Does what the command is for; the result is the exit code.
    fn run(self, context: &Context) -> Outcome;
}

/// What all commands get to know.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) globals: Globals,
    pub(crate) log: Log,
    /// How long what is done takes, where that is asked for.
    pub(crate) trace: Option<Trace>,
}

impl Context {
    /// The library, set up as the global options say.
    pub(crate) fn runtime(&self) -> Result<Runtime, Failure> {
        let driver = self.globals.cgroup_driver()?;
        let runtime = Runtime::new(self.globals.root()?).cgroup_driver(driver);
        Ok(match &self.trace {
            Some(trace) => runtime.trace(trace.clone()),
            None => runtime,
        })
    }

    /// The container `id`, which what is logged from now on is about.
    pub(crate) fn container(&self, id: &str) -> Result<Container, Failure> {
        self.log.about(id);
        Ok(self.runtime()?.container(id)?)
    }

    /// Does `work`, a phase that is no part of the library's.
    pub(crate) fn phase<T>(&self, category: &'static str, work: impl FnOnce() -> T) -> T {
        match &self.trace {
            Some(trace) => trace.time(category, category, work),
            None => work(),
        }
    }
}

/// A line of the table of commands. Only the parser of the command that runs is
/// ever built: building all of them would cost every call.
struct Entry {
    name: &'static str,
    about: &'static str,
    call: fn(&Context, Vec<String>) -> Outcome,
    #[cfg(test)]
    page: fn(&'static str, &'static str) -> Page,
}

const fn entry<T: Command>() -> Entry {
    Entry {
        name: T::NAME,
        about: T::ABOUT,
        call: call::<T>,
        #[cfg(test)]
        page: args::page::<T>,
    }
}

const TABLE: &[Entry] = &[
    entry::<checkpoint::Checkpoint>(),
    entry::<create::Create>(),
    entry::<delete::Delete>(),
    entry::<doctor::Doctor>(),
    entry::<events::Events>(),
    entry::<exec::Exec>(),
    entry::<features::Features>(),
    entry::<kill::Kill>(),
    entry::<list::List>(),
    entry::<mounts::Mounts>(),
    entry::<pause::Pause>(),
    entry::<plan::Plan>(),
    entry::<ps::Ps>(),
    entry::<restore::Restore>(),
    entry::<resume::Resume>(),
    entry::<run::Run>(),
    entry::<spec::Spec>(),
    entry::<start::Start>(),
    entry::<state::State>(),
    entry::<update::Update>(),
];

/// Does what `args` (without the name of the program) ask for and tells of its
/// failure; the result is the exit code.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> u8 {
    let mut context = Context::default();
    let outcome = dispatch(&mut context, args).inspect(|_| context.log.success());
    outcome.unwrap_or_else(|failure| {
        if let Some(usage) = &failure.usage {
            // The failure itself is what the user must hear of.
            drop(print(usage));
        }
        match context.globals.error_format() {
            Ok(Format::Json) => context.log.failure_as_json(&failure),
            _ => context.log.failure(&failure),
        }
        failure.code
    })
}

fn dispatch(context: &mut Context, args: impl Iterator<Item = OsString>) -> Outcome {
    let args: Vec<OsString> = args.collect();
    let (globals, request) = match globals(&args) {
        Ok(read) => read,
        Err(failure) => {
            context.globals = Globals::after_fault(&args);
            return Err(failure);
        }
    };
    let (name, rest) = match request {
        Request::Help => return print(&help::program()),
        Request::Version => return print(&version::text()),
        Request::Command(name, rest) => (name, rest),
    };
    context.globals = globals;
    context.globals.error_format()?;
    let Globals { log, debug, .. } = &context.globals;
    context.log = Log::open(log.as_deref(), context.globals.log_format()?, *debug)?;
    context.log.debug(|| format!("tare {} {name} {rest:?}", version::VERSION));
    if let "help" | "h" = name.as_str() {
        return help::run(rest);
    }
    let command = find(&name)?;
    let Some(file) = context.globals.trace.clone() else { return (command.call)(context, rest) };
    // Made before anything happens: what cannot be written is told of while nothing is done.
    let mut file = TraceFile::create(&file)?;
    let trace = context.trace.insert(Trace::new()).clone();
    let outcome = trace.time("command", &format!("tare {name}"), || (command.call)(context, rest));
    if let Err(failure) = file.write(&trace) {
        // What the command did is what its exit code tells of.
        context.log.warning(&format!("writing the trace: {}", failure.message));
    }
    outcome
}

/// The global options, and what they are asked to go with.
fn globals(args: &[OsString]) -> Result<(Globals, Request), Failure> {
    let text = |arg: &OsString| match arg.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Failure::new(format!("argument {arg:?} is not UTF-8"))),
    };
    let args = args.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    Globals::parse(args.into_iter()).map_err(|message| {
        let usage = format!("Incorrect Usage. {message}\n\n{}", help::program());
        Failure::usage(message, usage)
    })
}

fn find(name: &str) -> Result<&'static Entry, Failure> {
    // runc's exit code for this, and its words.
    const NO_SUCH_COMMAND: u8 = 3;
    let entry = TABLE.iter().find(|entry| entry.name == name);
    entry.ok_or_else(|| Failure::new(format!("No help topic for '{name}'")).code(NO_SUCH_COMMAND))
}

fn call<T: Command>(context: &Context, args: Vec<String>) -> Outcome {
    match args::parse::<T>(T::NAME, T::ABOUT, args, T::ORDER, T::COUNT) {
        Ok(command) => command.run(context),
        Err(Ok(help)) => print(&help),
        Err(Err(failure)) => Err(failure),
    }
}

/// Writes `text` to stdout as it is.
pub(crate) fn print(text: &str) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::file("write", "/dev/stdout".as_ref(), &error))?;
    Ok(0)
}

/// The pages of the program and of all commands.
#[cfg(test)]
pub(crate) fn pages() -> Vec<Page> {
    let commands = TABLE.iter().map(|entry| (entry.page)(entry.name, entry.about));
    [help::program_page()].into_iter().chain(commands).chain([help::page()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_commands_is_in_order_and_names_each_once() {
        assert!(TABLE.is_sorted_by(|one, next| one.name < next.name));
    }
}
