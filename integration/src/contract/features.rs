//! `features` and `spec`.

use std::fs;

use serde_json::Value;

use super::engine::text;
use super::row::{Group, PEOPLE, row, tested};
use crate::check;
use crate::context::Context;
use crate::outcome::{Outcome, Stop};

const CRI: &str = "containerd, and CRI through it";

pub(super) fn group() -> Group {
    let rows = vec![
        tested(
            "`features` is as the specification's schema has it",
            CRI,
            "features::document_is_as_the_schema_wants_it",
        ),
        row(
            "`features` advertises recursive read-only mounts: `rro` among mountOptions",
            CRI,
            |ctx| has(ctx, "/mountOptions", "rro"),
        ),
        row("`features` advertises user namespaces: `user`, and idmap enabled", CRI, |ctx| {
            has(ctx, "/linux/namespaces", "user")?;
            let idmap = document(ctx)?.pointer("/linux/mountExtensions/idmap/enabled").cloned();
            check!(idmap == Some(Value::Bool(true)), "idmap: {idmap:?}");
            Ok(())
        }),
        row("`features` lists the actions of seccomp", "Docker", |ctx| {
            has(ctx, "/linux/seccomp/actions", "SCMP_ACT_NOTIFY")
        }),
        row("`features` tells of cgroups: v1, v2, systemd", CRI, |ctx| {
            for member in ["v1", "v2", "systemd"] {
                let place = format!("/linux/cgroup/{member}");
                let claim = document(ctx)?.pointer(&place).cloned();
                check!(claim.as_ref().is_some_and(Value::is_boolean), "{place}: {claim:?}");
            }
            Ok(())
        }),
        row("`features` lists annotations that change the host", CRI, |ctx| {
            has(ctx, "/potentiallyUnsafeConfigAnnotations", "org.systemd.property.")
        }),
        tested(
            "every mount option of `features` is understood",
            CRI,
            "features::every_mount_option_is_understood",
        ),
        tested(
            "id-mapped mounts are as `features` claims",
            CRI,
            "features::id_mapped_mounts_are_as_claimed",
        ),
        tested(
            "`spec` writes a configuration that runs",
            PEOPLE,
            "lifecycle::spec_writes_a_configuration_that_runs",
        ),
        tested(
            "`spec` where one is: `config.json exists`",
            PEOPLE,
            "lifecycle::spec_does_not_overwrite_a_configuration",
        ),
        row("`spec` in the directory of the caller, and `spec -b DIR`", PEOPLE, |ctx| {
            for (name, flags) in [("one", vec![]), ("two", vec!["-b", "two"])] {
                let dir = ctx.dir.join(name);
                fs::create_dir(&dir)?;
                let here = if flags.is_empty() { &dir } else { &ctx.dir };
                ctx.cmd(&[&["spec"], &flags[..]].concat())?.cwd(here).ok()?;
                let written: Value = serde_json::from_slice(&fs::read(dir.join("config.json"))?)?;
                check!(written["process"]["args"][0] == "sh", "{}: {written}", text(&dir));
            }
            Ok(())
        }),
        tested(
            "`spec --rootless` writes one for an ordinary user",
            PEOPLE,
            "rootless::bundle_of_spec_rootless_runs",
        ),
    ];
    Group { title: "features and spec", rows }
}

fn document(ctx: &Context) -> Outcome<Value> {
    Ok(serde_json::from_str(&ctx.ok(&["features"])?.stdout)?)
}

/// A list of the document must have a word in it.
fn has(ctx: &Context, pointer: &str, word: &str) -> Outcome {
    let document = document(ctx)?;
    let list = document.pointer(pointer).and_then(Value::as_array);
    let list = list.ok_or_else(|| Stop::fail(format!("no {pointer}")))?;
    check!(list.iter().any(|it| it == word), "{word} is not among {pointer}");
    Ok(())
}
