//! The lines of the picture: what is done once, then each workspace with its plugins.

use std::collections::BTreeMap;

use super::{CacheFacts, Lane, Recorded};

/// The steps and waits of one lane, by their places, in the order in which they began.
pub(super) struct LaneRow<'a> {
    pub(super) lane: &'a Lane,
    /// None of what is at the same place runs at the same time.
    pub(super) tracks: Vec<Vec<usize>>,
}

impl LaneRow<'_> {
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.tracks.iter().flatten().copied()
    }
}

/// A workspace, or, without a name, what is done once.
pub(super) struct LaneGroup<'a> {
    pub(super) name: Option<&'a str>,
    /// Lanes of which something ran.
    pub(super) rows: Vec<LaneRow<'a>>,
    /// Plugins of which nothing ran: they were in a cache, or did not begin.
    pub(super) idle: Vec<(&'a Lane, &'a CacheFacts)>,
}

impl LaneGroup<'_> {
    /// Whether all of its plugins were taken from a cache.
    pub(super) fn is_cached(&self) -> bool {
        let all_idle = self.rows.iter().all(|row| matches!(row.lane, Lane::Workspace(_)));
        self.name.is_some()
            && all_idle
            && !self.idle.is_empty()
            && self.idle.iter().all(|(_, facts)| facts.cached.is_some())
    }
}

/// What is done once comes first, then the workspaces by name.
pub(super) fn groups(recorded: &Recorded) -> Vec<LaneGroup<'_>> {
    let mut lanes: BTreeMap<&Lane, Vec<usize>> = BTreeMap::new();
    for (place, span) in recorded.spans.iter().enumerate() {
        lanes.entry(&span.lane).or_default().push(place);
    }
    let mut groups: BTreeMap<Option<&str>, LaneGroup<'_>> = BTreeMap::new();
    let new = |name| LaneGroup { name, rows: Vec::new(), idle: Vec::new() };
    for (lane, facts) in &recorded.facts {
        if matches!(lane, Lane::Plugin(..)) && !lanes.contains_key(lane) {
            let name = lane.workspace_name();
            groups.entry(name).or_insert_with(|| new(name)).idle.push((lane, facts));
        }
    }
    for (lane, mut places) in lanes {
        places.sort_by_key(|place| recorded.spans[*place].start);
        let name = lane.workspace_name();
        let row = LaneRow { lane, tracks: tracks(recorded, &places) };
        groups.entry(name).or_insert_with(|| new(name)).rows.push(row);
    }
    groups.into_values().collect()
}

/// As few tracks as it takes to have nothing at the same time on one.
fn tracks(recorded: &Recorded, places: &[usize]) -> Vec<Vec<usize>> {
    let mut tracks: Vec<Vec<usize>> = Vec::new();
    for place in places {
        let start = recorded.spans[*place].start;
        let is_free = |track: &&mut Vec<usize>| track.last().is_none_or(|last| recorded.spans[*last].ended() <= start);
        match tracks.iter_mut().find(is_free) {
            Some(track) => track.push(*place),
            None => tracks.push(vec![*place]),
        }
    }
    tracks
}
