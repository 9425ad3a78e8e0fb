//! A row of the table: a field of config.json, and what shows inside a container that it acts.

use std::fmt;

use serde_json::Value;

use super::needs::Need;
use crate::answers::Answer;
use crate::bundle::{Bundle, parse_lines};
use crate::container::Container;
use crate::context::{Context, Kind};
use crate::outcome::Outcome;
use crate::{cgroups, check};

type Change = Box<dyn for<'c> Fn(&'c Context, Bundle<'c>) -> Outcome<Bundle<'c>>>;
type Proof = Box<dyn Fn(&Context) -> Outcome>;
type Condition = Box<dyn Fn(&[Value]) -> Outcome>;

/// A field, its clause of the specification, and the check.
pub(super) struct Row {
    pub(super) field: String,
    pub(super) clause: &'static str,
    pub(super) needs: Vec<Need>,
    changes: Vec<Change>,
    ask: Vec<&'static str>,
    wants: Vec<Want>,
    proof: Option<Proof>,
}

/// What must come.
enum Want {
    /// A value in the payload's report: a JSON pointer into the list of its lines.
    Seen(&'static str, Value),
    /// A text in a string of the report.
    Holds(&'static str, String),
    /// The report satisfies this.
    Meets(Condition),
    /// The text of a file of the container's cgroup, in a controller's hierarchy.
    File(&'static str, &'static str, String),
    /// The container is not made, and the message names this place of config.json.
    Refused(&'static str),
}

/// Begins a row.
pub(super) fn row(field: impl fmt::Display, clause: &'static str) -> Row {
    Row {
        field: field.to_string(),
        clause,
        needs: Vec::new(),
        changes: Vec::new(),
        ask: vec!["facts"],
        wants: Vec::new(),
        proof: None,
    }
}

impl Row {
    /// Sets a value of the default configuration.
    pub(super) fn set(self, pointer: &'static str, value: Value) -> Self {
        self.with(move |_, bundle| Ok(bundle.set(pointer, value.clone())))
    }

    /// Appends to a list of the default configuration.
    pub(super) fn push(self, pointer: &'static str, value: Value) -> Self {
        self.with(move |_, bundle| Ok(bundle.push(pointer, value.clone())))
    }

    /// Removes a member of an object.
    pub(super) fn remove(self, object: &'static str, name: &'static str) -> Self {
        self.with(move |_, bundle| Ok(bundle.remove(object, name)))
    }

    /// Adds a mount.
    pub(super) fn mount(self, kind: &'static str, options: Vec<&'static str>) -> Self {
        self.with(move |_, bundle| Ok(bundle.mount("/m", kind, kind, &options)))
    }

    /// Any other change.
    pub(super) fn with(
        mut self,
        change: impl for<'c> Fn(&'c Context, Bundle<'c>) -> Outcome<Bundle<'c>> + 'static,
    ) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// What the payload does instead of reporting its facts.
    pub(super) fn asks(mut self, commands: &[&'static str]) -> Self {
        self.ask = commands.to_vec();
        self
    }

    /// What the payload must report.
    pub(super) fn sees(self, pointer: &'static str, value: Value) -> Self {
        self.want(Want::Seen(pointer, value))
    }

    /// A text that a string of the report must hold.
    pub(super) fn holds(self, pointer: &'static str, text: impl fmt::Display) -> Self {
        self.want(Want::Holds(pointer, text.to_string()))
    }

    /// A condition on the report's lines.
    pub(super) fn meets(self, condition: impl Fn(&[Value]) -> Outcome + 'static) -> Self {
        self.want(Want::Meets(Box::new(condition)))
    }

    /// What a file of the container's cgroup must say.
    pub(super) fn file(
        self,
        controller: &'static str,
        file: &'static str,
        text: impl fmt::Display,
    ) -> Self {
        self.want(Want::File(controller, file, text.to_string()))
    }

    /// The configuration must be refused.
    pub(super) fn refused(self, pointer: &'static str) -> Self {
        self.want(Want::Refused(pointer))
    }

    /// A check of its own in the place of all others.
    pub(super) fn proves(mut self, proof: impl Fn(&Context) -> Outcome + 'static) -> Self {
        self.proof = Some(Box::new(proof));
        self
    }

    /// What the machine must have for this row.
    pub(super) fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    fn want(mut self, want: Want) -> Self {
        self.wants.push(want);
        self
    }

    /// Tries the row with the runtime of a context.
    pub(super) fn answer(&self, ctx: &Context) -> Answer {
        if let Some(missing) = self.needs.iter().find_map(|need| need.missing(ctx)) {
            return Answer::Skip(missing);
        }
        match &self.proof {
            Some(proof) => proof(ctx).into(),
            None => self.hold(ctx).unwrap_or_else(|stop| Err(stop).into()),
        }
    }

    fn hold(&self, ctx: &Context) -> Outcome<Answer> {
        let mut bundle = Bundle::new(ctx)?.payload(&self.ask);
        for change in &self.changes {
            bundle = change(ctx, bundle)?;
        }
        let c = bundle.container()?;
        let created = c.try_create(&[])?;
        if let Some(pointer) = self.refusal() {
            return refused(ctx, created.code, &created.stderr, pointer);
        }
        if created.code != 0 {
            return Ok(Answer::Refused(created.stderr.trim().to_owned()));
        }
        for want in &self.wants {
            want.file_holds(ctx, &c)?;
        }
        let started = c.verb("start")?;
        if started.code != 0 {
            return Ok(Answer::Refused(started.stderr.trim().to_owned()));
        }
        c.exit_code()?;
        let lines = parse_lines(&c.printed())?;
        check!(!lines.is_empty(), "the payload said nothing, but {:?}", c.printed());
        let report = Value::Array(lines);
        for want in &self.wants {
            want.is_in(&report)?;
        }
        Ok(Answer::Yes)
    }

    fn refusal(&self) -> Option<&'static str> {
        self.wants.iter().find_map(|want| match want {
            Want::Refused(pointer) => Some(*pointer),
            _ => None,
        })
    }
}

/// Every runtime must refuse; tare says where the cause stands.
fn refused(ctx: &Context, code: i32, stderr: &str, pointer: &str) -> Outcome<Answer> {
    check!(code != 0, "it is accepted");
    let names = ctx.kind != Kind::Tare || stderr.contains(pointer);
    check!(names, "the message does not name {pointer}: {}", stderr.trim());
    Ok(Answer::Yes)
}

impl Want {
    fn file_holds(&self, ctx: &Context, c: &Container<'_>) -> Outcome {
        let Self::File(controller, file, want) = self else { return Ok(()) };
        let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
        let got = cgroups::read(ctx.layout, controller, cgroup, file)?;
        check!(got == *want, "{file} is {got:?}, expected {want:?}");
        Ok(())
    }

    fn is_in(&self, report: &Value) -> Outcome {
        match self {
            Self::Seen(pointer, want) => {
                let got = report.pointer(pointer).unwrap_or(&Value::Null);
                check!(got == want, "{pointer} is {got}, expected {want}");
            }
            Self::Holds(pointer, want) => {
                let got = report.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                let begin: String = got.chars().take(100).collect();
                check!(got.contains(want.as_str()), "{pointer} is {begin:?}…, without {want:?}");
            }
            Self::Meets(condition) => condition(report.as_array().map_or(&[], Vec::as_slice))?,
            Self::File(..) | Self::Refused(_) => {}
        }
        Ok(())
    }
}
