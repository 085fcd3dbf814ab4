//! The critical path: the chain of steps that the end of the run waited for. A run gets faster only if one of them does.
//!
//! It begins with the step that ended last, and goes from each step to the one that it waited for:
//!
//! 1. the step that its lane last waited for, if it waited since its step before: who had the slot, the export before it;
//! 2. else the step before it of the same lane;
//! 3. else, of a plugin, the last step of its workspace's preparation;
//! 4. else the step that ended last before a point at which all waited for all: the builds wait for the resolve, and the
//!    pushes for the builds.
//!
//! Rules 2 and 3 do not look further back than such a point.

use std::time::Duration;

use super::{Lane, Recorded, Span};

/// The places of the steps, in the order in which they ran.
pub fn of(recorded: &Recorded) -> Vec<usize> {
    let mut path: Vec<usize> = Vec::new();
    let mut next = last(recorded, |_, _| true);
    while let Some(place) = next.filter(|place| !path.contains(place)) {
        path.push(place);
        next = before(recorded, place);
    }
    path.reverse();
    path
}

/// The step that one waited for.
fn before(recorded: &Recorded, place: usize) -> Option<usize> {
    let (spans, step) = (&recorded.spans, &recorded.spans[place]);
    let barrier = recorded.barriers.iter().copied().filter(|barrier| *barrier <= step.start).max();
    let since = barrier.unwrap_or_default();
    let is_earlier = |at: usize, span: &Span| span.ended() <= step.start && (span.start, at) < (step.start, place);
    let in_lane =
        |lane: &Lane| last(recorded, |at, span| span.lane == *lane && is_earlier(at, span) && span.start >= since);
    let own = in_lane(&step.lane);
    let waits = spans.iter().filter(|span| span.is_wait && span.lane == step.lane && span.ended() <= step.start);
    let began = own.map_or(since, |own| spans[own].ended());
    let wait = waits.filter(|wait| wait.ended() >= began).max_by_key(|wait| wait.ended());
    if let Some(after) = wait.and_then(|wait| wait.after) {
        return Some(after);
    }
    let prepared = || match &step.lane {
        Lane::Plugin(workspace, _) => in_lane(&Lane::Workspace(workspace.clone())),
        Lane::Run(_) | Lane::Workspace(_) => None,
    };
    own.or_else(prepared).or_else(|| last(recorded, |_, span| barrier.is_some_and(|barrier| span.ended() <= barrier)))
}

/// The step that ended last, of those; the one that began last, if several did.
fn last(recorded: &Recorded, is_meant: impl Fn(usize, &Span) -> bool) -> Option<usize> {
    let steps = recorded.spans.iter().enumerate().filter(|(place, span)| !span.is_wait && is_meant(*place, span));
    steps.max_by_key(|(place, span)| (span.ended(), span.start, *place)).map(|(place, _)| place)
}

/// How long the steps of a path took.
pub fn took(recorded: &Recorded, path: &[usize]) -> Duration {
    path.iter().map(|place| recorded.spans[*place].took()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lane: Lane, what: &str, (start, end): (u64, u64)) -> Span {
        let (start, end) = (Duration::from_secs(start), Duration::from_secs(end));
        Span { lane, what: what.into(), start, end: Some(end), is_done: true, is_wait: false, after: None }
    }

    fn wait(lane: Lane, times: (u64, u64), after: Option<usize>) -> Span {
        Span { is_wait: true, after, ..at(lane, "wait", times) }
    }

    fn names(recorded: &Recorded) -> Vec<String> {
        of(recorded)
            .into_iter()
            .map(|place| &recorded.spans[place])
            .map(|one| format!("{}: {}", one.lane, one.what))
            .collect()
    }

    #[test]
    fn it_goes_back_along_what_each_step_waited_for() {
        let (a, b) = (Lane::workspace("a"), Lane::workspace("b"));
        let plugin = |name: &str| Lane::plugin("a", name);
        let mut recorded = Recorded {
            spans: vec![
                at("sources".into(), "resolve", (0, 2)),
                at("tools".into(), "resolve", (0, 5)),
                at(a.clone(), "check out", (5, 6)),
                at(b, "check out", (5, 30)),
                at(a.clone(), "yarn install", (6, 10)),
                at(plugin("front"), "export", (10, 20)),
                at(plugin("front"), "pack", (20, 22)),
                wait(plugin("back"), (10, 22), Some(6)),
                at(plugin("back"), "export", (22, 40)),
                wait(plugin("other"), (10, 40), Some(8)),
                at(plugin("other"), "export", (40, 50)),
                at(plugin("other"), "pack", (50, 51)),
                at(a, "push", (51, 60)),
            ],
            barriers: vec![Duration::from_secs(5), Duration::from_secs(51)],
            ..Recorded::default()
        };
        let whole = [
            "tools: resolve",
            "a: check out",
            "a: yarn install",
            "a front: export",
            "a front: pack",
            "a back: export",
            "a other: export",
            "a other: pack",
            "a: push",
        ];
        assert_eq!(names(&recorded), whole);
        assert_eq!(took(&recorded, &of(&recorded)), Duration::from_secs(60));

        // What ended last is the end of the path.
        recorded.spans.truncate(7);
        assert_eq!(names(&recorded), ["tools: resolve", "b: check out"]);
        recorded.spans.clear();
        assert!(of(&recorded).is_empty());
    }

    #[test]
    fn a_wait_for_nothing_known_and_steps_at_once_do_not_mislead_it() {
        let lane = Lane::workspace("a");
        let recorded = Recorded {
            spans: vec![
                at(lane.clone(), "check out", (0, 1)),
                wait(lane.clone(), (1, 2), None),
                at(lane.clone(), "yarn install", (2, 3)),
                // A wait before another step says nothing of this one.
                wait(Lane::plugin("a", "x"), (3, 4), Some(2)),
                at(Lane::plugin("a", "x"), "export", (4, 5)),
                at(Lane::plugin("a", "x"), "pack", (5, 5)),
                at(Lane::plugin("a", "x"), "checks", (5, 5)),
            ],
            ..Recorded::default()
        };
        assert_eq!(names(&recorded), ["a: check out", "a: yarn install", "a x: export", "a x: pack", "a x: checks"]);
    }
}
