//! Steps: what is said and recorded of something that takes time.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use anstream::AutoStream;
use indicatif::{ProgressBar, ProgressStyle};

use super::{BOLD, DIM, ELAPSED, GREEN, Ui, clean, columns_of, seconds, wrap};
use crate::timeline::{Lane, RunningSpan};

impl Ui {
    /// Begins a step, and records it.
    #[track_caller]
    pub fn step(&self, of: impl Into<Lane>, what: impl Display) -> Step<'_> {
        let lane = of.into();
        let (scope, what) = (clean(&lane.to_string()), clean(&what.to_string()));
        let bar = self.live.as_ref().map(|live| {
            // Not the whole width: the terminal's own `^C` behind a full line would start another one.
            let has_colour = AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
            let coloured = "{spinner:.cyan} {prefix:.bold} {msg} {elapsed:.dim}";
            let template = if has_colour { coloured } else { "{spinner} {prefix} {msg} {elapsed}" };
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = live.add(ProgressBar::new_spinner().with_style(style));
            bar.set_prefix(scope.clone());
            let room = columns_of(io::stderr()).map(|columns| columns.saturating_sub(scope.chars().count() + ELAPSED));
            bar.set_message(wrap::shortened(&what, room));
            bar.enable_steady_tick(Duration::from_millis(125));
            bar
        });
        if bar.is_none() && self.steps {
            self.line(&format!("{DIM}·{DIM:#} {BOLD}{scope}{BOLD:#} {what}"));
        }
        let span = self.timeline.begin(lane, what.clone());
        Step { ui: self, bar, scope, what, span: Some(span) }
    }
}

/// A step that is under way. Dropped without [`Step::done`], it leaves no line: its error is the line.
pub struct Step<'a> {
    ui: &'a Ui,
    bar: Option<ProgressBar>,
    scope: String,
    what: String,
    /// None once it has ended.
    span: Option<RunningSpan<'a>>,
}

impl Step<'_> {
    /// Nothing is done in it but waiting.
    #[must_use]
    pub fn waiting(self) -> Self {
        self.span.as_ref().map(RunningSpan::is_wait);
        self
    }

    /// Ends the step; `result` is said behind its name. Returns the time it took.
    #[track_caller]
    pub fn done(mut self, result: impl Display) -> Duration {
        let elapsed = self.span.take().map(RunningSpan::done).unwrap_or_default();
        if self.ui.steps {
            let result = clean(&result.to_string());
            let gap = if result.is_empty() { "" } else { ": " };
            self.ui.line(&format!(
                "{GREEN}✓{GREEN:#} {BOLD}{}{BOLD:#} {}{gap}{result} {DIM}{}{DIM:#}",
                self.scope,
                self.what,
                seconds(elapsed)
            ));
        }
        elapsed
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
