//! hooks: the six kinds with their state and namespaces, the members of a hook, failures.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::row::{Row, row};
use crate::bundle::{Bundle, parse_lines};
use crate::context::Context;
use crate::outcome::{Outcome, Stop};
use crate::{check, check_eq};

const HOOKS: &str = "config.md#posix-platform-hooks";

/// A kind of hook as the specification describes it.
struct Kind {
    name: &'static str,
    clause: &'static str,
    /// The status that the hook is told.
    status: &'static str,
    /// Whether it runs in the container's namespaces.
    inside: bool,
    /// The command that fails with it; none fails with poststop.
    fails: Option<&'static str>,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "prestart",
        clause: "config.md#prestart",
        status: "created",
        inside: false,
        fails: Some("create"),
    },
    Kind {
        name: "createRuntime",
        clause: "config.md#createruntime-hooks",
        status: "creating",
        inside: false,
        fails: Some("create"),
    },
    Kind {
        name: "createContainer",
        clause: "config.md#createcontainer-hooks",
        status: "creating",
        inside: true,
        fails: Some("create"),
    },
    Kind {
        name: "startContainer",
        clause: "config.md#startcontainer-hooks",
        status: "created",
        inside: true,
        fails: Some("start"),
    },
    Kind {
        name: "poststart",
        clause: "config.md#poststart",
        status: "running",
        inside: false,
        fails: Some("start"),
    },
    Kind {
        name: "poststop",
        clause: "config.md#poststop",
        status: "stopped",
        inside: false,
        fails: None,
    },
];

pub(super) fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = KINDS.iter().flat_map(of_kind).collect();
    rows.push(row("/hooks, in order", HOOKS).proves(in_order));
    rows.extend(members());
    rows
}

fn of_kind(kind: &'static Kind) -> Vec<Row> {
    let name = kind.name;
    vec![
        row(format!("/hooks/{name}, state on standard input"), HOOKS).proves(move |ctx| {
            let (line, id, dir) = one(ctx, kind)?;
            check_eq!(line["state"]["id"], json!(id), "id");
            check_eq!(line["state"]["bundle"], json!(dir), "bundle");
            check!(line["state"]["ociVersion"].is_string(), "ociVersion: {}", line["state"]);
            Ok(())
        }),
        row(format!("/hooks/{name}, status {}", kind.status), "runtime.md#lifecycle").proves(
            move |ctx| {
                check_eq!(one(ctx, kind)?.0["state"]["status"], json!(kind.status), "status");
                Ok(())
            },
        ),
        row(format!("/hooks/{name}, namespaces"), kind.clause).proves(move |ctx| {
            let line = one(ctx, kind)?.0;
            let own = fs::read_link("/proc/self/ns/uts")?;
            let own = own.to_string_lossy();
            let got = line["namespaces"]["uts"].as_str().unwrap_or_default();
            check!((got != own) == kind.inside, "UTS namespace {got}, the runtime's is {own}");
            Ok(())
        }),
        row(format!("/hooks/{name}, failure"), "runtime.md#lifecycle")
            .proves(move |ctx| fails(ctx, kind)),
    ]
}

/// Where hooks write what they saw, on the host and in the container.
struct Log<'c> {
    bundle: Bundle<'c>,
    file: PathBuf,
}

impl<'c> Log<'c> {
    fn new(ctx: &'c Context) -> Outcome<Self> {
        let dir = ctx.dir.join("hooks");
        fs::create_dir_all(&dir)?;
        let bundle = Bundle::new(ctx)?.bind(&dir, "/log", &["bind"]).payload(&["sleep", "60000"]);
        Ok(Self { bundle, file: dir.join("log") })
    }

    fn hook(mut self, ctx: &Context, kind: &str, label: &str, code: &str) -> Self {
        let in_container = kind == "startContainer";
        let path = if in_container { json!("/bin/payload") } else { json!(ctx.payload) };
        let file = if in_container { json!("/log/log") } else { json!(self.file) };
        let hook = json!({"path": path, "args": ["payload", "hook", file, label, code]});
        self.bundle = self.bundle.push(&format!("/hooks/{kind}"), hook);
        self
    }
}

fn written(file: &PathBuf) -> Outcome<Vec<Value>> {
    parse_lines(&fs::read_to_string(file).unwrap_or_default())
}

/// A container's life with one hook: what the hook saw, the id and the bundle.
fn one(ctx: &Context, kind: &Kind) -> Outcome<(Value, String, PathBuf)> {
    let log = Log::new(ctx)?.hook(ctx, kind.name, kind.name, "0");
    let file = log.file.clone();
    let c = log.bundle.container()?;
    live(&c)?;
    let line = written(&file)?.pop().ok_or_else(|| Stop::fail("the hook did not run"))?;
    Ok((line, c.id.clone(), c.dir.clone()))
}

fn live(c: &crate::container::Container<'_>) -> Outcome {
    c.up()?;
    c.kill_init()?;
    c.verb("delete")?.ok().map(drop)
}

fn fails(ctx: &Context, kind: &Kind) -> Outcome {
    let c = Log::new(ctx)?.hook(ctx, kind.name, "first", "3").bundle.container()?;
    let created = c.try_create(&[])?;
    if kind.fails == Some("create") {
        check!(created.code != 0, "create succeeds");
        return Ok(());
    }
    created.ok()?;
    let started = c.verb("start")?;
    if kind.fails == Some("start") {
        check!(started.code != 0, "start succeeds");
        return Ok(());
    }
    started.ok()?;
    c.kill_init()?;
    // It is logged, and the container is deleted all the same.
    c.verb("delete")?;
    check!(c.verb("state")?.code != 0, "the container is still there");
    Ok(())
}

fn in_order(ctx: &Context) -> Outcome {
    let mut log = Log::new(ctx)?;
    for kind in &KINDS {
        for number in ["1", "2"] {
            log = log.hook(ctx, kind.name, &format!("{} {number}", kind.name), "0");
        }
    }
    let file = log.file.clone();
    live(&log.bundle.container()?)?;
    let ran: Vec<String> =
        written(&file)?.iter().filter_map(|l| l["hook"].as_str().map(str::to_owned)).collect();
    let want: Vec<String> =
        KINDS.iter().flat_map(|k| ["1", "2"].map(|n| format!("{} {n}", k.name))).collect();
    check_eq!(ran, want, "hooks");
    Ok(())
}

fn members() -> Vec<Row> {
    vec![
        row("/hooks/…/path, relative", HOOKS)
            .set("/hooks", json!({"createRuntime": [{"path": "bin/true"}]}))
            .refused("/hooks/createRuntime/0"),
        row("/hooks/…/args", HOOKS).proves(|ctx| {
            let file = ctx.dir.join("log");
            let hook = json!({"path": ctx.payload, "args": ["other", "hook", file, "a b", "0"]});
            let line = with(ctx, hook, &file)?;
            check_eq!(line["args"], json!(["other", "hook", file, "a b", "0"]), "arguments");
            Ok(())
        }),
        row("/hooks/…/env", HOOKS).proves(|ctx| {
            let file = ctx.dir.join("log");
            let hook = json!({
                "path": ctx.payload, "args": ["payload", "hook", file, "x", "0"],
                "env": ["A=1", "WORDS=a b"],
            });
            let line = with(ctx, hook, &file)?;
            let mut env: Vec<&str> =
                line["env"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            env.sort_unstable();
            check_eq!(env, ["A=1", "WORDS=a b"], "environment");
            Ok(())
        }),
        row("/hooks/…/timeout", HOOKS).proves(|ctx| {
            let hook =
                json!({"path": ctx.payload, "args": ["payload", "sleep", "60000"], "timeout": 1});
            let c =
                Bundle::new(ctx)?.set("/hooks", json!({"createRuntime": [hook]})).container()?;
            check!(c.try_create(&[])?.code != 0, "create succeeds");
            Ok(())
        }),
        row("/hooks/…/timeout 0", HOOKS)
            .with(|ctx, b| {
                let hook = json!({"path": ctx.payload, "args": ["payload", "true"], "timeout": 0});
                Ok(b.set("/hooks", json!({"createRuntime": [hook]})))
            })
            .refused("/hooks/createRuntime/0/timeout"),
    ]
}

/// What a createRuntime hook saw.
fn with(ctx: &Context, hook: Value, file: &PathBuf) -> Outcome<Value> {
    let c = Bundle::new(ctx)?.set("/hooks", json!({"createRuntime": [hook]})).container()?;
    c.create()?;
    written(file)?.pop().ok_or_else(|| Stop::fail("the hook did not run"))
}
