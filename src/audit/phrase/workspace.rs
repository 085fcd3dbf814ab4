//! What became of a workspace, in words.

use super::super::change::{Evidence, FileChange, InputKind, PluginPlace, ReleaseSource, WorkspacePlace};
use super::super::display::short_ref;
use super::span::{Phrase, PhraseLine, PhraseSpan, labelled_arrow, line, name, name_list, requested_line, text};
use crate::ui::count;

fn reference(source: &ReleaseSource) -> &str {
    short_ref(source.commit.as_deref().unwrap_or(&source.requested))
}

fn source_line(source: &ReleaseSource) -> PhraseLine {
    line(vec![text("source: "), name(source.repo.clone()), text(" at "), name(reference(source))])
}

pub(super) fn added<'a>(source: &ReleaseSource, plugins: usize, moved: usize) -> Phrase<'a> {
    let mut head = vec![text("workspace added: "), text(count(plugins, "plugin"))];
    if moved > 0 {
        head.push(text(format!(", {moved} from other workspaces")));
    }
    Phrase::new("workspace", head).with_lines([source_line(source)])
}

pub(super) fn removed<'a>(source: &ReleaseSource, plugins: usize, moved: &[PluginPlace]) -> Phrase<'a> {
    let mut head = vec![text("workspace removed")];
    if plugins > 0 && moved.is_empty() {
        head.push(text(format!(" with its {}", count(plugins, "plugin"))));
    } else if plugins > 0 {
        head.push(text(match (plugins, moved.len()) {
            (1, _) => "; its plugin moved to ".to_owned(),
            (all, some) if all == some => format!("; its {all} plugins moved to "),
            (all, some) => format!("; {some} of its {} moved to ", count(all, "plugin")),
        }));
        let mut to: Vec<&str> = moved.iter().map(|place| place.workspace.as_str()).collect();
        to.dedup();
        head.extend(name_list(to.into_iter().map(str::to_owned)));
    }
    Phrase::new("workspace", head).with_lines([source_line(source)])
}

pub(super) fn moved<'a>(from: &WorkspacePlace, to: &WorkspacePlace, evidence: Evidence) -> Phrase<'a> {
    let head = if from.name == to.name {
        vec![text("workspace moved")]
    } else {
        vec![text("workspace renamed from "), name(from.name.clone()), text(proof(evidence))]
    };
    let places = [("repository ", &from.repo, &to.repo), ("folder ", &from.path, &to.path)];
    let lines = places.into_iter().filter(|(_, from, to)| from != to);
    Phrase::new("workspace", head).with_lines(lines.map(|(what, from, to)| line(labelled_arrow(what, from, to))))
}

/// What shows that two workspaces or plugins are one.
pub(super) fn proof(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::SameName => " (same name)",
        Evidence::SamePackage => " (same package)",
        Evidence::SameFolder => " (same repository and folder)",
        Evidence::SamePlugins => " (most plugins are the same)",
    }
}

pub(super) fn commit<'a>(from: &ReleaseSource, to: &ReleaseSource, back: bool) -> Phrase<'a> {
    let both = from.commit.is_some() && to.commit.is_some();
    let same = both && from.commit == to.commit;
    let dated = |source: &ReleaseSource| source.date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
    let mut head = vec![text(if both { "commit " } else { "ref " }), name(reference(from))];
    if same {
        head.push(text(" unchanged"));
    } else {
        head.extend([text(dated(from)), text(" → "), name(reference(to)), text(dated(to))]);
    }
    if back {
        head.extend([text(" ("), PhraseSpan::Loud("older".into()), text(")")]);
    }
    let mut phrase = Phrase::new("commit", head);
    let is_ref = |source: &ReleaseSource| source.commit.as_ref() != Some(&source.requested);
    if from.requested != to.requested && both && (is_ref(from) || is_ref(to)) {
        phrase.lines.push(requested_line(&from.requested, &to.requested));
    } else if from.requested == to.requested && from.repo == to.repo && both && is_ref(to) {
        phrase.lines.push(line(vec![name(short_ref(&to.requested)), text(" moved")]));
    }
    phrase
}

pub(super) fn yarn_lock<'a>() -> Phrase<'a> {
    Phrase::new("source", vec![name("yarn.lock"), text(" changed at the same commit")])
}

/// Whether patches and overlays changed the `yarn.lock` before, and do now.
pub(super) fn effective_yarn_lock<'a>(before: bool, now: bool) -> Phrase<'a> {
    let what = match (before, now) {
        (true, false) => " is no longer changed by patches and overlays",
        (false, true) => " is changed by patches and overlays now",
        _ => " after patches and overlays changed",
    };
    Phrase::new("source", vec![name("yarn.lock"), text(what)])
}

pub(super) fn unlisted<'a>(plugins: &[String]) -> Phrase<'a> {
    let mut head = vec![text("not listed: ")];
    head.extend(name_list(plugins.iter().cloned()));
    Phrase::new("plugin", head)
}

pub(super) fn input<'a>(path: &str, input: InputKind, change: FileChange) -> Phrase<'a> {
    let kind = match input {
        InputKind::Patch => "patch",
        InputKind::Overlay => "overlay",
        InputKind::Scalprum => "scalprum configuration",
        InputKind::AppConfig => "app configuration",
        InputKind::Backstage | InputKind::Other => "file",
    };
    let mut head = vec![text(format!("{kind} ")), name(path)];
    if input == InputKind::Backstage {
        head.push(text(", which declares the supported Backstage version,"));
    }
    head.push(text(format!(" {}", change.as_str())));
    Phrase::new(kind, head)
}
