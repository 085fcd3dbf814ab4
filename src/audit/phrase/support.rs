//! Plugins by their level of support, in words.

use super::super::change::{Mark, PackageMove};
use super::super::diff::Diff;
use super::super::support::{FromTo, PluginRow, SupportGroup, rank};
use super::super::version_step::{VersionStep, is_back};
use super::span::{Phrase, PhraseLine, PhraseSpan, labelled_arrow, line, name, step_spans, text};
use crate::image::reference::SCHEME;
use crate::ui::count;

/// True where plugins changed, and metadata says of any plugin how it is supported.
pub fn has_support(diff: &Diff) -> bool {
    let is_any = |test: fn(&SupportGroup) -> bool| diff.support.iter().any(test);
    is_any(|group| group.level.is_some()) && is_any(|group| !group.plugins.is_empty())
}

/// What a level is called in a sentence; other texts are those of the metadata.
pub fn level(group: &SupportGroup) -> PhraseSpan {
    match group.level.as_deref() {
        None => text("support not known"),
        Some("generally-available") => text("generally available"),
        Some("tech-preview") => text("Technology Preview"),
        Some("dev-preview") => text("Developer Preview"),
        Some(known @ ("production" | "community")) => text(known),
        Some(other) => name(other),
    }
}

/// `3 new, 1 removed, 2 changed, 4 unchanged`
pub fn tally(group: &SupportGroup) -> String {
    let of = |change: PackageMove| group.plugins.iter().filter(|row| row.change == change).count();
    let parts = [
        (of(PackageMove::Added), "new"),
        (of(PackageMove::Removed), "removed"),
        (of(PackageMove::Changed), "changed"),
        (group.unchanged.unwrap_or(0), "unchanged"),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if parts.is_empty() { count(0, "plugin") } else { parts.join(", ") }
}

/// The sign of a plugin among those of its level.
pub fn row_mark(row: &PluginRow) -> Mark {
    match row.change {
        PackageMove::Added => Mark::Added,
        PackageMove::Removed => Mark::Removed,
        PackageMove::Changed if needs_look(row) => Mark::Review,
        PackageMove::Changed => Mark::Changed,
    }
}

/// A major, an older version, less support than before, or metadata of another version.
fn needs_look(row: &PluginRow) -> bool {
    let is_back =
        row.version.from.as_deref().zip(row.version.to.as_deref()).is_some_and(|(from, to)| is_back(from, to));
    let is_less = row.support.is_moved() && rank(row.support.to.as_deref()) > rank(row.support.from.as_deref()) + 1;
    row.step == Some(VersionStep::Major) || is_back || is_less || row.metadata_version.is_some()
}

/// What most of the changed plugins of a level say, of what all of them say something: it is said once for them.
pub fn common(group: &SupportGroup) -> Vec<PhraseLine> {
    let changed = group.plugins.iter().filter(|row| row.change == PackageMove::Changed);
    let all: Vec<Vec<PhraseLine>> = changed.map(|one| row(one, &[]).lines).collect();
    let label = |line: &PhraseLine| line.spans.first().cloned();
    let mut common = Vec::new();
    for first in all.first().filter(|_| all.len() > 2).into_iter().flatten() {
        let of_label: Vec<&PhraseLine> =
            all.iter().filter_map(|lines| lines.iter().find(|line| label(line) == label(first))).collect();
        let count = |line: &PhraseLine| of_label.iter().filter(|other| **other == line).count();
        let most = of_label.iter().max_by_key(|line| count(line));
        common.extend(
            most.filter(|line| of_label.len() == all.len() && count(line) * 2 > all.len()).map(|line| (*line).clone()),
        );
    }
    common
}

/// What is said before what is [`common`].
pub const UNLESS: &str = "unless another one is named: ";

/// A plugin and its versions, with what else its metadata says that is another than before; without what is `common`.
pub fn row<'r>(row: &'r PluginRow, common: &[PhraseLine]) -> Phrase<'r> {
    let mut head = vec![name(row.package.clone())];
    let FromTo { from, to } = &row.version;
    match (from, to) {
        (Some(from), Some(to)) if from != to => {
            head.extend([text(" "), name(from.clone()), text(" → "), name(to.clone())]);
            head.extend(step_spans(row.step, is_back(from, to)));
        }
        _ => head.extend(row.version.last().into_iter().flat_map(|version| [text(" "), name(version)])),
    }
    if let Some(workspace) = &row.workspace {
        head.extend([text(" in "), name(workspace.clone())]);
    }
    let mut lines = Vec::new();
    lines.extend(
        row.metadata_version.iter().map(|said| line(vec![text("its metadata says version "), name(said.clone())])),
    );
    let said = [
        ("support ", &row.support),
        ("lifecycle ", &row.lifecycle),
        ("supported Backstage versions ", &row.supported_versions),
        ("dynamic artifact ", &row.dynamic_artifact),
    ];
    // What an image is called moves with each version.
    let is_image = |artifact: Option<&String>| artifact.is_some_and(|artifact| artifact.starts_with(SCHEME));
    let is_said = |(label, FromTo { from, to }): &(&str, &FromTo)| {
        *label != "dynamic artifact " || is_image(from.as_ref()) != is_image(to.as_ref())
    };
    for (label, FromTo { from, to }) in said.into_iter().filter(is_said) {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            lines.push(line(labelled_arrow(label, from, to)));
        }
    }
    // Of a new one it is worth saying when it is not as all others are.
    if row.change == PackageMove::Added
        && let Some(lifecycle) = row.lifecycle.to.as_ref().filter(|lifecycle| *lifecycle != "active")
    {
        lines.push(line(vec![text("lifecycle "), name(lifecycle.clone())]));
    }
    lines.retain(|line| !common.contains(line));
    Phrase::new("plugin", head).with_lines(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(package: &str, backstage: Option<&str>, support: &str) -> PluginRow {
        let moved = |from: &str, to: &str| FromTo { from: Some(from.into()), to: Some(to.into()) };
        PluginRow {
            change: PackageMove::Changed,
            workspace: None,
            plugin: None,
            package: package.into(),
            title: None,
            version: moved("1.0.0", "1.1.0"),
            step: None,
            metadata_version: None,
            support: moved(support, "community"),
            lifecycle: FromTo::default(),
            supported_versions: backstage.map(|from| moved(from, "1.49.4")).unwrap_or_default(),
            dynamic_artifact: FromTo::default(),
            link: None,
        }
    }

    #[test]
    fn what_most_say_is_said_once_where_all_say_something() {
        let common = |plugins: Vec<PluginRow>| -> Vec<String> {
            let group = SupportGroup { level: None, unchanged: None, plugins };
            let text = |line: &PhraseLine| line.spans.iter().map(PhraseSpan::as_str).collect();
            common(&group).iter().map(text).collect()
        };
        let (a, b) = (plugin("a", Some("1.45.3"), "production"), plugin("b", Some("1.45.3"), "community"));
        let other = plugin("c", Some("1.42.5"), "production");
        let said = ["supported Backstage versions 1.45.3 → 1.49.4"];
        assert_eq!(common(vec![a.clone(), b.clone(), other.clone()]), said);
        // One that says nothing would seem to say it too; and what two say is no crowd.
        assert_eq!(common(vec![a.clone(), b.clone(), plugin("d", None, "production")]), [""; 0]);
        assert_eq!(common(vec![a.clone(), b]), [""; 0]);
        let line = &row(&a, &[]).lines[1];
        let lines = row(&other, std::slice::from_ref(line)).lines;
        assert_eq!(lines.len(), 2, "its own is not the common one");
        assert_eq!(row(&a, std::slice::from_ref(line)).lines.len(), 1);
    }
}
