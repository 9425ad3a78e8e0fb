//! Hooks: order, surroundings, what they are told, and what their failure does.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::context::Context;
use crate::outcome::Outcome;
use crate::{check, check_eq, family};

family!("hooks":
    six_kinds_run_in_order_with_the_state_on_standard_input,
    hooks_run_in_the_namespaces_that_the_spec_names,
    several_hooks_of_a_kind_run_in_order,
    environment_and_arguments_are_the_hooks_own,
    environment_that_is_absent_is_the_runtimes,
    failure_of_prestart_fails_create,
    failure_of_create_runtime_fails_create,
    failure_of_create_container_fails_create,
    failure_of_start_container_fails_start,
    failure_of_poststart_fails_start,
    failure_of_poststop_does_not_keep_the_container,
    hook_that_takes_too_long_is_killed,
    output_of_a_failed_hook_is_shown,
    later_hooks_do_not_run_after_a_failure,
);

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A bundle whose hooks write to one file, which the container sees at /log.
struct Hooked<'c> {
    bundle: Bundle<'c>,
    log: PathBuf,
}

impl<'c> Hooked<'c> {
    fn new(ctx: &'c Context) -> Outcome<Self> {
        let dir = ctx.dir.join("hooks");
        fs::create_dir(&dir)?;
        let bundle = Bundle::new(ctx)?.bind(&dir, "/log", &["bind"]);
        Ok(Self { bundle, log: dir.join("log") })
    }

    /// Adds a hook that writes its line and then ends with this code.
    fn hook(mut self, ctx: &Context, kind: &str, label: &str, code: u32) -> Self {
        let inside = kind == "startContainer";
        let path = if inside { json!("/bin/payload") } else { json!(ctx.payload) };
        let log = if inside { json!("/log/log") } else { json!(self.log) };
        let args = json!(["payload", "hook", log, label, code.to_string()]);
        let hook = json!({"path": path, "args": args});
        self.bundle = self.bundle.push(&format!("/hooks/{kind}"), hook);
        self
    }

    fn ran(log: &PathBuf) -> Outcome<Vec<Value>> {
        parse_lines(&fs::read_to_string(log).unwrap_or_default())
    }
}

fn all_kinds(ctx: &Context) -> Outcome<Hooked<'_>> {
    Ok(KINDS.iter().fold(Hooked::new(ctx)?, |hooked, kind| hooked.hook(ctx, kind, kind, 0)))
}

/// Runs a container through its life and gives what the hooks wrote, and init's pid.
fn life(hooked: Hooked<'_>) -> Outcome<(Vec<Value>, i32)> {
    let c = hooked.bundle.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    let pid = c.pid()?;
    c.kill_init()?;
    c.verb("delete")?.ok()?;
    Ok((Hooked::ran(&hooked.log)?, pid))
}

fn six_kinds_run_in_order_with_the_state_on_standard_input(ctx: &Context) -> Outcome {
    let mut hooked = all_kinds(ctx)?;
    hooked.bundle = hooked.bundle.set("/annotations", json!({"a": "b"}));
    let (id, dir) = (hooked.bundle.id.clone(), hooked.bundle.dir.clone());
    let (lines, pid) = life(hooked)?;
    let ran: Vec<&str> = lines.iter().filter_map(|l| l["hook"].as_str()).collect();
    check_eq!(ran, KINDS, "hooks");
    let status = ["creating", "creating", "creating", "created", "running", "stopped"];
    for (line, status) in lines.iter().zip(status) {
        let (kind, state) = (&line["hook"], &line["state"]);
        check_eq!(state["id"], json!(id), "id for {kind}");
        check_eq!(state["bundle"], json!(dir), "bundle for {kind}");
        check_eq!(state["annotations"], json!({"a": "b"}), "annotations for {kind}");
        check!(state["ociVersion"].is_string(), "ociVersion for {kind}");
        check_eq!(state["status"], json!(status), "status for {kind}");
        // Hooks that run inside see the pid of their namespace.
        let expected = match kind.as_str() {
            Some("createContainer" | "startContainer") => json!(1),
            Some("poststop") => json!(0),
            _ => json!(pid),
        };
        let got = if state["pid"].is_null() { json!(0) } else { state["pid"].clone() };
        check_eq!(got, expected, "pid for {kind}");
    }
    Ok(())
}

fn hooks_run_in_the_namespaces_that_the_spec_names(ctx: &Context) -> Outcome {
    let (lines, _) = life(all_kinds(ctx)?)?;
    let own = json!(fs::read_link("/proc/self/ns/mnt")?);
    for line in &lines {
        let inside = matches!(line["hook"].as_str(), Some("createContainer" | "startContainer"));
        check_eq!(line["namespaces"]["mnt"] != own, inside, "{} is inside", line["hook"]);
    }
    Ok(())
}

fn several_hooks_of_a_kind_run_in_order(ctx: &Context) -> Outcome {
    let hooked = ["a", "b", "c"]
        .iter()
        .fold(Hooked::new(ctx)?, |hooked, label| hooked.hook(ctx, "createRuntime", label, 0));
    let (lines, _) = life(hooked)?;
    let ran: Vec<&str> = lines.iter().filter_map(|l| l["hook"].as_str()).collect();
    check_eq!(ran, ["a", "b", "c"], "hooks");
    Ok(())
}

fn environment_and_arguments_are_the_hooks_own(ctx: &Context) -> Outcome {
    let hooked = all_kinds(ctx)?.hook(ctx, "createRuntime", "with-env", 0);
    let Hooked { mut bundle, log } = hooked;
    bundle = bundle.set("/hooks/createRuntime/1/env", json!(["ONLY=this"]));
    let (lines, _) = life(Hooked { bundle, log })?;
    let line = lines.iter().find(|l| l["hook"] == "with-env").cloned().unwrap_or_default();
    check_eq!(line["env"], json!(["ONLY=this"]), "environment");
    check_eq!(line["args"][0], json!("payload"), "first argument");
    Ok(())
}

fn environment_that_is_absent_is_the_runtimes(ctx: &Context) -> Outcome {
    let hooked = Hooked::new(ctx)?.hook(ctx, "createRuntime", "x", 0);
    let c = hooked.bundle.payload(&["true"]).container()?;
    c.command("run", &[])?.env("OF_THE_CALLER", "yes").ok()?;
    let lines = Hooked::ran(&hooked.log)?;
    check!(lines[0]["env"].to_string().contains("OF_THE_CALLER=yes"), "{}", lines[0]["env"]);
    Ok(())
}

/// The hook's failure fails `create`, is named, and nothing is left (the runner looks).
fn create_fails(ctx: &Context, kind: &str) -> Outcome {
    let hooked = Hooked::new(ctx)?.hook(ctx, kind, kind, 7);
    let c = hooked.bundle.payload(&["say", "ran"]).container()?;
    let done = c.try_create(&[])?.exits(1)?;
    done.says(&["hook"])?.says(&["exit status 7", "exit code 7", "7"])?;
    c.verb("state")?.exits(1).map(drop)
}

fn failure_of_prestart_fails_create(ctx: &Context) -> Outcome {
    create_fails(ctx, "prestart")
}

fn failure_of_create_runtime_fails_create(ctx: &Context) -> Outcome {
    create_fails(ctx, "createRuntime")
}

fn failure_of_create_container_fails_create(ctx: &Context) -> Outcome {
    create_fails(ctx, "createContainer")
}

fn start_fails(ctx: &Context, kind: &str) -> Outcome {
    let hooked = Hooked::new(ctx)?.hook(ctx, kind, kind, 7);
    let c = hooked.bundle.payload(&["sleep", "60000"]).container()?;
    c.create()?;
    c.verb("start")?.exits(1)?.says(&["hook"])?;
    c.exit_code()?;
    c.has_status("stopped")
}

fn failure_of_start_container_fails_start(ctx: &Context) -> Outcome {
    start_fails(ctx, "startContainer")
}

fn failure_of_poststart_fails_start(ctx: &Context) -> Outcome {
    start_fails(ctx, "poststart")
}

fn failure_of_poststop_does_not_keep_the_container(ctx: &Context) -> Outcome {
    let hooked =
        Hooked::new(ctx)?.hook(ctx, "poststop", "first", 7).hook(ctx, "poststop", "second", 0);
    let c = hooked.bundle.payload(&["true"]).container()?;
    c.up()?;
    c.exit_code()?;
    c.verb("delete")?;
    let ran: Vec<Value> = Hooked::ran(&hooked.log)?.iter().map(|l| l["hook"].clone()).collect();
    check_eq!(ran, ["first", "second"], "hooks");
    c.verb("state")?.exits(1)?.says(&["does not exist"]).map(drop)
}

fn hook_that_takes_too_long_is_killed(ctx: &Context) -> Outcome {
    let args = json!(["payload", "sleep", "60000"]);
    let hook = json!({"path": ctx.payload, "args": args, "timeout": 1});
    let c = Bundle::new(ctx)?.set("/hooks", json!({"createRuntime": [hook]})).container()?;
    c.try_create(&[])?.exits(1)?.says(&["ran past specified timeout"]).map(drop)
}

fn output_of_a_failed_hook_is_shown(ctx: &Context) -> Outcome {
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo the reason >&2; exit 3"]});
    let c = Bundle::new(ctx)?.set("/hooks", json!({"createRuntime": [hook]})).container()?;
    c.try_create(&[])?.exits(1)?.says(&["the reason"]).map(drop)
}

fn later_hooks_do_not_run_after_a_failure(ctx: &Context) -> Outcome {
    let hooked = Hooked::new(ctx)?.hook(ctx, "createRuntime", "first", 1).hook(
        ctx,
        "createRuntime",
        "second",
        0,
    );
    let c = hooked.bundle.container()?;
    c.try_create(&[])?.exits(1)?;
    check_eq!(Hooked::ran(&hooked.log)?.len(), 1, "hooks that ran");
    Ok(())
}
