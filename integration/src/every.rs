//! What the configuration says of a process holds for every process of the container: the first,
//! an executed one, and one that is executed by a document of its own.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::check;
use crate::container::Container;
use crate::context::Context;
use crate::outcome::Outcome;

/// A member of the configuration, its value, and what the process then finds.
#[derive(Debug)]
pub struct Row<'r> {
    /// Where the member stands.
    pub pointer: &'r str,
    /// What it says.
    pub value: Value,
    /// Which of the payload's facts shows it.
    pub fact: &'r str,
    /// The fact; of an object at least these members.
    pub found: Value,
}

/// The first process has it, an executed one has it, and so has one whose own document says
/// it or leaves it out.
pub fn holds_for_all(ctx: &Context, rows: &[Row<'_>]) -> Outcome {
    holds_for(ctx, rows, true)
}

/// The same, but a document that leaves it out does without.
pub fn holds_where_it_is_said(ctx: &Context, rows: &[Row<'_>]) -> Outcome {
    holds_for(ctx, rows, false)
}

fn holds_for(ctx: &Context, rows: &[Row<'_>], inherited: bool) -> Outcome {
    for Row { pointer, value, fact, found } in rows {
        let bundle = Bundle::new(ctx)?
            .set(pointer, value.clone())
            .payload(&["facts", ",", "sleep", "60000"]);
        let c = bundle.container()?;
        c.up()?;
        c.prints("}\n")?;
        let has = |facts: Value, whose: &str| {
            let got = facts.pointer(fact).unwrap_or(&Value::Null);
            check!(holds(got, found), "{value}: {fact} of {whose} is {got}, expected {found}");
            Ok(())
        };
        has(parse_lines(&c.printed())?.remove(0), "the container")?;
        has(c.exec_report(&[], &["facts"])?, "an executed process")?;
        if inherited {
            has(by_document(ctx, &c, &json!({}))?, "a document without it")?;
        }
        if let Some(member) = pointer.strip_prefix("/process/") {
            let plain = idle(Bundle::new(ctx)?)?;
            has(by_document(ctx, &plain, &json!({ member: value }))?, "a document with it")?;
        }
    }
    Ok(())
}

/// Equal, or an object with at least these members.
fn holds(got: &Value, found: &Value) -> bool {
    match found.as_object() {
        Some(members) => members.iter().all(|(name, value)| got[name] == *value),
        None => got == found,
    }
}

/// A container that runs and does nothing.
pub fn idle(bundle: Bundle<'_>) -> Outcome<Container<'_>> {
    let c = bundle.payload(&["sleep", "60000"]).container()?;
    c.up()?;
    Ok(c)
}

/// What a process finds that is executed by a document of its own with these members.
pub fn by_document(ctx: &Context, c: &Container<'_>, members: &Value) -> Outcome<Value> {
    let mut process = json!({"args": ["/bin/payload", "facts"], "cwd": "/", "user": {}});
    for (name, value) in members.as_object().into_iter().flatten() {
        process[name] = value.clone();
    }
    let file = ctx.dir.join(format!("process{}.json", ctx.number()));
    fs::write(&file, process.to_string())?;
    let done = ctx.ok(&["exec", "--process", &file.to_string_lossy(), &c.id])?;
    Ok(parse_lines(&done.stdout)?.remove(0))
}

/// A container with it is refused with these words and the place.
pub fn refused(ctx: &Context, cases: &[(&str, Value, &str)]) -> Outcome {
    for (pointer, value, words) in cases {
        let c = Bundle::new(ctx)?.set(pointer, value.clone()).container()?;
        let done = c.run(&[])?;
        check!(done.code == 1, "{value}: exit code {}", done.code);
        done.says(&[words])?.says(&[&format!("config.json {pointer}")])?;
    }
    Ok(())
}
