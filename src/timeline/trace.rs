//! The record as trace events, which Perfetto and `chrome://tracing` read: a process for each
//! workspace, in it a thread for each plugin.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::rows::{LaneGroup, LaneRow, groups};
use super::{CacheFacts, Lane, Recorded, critical_path};

/// The threads of workspaces themselves.
const WORKSPACE: usize = 1;

#[derive(Serialize)]
struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<TraceEvent>,
}

#[derive(Serialize)]
struct TraceEvent {
    name: String,
    cat: &'static str,
    ph: &'static str,
    /// Microseconds.
    ts: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<u128>,
    pid: usize,
    tid: usize,
    args: Map<String, Value>,
}

/// Renders the file.
///
/// # Panics
/// Never: events are plain data.
pub fn render(recorded: &Recorded) -> String {
    let path = critical_path::of(recorded);
    let mut events = Vec::new();
    for (index, group) in groups(recorded).iter().enumerate() {
        Events { recorded, path: &path, pid: index + 1, all: &mut events }.group(group);
    }
    let mut text = serde_json::to_string_pretty(&Trace { events }).expect("events are plain data");
    text.push('\n');
    text
}

/// The events of one group.
struct Events<'a> {
    recorded: &'a Recorded,
    path: &'a [usize],
    pid: usize,
    all: &'a mut Vec<TraceEvent>,
}

impl Events<'_> {
    fn group(&mut self, group: &LaneGroup<'_>) {
        self.name("process_name", WORKSPACE, group.name.unwrap_or("all workspaces"));
        let mut tid = WORKSPACE;
        if let Some(name) = group.name {
            self.name("thread_name", tid, "workspace");
            let times = self.times(group.rows.iter().flat_map(LaneRow::places));
            self.span(name, "workspace", (times, tid), Map::new());
        }
        for row in &group.rows {
            let name = row.lane.to_string();
            match row.lane {
                Lane::Workspace(_) => self.tracks(row, tid),
                Lane::Plugin(_, path) => {
                    tid += 1;
                    self.name("thread_name", tid, path);
                    let facts = self.recorded.facts.get(row.lane).map(cache_facts).unwrap_or_default();
                    self.span(path, "plugin", (self.times(row.places()), tid), facts);
                    self.tracks(row, tid);
                }
                Lane::Run(_) => {
                    for track in &row.tracks {
                        self.name("thread_name", tid, &name);
                        for place in track {
                            self.step(*place, tid);
                        }
                        tid += 1;
                    }
                }
            }
        }
        let start = self.times(group.rows.iter().flat_map(LaneRow::places)).0;
        for (lane, facts) in &group.idle {
            let Lane::Plugin(_, path) = lane else { continue };
            tid += 1;
            self.name("thread_name", tid, path);
            self.span(path, "plugin", ((start, start), tid), cache_facts(facts));
        }
    }

    fn tracks(&mut self, row: &LaneRow<'_>, tid: usize) {
        for place in row.places() {
            self.step(place, tid);
        }
    }

    fn step(&mut self, place: usize, tid: usize) {
        let span = &self.recorded.spans[place];
        let mut args = Map::new();
        if let Some(after) = span.after.and_then(|after| self.recorded.spans.get(after)) {
            args.insert("after".into(), format!("{}: {}", after.lane, after.what).into());
        }
        if self.path.contains(&place) {
            args.insert("critical".into(), true.into());
        }
        if !span.is_done {
            args.insert("unfinished".into(), true.into());
        }
        let is_install = matches!(span.lane, Lane::Workspace(_)) && super::is_install(&span.what);
        if let Some(facts) = self.recorded.facts.get(&span.lane).filter(|_| is_install) {
            args.extend(cache_facts(facts));
        }
        let cat = if span.is_wait { "wait" } else { "step" };
        self.span(&span.what, cat, ((span.start, span.ended()), tid), args);
    }

    fn span(&mut self, name: &str, cat: &'static str, (times, tid): (Times, usize), args: Map<String, Value>) {
        let (ts, end) = (times.0.as_micros(), times.1.as_micros());
        let dur = Some(end.saturating_sub(ts));
        self.all.push(TraceEvent { name: name.into(), cat, ph: "X", ts, dur, pid: self.pid, tid, args });
    }

    fn name(&mut self, what: &str, tid: usize, name: &str) {
        let args = Map::from_iter([("name".to_owned(), name.into())]);
        self.all.push(TraceEvent {
            name: what.into(),
            cat: "__metadata",
            ph: "M",
            ts: 0,
            dur: None,
            pid: self.pid,
            tid,
            args,
        });
    }

    /// From the first beginning to the last end.
    fn times(&self, places: impl Iterator<Item = usize>) -> Times {
        let spans: Vec<_> = places.map(|place| &self.recorded.spans[place]).collect();
        let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
        (start, spans.iter().map(|span| span.ended()).max().unwrap_or(start))
    }
}

type Times = (Duration, Duration);

fn cache_facts(facts: &CacheFacts) -> Map<String, Value> {
    match facts.cached {
        Some(place) => Map::from_iter([("cached".to_owned(), place.into())]),
        None => Map::from_iter([("not-cached".to_owned(), facts.why.clone().into())]),
    }
}
