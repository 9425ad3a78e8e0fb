//! The verbs in order and out of order: status, answers, exit codes, phrases.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::container::read_pid;
use crate::context::Context;
use crate::json_schema::Schemas;
use crate::outcome::{Outcome, Stop};
use crate::process::wait_for;
use crate::{check, check_eq, family};

family!("lifecycle":
    a_container_goes_through_created_running_stopped_and_is_deleted,
    run_gives_the_exit_code_of_the_container,
    run_gives_128_and_the_signal_that_ended_the_container,
    run_deletes_the_container_when_it_ends,
    run_keep_leaves_a_stopped_container,
    run_detached_returns_while_the_container_runs,
    run_forwards_signals_to_the_container,
    create_runs_nothing_of_the_container_before_start,
    state_prints_the_document_that_engines_read,
    state_of_a_stopped_container_has_pid_zero,
    state_carries_annotations,
    state_is_as_the_schema_of_the_spec_wants_it,
    pid_file_holds_only_digits,
    second_create_with_the_same_id_is_refused,
    start_of_a_running_container_is_refused,
    start_of_a_stopped_container_is_refused,
    verbs_on_an_unknown_container_say_that_it_does_not_exist,
    forced_delete_of_an_unknown_container_succeeds,
    delete_of_a_running_container_needs_force,
    delete_of_a_created_container_kills_init,
    kill_takes_signals_by_number_and_by_name,
    kill_sends_sigterm_by_default,
    kill_of_an_unknown_signal_is_refused,
    kill_of_a_stopped_container_says_that_it_is_not_running,
    kill_all_of_a_stopped_container_succeeds,
    kill_of_a_created_container_ends_it,
    kill_all_reaches_every_process_without_a_pid_namespace,
    list_shows_containers_as_table_json_and_ids,
    list_survives_foreign_and_corrupt_entries,
    forced_delete_removes_a_corrupt_container,
    ps_lists_every_process_as_json,
    ps_prints_a_table,
    pause_stops_processes_and_resume_lets_them_go_on,
    pause_of_a_paused_container_is_refused,
    resume_of_a_running_container_is_refused,
    delete_force_ends_a_paused_container,
    ids_with_strange_characters_are_refused,
    ids_with_allowed_punctuation_are_taken,
    single_dash_long_options_are_accepted,
    spec_writes_a_configuration_that_runs,
    spec_does_not_overwrite_a_configuration,
    log_file_gets_one_json_line_on_failure,
    text_log_is_the_default,
    version_is_printed_in_the_form_that_engines_parse,
    help_succeeds,
    wrong_argument_count_is_refused,
    relative_cgroups_path_runs,
);

fn a_container_goes_through_created_running_stopped_and_is_deleted(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.create()?;
    c.has_status("created")?;
    c.start()?;
    c.has_status("running")?;
    c.kill("KILL")?.ok()?;
    check_eq!(c.exit_code()?, 137, "exit code of init");
    c.has_status("stopped")?;
    c.verb("delete")?.ok()?;
    c.verb("state")?.exits(1)?.says(&["does not exist"]).map(drop)
}

fn run_gives_the_exit_code_of_the_container(ctx: &Context) -> Outcome {
    Bundle::new(ctx)?.payload(&["exit", "42"]).container()?.run(&[])?.exits(42).map(drop)
}

fn run_gives_128_and_the_signal_that_ended_the_container(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    let run = c.command("run", &[])?.start()?;
    wait_until_running(&c)?;
    c.kill("9")?.ok()?;
    run.done()?.exits(137).map(drop)
}

fn run_deletes_the_container_when_it_ends(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.run(&[])?.ok()?;
    c.verb("state")?.exits(1).map(drop)
}

fn run_keep_leaves_a_stopped_container(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.run(&["--keep"])?.ok()?;
    c.has_status("stopped")?;
    c.verb("delete")?.ok().map(drop)
}

fn run_detached_returns_while_the_container_runs(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.finish_create(c.command("run", &["--detach"])?)?.ok()?;
    c.has_status("running")?;
    c.kill_init()
}

fn run_forwards_signals_to_the_container(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["await-signal"]).container()?;
    let run = c.command("run", &[])?.start()?;
    let out = run.stdout().to_owned();
    wait_for("readiness", || Ok(fs::read_to_string(&out)?.contains("ready").then_some(())))?;
    let usr1 = nix::sys::signal::Signal::SIGUSR1;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.pid()), usr1)?;
    let output = run.done()?.ok()?.stdout;
    check!(output.contains(r#"{"signal":10}"#), "the container saw {output:?}");
    Ok(())
}

fn create_runs_nothing_of_the_container_before_start(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["say", "hello"]).container()?;
    c.create()?;
    std::thread::sleep(std::time::Duration::from_millis(50));
    check_eq!(c.printed(), "", "output before start");
    c.start()?;
    c.exit_code()?;
    check_eq!(c.printed(), "hello\n", "output after start");
    Ok(())
}

fn state_prints_the_document_that_engines_read(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.create()?;
    let text = ctx.ok(&["state", &c.id])?.stdout;
    check!(text.starts_with("{\n  \"ociVersion\""), "state begins with {text:.40}");
    let state: Value = serde_json::from_str(&text)?;
    check_eq!(state["id"], json!(c.id), "id");
    check_eq!(state["pid"], json!(c.pid()?), "pid");
    check_eq!(state["status"], json!("created"), "status");
    check_eq!(state["bundle"], json!(c.dir), "bundle");
    check_eq!(state["rootfs"], json!(c.rootfs()), "rootfs");
    let created = state["created"].as_str().unwrap_or_default();
    check!(created.len() >= 20 && created.ends_with('Z'), "created is {created:?}");
    Ok(())
}

fn state_of_a_stopped_container_has_pid_zero(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.up()?;
    c.exit_code()?;
    c.has_status("stopped")?;
    check_eq!(c.state()?["pid"], json!(0), "pid");
    Ok(())
}

fn state_is_as_the_schema_of_the_spec_wants_it(ctx: &Context) -> Outcome {
    let schemas = Schemas::load();
    let bundle = Bundle::new(ctx)?.set("/annotations", json!({"a": "b"}));
    let c = bundle.payload(&["sleep", "60000"]).container()?;
    let fits = |status: &str| -> Outcome {
        let state = c.state()?;
        check_eq!(state["status"], json!(status), "status");
        let faults = schemas.faults(schemas.file("state-schema.json"), &state);
        check!(faults.is_empty(), "{faults:?}");
        Ok(())
    };
    c.create()?;
    fits("created")?;
    c.start()?;
    fits("running")?;
    c.kill_init()?;
    fits("stopped")
}

fn state_carries_annotations(ctx: &Context) -> Outcome {
    let annotations = json!({"org.example.key": "value", "empty": ""});
    let bundle = Bundle::new(ctx)?.set("/annotations", annotations.clone());
    let c = bundle.payload(&["true"]).container()?;
    c.create()?;
    check_eq!(c.state()?["annotations"], annotations, "annotations");
    Ok(())
}

fn pid_file_holds_only_digits(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.create()?;
    let text = fs::read_to_string(c.pid_file())?;
    check!(text.bytes().all(|b| b.is_ascii_digit()), "the pid file holds {text:?}");
    let parent = nix::unistd::Pid::this().as_raw().to_string();
    let status = fs::read_to_string(format!("/proc/{text}/status"))?;
    let adopted =
        status.lines().any(|l| l.strip_prefix("PPid:").is_some_and(|p| p.trim() == parent));
    check!(adopted, "init is not a child of the caller once the runtime is gone");
    Ok(())
}

fn second_create_with_the_same_id_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.create()?;
    let bundle = c.dir.to_string_lossy();
    ctx.done(&["create", "--bundle", &bundle, &c.id])?.exits(1)?.says(&["already exists"])?;
    c.has_status("created")
}

fn start_of_a_running_container_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    c.verb("start")?.exits(1)?.says(&["cannot start an already running container"])?;
    c.has_status("running")
}

fn start_of_a_stopped_container_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.up()?;
    c.exit_code()?;
    c.verb("start")?.exits(1)?.says(&["cannot start a container that has stopped"]).map(drop)
}

fn verbs_on_an_unknown_container_say_that_it_does_not_exist(ctx: &Context) -> Outcome {
    for verb in ["state", "start", "kill", "delete", "pause", "resume", "ps"] {
        ctx.done(&[verb, "nobody"])?.exits(1)?.says(&["does not exist"])?;
    }
    let exec = ctx.done(&["exec", "nobody", "true"])?;
    check!(exec.code != 0, "exec in an unknown container succeeded");
    exec.says(&["does not exist"]).map(drop)
}

fn forced_delete_of_an_unknown_container_succeeds(ctx: &Context) -> Outcome {
    ctx.ok(&["delete", "--force", "nobody"])?;
    ctx.ok(&["delete", "-f", "nobody"]).map(drop)
}

fn delete_of_a_running_container_needs_force(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    c.verb("delete")?.exits(1)?.says(&["that is not stopped: running"])?;
    c.has_status("running")?;
    ctx.ok(&["delete", "--force", &c.id])?;
    check_eq!(c.exit_code()?, 137, "exit code of init");
    Ok(())
}

fn delete_of_a_created_container_kills_init(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.create()?;
    c.verb("delete")?.ok()?;
    check_eq!(c.exit_code()?, 137, "exit code of init");
    Ok(())
}

fn kill_takes_signals_by_number_and_by_name(ctx: &Context) -> Outcome {
    for (name, number) in
        [("SIGUSR1", 10), ("usr2", 12), ("Hup", 1), ("15", 15), ("SIGQUIT", 3), ("WINCH", 28)]
    {
        let c = Bundle::new(ctx)?.payload(&["await-signal"]).container()?;
        c.up()?;
        c.prints("ready")?;
        c.kill(name)?.ok()?;
        c.prints(&format!(r#"{{"signal":{number}}}"#))?;
        check_eq!(c.exit_code()?, 0, "exit code after {name}");
    }
    Ok(())
}

fn kill_sends_sigterm_by_default(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["await-signal"]).container()?;
    c.up()?;
    c.prints("ready")?;
    c.verb("kill")?.ok()?;
    c.prints(r#"{"signal":15}"#)
}

fn kill_of_an_unknown_signal_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    c.kill("SIGNOPE")?.exits(1)?.says(&["unknown signal"])?;
    c.has_status("running")
}

fn kill_of_a_stopped_container_says_that_it_is_not_running(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.up()?;
    c.exit_code()?;
    let phrases = ["container not running", "os: process already finished", "no such process"];
    c.kill("TERM")?.exits(1)?.says(&phrases).map(drop)
}

fn kill_all_of_a_stopped_container_succeeds(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.up()?;
    c.exit_code()?;
    ctx.ok(&["kill", "--all", &c.id, "9"]).map(drop)
}

fn kill_of_a_created_container_ends_it(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.create()?;
    c.kill("KILL")?.ok()?;
    c.exit_code()?;
    c.has_status("stopped")
}

fn kill_all_reaches_every_process_without_a_pid_namespace(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.without_namespace("pid");
    let c =
        bundle.payload(&["children", "3", ",", "say", "up", ",", "sleep", "60000"]).container()?;
    c.up()?;
    c.prints("up")?;
    ctx.ok(&["kill", "--all", &c.id, "KILL"])?;
    c.exit_code()?;
    reap_orphans(3)
}

/// Waits for processes that this one has adopted.
pub(crate) fn reap_orphans(count: usize) -> Outcome {
    for _ in 0..count {
        wait_for("an orphan's end", || {
            use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
            match waitpid(None, Some(WaitPidFlag::WNOHANG))? {
                WaitStatus::StillAlive => Ok(None),
                _ => Ok(Some(())),
            }
        })?;
    }
    Ok(())
}

fn list_shows_containers_as_table_json_and_ids(ctx: &Context) -> Outcome {
    check_eq!(ctx.ok(&["list", "--quiet"])?.stdout, "", "ids of no container");
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.create()?;
    let table = ctx.ok(&["list"])?.stdout;
    let mut lines = table.lines();
    let head: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    check_eq!(head, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], "columns");
    let row: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    check_eq!(row.first().copied(), Some(c.id.as_str()), "first column");
    check_eq!(row.get(2).copied(), Some("created"), "third column");
    check_eq!(ctx.ok(&["list", "-q"])?.stdout.trim(), c.id, "ids");
    let list: Value = serde_json::from_str(&ctx.ok(&["list", "--format", "json"])?.stdout)?;
    check_eq!(list[0]["id"], json!(c.id), "id in json");
    check_eq!(list[0]["pid"], json!(c.pid()?), "pid in json");
    check_eq!(list[0]["owner"], json!("root"), "owner in json");
    Ok(())
}

fn list_survives_foreign_and_corrupt_entries(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    c.create()?;
    let foreign = ctx.root().join("foreign");
    fs::create_dir(&foreign)?;
    let corrupt = ctx.root().join("corrupt");
    fs::create_dir(&corrupt)?;
    fs::write(corrupt.join("state.json"), "{\"id\": ")?;
    fs::write(ctx.root().join("file"), "")?;
    let ids = ctx.ok(&["list", "-q"])?.stdout;
    check!(ids.lines().any(|id| id == c.id), "the sound container is missing from {ids:?}");
    fs::remove_dir_all(foreign)?;
    fs::remove_dir_all(corrupt)?;
    Ok(fs::remove_file(ctx.root().join("file"))?)
}

fn forced_delete_removes_a_corrupt_container(ctx: &Context) -> Outcome {
    for text in ["", "{\"id\": ", "null", "[]", "{}"] {
        let dir = ctx.root().join("corrupt");
        fs::create_dir(&dir)?;
        fs::write(dir.join("state.json"), text)?;
        ctx.ok(&["delete", "--force", "corrupt"])?;
        check!(!dir.exists(), "state.json {text:?}: the directory is still there");
    }
    Ok(())
}

fn ps_lists_every_process_as_json(ctx: &Context) -> Outcome {
    let commands = ["children", "2", ",", "say", "up", ",", "sleep", "60000"];
    let c = Bundle::new(ctx)?.payload(&commands).container()?;
    c.up()?;
    c.prints("up")?;
    let pids: Vec<i32> = serde_json::from_str(&ctx.ok(&["ps", "--format", "json", &c.id])?.stdout)?;
    check_eq!(pids.len(), 3, "count of processes");
    check!(pids.contains(&c.pid()?), "init is missing from {pids:?}");
    Ok(())
}

fn ps_prints_a_table(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let table = c.verb("ps")?.ok()?.stdout;
    let pid = c.pid()?.to_string();
    check!(table.contains("PID"), "no heading in {table:?}");
    let row = table.lines().any(|l| l.split_whitespace().any(|word| word == pid));
    check!(row, "init is missing from {table:?}");
    check_eq!(table.trim_end().lines().count(), 2, "lines");
    Ok(())
}

fn pause_stops_processes_and_resume_lets_them_go_on(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["print-forever"]).container()?;
    c.up()?;
    c.prints("line 2")?;
    c.verb("pause")?.ok()?;
    c.has_status("paused")?;
    let before = c.printed();
    std::thread::sleep(std::time::Duration::from_millis(60));
    check_eq!(c.printed(), before, "output while paused");
    c.verb("resume")?.ok()?;
    c.has_status("running")?;
    wait_for("more output", || Ok((c.printed().len() > before.len()).then_some(())))
}

fn pause_of_a_paused_container_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    c.verb("pause")?.ok()?;
    c.verb("pause")?.exits(1)?;
    c.has_status("paused")?;
    c.verb("resume")?.ok().map(drop)
}

fn resume_of_a_running_container_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    c.verb("resume")?.exits(1)?.says(&["not paused"]).map(drop)
}

fn delete_force_ends_a_paused_container(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    c.verb("pause")?.ok()?;
    ctx.ok(&["delete", "--force", &c.id])?;
    check_eq!(c.exit_code()?, 137, "exit code of init");
    Ok(())
}

fn ids_with_strange_characters_are_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    let bundle = c.dir.to_string_lossy();
    for id in ["a/b", "..", ".", "a b", "ä", "a\tb", "a*"] {
        ctx.done(&["create", "--bundle", &bundle, id])?
            .exits(1)?
            .says(&["invalid container ID format", "invalid id format"])?;
    }
    Ok(())
}

fn ids_with_allowed_punctuation_are_taken(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let bundle = c.dir.to_string_lossy();
    ctx.ok(&["run", "--bundle", &bundle, "A-z_0+9.x"]).map(drop)
}

fn single_dash_long_options_are_accepted(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["true"]).container()?;
    let bundle = c.dir.to_string_lossy();
    ctx.ok(&["run", "-bundle", &bundle, "-no-subreaper", &c.id])?;
    ctx.ok(&["run", &format!("-bundle={bundle}"), &c.id]).map(drop)
}

fn spec_writes_a_configuration_that_runs(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?;
    ctx.ok(&["spec", "--bundle", &bundle.dir.to_string_lossy()])?;
    let written: Value =
        serde_json::from_str(&fs::read_to_string(bundle.dir.join("config.json"))?)?;
    check_eq!(written["process"]["args"], json!(["sh"]), "args");
    check_eq!(written["process"]["terminal"], json!(true), "terminal");
    let mut run = Bundle::from_config(ctx, written)?;
    run = run.set("/process/terminal", json!(false)).set("/root/readonly", json!(false));
    let facts = run.payload(&["facts"]).facts()?;
    check_eq!(facts["noNewPrivileges"], json!(true), "no_new_privs");
    Ok(())
}

fn spec_does_not_overwrite_a_configuration(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.container()?;
    ctx.done(&["spec", "--bundle", &c.dir.to_string_lossy()])?
        .exits(1)?
        .says(&["config.json exists"])
        .map(drop)
}

fn log_file_gets_one_json_line_on_failure(ctx: &Context) -> Outcome {
    let log = ctx.dir.join("log.json");
    let path = log.to_string_lossy();
    let done = ctx.done(&["--log", &path, "--log-format", "json", "start", "nobody"])?.exits(1)?;
    let text = fs::read_to_string(&log)?;
    let lines: Vec<_> = text.lines().collect();
    check_eq!(lines.len(), 1, "lines of the log");
    let entry: Value = serde_json::from_str(lines[0])?;
    check_eq!(entry["level"], json!("error"), "level");
    let message = entry["msg"].as_str().unwrap_or_default();
    check!(message.contains("does not exist"), "msg is {message:?}");
    check!(entry["time"].as_str().is_some_and(|t| t.contains('T')), "time is {}", entry["time"]);
    done.says(&["does not exist"]).map(drop)
}

fn text_log_is_the_default(ctx: &Context) -> Outcome {
    let log = ctx.dir.join("log");
    ctx.done(&["--log", &log.to_string_lossy(), "start", "nobody"])?.exits(1)?;
    let text = fs::read_to_string(&log)?;
    check!(text.contains("level=error") && text.contains("does not exist"), "log is {text:?}");
    let wrong = ctx.done(&["--log-format", "xml", "list"])?;
    wrong.exits(1)?.says(&["invalid log-format", "unknown log-format"]).map(drop)
}

fn version_is_printed_in_the_form_that_engines_parse(ctx: &Context) -> Outcome {
    let text = ctx.ok(&["--version"])?.stdout;
    let first = text.lines().next().unwrap_or_default();
    check!(first.split(' ').nth(1) == Some("version"), "first line is {first:?}");
    check!(text.lines().any(|l| l.starts_with("spec: ")), "no spec line in {text:?}");
    ctx.ok(&["-v"]).map(drop)
}

fn help_succeeds(ctx: &Context) -> Outcome {
    ctx.ok(&["--help"])?;
    for verb in ["create", "run", "start", "exec", "kill", "delete", "state", "list", "ps", "spec"]
    {
        let help = ctx.ok(&[verb, "--help"])?.stdout;
        check!(help.contains(verb), "{verb} --help prints {help:?}");
    }
    Ok(())
}

fn wrong_argument_count_is_refused(ctx: &Context) -> Outcome {
    for args in [&["create"][..], &["start"], &["state"], &["create", "a", "b"], &["exec"]] {
        let done = ctx.done(args)?.exits(1)?;
        done.says(&["argument"])?;
    }
    Ok(())
}

fn relative_cgroups_path_runs(ctx: &Context) -> Outcome {
    // A memory cgroup without children may be what this process sits in, so only v2 is tried.
    if ctx.layout != crate::context::Layout::V2 {
        return Err(Stop::skip("tried on v2 only"));
    }
    let bundle = Bundle::new(ctx)?
        .set("/linux/cgroupsPath", json!(format!("{}/relative", &ctx.cgroup[1..])));
    bundle.payload(&["true"]).output().map(drop)
}

fn wait_until_running(c: &crate::container::Container<'_>) -> Outcome {
    wait_for("a running container", || {
        let Some(_) = read_pid(&c.pid_file()) else { return Ok(None) };
        Ok(c.verb("state")?.stdout.contains("\"running\"").then_some(()))
    })
}
