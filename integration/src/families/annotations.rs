//! Annotations that change what the runtime does, and those that do not.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::container::Container;
use crate::context::Context;
use crate::outcome::Outcome;
use crate::process::{Done, Run};
use crate::{check_eq, family};

family!("annotations":
    keep_original_groups_leaves_the_groups_of_the_caller,
    keep_original_groups_holds_for_exec,
    unknown_annotations_are_no_error_and_stand_in_the_state,
);

/// The runtime, called by a process of group 4321.
fn in_group(ctx: &Context, args: &[&str]) -> Outcome<Done> {
    let (runtime, root) = (ctx.runtime.to_string_lossy(), ctx.root());
    let root = root.to_string_lossy();
    let mut all = vec!["--groups", "4321", &runtime, "--root", &root];
    all.extend(args);
    Run::new(Path::new("/usr/bin/setpriv"), &all, &ctx.dir)?.ok()
}

fn with_groups<'c>(ctx: &'c Context, annotation: Option<&str>) -> Outcome<Container<'c>> {
    let bundle = Bundle::new(ctx)?.set("/process/user/additionalGids", json!([5, 6]));
    let bundle = match annotation {
        Some(value) => bundle.set("/annotations", json!({ "run.oci.keep_original_groups": value })),
        None => bundle,
    };
    bundle.container()
}

fn groups(done: &Done) -> Outcome<Value> {
    Ok(parse_lines(&done.stdout)?.pop().unwrap_or_default()["groups"].clone())
}

fn keep_original_groups_leaves_the_groups_of_the_caller(ctx: &Context) -> Outcome {
    for (annotation, expected) in [
        (None, json!([5, 6])),
        (Some("0"), json!([5, 6])),
        (Some("1"), json!([4321])),
        (Some("yes"), json!([4321])),
    ] {
        let c = with_groups(ctx, annotation)?;
        let done = in_group(ctx, &["run", "--bundle", &c.dir.to_string_lossy(), &c.id])?;
        check_eq!(groups(&done)?, expected, "groups with {annotation:?}");
    }
    Ok(())
}

fn keep_original_groups_holds_for_exec(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.payload(&["sleep", "60000"]);
    let c =
        bundle.set("/annotations", json!({ "run.oci.keep_original_groups": "1" })).container()?;
    c.up()?;
    let done = in_group(ctx, &["exec", &c.id, "/bin/payload", "facts"])?;
    check_eq!(groups(&done)?, json!([4321]), "groups");
    Ok(())
}

fn unknown_annotations_are_no_error_and_stand_in_the_state(ctx: &Context) -> Outcome {
    let annotations = json!({"org.example.unknown": "", "run.oci.unknown": "x"});
    let c = Bundle::new(ctx)?.set("/annotations", annotations.clone()).container()?;
    c.create()?;
    check_eq!(c.state()?["annotations"], annotations, "annotations");
    Ok(())
}
