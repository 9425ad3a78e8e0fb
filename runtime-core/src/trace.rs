//! How long each phase of a call took, for callers who want to know. Without a
//! [`Trace`] nothing is measured.

use serde::Serialize;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Lane {
    /// The calling process.
    Host,
    /// Init, inside the container.
    Init,
}

/// Something that took time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What was done.
    pub name: String,
    /// Of what kind: `parse`, `plan`, `cgroup`, `clone`, `hook`, `init`, `start`, …
    pub category: &'static str,
    /// The place in config.json that it comes from; empty for none.
    pub pointer: String,
    /// Who did it.
    pub lane: Lane,
    /// When it began, in nanoseconds of the host's clock. Time namespaces change other
    /// clocks, and a container may have one.
    pub begin: u64,
    /// When it ended.
    pub end: u64,
}

/// A collection of spans. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<Spans>>);

#[derive(Debug, Default)]
struct Spans {
    done: Vec<Span>,
    /// What init is doing, whose end nobody has told yet.
    open: Option<Span>,
}

impl Trace {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does `work`, and keeps how long it took.
    pub fn time<T>(&self, category: &'static str, name: &str, work: impl FnOnce() -> T) -> T {
        self.step(category, name, "", work)
    }

    pub(crate) fn step<T>(
        &self,
        category: &'static str,
        name: &str,
        pointer: &str,
        work: impl FnOnce() -> T,
    ) -> T {
        let begin = now();
        let result = work();
        let (name, pointer) = (name.to_owned(), pointer.to_owned());
        let span = Span { name, category, pointer, lane: Lane::Host, begin, end: now() };
        self.spans().done.push(span);
        result
    }

    /// Init has begun something at `begin`, which is the end of what it did before.
    pub(crate) fn begun(&self, category: &'static str, name: String, pointer: &str, begin: u64) {
        let mut spans = self.spans();
        spans.close(begin);
        let pointer = pointer.to_owned();
        spans.open = Some(Span { name, category, pointer, lane: Lane::Init, begin, end: begin });
    }

    /// Init is done with what it was doing, or with everything.
    pub(crate) fn settled(&self) {
        self.spans().close(now());
    }

    /// What was kept, in the order in which it ended.
    pub fn finished(&self) -> Vec<Span> {
        self.spans().done.clone()
    }

    /// The trace event format of Chrome, which Perfetto reads, too.
    pub fn to_chrome_json(&self) -> String {
        let pid = std::process::id();
        let mut events = Vec::new();
        for (lane, name) in [(Lane::Host, "tare"), (Lane::Init, "init")] {
            events.push(Event {
                name: Cow::from("thread_name"),
                ph: "M",
                pid,
                tid: lane as u32 + 1,
                args: Args { name: Some(name), pointer: None },
                ..Event::default()
            });
        }
        let mut spans = self.finished();
        spans.sort_by_key(|span| (span.begin, std::cmp::Reverse(span.end)));
        events.extend(spans.iter().map(|span| Event {
            name: Cow::from(&span.name),
            ph: "X",
            pid,
            tid: span.lane as u32 + 1,
            cat: Some(span.category),
            ts: Some(microseconds(span.begin)),
            dur: Some(microseconds(span.end.saturating_sub(span.begin))),
            args: Args {
                name: None,
                pointer: Some(span.pointer.as_str()).filter(|it| !it.is_empty()),
            },
        }));
        let file = File { trace_events: events, display_time_unit: "ms" };
        serde_json::to_string(&file).unwrap_or_default() + "\n"
    }

    fn spans(&self) -> MutexGuard<'_, Spans> {
        // What a panic elsewhere left is whole: each change is one push.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spans {
    fn close(&mut self, end: u64) {
        if let Some(open) = self.open.take() {
            self.done.push(Span { end: end.max(open.begin), ..open });
        }
    }
}

/// Does `work`, timed where there is a trace.
pub(crate) fn timed<T>(
    trace: Option<&Trace>,
    category: &'static str,
    name: &str,
    work: impl FnOnce() -> T,
) -> T {
    match trace {
        Some(trace) => trace.time(category, name, work),
        None => work(),
    }
}

fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

#[allow(clippy::cast_precision_loss)]
fn microseconds(nanoseconds: u64) -> f64 {
    // Exact to a fraction of a microsecond until the year 2255.
    nanoseconds as f64 / 1000.0
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    trace_events: Vec<Event<'a>>,
    display_time_unit: &'static str,
}

#[derive(Default, Serialize)]
struct Event<'a> {
    name: Cow<'a, str>,
    ph: &'static str,
    pid: u32,
    tid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    args: Args<'a>,
}

#[derive(Default, Serialize)]
struct Args<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_init_begins_ends_what_it_did_before() {
        let trace = Trace::new();
        trace.begun("init", "one".into(), "/a", 10);
        trace.begun("init", "two".into(), "", 25);
        trace.settled();
        let [one, two] = &trace.finished()[..] else { panic!("not two") };
        assert_eq!((one.name.as_str(), one.begin, one.end), ("one", 10, 25));
        assert!(two.begin == 25 && two.end > 25);
    }

    #[test]
    fn a_span_in_another_stands_within_it() {
        let trace = Trace::new();
        trace.time("call", "outer", || trace.time("plan", "inner", || ()));
        let [inner, outer] = &trace.finished()[..] else { panic!("not two") };
        assert!(outer.begin <= inner.begin && inner.end <= outer.end);
        let json: serde_json::Value = serde_json::from_str(&trace.to_chrome_json()).unwrap();
        let names: Vec<_> =
            json["traceEvents"].as_array().unwrap().iter().map(|e| &e["name"]).collect();
        assert_eq!(names, ["thread_name", "thread_name", "outer", "inner"]);
    }
}
