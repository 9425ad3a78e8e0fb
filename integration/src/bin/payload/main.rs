//! The program that tests run inside containers, and a few helpers they need outside.
//!
//! `payload CMD ARGS , CMD ARGS …` carries out the commands in order. Each that has something to
//! report prints one line of JSON, so a test reads facts and never parses prose.

#![no_main]

mod actions;
mod facts;
mod launch;
mod probe;
mod sys;

/// What the C library calls, by way of `sys`: std's own start would set SIGPIPE aside, and tests
/// want to see the signals as the runtime left them.
fn start() -> u8 {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let mut code = 0;
    // What launches another program leaves the rest of the line to it.
    let launchers = ["as-user", "ctty", "peak-memory", "with-binds", "with-fds"];
    let launches = args.first().is_some_and(|a| launchers.contains(&a.as_str()));
    for command in args.split(|a| a == "," && !launches) {
        let Some((name, rest)) = command.split_first() else { continue };
        match run(name, rest) {
            Ok(next) => code = next,
            Err(message) => {
                eprintln!("payload {name}: {message}");
                return 99;
            }
        }
    }
    code
}

/// Carries out one command; the last one's answer is the exit code.
fn run(name: &str, args: &[String]) -> Result<u8, String> {
    match name {
        "hello" => println!("{}", facts::hello()),
        "facts" => print(&facts::all()),
        "devices" => print(&facts::devices()),
        "tty" => print(&facts::tty()),
        "probe" => args.iter().for_each(|path| print(&probe::path(path))),
        "cat" => print(&probe::cat(arg(args, 0)?)),
        "put" => print(&probe::put(arg(args, 0)?, arg(args, 1)?)),
        "stdin" => print(&probe::stdin()),
        "mknod" => {
            let kind = args.get(3).map_or("c", String::as_str);
            print(&probe::mknod(arg(args, 0)?, kind, number(args, 1)?, number(args, 2)?));
        }
        "syscall" => print(&actions::syscall(&numbers(args)?)),
        "syscall-x86" => print(&actions::syscall_x86(&numbers(args)?)),
        "syscall-trapped" => print(&actions::syscall_trapped(number(args, 0)?)),
        "syscall-in-thread" => print(&actions::syscall_in_thread(number(args, 0)?)),
        "fork-until-refused" => print(&actions::fork_until_refused(number(args, 0)?)),
        "affinity" => print(&actions::affinity()),
        "burn" => actions::burn(number(args, 0)?),
        "hugepage" => print(&actions::hugepage()),
        "allocate" => print(&actions::allocate(number(args, 0)?)),
        "await-signal" => print(&actions::await_signal()),
        "await-resize" => print(&actions::await_resize()),
        "print-forever" => actions::print_forever(),
        "say" => println!("{}", args.join(" ")),
        "sleep" => std::thread::sleep(std::time::Duration::from_millis(number(args, 0)?)),
        "children" => actions::children(number(args, 0)?)?,
        "lock" => print(&actions::lock(arg(args, 0)?)),
        "raise" => actions::raise(number(args, 0)?),
        "spy" => print(&actions::spy(number(args, 0)?)),
        "notify" => print(&actions::notify(arg(args, 0)?)),
        "peak-memory" => print(&launch::peak_memory(args)?),
        "hook" => return launch::hook(args),
        "as-user" => return launch::as_user(args),
        "ctty" => return launch::with_controlling_terminal(args),
        "with-binds" => return launch::with_binds(args),
        "with-fds" => return launch::with_fds(args),
        "hold-namespaces" => launch::hold_namespaces(args)?,
        "true" => {}
        "exit" => {
            return u8::try_from(number(args, 0)?).map_err(|e| e.to_string());
        }
        _ => return Err("unknown command".to_owned()),
    }
    Ok(0)
}

fn print(value: &serde_json::Value) {
    println!("{value}");
}

fn arg(args: &[String], index: usize) -> Result<&str, String> {
    args.get(index).map(String::as_str).ok_or_else(|| format!("argument {index} is missing"))
}

fn number(args: &[String], index: usize) -> Result<u64, String> {
    parse(arg(args, index)?)
}

fn numbers(args: &[String]) -> Result<Vec<u64>, String> {
    args.iter().map(|a| parse(a)).collect()
}

/// A decimal number; a negative one is taken as its two's complement.
fn parse(text: &str) -> Result<u64, String> {
    text.parse::<u64>()
        .or_else(|_| text.parse::<i64>().map(i64::cast_unsigned))
        .map_err(|e| format!("{text}: {e}"))
}
