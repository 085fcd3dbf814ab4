//! What concerns all workspaces, in words: RHDH, Backstage, the tools, and the packages of the host.

use super::super::change::{Affected, PackageChange, PackageMove, Pin, PluginPlace, RhdhRelease, Tie};
use super::super::display::short_ref;
use super::super::version_step::VersionStep;
use super::package::{package_spans, tally};
use super::span::{
    Phrase, PhraseLine, arrow, is_downgrade, labelled_arrow, line, name, name_list, requested_line, step_spans, text,
};

pub(super) fn host<'a>(from: Option<&RhdhRelease>, to: Option<&RhdhRelease>) -> Phrase<'a> {
    let version = |host: Option<&RhdhRelease>| {
        host.map_or("none", |host| host.version.as_deref().unwrap_or(&host.requested)).to_owned()
    };
    let mut phrase = Phrase::new("RHDH", labelled_arrow("RHDH ", version(from), version(to)));
    let (Some(from), Some(to)) = (from, to) else { return phrase };
    if from.requested == to.requested {
        phrase.head.extend([text(": "), name(to.requested.clone()), text(" moved")]);
    }
    if let (Some(from), Some(to)) = (&from.commit, &to.commit) {
        phrase.lines.push(line(labelled_arrow("commit ", short_ref(from), short_ref(to))));
    }
    if from.lockfile != to.lockfile {
        phrase.lines.push(line(vec![text("its yarn.lock, which lists what plugins can share, changed")]));
    }
    phrase
}

/// The Backstage version of the release, or the one that a workspace declares.
pub(super) fn backstage<'a>(
    of_workspace: bool,
    from: Option<&str>,
    to: Option<&str>,
    step: Option<VersionStep>,
) -> Phrase<'a> {
    let label = if of_workspace { "targets Backstage " } else { "Backstage " };
    let mut head = labelled_arrow(label, from.unwrap_or("unknown"), to.unwrap_or("unknown"));
    head.extend(step_spans(step, is_downgrade(from, to)));
    Phrase::new("Backstage", head)
}

pub(super) fn host_package<'a>(package: &PackageChange, affects: &[Affected]) -> Phrase<'a> {
    let mut head = package_spans(package);
    match package.change {
        PackageMove::Removed => head.push(text(" removed from the host")),
        PackageMove::Added => head.push(text(" added to the host")),
        PackageMove::Changed => {}
    }
    Phrase::new("host package", head).with_lines(affected(affects))
}

fn affected(affects: &[Affected]) -> Vec<PhraseLine> {
    let place = |place: &PluginPlace| format!("{}/{}", place.workspace, place.plugin);
    let mut lines = Vec::new();
    for (tie, word) in [(Tie::Shares, "used by "), (Tie::Embeds, "embedded by ")] {
        let names = name_list(affects.iter().filter(|affected| affected.how == tie).map(|one| place(&one.place)));
        if !names.is_empty() {
            let mut spans = vec![text(word)];
            spans.extend(names);
            lines.push(line(spans));
        }
    }
    lines
}

pub(super) fn tool<'a>(tool: &str, from: Option<&Pin>, to: Option<&Pin>, step: Option<VersionStep>) -> Phrase<'a> {
    let version = |pin: Option<&Pin>| pin.map_or("none", |pin| &pin.version).to_owned();
    let mut head = vec![text(format!("{tool} "))];
    match (from, to) {
        (Some(from), Some(to)) if from.version == to.version => head.push(name(to.version.clone())),
        _ => head.extend(arrow(version(from), version(to))),
    }
    let versions = (from.map(|pin| pin.version.as_str()), to.map(|pin| pin.version.as_str()));
    head.extend(step_spans(step, is_downgrade(versions.0, versions.1)));
    let mut phrase = Phrase::new("tool", head);
    let requested = |pin: Option<&Pin>| pin.and_then(|pin| pin.requested.clone());
    if let (Some(from), Some(to)) = (requested(from), requested(to)) {
        if from != to {
            phrase.lines.push(requested_line(&from, &to));
        } else if versions.1 != Some(&to) {
            phrase.lines.push(line(vec![name(to), text(" moved")]));
        }
    }
    phrase
}

pub(super) fn tool_packages<'a>(tool: &str, packages: &'a [PackageChange]) -> Phrase<'a> {
    Phrase::new("tool", vec![text(format!("dependencies of {tool}: {}", tally(packages)))]).with_packages(packages)
}
