//! `cri [--socket PATH] [--timeout SECONDS] [--get POINTER]… METHOD [REQUEST]`: calls a method of the
//! Container Runtime Interface, such as `RunPodSandbox`.
//!
//! The request is a JSON object with the field names of `src/cri/api.proto`, `-` for one on stdin. The
//! answer is printed likewise; with `--get` what stands at these JSON pointers, a line each, text as it
//! is.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use integration::cri;
use integration::outcome::{Outcome, Stop};
use serde_json::Value;

const USAGE: &str =
    "usage: cri [--socket PATH] [--timeout SECONDS] [--get POINTER]... METHOD [REQUEST|-]";

struct Options {
    socket: PathBuf,
    limit: Duration,
    pointers: Vec<String>,
    method: String,
    request: Value,
}

fn main() -> ExitCode {
    match options().and_then(|options| call(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Fail(message) | Stop::Skip(message)) => {
            eprintln!("cri: {message}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Outcome<Options> {
    let mut options = Options {
        socket: PathBuf::from("/run/containerd/containerd.sock"),
        limit: Duration::from_secs(120),
        pointers: Vec::new(),
        method: String::new(),
        request: Value::Object(serde_json::Map::new()),
    };
    let mut words = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Stop::fail(format!("{arg} needs a value")));
        match arg.as_str() {
            "--socket" => options.socket = value()?.into(),
            "--timeout" => options.limit = Duration::from_secs(value()?.parse()?),
            "--get" => options.pointers.push(value()?),
            _ => words.push(arg),
        }
    }
    let request = match words.as_slice() {
        [_] => None,
        [_, request] if request == "-" => Some(read_stdin()?),
        [_, request] => Some(request.clone()),
        _ => return Err(Stop::fail(USAGE)),
    };
    options.method.clone_from(&words[0]);
    if let Some(request) = request {
        options.request = serde_json::from_str(&request)
            .map_err(|error| Stop::fail(format!("the request is no JSON: {error}")))?;
    }
    Ok(options)
}

fn read_stdin() -> Outcome<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn call(options: &Options) -> Outcome {
    let reply = cri::call(&options.socket, &options.method, &options.request, options.limit)?;
    if options.pointers.is_empty() {
        println!("{reply:#}");
    }
    for pointer in &options.pointers {
        match reply.pointer(pointer) {
            Some(Value::String(text)) => println!("{text}"),
            Some(value) => println!("{value}"),
            None => return Err(Stop::fail(format!("the answer has no {pointer}: {reply:#}"))),
        }
    }
    Ok(())
}
