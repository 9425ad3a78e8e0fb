//! Hooks: order, surroundings, what they are told, and what their failure does.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::context::Context;
use crate::outcome::Outcome;
use crate::{check, check_eq, family};

family!("hooks":
    six_kinds_run_in_order_with_the_state_on_standard_input,
    hooks_run_in_the_namespaces_that_the_spec_names,
    working_directory_is_the_bundle_or_the_root,
    poststart_hooks_see_the_program_running,
    several_hooks_of_a_kind_run_in_order,
    environment_and_arguments_are_the_hooks_own,
    environment_that_is_empty_stays_empty,
    environment_that_is_absent_is_the_runtimes,
    failure_of_prestart_fails_create,
    failure_of_create_runtime_fails_create,
    failure_of_create_container_fails_create,
    failure_of_start_container_fails_start,
    failure_of_poststart_fails_start,
    failure_of_poststop_is_told_and_changes_nothing,
    failure_of_any_kind_fails_run_but_that_of_poststop,
    program_of_a_hook_that_is_missing_is_named,
    hook_that_takes_too_long_is_killed,
    hook_of_any_kind_is_killed_at_its_timeout,
    output_of_a_failed_hook_is_shown,
    output_goes_to_the_files_of_the_annotations,
    output_that_cannot_be_opened_is_refused_with_its_place,
    hook_that_does_not_read_leaves_a_daemon_and_says_much_holds_nobody_up,
    later_hooks_do_not_run_after_a_failure,
);

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

fn is_inside(kind: &str) -> bool {
    matches!(kind, "createContainer" | "startContainer")
}

/// A bundle whose hooks write to one file, which the container sees at /log.
struct Hooked<'c> {
    bundle: Bundle<'c>,
    log: PathBuf,
}

impl<'c> Hooked<'c> {
    fn new(ctx: &'c Context) -> Outcome<Self> {
        Self::new_for(ctx, "hooks")
    }

    /// With its log in a directory of this name.
    fn new_for(ctx: &'c Context, name: &str) -> Outcome<Self> {
        let dir = ctx.dir.join(name);
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
    let status = ["created", "creating", "creating", "created", "running", "stopped"];
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
    check_eq!(lines.len(), KINDS.len(), "hooks that ran");
    for line in &lines {
        let kind = line["hook"].as_str().unwrap_or_default();
        for namespace in ["mnt", "pid", "net", "ipc", "uts"] {
            let own = json!(fs::read_link(format!("/proc/self/ns/{namespace}"))?);
            let theirs = &line["namespaces"][namespace];
            check!(theirs.is_string(), "{kind} has no {namespace} namespace: {theirs}");
            check_eq!(*theirs != own, is_inside(kind), "{kind} is inside, by {namespace}");
        }
    }
    Ok(())
}

fn working_directory_is_the_bundle_or_the_root(ctx: &Context) -> Outcome {
    let mut hooked = all_kinds(ctx)?;
    let bundle = hooked.bundle.dir.clone();
    let rootfs = hooked.bundle.rootfs();
    hooked.bundle = hooked.bundle.set("/process/cwd", json!("/tmp"));
    for line in life(hooked)?.0 {
        let kind = line["hook"].as_str().unwrap_or_default();
        let expected = match kind {
            // Before the root is changed, the container's root is still a directory of the host.
            "createContainer" => json!(rootfs),
            "startContainer" => json!("/tmp"),
            _ => json!(bundle),
        };
        check_eq!(line["cwd"], expected, "directory of {kind}");
    }
    Ok(())
}

fn poststart_hooks_see_the_program_running(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.payload(&["sleep", "60000"]);
    let (seen, pid_file) = (bundle.dir.join("seen"), bundle.dir.join("pid"));
    let script = format!("cat /proc/$(cat {})/cmdline > {}", pid_file.display(), seen.display());
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", script]});
    let c = bundle.push("/hooks/poststart", hook).container()?;
    c.create()?;
    check!(!seen.exists(), "the hook ran before start");
    c.start()?;
    let words = fs::read_to_string(&seen)?;
    check_eq!(words.replace('\0', " "), "/bin/payload sleep 60000 ", "the program");
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

fn environment_that_is_empty_stays_empty(ctx: &Context) -> Outcome {
    let Hooked { mut bundle, log } = all_kinds(ctx)?;
    for kind in KINDS {
        bundle = bundle.set(&format!("/hooks/{kind}/0/env"), json!([]));
    }
    for line in life(Hooked { bundle, log })?.0 {
        check_eq!(line["env"], json!([]), "environment of {}", line["hook"]);
    }
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

/// The hook's failure fails `create`, is named, and nothing is left (the runner looks) but what
/// the poststop hook wrote.
fn create_fails(ctx: &Context, kind: &str) -> Outcome {
    let hooked = Hooked::new(ctx)?.hook(ctx, kind, kind, 7).hook(ctx, "poststop", "poststop", 0);
    let c = hooked.bundle.payload(&["say", "ran"]).container()?;
    let done = c.try_create(&[])?.exits(1)?;
    done.says(&["hook"])?.says(&["exit status 7", "exit code 7", "7"])?;
    check_eq!(labels(&hooked.log)?, [kind, "poststop"], "hooks that ran");
    c.verb("state")?.exits(1).map(drop)
}

fn labels(log: &PathBuf) -> Outcome<Vec<String>> {
    let label = |line: &Value| line["hook"].as_str().unwrap_or_default().to_owned();
    Ok(Hooked::ran(log)?.iter().map(label).collect())
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

/// The container is stopped when `start` comes back; its poststop hook runs at `delete`.
fn start_fails(ctx: &Context, kind: &str) -> Outcome {
    let hooked = Hooked::new(ctx)?.hook(ctx, kind, kind, 7).hook(ctx, "poststop", "poststop", 0);
    let c = hooked.bundle.payload(&["sleep", "60000"]).container()?;
    c.create()?;
    c.verb("start")?.exits(1)?.says(&["hook"])?.says(&["7"])?;
    c.has_status("stopped")?;
    c.exit_code()?;
    c.verb("delete")?.ok()?;
    check_eq!(labels(&hooked.log)?, [kind, "poststop"], "hooks that ran");
    Ok(())
}

fn failure_of_start_container_fails_start(ctx: &Context) -> Outcome {
    start_fails(ctx, "startContainer")
}

fn failure_of_poststart_fails_start(ctx: &Context) -> Outcome {
    start_fails(ctx, "poststart")
}

fn failure_of_poststop_is_told_and_changes_nothing(ctx: &Context) -> Outcome {
    let hooked =
        Hooked::new(ctx)?.hook(ctx, "poststop", "first", 7).hook(ctx, "poststop", "second", 0);
    let c = hooked.bundle.payload(&["true"]).container()?;
    c.up()?;
    c.exit_code()?;
    c.verb("delete")?.ok()?.says(&["error running poststop hook #0: exit status 7"])?;
    check_eq!(labels(&hooked.log)?, ["first", "second"], "hooks that ran");
    c.verb("state")?.exits(1)?.says(&["does not exist"]).map(drop)
}

fn failure_of_any_kind_fails_run_but_that_of_poststop(ctx: &Context) -> Outcome {
    for kind in KINDS {
        let hooked =
            Hooked::new_for(ctx, kind)?.hook(ctx, kind, kind, 7).hook(ctx, "poststop", "last", 0);
        let c = hooked.bundle.payload(&["exit", "3"]).container()?;
        let code = if kind == "poststop" { 3 } else { 1 };
        c.run(&[])?.exits(code)?.says(&[&format!("error running {kind} hook #0")])?;
        check_eq!(labels(&hooked.log)?, [kind, "last"], "hooks that ran");
        c.verb("state")?.exits(1)?.says(&["does not exist"])?;
    }
    Ok(())
}

fn program_of_a_hook_that_is_missing_is_named(ctx: &Context) -> Outcome {
    for kind in KINDS {
        let hooks = json!({ kind: [{"path": "/no/such/hook"}] });
        let c = Bundle::new(ctx)?.payload(&["true"]).set("/hooks", hooks).container()?;
        let wanted = format!(
            "error running {kind} hook #0: /no/such/hook: no such file or directory, stdout: , \
             stderr:  (config.json /hooks/{kind}/0)"
        );
        c.run(&[])?.says(&[&wanted])?;
    }
    Ok(())
}

fn hook_that_takes_too_long_is_killed(ctx: &Context) -> Outcome {
    let args = json!(["payload", "sleep", "60000"]);
    let hook = json!({"path": ctx.payload, "args": args, "timeout": 1});
    let c = Bundle::new(ctx)?.set("/hooks", json!({"createRuntime": [hook]})).container()?;
    c.try_create(&[])?.exits(1)?.says(&["ran past specified timeout"]).map(drop)
}

fn hook_of_any_kind_is_killed_at_its_timeout(ctx: &Context) -> Outcome {
    for kind in KINDS {
        let path =
            if kind == "startContainer" { json!("/bin/payload") } else { json!(ctx.payload) };
        let hook = json!({"path": path, "args": ["payload", "sleep", "60000"], "timeout": 1});
        let hooks = json!({ kind: [hook] });
        let c = Bundle::new(ctx)?.payload(&["true"]).set("/hooks", hooks).container()?;
        let wanted =
            format!("error running {kind} hook #0: hook ran past specified timeout of 1.0s");
        c.run(&[])?.says(&[&wanted])?;
    }
    Ok(())
}

fn output_of_a_failed_hook_is_shown(ctx: &Context) -> Outcome {
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo the reason >&2; exit 3"]});
    let c = Bundle::new(ctx)?.set("/hooks", json!({"createRuntime": [hook]})).container()?;
    c.try_create(&[])?.exits(1)?.says(&["the reason"]).map(drop)
}

/// Of every kind, and appended; a file that is there already keeps what it has.
fn output_goes_to_the_files_of_the_annotations(ctx: &Context) -> Outcome {
    let mut bundle = Bundle::new(ctx)?.payload(&["true"]);
    let (stdout, stderr) = (bundle.dir.join("stdout"), bundle.dir.join("stderr"));
    fs::write(&stderr, "before\n")?;
    for kind in KINDS {
        let shell = if kind == "startContainer" { "/bin/busybox" } else { "/bin/sh" };
        let hook =
            json!({"path": shell, "args": ["sh", "-c", format!("echo {kind}; echo {kind} >&2")]});
        bundle = bundle.push(&format!("/hooks/{kind}"), hook);
    }
    bundle = bundle.set(
        "/annotations",
        json!({
            "run.oci.hooks.stdout": stdout,
            "run.oci.hooks.stderr": stderr,
        }),
    );
    bundle.container()?.run(&[])?.ok()?;
    let all = KINDS.join("\n") + "\n";
    check_eq!(fs::read_to_string(&stdout)?, all, "standard output");
    check_eq!(fs::read_to_string(&stderr)?, format!("before\n{all}"), "standard error");
    Ok(())
}

fn output_that_cannot_be_opened_is_refused_with_its_place(ctx: &Context) -> Outcome {
    let fifo = ctx.dir.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU)?;
    for kind in ["createRuntime", "createContainer"] {
        for path in ["/no/such/directory/log", &fifo.to_string_lossy()] {
            let c = Bundle::new(ctx)?
                .set("/hooks", json!({ kind: [{"path": "/bin/true"}] }))
                .set("/annotations", json!({"run.oci.hooks.stderr": path}))
                .container()?;
            let done = c.try_create(&[])?.exits(1)?.says(&[path])?;
            done.says(&["(config.json /annotations/run.oci.hooks.stderr)"])?;
        }
    }
    Ok(())
}

fn hook_that_does_not_read_leaves_a_daemon_and_says_much_holds_nobody_up(ctx: &Context) -> Outcome {
    // More than a pipe holds, of state and of output; the daemon keeps both outputs open.
    let shared = ctx.dir.join("shared");
    fs::create_dir(&shared)?;
    let mut bundle = Bundle::new(ctx)?
        .payload(&["true"])
        .bind(&shared, "/shared", &["bind"])
        .set("/annotations", json!({"long": "x".repeat(200_000)}));
    for kind in KINDS {
        let (shell, directory) = match kind {
            "startContainer" => ("/bin/busybox", "/shared".into()),
            _ => ("/bin/sh", shared.to_string_lossy()),
        };
        let script = format!(
            "sleep 60 & echo {kind} $! >> {directory}/ran; i=0; \
             while [ $i -lt 2000 ]; do echo {}; i=$((i+1)); done",
            "y".repeat(100)
        );
        let env = json!(["PATH=/usr/bin:/bin"]);
        let hook = json!({"path": shell, "args": ["sh", "-c", script], "env": env});
        bundle = bundle.push(&format!("/hooks/{kind}"), hook);
    }
    let began = Instant::now();
    let done = bundle.container()?.run(&[]);
    let took = began.elapsed();
    let ran = fs::read_to_string(shared.join("ran"))?;
    let ran: Vec<_> = ran.lines().filter_map(|line| line.split_once(' ')).collect();
    // The others ended with the container's pid namespace.
    for (_, pid) in ran.iter().filter(|(kind, _)| !is_inside(kind)) {
        kill(Pid::from_raw(pid.parse()?), Signal::SIGKILL)?;
    }
    done?.ok()?;
    check!(took < Duration::from_secs(15), "it took {took:?}");
    check_eq!(ran.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), KINDS, "hooks that ran");
    Ok(())
}

fn later_hooks_do_not_run_after_a_failure(ctx: &Context) -> Outcome {
    let hooked = Hooked::new(ctx)?
        .hook(ctx, "createRuntime", "first", 1)
        .hook(ctx, "createRuntime", "second", 0)
        .hook(ctx, "createContainer", "third", 0);
    let c = hooked.bundle.container()?;
    c.try_create(&[])?.exits(1)?;
    check_eq!(labels(&hooked.log)?, ["first"], "hooks that ran");
    Ok(())
}
