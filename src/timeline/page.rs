//! The record as one page that needs no network, no server and no script: a picture, the critical path, and a table.
//!
//! All text from outside is escaped.

use std::fmt::Write as _;
use std::time::Duration;

use super::rows::{LaneGroup, LaneRow, groups};
use super::{CacheFacts, Lane, Recorded, Span, critical_path, is_install};
use crate::html::{escaped, source_hash};

const STYLE: &str = include_str!("page.css");
/// Steps by their colours, as the legend has them.
const LEGEND: [(&str, &str); 11] = [
    ("tools", "tools, resolve"),
    ("checkout", "check out"),
    ("install", "packages"),
    ("types", "types"),
    ("export", "export"),
    ("checks", "checks"),
    ("pack", "pack"),
    ("other", "other"),
    ("wait", "waiting"),
    ("failed", "not finished"),
    ("on", "critical path"),
];
/// Most marks of the time axis: they fit a phone.
const MARKS: f64 = 6.0;

/// Renders the page of a run of this command.
pub fn render(recorded: &Recorded, command: &str) -> String {
    let path = critical_path::of(recorded);
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; base-uri 'none'; \
         form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Timings of factory {command}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        source_hash(STYLE),
    );
    let groups = groups(recorded);
    let page_of = Page { recorded, path: &path, groups: &groups };
    page_of.head(&mut page, command);
    page_of.picture(&mut page);
    page_of.critical_path(&mut page);
    page_of.table(&mut page);
    page.push_str("</body>\n</html>\n");
    page
}

struct Page<'a> {
    recorded: &'a Recorded,
    path: &'a [usize],
    groups: &'a [LaneGroup<'a>],
}

impl Page<'_> {
    fn head(&self, page: &mut String, command: &str) {
        let plugins = self.recorded.facts.iter().filter(|(lane, _)| matches!(lane, Lane::Plugin(..)));
        let (cached, made): (Vec<_>, Vec<_>) = plugins.partition(|(_, facts)| facts.cached.is_some());
        let waits = self.recorded.spans.iter().filter(|span| span.is_wait);
        let _ = write!(
            page,
            "<h1>factory {command}: {}</h1>\n<dl>\n<dt>plugins</dt><dd>{} to build, {} from the cache</dd>\n\
             <dt>critical path</dt><dd>{} in {}</dd>\n<dt>waiting</dt><dd>{}, all waits added up</dd>\n</dl>\n",
            seconds(self.recorded.end),
            made.len(),
            cached.len(),
            seconds(critical_path::took(self.recorded, self.path)),
            counted(self.path.len(), "step"),
            seconds(waits.map(Span::took).sum()),
        );
    }

    fn picture(&self, page: &mut String) {
        page.push_str("<h2>What ran when</h2>\n<ul class=\"legend\">");
        for (class, name) in LEGEND {
            let (y, height) = shape(class);
            let _ = write!(
                page,
                "<li><svg aria-hidden=\"true\"><rect class=\"{class}\" x=\"0\" y=\"{y}\" width=\"100%\" \
                 height=\"{height}\"/></svg>{name}</li>"
            );
        }
        page.push_str("</ul>\n");
        self.axis(page);
        let (cached, drawn): (Vec<_>, Vec<_>) = self.groups.iter().partition(|group| group.is_cached());
        for group in drawn {
            let name = group.name.map_or_else(|| "<i>all workspaces</i>".into(), escaped);
            let _ = writeln!(page, "<h3>{name}</h3>");
            for row in &group.rows {
                self.row(page, row);
            }
            idle(page, group);
        }
        if !cached.is_empty() {
            let plugins: usize = cached.iter().map(|group| group.idle.len()).sum();
            let (plugins, workspaces) = (counted(plugins, "plugin"), counted(cached.len(), "workspace"));
            let _ = writeln!(page, "<details><summary>{plugins} of {workspaces} from the cache</summary>\n<ul>");
            for group in cached {
                let names: Vec<String> = group.idle.iter().map(|(lane, _)| plugin_code(lane)).collect();
                let name = escaped(group.name.unwrap_or_default());
                let _ = writeln!(page, "<li>{name}: {}</li>", names.join(", "));
            }
            page.push_str("</ul></details>\n");
        }
    }

    fn axis(&self, page: &mut String) {
        let whole = self.whole();
        let mut apart = 0.001;
        for factor in [2.0, 2.5, 2.0].into_iter().cycle().take(40) {
            if whole / apart <= MARKS {
                break;
            }
            apart *= factor;
        }
        page.push_str(
            "<div class=\"row\"><span class=\"soft\">from the start</span><svg class=\"axis\" aria-hidden=\"true\">",
        );
        let mut at = 0.0;
        while at < whole * 0.93 {
            let x = at / whole * 100.0;
            let text = if apart < 1.0 { format!("{at:.2}") } else { format!("{at:.0}") };
            let _ = write!(
                page,
                "<line x1=\"{x:.3}%\" x2=\"{x:.3}%\" y1=\"0\" y2=\"20\"/><text x=\"{x:.3}%\" dx=\"4\" y=\"13\">{text} s</text>"
            );
            at += apart;
        }
        page.push_str("</svg></div>\n");
    }

    fn row(&self, page: &mut String, row: &LaneRow<'_>) {
        let (class, name) = match row.lane {
            Lane::Run(name) => ("row", format!("<span>{name}</span>")),
            Lane::Workspace(_) => ("row of", "<span>the workspace</span>".to_owned()),
            Lane::Plugin(..) => ("row", plugin_code(row.lane)),
        };
        for (index, track) in row.tracks.iter().enumerate() {
            let name = if index == 0 { name.as_str() } else { "<span></span>" };
            let steps: Vec<String> = track.iter().map(|place| self.words(*place)).collect();
            let label = escaped(&format!("{}: {}", row.lane, steps.join("; ")));
            let _ = write!(page, "<div class=\"{class}\">{name}<svg role=\"img\" aria-label=\"{label}\">");
            for place in track {
                self.bar(page, *place);
            }
            page.push_str("</svg></div>\n");
        }
    }

    fn bar(&self, page: &mut String, place: usize) {
        let span = &self.recorded.spans[place];
        let percent = |time: Duration| time.as_secs_f64() / self.whole() * 100.0;
        let (x, width) = (percent(span.start), percent(span.took()));
        let class = class(span);
        let (y, height) = shape(class);
        let title = escaped(&self.words(place));
        let _ = write!(
            page,
            "<rect class=\"{class}\" x=\"{x:.3}%\" width=\"{width:.3}%\" y=\"{y}\" height=\"{height}\">\
             <title>{title}</title></rect>"
        );
        if self.path.contains(&place) {
            let (y, height) = shape("on");
            let _ =
                write!(page, "<rect class=\"on\" x=\"{x:.3}%\" width=\"{width:.3}%\" y=\"{y}\" height=\"{height}\"/>");
        }
    }

    fn words(&self, place: usize) -> String {
        let span = &self.recorded.spans[place];
        let after = span.after.and_then(|after| self.recorded.spans.get(after));
        let after = after.map(|after| format!(" (for {}: {})", after.lane, after.what)).unwrap_or_default();
        let end = if span.is_done { "" } else { ", not finished" };
        format!("{}{after} {}{end}", span.what, seconds(span.took()))
    }

    fn critical_path(&self, page: &mut String) {
        page.push_str(
            "<h2>Critical path</h2>\n<p class=\"soft\">From the step that ended last, backwards: each step waited for the \
             one before it. The run gets faster only if one of these does.</p>\n\
             <table>\n<thead><tr><th scope=\"col\">Of</th><th scope=\"col\">Step</th><th scope=\"col\" class=\"n\">Seconds</th>\
             <th scope=\"col\" class=\"n\">Share</th></tr></thead>\n<tbody>\n",
        );
        for place in self.path {
            let span = &self.recorded.spans[*place];
            let share = span.took().as_secs_f64() / self.whole() * 100.0;
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td class=\"n\" data-of=\"seconds\">{:.2}</td><td class=\"n\" \
                 data-of=\"share\">{share:.0} %</td></tr>",
                lane_name(&span.lane),
                escaped(&span.what),
                span.took().as_secs_f64(),
            );
        }
        page.push_str("</tbody>\n</table>\n");
    }

    fn table(&self, page: &mut String) {
        page.push_str(
            "<h2>All steps</h2>\n<table>\n<thead><tr><th scope=\"col\">Of</th><th scope=\"col\">Step</th>\
             <th scope=\"col\" class=\"n\">From</th><th scope=\"col\" class=\"n\">Seconds</th>\
             <th scope=\"col\" class=\"n\">Waited</th><th scope=\"col\">From a cache</th></tr></thead>\n<tbody>\n",
        );
        for row in self.groups.iter().filter(|group| !group.is_cached()).flat_map(|group| &group.rows) {
            let mut places: Vec<usize> = row.places().collect();
            places.sort_by_key(|place| self.recorded.spans[*place].start);
            self.lane(page, row.lane, &places);
        }
        page.push_str("</tbody>\n</table>\n");
    }

    /// The rows of a lane: each step with what was waited since the step before it.
    fn lane(&self, page: &mut String, lane: &Lane, places: &[usize]) {
        let facts = self.recorded.facts.get(lane);
        let (mut waited, mut is_first) = (Duration::ZERO, true);
        for (index, place) in places.iter().enumerate() {
            let span = &self.recorded.spans[*place];
            // What waited until it was stopped has no step of its own.
            if span.is_wait && index + 1 < places.len() {
                waited += span.took();
                continue;
            }
            let says_facts = if matches!(lane, Lane::Plugin(..)) { is_first } else { is_install(&span.what) };
            let cached = facts.filter(|_| says_facts).map(cached).unwrap_or_default();
            let waits =
                if waited < Duration::from_millis(5) { String::new() } else { format!("{:.2}", waited.as_secs_f64()) };
            let end = if span.is_done { "" } else { " <span class=\"bad\">not finished</span>" };
            let _ = writeln!(
                page,
                "<tr{}><td>{}</td><td>{}{end}</td><td class=\"n\" data-of=\"from\">{:.2}</td>\
                 <td class=\"n\" data-of=\"seconds\">{:.2}</td><td class=\"n\" data-of=\"waited\">{waits}</td>\
                 <td data-of=\"from a cache:\">{cached}</td></tr>",
                if is_first { " class=\"first\"" } else { "" },
                lane_name(lane),
                escaped(&span.what),
                span.start.as_secs_f64(),
                span.took().as_secs_f64(),
            );
            (waited, is_first) = (Duration::ZERO, false);
        }
    }

    /// Seconds from one end of the picture to the other.
    fn whole(&self) -> f64 {
        self.recorded.end.as_secs_f64().max(0.001)
    }
}

/// Plugins of which nothing ran.
fn idle(page: &mut String, group: &LaneGroup<'_>) {
    let (cached, not_begun): (Vec<_>, Vec<_>) = group.idle.iter().partition(|(_, facts)| facts.cached.is_some());
    for (what, plugins) in [("from the cache", cached), ("not begun", not_begun)] {
        if !plugins.is_empty() {
            let names: Vec<String> = plugins.iter().map(|(lane, _)| plugin_code(lane)).collect();
            let summary = format!("{} {what}", counted(plugins.len(), "plugin"));
            let _ = writeln!(page, "<details><summary>{summary}</summary>{}</details>", names.join(", "));
        }
    }
}

fn plugin_code(lane: &Lane) -> String {
    match lane {
        Lane::Plugin(_, path) => format!("<code>{}</code>", escaped(path)),
        Lane::Run(_) | Lane::Workspace(_) => String::new(),
    }
}

fn lane_name(lane: &Lane) -> String {
    match lane {
        Lane::Run(name) => (*name).to_owned(),
        Lane::Workspace(name) => escaped(name),
        Lane::Plugin(workspace, _) => format!("{} {}", escaped(workspace), plugin_code(lane)),
    }
}

fn cached(facts: &CacheFacts) -> String {
    match facts.cached {
        Some(place) => format!("yes: {place}"),
        None => format!("no: {}", escaped(&facts.why)),
    }
}

/// The colour of a bar.
fn class(span: &Span) -> &'static str {
    match (span.is_wait, span.is_done, &span.lane, span.what.as_str()) {
        (true, ..) => "wait",
        (_, false, ..) => "failed",
        (_, _, Lane::Run("cache"), _) => "other",
        (_, _, Lane::Run(_), _) | (_, _, _, "tools") => "tools",
        (_, _, _, "check out") => "checkout",
        (_, _, _, "yarn install" | "packages" | "fetch packages" | "keep packages" | "packages from the cache") => {
            "install"
        }
        (_, _, _, "yarn tsc") => "types",
        (_, _, _, "export") => "export",
        (_, _, _, "checks") => "checks",
        (_, _, _, "pack") => "pack",
        _ => "other",
    }
}

/// Where a bar begins, and how high it is: waiting is thin, and the critical path is a line below.
fn shape(class: &str) -> (u8, u8) {
    match class {
        "wait" => (6, 4),
        "on" => (17, 3),
        _ => (2, 12),
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `12.3 s` or `2 min 3 s`.
fn seconds(time: Duration) -> String {
    let s = time.as_secs_f64();
    if s < 60.0 { format!("{s:.1} s") } else { format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_ours_ends_its_element() {
        assert!(!STYLE.contains("</"), "the style holds an end tag");
    }

    #[test]
    fn what_was_in_the_cache_is_one_line_of_the_picture() {
        let timeline = super::super::Timeline::default();
        for workspace in 0..66 {
            let name = format!("w{workspace}");
            timeline.begin(Lane::workspace(&name), "look in the cache").done();
            for plugin in 0..4 {
                timeline.taken_from(Lane::plugin(&name, &format!("plugins/{plugin}")), "this machine's cache");
            }
        }
        let page = render(&timeline.recorded(), "build");
        assert!(page.contains("<summary>264 plugins of 66 workspaces from the cache</summary>"), "{page}");
        assert!(!page.contains("<h3>") && page.len() < 40_000, "{} bytes", page.len());
    }

    #[test]
    fn marks_of_the_axis_are_few_at_any_length() {
        for seconds in [0, 1, 7, 61, 3_599, 100_000] {
            let recorded = Recorded { end: Duration::from_secs(seconds), ..Recorded::default() };
            let page = render(&recorded, "build");
            let marks = page.matches("<line ").count();
            assert!((1..=7).contains(&marks), "{marks} marks for {seconds} s");
        }
    }
}
