//! What scripts parse has the bytes of runc: order of members, indentation, ends of lines.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq, family};

family!("output":
    state_is_written_like_that_of_runc,
    list_is_written_like_that_of_runc,
    table_of_list_is_written_like_that_of_runc,
    empty_lists_are_written_like_those_of_runc,
    processes_are_written_like_those_of_runc,
    configuration_is_written_like_that_of_runc,
    configuration_for_users_is_written_like_that_of_runc,
    failure_is_told_to_programs,
    warnings_go_to_the_log_and_not_to_the_container,
);

/// `text` with every string and number that is a value as `_`; all else stays, blanks included.
fn form(text: &str) -> Outcome<String> {
    let _: Value = serde_json::from_str(text)?;
    let mut form = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            _ if first.is_ascii_alphanumeric() || first == '-' => {
                let end = |c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c);
                rest.find(end).unwrap_or(rest.len())
            }
            _ => {
                form.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        let is_name = first == '"' && rest[length..].starts_with(':');
        form.push_str(if is_name { &rest[..length] } else { "_" });
        rest = &rest[length..];
    }
    Ok(form)
}

/// How long the string is that `text` begins with, with its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What `args` print of a container in each of its states, by the runtime of `ctx`.
fn of_states(ctx: &Context, args: &[&str], with_id: bool) -> Outcome<Vec<String>> {
    let c = Bundle::new(ctx)?
        .set("/annotations", serde_json::json!({"org.b": "1", "org.a": "<2>"}))
        .payload(&["sleep", "60000"])
        .container()?;
    let mut args = args.to_vec();
    args.extend(with_id.then_some(c.id.as_str()));
    c.create()?;
    let created = ctx.ok(&args)?.stdout;
    c.start()?;
    let running = ctx.ok(&args)?.stdout;
    c.kill_init()?;
    let stopped = ctx.ok(&args)?.stdout;
    Ok(vec![created, running, stopped])
}

fn state_is_written_like_that_of_runc(ctx: &Context) -> Outcome {
    let ours = of_states(ctx, &["state"], true)?;
    let theirs = of_states(&ctx.with_runc()?, &["state"], true)?;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        check_eq!(form(ours)?, form(theirs)?, "form of {ours}");
    }
    Ok(())
}

fn list_is_written_like_that_of_runc(ctx: &Context) -> Outcome {
    let ours = of_states(ctx, &["list", "--format", "json"], false)?;
    let theirs = of_states(&ctx.with_runc()?, &["list", "--format", "json"], false)?;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        check_eq!(form(ours)?, form(theirs)?, "form of {ours}");
    }
    Ok(())
}

/// Where the columns of a table begin.
fn columns(table: &str) -> Vec<Vec<usize>> {
    let begins = |line: &str| {
        let blank = |at: usize| at.checked_sub(1).is_none_or(|at| line.as_bytes()[at] == b' ');
        let is_begin = |at: &usize| line.as_bytes()[*at] != b' ' && blank(*at);
        (0..line.len()).filter(is_begin).collect()
    };
    table.lines().map(begins).collect()
}

fn table_of_list_is_written_like_that_of_runc(ctx: &Context) -> Outcome {
    let runc = ctx.with_runc()?;
    // The widths follow from what is in the columns, so these are made equal.
    let widened = |text: String, dir: &std::path::Path| {
        let dir = dir.to_string_lossy().into_owned();
        text.replace(&dir, &"d".repeat(dir.len()))
    };
    let ours = of_states(ctx, &["list"], false)?;
    let theirs = of_states(&runc, &["list"], false)?;
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        let (ours, theirs) = (widened(ours, &ctx.dir), widened(theirs, &runc.dir));
        let names = |table: &str| table.lines().next().unwrap_or_default().replace(' ', "");
        check_eq!(names(&ours), names(&theirs), "names of columns");
        for table in [&ours, &theirs] {
            let columns = columns(table);
            check_eq!(columns.len(), 2, "lines of {table}");
            // The last column is as wide as it is.
            check_eq!(columns[0], columns[1], "columns of {table}");
        }
        let tail = |table: &str| table.lines().map(|it| it.len() - it.trim_end().len()).max();
        check_eq!(tail(&ours), tail(&theirs), "blanks at the end of {ours:?} and {theirs:?}");
    }
    Ok(())
}

fn empty_lists_are_written_like_those_of_runc(ctx: &Context) -> Outcome {
    let runc = ctx.with_runc()?;
    for args in [&["list"][..], &["list", "-q"], &["list", "-f", "json"]] {
        check_eq!(ctx.ok(args)?.stdout, runc.ok(args)?.stdout, "{args:?}");
    }
    Ok(())
}

fn processes_are_written_like_those_of_runc(ctx: &Context) -> Outcome {
    let one = |ctx: &Context| -> Outcome<String> {
        let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
        c.up()?;
        let json = ctx.ok(&["ps", "--format", "json", &c.id])?.stdout;
        let table = ctx.ok(&["ps", &c.id, "-o", "pid,comm"])?.stdout;
        let pid = c.pid()?.to_string();
        c.kill_init()?;
        let none = ctx.ok(&["ps", "--format", "json", &c.id])?.stdout;
        let pid_width = table.find(&pid).map_or(0, |_| pid.len());
        Ok(format!("{json}{table}{none}").replace(&pid, &"n".repeat(pid_width.max(1))))
    };
    let (ours, theirs) = (one(ctx)?, one(&ctx.with_runc()?)?);
    check_eq!(ours, theirs, "lists");
    Ok(())
}

/// The lines of a configuration that name a member, with their indentation. Versions of runc
/// differ in what they list, but not in how; 1.1 gives the container ambient capabilities.
fn members(text: &str) -> Vec<&str> {
    let names = text.lines().filter_map(|line| line.split_once("\": ").map(|(name, _)| name));
    names.filter(|name| !name.ends_with("\"ambient")).collect()
}

fn written(ctx: &Context, flags: &[&str]) -> Outcome<String> {
    let dir = ctx.dir.join(format!("spec{}", ctx.number()));
    fs::create_dir(&dir)?;
    let place = dir.to_string_lossy();
    ctx.ok(&[&["spec", "--bundle", &place], flags].concat())?;
    Ok(fs::read_to_string(dir.join("config.json"))?)
}

fn compare_configurations(ctx: &Context, flags: &[&str]) -> Outcome {
    let (ours, theirs) = (written(ctx, flags)?, written(&ctx.with_runc()?, flags)?);
    check_eq!(members(&ours), members(&theirs), "members");
    let tail = |text: &str| text.len() - text.trim_end().len();
    check_eq!(tail(&ours), tail(&theirs), "blanks at the end");
    for line in ours.lines() {
        let blanks = line.len() - line.trim_start_matches('\t').len();
        check!(!line[blanks..].starts_with(' '), "indented with blanks: {line:?}");
    }
    let lists = |text: &str| -> Outcome<Vec<String>> {
        let config: Value = serde_json::from_str(text)?;
        let mounts = config["mounts"].as_array().cloned().unwrap_or_default();
        Ok(mounts.iter().map(Value::to_string).collect())
    };
    check_eq!(lists(&ours)?, lists(&theirs)?, "mounts");
    Ok(())
}

fn configuration_is_written_like_that_of_runc(ctx: &Context) -> Outcome {
    compare_configurations(ctx, &[])
}

fn configuration_for_users_is_written_like_that_of_runc(ctx: &Context) -> Outcome {
    compare_configurations(ctx, &["--rootless"])
}

fn failure_is_told_to_programs(ctx: &Context) -> Outcome {
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("only tare has --error-format"));
    }
    let bundle = Bundle::new(ctx)?;
    let place = bundle.config["mounts"].as_array().map_or(0, Vec::len);
    let c = bundle.bind("/not/there".as_ref(), "/mnt", &["bind"]).container()?;
    let (dir, log) = (c.dir.to_string_lossy(), ctx.dir.join("log"));
    let log_text = log.to_string_lossy();
    let flags = ["--error-format", "json", "--log", &log_text, "--log-format", "json"];
    let args = [&flags[..], &["create", "--bundle", &dir, &c.id]].concat();
    let done = ctx.done(&args)?.exits(1)?.in_one_line()?;
    let fault: Value = serde_json::from_str(&done.stderr)?;
    check_eq!(fault["pointer"], format!("/mounts/{place}"), "pointer of {fault}");
    check_eq!((&fault["errno"], &fault["errnoName"]), (&2.into(), &"ENOENT".into()), "errno");
    check_eq!(fault["path"], "/not/there", "path of {fault}");
    check!(fault["syscall"].is_string() && fault["step"].is_string(), "{fault}");
    // The log has the line that engines read.
    let line: Value = serde_json::from_str(&fs::read_to_string(&log)?)?;
    check_eq!((&line["level"], &line["msg"]), (&"error".into(), &fault["message"]), "log");
    Ok(())
}

/// Engines give `create` the stderr of the container.
fn warnings_go_to_the_log_and_not_to_the_container(ctx: &Context) -> Outcome {
    let caps = json!({"bounding": ["CAP_KILL", "CAP_FROM_THE_FUTURE"]});
    let c = Bundle::new(ctx)?.set("/process/capabilities", caps).container()?;
    let log = ctx.dir.join("warnings");
    let (dir, log_text) = (c.dir.to_string_lossy(), log.to_string_lossy());
    let flags = ["--log", &log_text, "--log-format", "json"];
    let done = ctx.done(&[&flags[..], &["run", "--bundle", &dir, &c.id]].concat())?.ok()?;
    check_eq!(done.stderr, "", "stderr");
    let lines = fs::read_to_string(&log)?;
    let line: Value = serde_json::from_str(lines.lines().next().unwrap_or_default())?;
    check_eq!(line["level"], "warning", "level of {lines}");
    check!(lines.contains("CAP_FROM_THE_FUTURE"), "{lines}");
    Ok(())
}
