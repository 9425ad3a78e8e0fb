//! Every command with wrong flags, values, files, and containers in the wrong state: a clear line,
//! the exit code of runc, and the container as it was.

use std::fs;

use nix::sys::stat::Mode;
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::{Context, Kind};
use crate::outcome::{Outcome, Stop};
use crate::process::Done;
use crate::{check, check_eq, family};

family!("misuse":
    numbers_of_arguments,
    flags_that_are_unknown_or_have_no_value,
    containers_that_do_not_exist_or_cannot,
    values_of_create_and_run,
    values_of_exec,
    documents_of_exec,
    values_of_kill_and_delete,
    values_of_ps_list_and_events,
    values_of_update,
    documents_of_update,
    values_of_spec,
    containers_that_run,
    containers_that_wait_for_start,
    containers_that_are_paused,
    containers_that_have_stopped,
);

/// Words of a call, where ID is the container; what it exits with, and phrases of which it must
/// say one.
type Row<'a> = (&'a [&'a str], i32, &'a [&'a str]);

/// What `exec` exits with when nothing was executed.
const NOT_RUN: i32 = 255;

/// A container that runs.
fn running(ctx: &Context) -> Outcome<Container<'_>> {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    Ok(c)
}

/// What must not change.
fn picture(c: &Container<'_>) -> Outcome<Value> {
    let state = c.state()?;
    Ok(json!([state["status"], state["pid"]]))
}

fn call(ctx: &Context, id: &str, words: &[&str]) -> Outcome<Done> {
    let words: Vec<&str> =
        words.iter().map(|word| if *word == "ID" { id } else { *word }).collect();
    ctx.done(&words)
}

/// Each call must be refused and change nothing.
fn refused(ctx: &Context, c: &Container<'_>, rows: &[Row<'_>]) -> Outcome {
    let before = picture(c)?;
    for (words, code, phrases) in rows {
        let done = call(ctx, &c.id, words)?.exits(*code)?.says(phrases)?;
        if ctx.kind == Kind::Tare {
            done.in_one_line()?;
        }
        check_eq!(picture(c)?, before, "state after {words:?}");
    }
    Ok(())
}

/// The same without a container.
fn refused_alone(ctx: &Context, rows: &[Row<'_>]) -> Outcome {
    for (words, code, phrases) in rows {
        let done = call(ctx, "nobody", words)?.exits(*code)?.says(phrases)?;
        if ctx.kind == Kind::Tare {
            done.in_one_line()?;
        }
    }
    Ok(())
}

fn numbers_of_arguments(ctx: &Context) -> Outcome {
    const EXACTLY: &str = "requires exactly 1 argument(s)";
    for verb in ["create", "run", "start", "state", "pause", "resume", "delete", "events", "update"]
    {
        refused_alone(ctx, &[(&[verb], 1, &[EXACTLY]), (&[verb, "a", "b"], 1, &[EXACTLY])])?;
    }
    refused_alone(
        ctx,
        &[
            (&["kill"], 1, &["requires a minimum of 1 argument(s)"]),
            (&["kill", "a", "b", "c"], 1, &["requires a maximum of 2 argument(s)"]),
            (&["ps"], 1, &["requires a minimum of 1 argument(s)"]),
            (&["exec"], 1, &["requires a minimum of 1 argument(s)"]),
            (&["list", "a"], 1, &["requires exactly 0 argument(s)"]),
            (&["spec", "a"], 1, &["requires exactly 0 argument(s)"]),
            (&["levitate"], 3, &["No help topic for 'levitate'"]),
            (&["help", "levitate"], 3, &["No help topic for 'levitate'"]),
        ],
    )
}

fn flags_that_are_unknown_or_have_no_value(ctx: &Context) -> Outcome {
    let verbs = [
        "create", "run", "start", "state", "pause", "resume", "delete", "events", "update", "kill",
        "ps", "exec", "list", "spec",
    ];
    for verb in verbs {
        for flag in ["--bogus", "-bogus", "--bogus=1"] {
            let row: Row<'_> = (&[verb, flag, "x"], 1, &["flag provided but not defined: -bogus"]);
            refused_alone(ctx, &[row])?;
        }
    }
    for (verb, flag) in [
        ("create", "-b"),
        ("create", "--bundle"),
        ("create", "--console-socket"),
        ("create", "--pid-file"),
        ("create", "--preserve-fds"),
        ("run", "--bundle"),
        ("exec", "--cwd"),
        ("exec", "--env"),
        ("exec", "-e"),
        ("exec", "--user"),
        ("exec", "--process"),
        ("exec", "--apparmor"),
        ("exec", "--process-label"),
        ("exec", "--cap"),
        ("exec", "--cgroup"),
        ("exec", "--preserve-fds"),
        ("exec", "--additional-gids"),
        ("exec", "--pid-file"),
        ("ps", "--format"),
        ("list", "--format"),
        ("events", "--interval"),
        ("update", "--resources"),
        ("update", "--memory"),
        ("update", "--pids-limit"),
        ("spec", "--bundle"),
    ] {
        let words = format!("flag needs an argument: -{}", flag.trim_start_matches('-'));
        refused_alone(ctx, &[(&[verb, flag], 1, &[&words])])?;
    }
    for (verb, flag) in [
        ("create", "--no-pivot"),
        ("run", "--detach"),
        ("exec", "--tty"),
        ("delete", "--force"),
        ("list", "--quiet"),
        ("events", "--stats"),
        ("kill", "--all"),
        ("spec", "--rootless"),
    ] {
        let given = format!("{flag}=maybe");
        let words =
            format!("invalid boolean value \"maybe\" for -{}", flag.trim_start_matches('-'));
        let escaped = words.replace('"', "\\\"");
        refused_alone(ctx, &[(&[verb, &given, "x"], 1, &[&words, &escaped])])?;
    }
    Ok(())
}

fn containers_that_do_not_exist_or_cannot(ctx: &Context) -> Outcome {
    const NONE: &[&str] = &["container does not exist"];
    for verb in ["start", "state", "pause", "resume", "delete", "kill", "ps", "events", "update"] {
        refused_alone(ctx, &[(&[verb, "ID"], 1, NONE)])?;
        for id in ["a/b", "..", "a b", "ä"] {
            refused_alone(ctx, &[(&[verb, id], 1, &["invalid container ID format"])])?;
        }
        refused_alone(ctx, &[(&[verb, ""], 1, &["container id cannot be empty", "id"])])?;
    }
    refused_alone(
        ctx,
        &[
            (&["exec", "ID", "true"], NOT_RUN, NONE),
            (&["exec", "a/b", "true"], NOT_RUN, &["invalid container ID format"]),
            (&["kill", "ID", "FOO"], 1, NONE),
        ],
    )?;
    // Not there is what it was to become.
    ctx.ok(&["delete", "--force", "nobody"]).map(drop)
}

fn values_of_create_and_run(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    let spare = Bundle::new(ctx)?.container()?;
    let (bundle, file) = (spare.dir.to_string_lossy(), ctx.dir.join("file"));
    fs::write(&file, "")?;
    let file = file.to_string_lossy();
    for verb in ["create", "run"] {
        let with =
            |flags: &[&'static str]| [&[verb, "--bundle", &bundle], flags, &["other"]].concat();
        let pid_file = with(&["--pid-file", "/not/there/pid"]);
        let fds = with(&["--preserve-fds", "x"]);
        let many = with(&["--preserve-fds", "500"]);
        let socket = with(&["--console-socket", "/not/there"]);
        refused(
            ctx,
            &c,
            &[
                (
                    &[verb, "--bundle", &bundle, "ID"],
                    1,
                    &["container with given ID already exists", "exists"],
                ),
                (&[verb, "--bundle", "/not/there", "other"], 1, &["no such file or directory"]),
                (&[verb, "--bundle", &file, "other"], 1, &["not a directory"]),
                (&[verb, "--bundle", &bundle, "a/b"], 1, &["invalid container ID format"]),
                (&pid_file, 1, &["no such file or directory"]),
                (
                    &fds,
                    1,
                    &["invalid value \"x\" for flag -preserve-fds", "invalid value \\\"x\\\" for"],
                ),
                (&many, 1, &["unable to stat preserved-fd"]),
                (&socket, 1, &["cannot use console socket"]),
            ],
        )?;
        check!(!ctx.root().join("other").exists(), "{verb} left something");
    }
    Ok(())
}

fn values_of_exec(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    let rows: &[Row<'_>] = &[
        (&["exec", "ID"], NOT_RUN, &["args cannot be empty"]),
        (&["exec", "--user", "x", "ID", "true"], NOT_RUN, &["parsing x as int for uid failed"]),
        (&["exec", "--user", "1x", "ID", "true"], NOT_RUN, &["parsing 1x as int for uid failed"]),
        (&["exec", "--user", "1:x", "ID", "true"], NOT_RUN, &["parsing x as int for gid failed"]),
        (&["exec", "--additional-gids", "x", "ID", "true"], 1, &["flag -additional-gids"]),
        (
            &["exec", "--preserve-fds", "500", "ID", "true"],
            NOT_RUN,
            &["unable to stat preserved-fd"],
        ),
        (&["exec", "--cwd", "bin", "ID", "true"], NOT_RUN, &["absolute path", "must be absolute"]),
        (
            &["exec", "--cwd", "/not/there", "ID", "/bin/true"],
            NOT_RUN,
            &["no such file or directory"],
        ),
        (&["exec", "--tty", "--detach", "ID", "true"], NOT_RUN, &["cannot allocate tty if"]),
        (
            &["exec", "--console-socket", "/s", "ID", "true"],
            NOT_RUN,
            &["cannot use console socket if"],
        ),
        (
            &["exec", "--cgroup", "../../x", "ID", "true"],
            NOT_RUN,
            &["bad sub cgroup path", "not a sub cgroup"],
        ),
        (
            &["exec", "--cgroup", "none", "ID", "/bin/true"],
            NOT_RUN,
            &["no such file or directory", "not known"],
        ),
        (
            &["exec", "--pid-file", "/not/there/p", "ID", "/bin/true"],
            NOT_RUN,
            &["no such file or directory"],
        ),
        (&["exec", "ID", "nowhere"], NOT_RUN, &["executable file not found in $PATH"]),
        (&["exec", "ID", "/not/there"], NOT_RUN, &["no such file or directory"]),
        (&["exec", "ID", "/etc/passwd"], NOT_RUN, &["permission denied"]),
        (&["exec", "ID", "/etc"], NOT_RUN, &["permission denied"]),
        (
            &["exec", "--process-label", "nonsense", "ID", "/bin/true"],
            NOT_RUN,
            &["label", "selinux"],
        ),
    ];
    refused(ctx, &c, rows)
}

fn documents_of_exec(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    let file = |name: &str, text: &str| -> Outcome<String> {
        let path = ctx.dir.join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let good = json!({"args": ["/bin/true"], "cwd": "/"});
    let with = |name: &str, value: Value| {
        let mut document = good.clone();
        document[name] = value;
        document.to_string()
    };
    for (text, phrases) in [
        (String::new(), &["EOF", "not valid JSON"][..]),
        ("{".to_owned(), &["EOF", "not valid JSON"]),
        (good.to_string()[..20].to_owned(), &["EOF", "not valid JSON"]),
        ("[]".to_owned(), &["object", "cannot unmarshal"]),
        ("x".to_owned(), &["invalid character", "not valid JSON"]),
        (with("args", json!([])), &["args"]),
        (with("args", json!("true")), &["args"]),
        (with("cwd", json!("bin")), &["absolute path", "must be absolute"]),
        (with("cwd", json!("")), &["cwd", "must not be empty"]),
        (with("user", json!({"uid": "root"})), &["uid"]),
        (with("user", json!({"uid": -1})), &["uid"]),
        (with("env", json!({"A": "b"})), &["env"]),
        (with("terminal", json!("yes")), &["terminal"]),
        (with("rlimits", json!([{"type": "RLIMIT_X", "soft": 1, "hard": 1}])), &["RLIMIT_X"]),
    ] {
        let path = file("process.json", &text)?;
        let row: Row<'_> = (&["exec", "--process", &path, "ID"], NOT_RUN, phrases);
        let done = refused(ctx, &c, &[row]);
        done.map_err(|stop| Stop::fail(format!("{text}: {stop:?}")))?;
    }
    let dir = ctx.dir.to_string_lossy();
    refused(
        ctx,
        &c,
        &[
            (&["exec", "--process", "/not/there", "ID"], NOT_RUN, &["no such file or directory"]),
            (&["exec", "--process", &dir, "ID"], NOT_RUN, &["is a directory"]),
        ],
    )?;
    if ctx.kind == Kind::Tare {
        let path = file("process.json", &with("oomScoreAdj", json!(5000)))?;
        let row: Row<'_> = (&["exec", "--process", &path, "ID"], NOT_RUN, &["oomScoreAdj"]);
        refused(ctx, &c, &[row])?;
        let pipe = ctx.dir.join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU)?;
        let pipe = pipe.to_string_lossy();
        refused(ctx, &c, &[(&["exec", "--process", &pipe, "ID"], NOT_RUN, &["not valid JSON"])])?;
    }
    Ok(())
}

fn values_of_kill_and_delete(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    refused(
        ctx,
        &c,
        &[
            (&["kill", "ID", "FOO"], 1, &["unknown signal"]),
            (&["kill", "ID", "SIGSIGKILL"], 1, &["unknown signal"]),
            (&["kill", "ID", "9x"], 1, &["unknown signal"]),
            (&["kill", "ID", "65"], 1, &["invalid argument", "unknown signal"]),
            (&["kill", "--bogus", "ID"], 1, &["flag provided but not defined"]),
            (&["delete", "ID"], 1, &["that is not stopped: running"]),
            (&["delete", "--force=no", "ID"], 1, &["invalid boolean value"]),
        ],
    )?;
    if ctx.kind == Kind::Tare {
        refused(
            ctx,
            &c,
            &[
                (&["kill", "--regex", "", "KILL"], 1, &["empty regular expression"]),
                (&["kill", "--regex", "(", "KILL"], 1, &["invalid regular expression"]),
                (&["delete", "--regex", "(", "--force"], 1, &["invalid regular expression"]),
                (&["kill", "ID", "-1"], 1, &["unknown signal", "invalid argument"]),
            ],
        )?;
    }
    Ok(())
}

fn values_of_ps_list_and_events(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    refused(
        ctx,
        &c,
        &[
            (&["ps", "--format", "xml", "ID"], 1, &["invalid format option"]),
            (&["ps", "ID", "--no-such-option-of-ps"], 1, &["exit status"]),
            (&["ps", "ID", "-o", "comm"], 1, &["couldn't find PID field in ps output"]),
            (&["list", "--format", "xml"], 1, &["invalid format option"]),
            (&["events", "--interval", "x", "ID"], 1, &["for flag -interval: parse error"]),
            (&["events", "--interval", "5", "ID"], 1, &["for flag -interval: parse error"]),
            (
                &["events", "--interval", "0s", "ID"],
                1,
                &["duration interval must be greater than 0"],
            ),
            (
                &["events", "--interval", "-1s", "ID"],
                1,
                &["duration interval must be greater than 0", "parse error"],
            ),
        ],
    )?;
    if ctx.kind == Kind::Tare {
        refused(ctx, &c, &[(&["events", "--format", "x", "ID"], 1, &["invalid format option"])])?;
    }
    Ok(())
}

fn values_of_update(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    for flag in [
        "cpu-period",
        "cpu-quota",
        "cpu-burst",
        "cpu-share",
        "cpu-rt-period",
        "cpu-rt-runtime",
        "cpu-idle",
        "memory",
        "memory-reservation",
        "memory-swap",
    ] {
        if ctx.kind == Kind::Runc && matches!(flag, "cpu-burst" | "cpu-idle") {
            continue;
        }
        for value in ["x", "1.5.5", "--"] {
            let given = format!("--{flag}={value}");
            refused(
                ctx,
                &c,
                &[(&["update", &given, "ID"], 1, &[&format!("invalid value for {flag}")])],
            )?;
        }
    }
    for flag in ["--blkio-weight=x", "--pids-limit=x"] {
        refused(ctx, &c, &[(&["update", flag, "ID"], 1, &["invalid value"])])?;
    }
    refused(
        ctx,
        &c,
        &[
            (
                &["update", "--cpuset-cpus", "100000", "ID"],
                1,
                &["cpuset", "invalid argument", "out of range"],
            ),
            (&["update", "--cpuset-cpus", "x", "ID"], 1, &["cpuset", "invalid argument"]),
            (&["update", "--l3-cache-schema", "L3:0=f", "ID"], 1, &["Intel RDT"]),
            (&["update", "--mem-bw-schema", "MB:0=20", "ID"], 1, &["Intel RDT"]),
        ],
    )
}

fn documents_of_update(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    let path = ctx.dir.join("resources.json");
    let name = path.to_string_lossy();
    for (text, phrases) in [
        (&b""[..], &["EOF", "not valid JSON"][..]),
        (b"{", &["EOF", "not valid JSON"]),
        (b"{\"memory\": {\"limit\": 335", &["EOF", "not valid JSON"]),
        (b"x", &["invalid character", "not valid JSON"]),
        (b"\x00\xff\x00", &["invalid character", "not valid JSON"]),
        (b"[]", &["object", "cannot unmarshal"]),
        (b"{\"memory\": []}", &["object", "cannot unmarshal"]),
        (b"{\"memory\": {\"limit\": \"1G\"}}", &["limit"]),
        (b"{\"cpu\": {\"shares\": -1}}", &["shares"]),
        (b"{\"pids\": {\"limit\": 1.5}}", &["limit"]),
    ] {
        fs::write(&path, text)?;
        let done = refused(ctx, &c, &[(&["update", "--resources", &name, "ID"], 1, phrases)]);
        done.map_err(|stop| Stop::fail(format!("{}: {stop:?}", String::from_utf8_lossy(text))))?;
        let done = ctx
            .cmd(&["update", "--resources", "-", &c.id])?
            .stdin(fs::File::open(&path)?)
            .done()?;
        done.exits(1)?.says(phrases)?;
    }
    let dir = ctx.dir.to_string_lossy();
    refused(
        ctx,
        &c,
        &[
            (&["update", "--resources", "/not/there", "ID"], 1, &["no such file or directory"]),
            (&["update", "--resources", &dir, "ID"], 1, &["is a directory"]),
            (&["update", "--resources", "-", "ID"], 1, &["EOF", "not valid JSON"]),
        ],
    )
}

fn values_of_spec(ctx: &Context) -> Outcome {
    let dir = ctx.dir.join("spec");
    fs::create_dir(&dir)?;
    let name = dir.to_string_lossy();
    fs::write(dir.join("config.json"), "mine")?;
    refused_alone(
        ctx,
        &[
            (&["spec", "--bundle", &name], 1, &["File config.json exists. Remove it first"]),
            (&["spec", "--bundle", "/not/there"], 1, &["no such file or directory"]),
        ],
    )?;
    check_eq!(fs::read_to_string(dir.join("config.json"))?, "mine", "the file that was there");
    Ok(())
}

fn containers_that_run(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    refused(
        ctx,
        &c,
        &[
            (&["start", "ID"], 1, &["cannot start an already running container"]),
            (&["resume", "ID"], 1, &["container not paused"]),
            (&["delete", "ID"], 1, &["cannot delete container"]),
        ],
    )
}

fn containers_that_wait_for_start(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.create()?;
    refused(
        ctx,
        &c,
        &[
            (&["resume", "ID"], 1, &["container not paused"]),
            (&["kill", "ID", "FOO"], 1, &["unknown signal"]),
            (&["update", "--memory", "x", "ID"], 1, &["invalid value for memory"]),
        ],
    )?;
    c.start()
}

fn containers_that_are_paused(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    c.verb("pause")?.ok()?;
    refused(
        ctx,
        &c,
        &[
            (&["exec", "ID", "/bin/true"], NOT_RUN, &["cannot exec in a paused container"]),
            (&["start", "ID"], 1, &["cannot start a container in the paused state", "paused"]),
            (&["pause", "ID"], 1, &["container not running", "paused"]),
            (&["delete", "ID"], 1, &["that is not stopped: paused"]),
        ],
    )?;
    c.verb("resume")?.ok()?;
    c.has_status("running")
}

fn containers_that_have_stopped(ctx: &Context) -> Outcome {
    let c = running(ctx)?;
    c.kill_init()?;
    refused(
        ctx,
        &c,
        &[
            (&["start", "ID"], 1, &["cannot start a container that has stopped"]),
            (
                &["exec", "ID", "/bin/true"],
                NOT_RUN,
                &["cannot exec in a stopped container", "stopped container"],
            ),
            (&["kill", "ID"], 1, &["container not running"]),
            (&["kill", "ID", "KILL"], 1, &["container not running"]),
            (&["pause", "ID"], 1, &["container not running"]),
            (&["resume", "ID"], 1, &["container not paused"]),
            (&["events", "--stats", "ID"], 1, &["is not running"]),
            (&["update", "--pids-limit", "50", "ID"], 1, &["not running", "stopped"]),
        ],
    )?;
    c.verb("delete")?.ok().map(drop)
}
