//! What changed, in numbers: what is none is not said.

use super::super::change::{Change, ChangeKind, Mark};
use super::super::diff::{Counts, Diff, Form, HostCounts, Outputs};
use super::span::{PhraseSpan, name, text};
use crate::ui::count;

/// Names of one list.
const NAMED: usize = 12;

/// The counts in words, each with its noun.
pub fn summary(diff: &Diff) -> Vec<(&'static str, Vec<PhraseSpan>)> {
    let counts = &diff.summary;
    let mut lines = vec![("workspaces", workspaces(diff)), ("plugins", vec![text(plugins(&counts.plugins))])];
    let moved = [(counts.workspaces.moved, "workspace"), (counts.plugins.moved, "plugin")];
    let moved: Vec<_> = moved.into_iter().filter(|(n, _)| *n > 0).map(|(n, noun)| count(n, noun)).collect();
    if !moved.is_empty() {
        let said = format!("{}, counted as both removed and added", moved.join(" and "));
        lines.push(("moved", vec![text(said)]));
    }
    lines.extend(counts.host.as_ref().map(|host| ("host", vec![text(self::host(host))])));
    lines.extend(outputs(&counts.outputs).map(|said| ("outputs", vec![text(said)])));
    lines.extend(shipped(diff).map(|said| ("shipped", vec![text(said)])));
    lines
}

/// How many changes are to be looked at, if any are.
pub fn review(diff: &Diff) -> Option<String> {
    let marked = diff.changes.iter().filter(|change| change.mark == Mark::Review).count();
    let need = if marked == 1 { "needs" } else { "need" };
    (marked > 0).then(|| format!("{} {need} review", count(marked, "change")))
}

/// `3 gone, 1 new`: the parts that are not none.
fn listed<'w>(parts: impl IntoIterator<Item = (usize, &'w str)>) -> String {
    let parts: Vec<_> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn kept(counts: &Counts, rest: &[(usize, &str)]) -> String {
    if counts.unchanged == counts.kept { ", all unchanged".into() } else { format!(": {}", listed(rest.to_vec())) }
}

fn workspaces(diff: &Diff) -> Vec<PhraseSpan> {
    let counts = &diff.summary.workspaces;
    let mut spans = Vec::new();
    for (n, word, named) in
        [(counts.removed, "removed", named(diff, removed)), (counts.added, "added", named(diff, added))]
    {
        if n > 0 {
            spans.push(text(format!("{}{n} {word}", if spans.is_empty() { "" } else { ", " })));
            spans.extend(names(&named, n));
        }
    }
    if counts.kept > 0 {
        let other = if diff.new.form == Form::Lock { "at another commit" } else { "at another ref" };
        let rest = kept(counts, &[(diff.summary.other_commit, other), (counts.unchanged, "unchanged")]);
        spans.push(text(format!("{}{} kept{rest}", if spans.is_empty() { "" } else { ", " }, counts.kept)));
    }
    if spans.is_empty() { vec![text("none")] } else { spans }
}

/// The workspace that a change removes; one with another name now among them.
fn removed(change: &Change) -> Option<&str> {
    match &change.what {
        ChangeKind::WorkspaceRemoved { .. } => change.workspace.as_deref(),
        ChangeKind::WorkspaceMoved { from, to, .. } => (from.name != to.name).then_some(&from.name),
        _ => None,
    }
}

fn added(change: &Change) -> Option<&str> {
    match &change.what {
        ChangeKind::WorkspaceAdded { .. } => change.workspace.as_deref(),
        ChangeKind::WorkspaceMoved { from, to, .. } => (from.name != to.name).then_some(&to.name),
        _ => None,
    }
}

fn named(diff: &Diff, of: fn(&Change) -> Option<&str>) -> Vec<&str> {
    let mut names: Vec<&str> = diff.changes.iter().filter_map(of).collect();
    names.sort_unstable();
    names
}

/// ` (a, b and 3 more)`; the changes of a part of the workspaces may name fewer than `all`.
fn names(names: &[&str], all: usize) -> Vec<PhraseSpan> {
    if names.is_empty() {
        return Vec::new();
    }
    let mut spans = vec![text(" (")];
    for (index, known) in names.iter().take(NAMED).enumerate() {
        if index > 0 {
            spans.push(text(", "));
        }
        spans.push(name(*known));
    }
    let more = all - names.len().min(NAMED);
    spans.push(text(if more > 0 { format!(" and {more} more)") } else { ")".to_owned() }));
    spans
}

fn plugins(counts: &Counts) -> String {
    let mut parts = listed([(counts.removed, "removed"), (counts.added, "added"), (counts.kept, "kept")]);
    if counts.kept > 0 {
        let changed = counts.kept - counts.unchanged;
        parts += &kept(counts, &[(changed, "changed"), (counts.unchanged, "unchanged")]);
    }
    parts
}

fn host(host: &HostCounts) -> String {
    let shared = &host.shared;
    let said = listed([
        (shared.dropped, "removed"),
        (shared.added, "added"),
        (shared.major, "major"),
        (shared.zero_minor, "minor (0.x)"),
        (shared.less, "minor or patch"),
        (shared.same, "unchanged"),
    ]);
    format!("packages plugins can share: {said}")
}

fn outputs(outputs: &Outputs) -> Option<String> {
    let Outputs { same, changed, without_effect, restamped, unreproducible, unknown } = outputs;
    let known = same + changed + without_effect + restamped + unreproducible + unknown;
    let said = listed([
        (outputs.same, "identical"),
        (outputs.changed, "changed with their inputs"),
        (outputs.without_effect, "unchanged despite changed inputs"),
        (outputs.restamped, "unchanged but for where their images say they come from"),
        (outputs.unreproducible, "not reproducible"),
        (outputs.unknown, "not built in one or both releases"),
    ]);
    (known > 0).then_some(said)
}

/// That nothing changed in what is shipped: the same plugins, each with the same image.
fn shipped(diff: &Diff) -> Option<String> {
    let Counts { removed, added, kept, moved, .. } = diff.summary.plugins;
    let Outputs { same, without_effect, .. } = diff.summary.outputs;
    let is_same = (removed, added, moved) == (0, 0, 0) && kept > 0 && same + without_effect == kept;
    is_same.then(|| "nothing changed: every plugin has the image it had".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::super::diff::{Side, Summary, VERSION};
    use super::*;

    fn said(form: Form, summary: Summary) -> String {
        let side = || Side { name: "a".into(), form, identity: None };
        let diff = Diff {
            version: VERSION,
            old: side(),
            new: side(),
            summary,
            support: Vec::new(),
            changes: Vec::new(),
            notes: Vec::new(),
        };
        let plain = |spans: Vec<PhraseSpan>| -> String { spans.iter().map(PhraseSpan::as_str).collect() };
        let lines = super::summary(&diff).into_iter().map(|(what, spans)| format!("{what}: {}", plain(spans)));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_none_is_not_said() {
        assert_eq!(said(Form::Lock, Summary::default()), "workspaces: none\nplugins: none");
        let counts = |kept, unchanged| Counts { kept, unchanged, ..Counts::default() };
        let same = Summary { workspaces: counts(3, 3), plugins: counts(7, 7), ..Summary::default() };
        assert_eq!(said(Form::Lock, same), "workspaces: 3 kept, all unchanged\nplugins: 7 kept, all unchanged");
        let changed = Summary {
            workspaces: Counts { removed: 1, ..counts(3, 0) },
            other_commit: 3,
            plugins: Counts { added: 2, moved: 1, ..counts(7, 6) },
            outputs: Outputs { unreproducible: 1, unknown: 6, ..Outputs::default() },
            host: Some(HostCounts::default()),
        };
        assert_eq!(
            said(Form::Configuration, changed),
            "workspaces: 1 removed, 3 kept: 3 at another ref\n\
             plugins: 2 added, 7 kept: 1 changed, 6 unchanged\n\
             moved: 1 plugin, counted as both removed and added\n\
             host: packages plugins can share: none\n\
             outputs: 1 not reproducible, 6 not built in one or both releases"
        );
    }

    #[test]
    fn a_long_list_of_names_ends_in_a_number() {
        let known: Vec<String> = (0..15).map(|n| n.to_string()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        assert_eq!(names(&known, 16).last(), Some(&text(" and 4 more)")));
        assert_eq!(names(&known[..1], 1), [text(" ("), name("0"), text(")")]);
        assert_eq!(names(&[], 1), []);
    }
}
