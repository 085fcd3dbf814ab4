//! What became of a plugin, in words.

use super::super::change::{
    ArgumentsOrigin, ChangeKind, Evidence, ExplainedArgument, FirstDifference, InputClass, Mark, OutputClass,
    OutputVerdict, PackageChange, PluginPlace, SourceChange,
};
use super::super::version_step::{VersionStep, is_back};
use super::package::tally;
use super::span::{Phrase, PhraseLine, PhraseSpan, labelled_arrow, line, name, sentence, step_spans, text};
use super::workspace::proof;
use crate::lock::ArgsFrom;

/// A plugin, named by its path.
pub fn plugin_spans(path: &str) -> Vec<PhraseSpan> {
    let mut spans = vec![name(path)];
    if path == "." {
        spans.push(text(" (the workspace itself)"));
    }
    spans
}

/// True for a change that says a plugin was added, removed or moved: it stands in the plugin's own line.
pub fn is_headline(what: &ChangeKind) -> bool {
    matches!(what, ChangeKind::PluginAdded { .. } | ChangeKind::PluginRemoved { .. } | ChangeKind::PluginMoved { .. })
}

/// Why a plugin cannot be exported, or could not.
pub(super) fn problem<'a>(what: &str, solved: bool) -> Phrase<'a> {
    let said = if solved { "no longer: " } else { "not exported: " };
    Phrase::new("plugin", vec![text(said), sentence(what)])
}

pub(super) fn added<'a>(package: Option<&str>, version: Option<&str>, arguments: &[ExplainedArgument]) -> Phrase<'a> {
    let lines = arguments.iter().flat_map(|argument| argument_lines(argument, None, "with "));
    Phrase::new("plugin", with_package("added", package, version)).with_lines(lines)
}

pub(super) fn removed<'a>(package: Option<&str>, version: Option<&str>) -> Phrase<'a> {
    Phrase::new("plugin", with_package("removed", package, version))
}

/// `added (@x/todo 1.0.0)`
fn with_package(word: &str, package: Option<&str>, version: Option<&str>) -> Vec<PhraseSpan> {
    let Some(package) = package else { return vec![text(word)] };
    let mut spans = vec![text(format!("{word} (")), name(package)];
    spans.extend(version.into_iter().flat_map(|version| [text(" "), name(version)]));
    spans.push(text(")"));
    spans
}

pub(super) fn moved<'a>(from: &PluginPlace, to: &PluginPlace, evidence: Evidence) -> Phrase<'a> {
    let mut head = vec![text("moved here from ")];
    match (from.workspace == to.workspace, from.plugin == to.plugin) {
        (true, _) => head.push(name(from.plugin.clone())),
        (false, true) => head.extend([text("workspace "), name(from.workspace.clone())]),
        (false, false) => {
            head.extend([name(from.plugin.clone()), text(" in workspace "), name(from.workspace.clone())]);
        }
    }
    head.push(text(proof(evidence)));
    Phrase::new("plugin", head)
}

pub(super) fn version<'a>(from: &str, to: &str, step: VersionStep) -> Phrase<'a> {
    let mut head = labelled_arrow("version ", from, to);
    head.extend(step_spans(Some(step), is_back(from, to)));
    Phrase::new("version", head)
}

pub(super) fn arguments<'a>(
    added: &[ExplainedArgument],
    removed: &[ExplainedArgument],
    reordered: bool,
    origin: &ArgumentsOrigin,
) -> Phrase<'a> {
    let from = match (origin.from, origin.to) {
        (ArgsFrom::Computed, ArgsFrom::Computed) => " (computed)",
        (_, ArgsFrom::Computed) => " (now computed, before from plugins-list.yaml)",
        (ArgsFrom::Computed, _) => " (now from plugins-list.yaml, before computed)",
        (_, _) => " (from plugins-list.yaml)",
    };
    let head = vec![text(if reordered { "arguments reordered" } else { "arguments" }), text(from)];
    let removed = removed.iter().flat_map(|argument| argument_lines(argument, Some(Mark::Removed), ""));
    let added = added.iter().flat_map(|argument| argument_lines(argument, Some(Mark::Added), ""));
    Phrase::new("arguments", head).with_lines(removed.chain(added))
}

fn argument_lines(argument: &ExplainedArgument, mark: Option<Mark>, before: &str) -> Vec<PhraseLine> {
    let mut spans = Vec::new();
    if !before.is_empty() {
        spans.push(text(before));
    }
    spans.push(name(argument.argument.to_string()));
    let mut lines = vec![PhraseLine { mark, below: false, spans }];
    let removed = mark == Some(Mark::Removed);
    let why = match (&argument.because, &argument.why) {
        (None, Some(why)) if removed => Some(("it was there because ", why)),
        (Some(reason), _) | (None, Some(reason)) => Some(("because ", reason)),
        (None, None) => None,
    };
    // A reason quotes names from outside.
    lines.extend(why.map(|(word, why)| PhraseLine {
        mark: None,
        below: true,
        spans: vec![text(word), sentence(why.clone())],
    }));
    lines
}

pub(super) fn dependencies(packages: &[PackageChange]) -> Phrase<'_> {
    Phrase::new("dependencies", vec![text(format!("dependencies: {}", tally(packages)))]).with_packages(packages)
}

pub(super) fn output<'a>(verdict: OutputVerdict, inputs: &[InputClass], outputs: &[OutputClass]) -> Phrase<'a> {
    let inputs = inputs.iter().map(|input| input.as_str()).collect::<Vec<_>>().join(", ");
    let outputs = outputs.iter().map(|output| output.as_str()).collect::<Vec<_>>().join(", ");
    let head = match verdict {
        OutputVerdict::Changed => vec![text(format!("output changed ({outputs}) with its inputs: {inputs}"))],
        OutputVerdict::Unbuilt => vec![text("its sources changed; it is not built in one or both releases")],
        OutputVerdict::Restamped => vec![text("same packages: only the image says anew where it comes from")],
        OutputVerdict::WithoutEffect => vec![text(format!("same output despite changed inputs: {inputs}"))],
        OutputVerdict::Unreproducible => vec![
            PhraseSpan::Loud("not reproducible".into()),
            text(format!(": same inputs, different output ({outputs})")),
        ],
    };
    Phrase::new("output", head)
}

/// That a version is not what it was.
pub(super) fn same_version(version: &str) -> PhraseLine {
    line(vec![text("the version is still "), name(version), text(", which the old release has with other content")])
}

/// Folders and files that are named as reasons.
const MOST_SOURCES: usize = 5;

/// Why an output changed, or its inputs: what of the repository it is built from, and where the packages differ.
pub(super) fn reasons(sources: &[SourceChange], first: Option<&FirstDifference>) -> Vec<PhraseLine> {
    let mut lines: Vec<PhraseLine> = sources
        .iter()
        .take(MOST_SOURCES)
        .map(|SourceChange { path, change }| {
            line(vec![text("source: "), name(path.clone()), text(format!(" {}", change.as_str()))])
        })
        .collect();
    if sources.len() > MOST_SOURCES {
        lines.push(line(vec![text(format!("and {} more", sources.len() - MOST_SOURCES))]));
    }
    lines.extend(first.map(first_difference));
    lines
}

fn first_difference(first: &FirstDifference) -> PhraseLine {
    let mut spans = vec![text("first difference: ")];
    if let Some(file) = &first.file {
        spans.extend([name(file.clone()), text(": ")]);
    }
    spans.push(text(first.class.clone()));
    if first.count > 1 {
        spans.push(text(format!("; {} entries differ", first.count)));
    }
    line(spans)
}
