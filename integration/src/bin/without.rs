//! `without MISSING … -- PROGRAM [ARG …]`: runs a program on what looks like an older kernel, see
//! [`Missing::named`]. What the program starts sees the same.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use integration::missing::{Missing, take_away};
use integration::outcome::{Outcome, Stop};

fn main() -> ExitCode {
    let Err(Stop::Fail(message) | Stop::Skip(message)) = become_program();
    eprintln!("without: {message}");
    ExitCode::FAILURE
}

fn become_program() -> Outcome<std::convert::Infallible> {
    let mut args = std::env::args().skip(1);
    let words = args.by_ref().take_while(|word| word != "--");
    let missing = words.map(|word| Missing::named(&word)).collect::<Outcome<Vec<_>>>()?;
    let program = args.next().ok_or_else(|| Stop::fail("no program is given after --"))?;
    take_away(&missing)?;
    Err(Command::new(program).args(args).exec().into())
}
