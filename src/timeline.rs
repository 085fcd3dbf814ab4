//! What ran when: one record of all steps of a run, from which come the seconds of the report, the page and the trace of
//! `--timings`, and the critical path.
//!
//! ```text
//! Timeline   steps and waits as they begin and end -> Recorded
//! critical_path  what the last step waited for, and so on
//! page, trace    a Recorded for people, and for programs (Chrome's trace events)
//! ```

pub mod critical_path;
pub mod page;
mod rows;
pub mod trace;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whose steps follow one another: one line of the picture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What is done once for all workspaces, by its name.
    Run(&'static str),
    /// A workspace.
    Workspace(String),
    /// A plugin: its workspace, and its path there.
    Plugin(String, String),
}

impl Lane {
    /// That of a workspace.
    pub fn workspace(name: &str) -> Self {
        Self::Workspace(name.to_owned())
    }

    /// That of a plugin.
    pub fn plugin(workspace: &str, path: &str) -> Self {
        Self::Plugin(workspace.to_owned(), path.to_owned())
    }

    /// The workspace, if it is of one.
    pub fn workspace_name(&self) -> Option<&str> {
        match self {
            Self::Run(_) => None,
            Self::Workspace(name) | Self::Plugin(name, _) => Some(name),
        }
    }
}

impl From<&'static str> for Lane {
    fn from(name: &'static str) -> Self {
        Self::Run(name)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(name) => f.write_str(name),
            Self::Workspace(name) => f.write_str(name),
            Self::Plugin(workspace, path) => write!(f, "{workspace} {path}"),
        }
    }
}

/// Something that took time. Times are from the start of the run.
#[derive(Clone, Debug)]
pub struct Span {
    /// Whose it is.
    pub lane: Lane,
    /// What it was: `export`.
    pub what: String,
    /// When it began.
    pub start: Duration,
    /// When it ended; none while it runs.
    pub end: Option<Duration>,
    /// False for what failed or was stopped.
    pub is_done: bool,
    /// Nothing was done meanwhile but waiting.
    pub is_wait: bool,
    /// Of a wait: the step that it waited for, by its place, where that is known.
    pub after: Option<usize>,
}

/// Whether a plugin, or the installed packages of a workspace, were taken from a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheFacts {
    /// Where it was taken from: `this machine's cache`.
    pub cached: Option<&'static str>,
    /// Why it is made where it is not taken from a cache: `not built before`.
    pub why: String,
}

/// All that was recorded, with an end for everything.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// In the order in which they began.
    pub spans: Vec<Span>,
    /// What is known of plugins, and of the installed packages of workspaces.
    pub facts: BTreeMap<Lane, CacheFacts>,
    /// When all steps so far had ended before others began.
    pub barriers: Vec<Duration>,
    /// When it was asked for.
    pub end: Duration,
}

#[derive(Debug, Default)]
struct Recording {
    recorded: Recorded,
    /// The last step of who gave a slot back that nobody has taken since, the longest free first.
    freed: VecDeque<Option<usize>>,
}

/// The record of one run.
#[derive(Debug)]
pub struct Timeline {
    started: Instant,
    recording: Mutex<Recording>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { started: Instant::now(), recording: Mutex::default() }
    }
}

impl Timeline {
    /// Begins a step.
    pub fn begin(&self, lane: Lane, what: impl Into<String>) -> RunningSpan<'_> {
        self.push(lane, what.into(), false)
    }

    /// Begins to wait.
    pub fn wait(&self, lane: Lane, what: impl Into<String>) -> RunningSpan<'_> {
        self.push(lane, what.into(), true)
    }

    /// Goes on with a wait that began then.
    pub fn wait_since(&self, lane: Lane, what: impl Into<String>, began: Instant) -> RunningSpan<'_> {
        let span = self.wait(lane, what);
        span.began_at(began);
        span
    }

    /// Records a step that began then and ends now; returns how long it took.
    pub fn record(&self, lane: Lane, what: &str, began: Instant) -> Duration {
        let span = self.begin(lane, what);
        span.began_at(began);
        span.done()
    }

    /// Records that a lane has waited since then for the last step of these.
    pub fn waited(&self, lane: Lane, what: &str, (began, others): (Instant, &[Lane])) {
        let span = self.wait_since(lane, what, began);
        let after = last_step(&self.locked().recorded.spans, others);
        span.over(after);
    }

    /// All steps so far have ended, and what begins from now on has waited for all of them.
    pub fn barrier(&self) {
        let now = self.started.elapsed();
        self.locked().recorded.barriers.push(now);
    }

    /// A lane gives its slot back.
    pub fn give_slot_back(&self, lane: &Lane) {
        let mut recording = self.locked();
        let last = last_step(&recording.recorded.spans, std::slice::from_ref(lane));
        recording.freed.push_back(last);
    }

    /// Takes a slot; returns the last step of who had it before.
    pub fn take_slot(&self) -> Option<usize> {
        self.locked().freed.pop_front().flatten()
    }

    /// Why something is made, if it is not taken from a cache.
    pub fn explain(&self, lane: Lane, why: String) {
        self.locked().recorded.facts.entry(lane).or_default().why = why;
    }

    /// It was taken from there.
    pub fn taken_from(&self, lane: Lane, place: &'static str) {
        self.locked().recorded.facts.entry(lane).or_default().cached = Some(place);
    }

    /// All so far. What still runs ends now, unfinished.
    pub fn recorded(&self) -> Recorded {
        let end = self.started.elapsed();
        let mut recorded = self.locked().recorded.clone();
        recorded.end = end;
        for span in &mut recorded.spans {
            span.end.get_or_insert(end);
        }
        recorded
    }

    fn push(&self, lane: Lane, what: String, is_wait: bool) -> RunningSpan<'_> {
        let start = self.started.elapsed();
        let mut recording = self.locked();
        let spans = &mut recording.recorded.spans;
        spans.push(Span { lane, what, start, end: None, is_done: false, is_wait, after: None });
        RunningSpan { timeline: self, place: spans.len() - 1 }
    }

    fn locked(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The step of these lanes that ended last.
fn last_step(spans: &[Span], lanes: &[Lane]) -> Option<usize> {
    let steps = spans.iter().enumerate().filter(|(_, span)| !span.is_wait && lanes.contains(&span.lane));
    steps.max_by_key(|(_, span)| span.end).map(|(place, _)| place)
}

/// A step that runs. Dropped without [`RunningSpan::done`], it has failed or was stopped.
#[derive(Debug)]
#[must_use]
pub struct RunningSpan<'a> {
    timeline: &'a Timeline,
    place: usize,
}

impl RunningSpan<'_> {
    /// Ends it; returns how long it took.
    pub fn done(self) -> Duration {
        self.with(|span| span.is_done = true);
        self.end()
    }

    /// Ends a wait for this step.
    pub fn over(self, after: Option<usize>) {
        self.with(|span| span.after = after);
        self.done();
    }

    /// Nothing is done meanwhile but waiting.
    pub fn is_wait(&self) {
        self.with(|span| span.is_wait = true);
    }

    fn began_at(&self, began: Instant) {
        let start = began.saturating_duration_since(self.timeline.started);
        self.with(|span| span.start = start);
    }

    /// How long it took; it ends now unless it has ended.
    fn end(&self) -> Duration {
        let now = self.timeline.started.elapsed();
        let mut recording = self.timeline.locked();
        let span = &mut recording.recorded.spans[self.place];
        span.end.get_or_insert(now).saturating_sub(span.start)
    }

    fn with(&self, change: impl FnOnce(&mut Span)) {
        change(&mut self.timeline.locked().recorded.spans[self.place]);
    }
}

impl Drop for RunningSpan<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl Span {
    /// When it ended.
    pub fn ended(&self) -> Duration {
        self.end.unwrap_or(self.start)
    }

    /// How long it took.
    pub fn took(&self) -> Duration {
        self.ended().saturating_sub(self.start)
    }
}

/// Whether a step of a workspace is what its cache facts are about.
fn is_install(what: &str) -> bool {
    matches!(what, "yarn install" | "packages from the cache")
}
