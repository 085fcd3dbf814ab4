//! A change in words, once for all renderers.

mod summary;

use super::change::{
    Affected, Change, ChangeKind, Evidence, ExplainedArgument, FileChange, InputKind, Mark, OutputClass, OutputVerdict,
    PackageChange, PackageMove, Pin, PluginPlace, ReleaseSource, RhdhRelease, Tie, WorkspacePlace,
};
use super::step::{VersionStep, is_back};
use crate::lock::{ArgsFrom, is_commit};
use crate::ui::count;
pub use summary::summary;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhraseSpan {
    /// Our words.
    Text(String),
    /// A name, a version, a path: text from outside.
    Name(String),
    /// An address.
    Link(String),
    /// A word of warning: `major`.
    Loud(String),
    /// What can be run in a shell; never broken.
    Command(String),
}

/// A line below a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhraseLine {
    /// Its sign, if it has one.
    pub mark: Option<Mark>,
    /// It belongs to the line above it.
    pub below: bool,
    /// Its text.
    pub spans: Vec<PhraseSpan>,
}

/// A change in words.
#[derive(Debug)]
pub struct Phrase<'a> {
    /// What kind of thing changed, as a noun.
    pub kind: &'static str,
    /// The sentence.
    pub head: Vec<PhraseSpan>,
    /// What belongs to it.
    pub lines: Vec<PhraseLine>,
    /// Packages that moved with it.
    pub packages: &'a [PackageChange],
}

fn text(text: impl Into<String>) -> PhraseSpan {
    PhraseSpan::Text(text.into())
}

fn name(name: impl Into<String>) -> PhraseSpan {
    PhraseSpan::Name(name.into())
}

fn line(spans: Vec<PhraseSpan>) -> PhraseLine {
    PhraseLine { mark: None, below: false, spans }
}

/// `from → to`
fn arrow(from: impl Into<String>, to: impl Into<String>) -> Vec<PhraseSpan> {
    vec![name(from), text(" → "), name(to)]
}

fn step_spans(step: Option<VersionStep>, back: bool) -> Vec<PhraseSpan> {
    let mut spans = Vec::new();
    if let Some(word) = step.and_then(VersionStep::word) {
        spans.push(text(" ("));
        spans.push(if step == Some(VersionStep::Major) { PhraseSpan::Loud(word.to_owned()) } else { text(word) });
        spans.push(text(")"));
    }
    if back {
        spans.extend([text(" ("), PhraseSpan::Loud("older".into()), text(")")]);
    }
    spans
}

/// A commit as people read it, a branch or tag as it is.
pub fn short(reference: &str) -> &str {
    match reference {
        "" => "the default branch",
        commit if is_commit(commit) => &commit[..10],
        other => other,
    }
}

fn reference(source: &ReleaseSource) -> &str {
    short(source.commit.as_deref().unwrap_or(&source.requested))
}

/// The change in words.
pub fn of(change: &Change) -> Phrase<'_> {
    let mut phrase = Phrase { kind: "", head: Vec::new(), lines: Vec::new(), packages: &[] };
    match &change.what {
        ChangeKind::Host { from, to } => host(&mut phrase, from.as_ref(), to.as_ref()),
        ChangeKind::Backstage { from, to, step } => {
            phrase.kind = "Backstage";
            phrase.head.push(text(if change.workspace.is_some() {
                "its code is for Backstage "
            } else {
                "Backstage "
            }));
            phrase.head.extend(arrow(from.as_deref().unwrap_or("unsaid"), to.as_deref().unwrap_or("unsaid")));
            phrase.head.extend(step_spans(*step, back(from.as_deref(), to.as_deref())));
        }
        ChangeKind::HostPackage { package, affects } => {
            phrase.kind = "host package";
            phrase.head = package_spans(package);
            match package.change {
                PackageMove::Removed => phrase.head.push(text(" is gone from the host")),
                PackageMove::Added => phrase.head.push(text(" is new in the host")),
                PackageMove::Changed => {}
            }
            phrase.lines.extend(affected(affects));
        }
        ChangeKind::Tool { tool, from, to, step } => tool_moved(&mut phrase, tool, from.as_ref(), to.as_ref(), *step),
        ChangeKind::ToolPackages { tool, packages } => {
            phrase.kind = "tool";
            phrase.head = vec![text(format!("what {tool} depends on: {}", tally(packages)))];
            phrase.packages = packages;
        }
        ChangeKind::WorkspaceAdded { source, plugins, moved } => {
            phrase.kind = "workspace";
            phrase.head = vec![text("the workspace is new: "), text(count(*plugins, "plugin"))];
            if *moved > 0 {
                phrase.head.push(text(format!(", {moved} of them from other workspaces")));
            }
            phrase.lines.push(line(vec![name(source.repo.clone()), text(" at "), name(reference(source))]));
        }
        ChangeKind::WorkspaceRemoved { source, plugins, moved } => {
            phrase.kind = "workspace";
            phrase.head = removed(*plugins, moved);
            phrase.lines.push(line(vec![
                text("it was "),
                name(source.repo.clone()),
                text(" at "),
                name(reference(source)),
            ]));
        }
        ChangeKind::WorkspaceMoved { from, to, evidence } => workspace_moved(&mut phrase, from, to, *evidence),
        ChangeKind::Commit { from, to, link, back, command } => {
            commit(&mut phrase, from, to, *back);
            phrase.lines.extend(link.iter().map(|link| line(vec![PhraseSpan::Link(link.clone())])));
            phrase.lines.extend(command.iter().map(|command| line(vec![PhraseSpan::Command(command.clone())])));
        }
        ChangeKind::YarnLock { .. } => {
            phrase.kind = "source";
            phrase.head = vec![text("its "), name("yarn.lock"), text(" is another one at the same commit")];
        }
        ChangeKind::Input { path, input, change } => {
            phrase.kind = input_noun(*input);
            phrase.head = vec![text(format!("{} ", phrase.kind)), name(path.clone())];
            if *input == InputKind::Backstage {
                phrase.head.push(text(", which says what Backstage the packages support,"));
            }
            phrase.head.push(text(match change {
                FileChange::Added => " is new",
                FileChange::Removed => " is gone",
                FileChange::Changed => " changed",
                FileChange::Mode => " can be executed now and could not before, or the reverse",
            }));
        }
        ChangeKind::PluginAdded { package, version, arguments } => {
            phrase.kind = "plugin";
            phrase.head = vec![text("new")];
            phrase.head.extend(package_of(package.as_ref(), version.as_ref()));
            for argument in arguments {
                phrase.lines.extend(argument_lines(argument, None, "with "));
            }
        }
        ChangeKind::PluginRemoved { package, version } => {
            phrase.kind = "plugin";
            phrase.head = vec![text("gone")];
            phrase.head.extend(package_of(package.as_ref(), version.as_ref()));
        }
        ChangeKind::PluginMoved { from, to, evidence } => {
            phrase.kind = "plugin";
            phrase.head = plugin_moved(from, to, *evidence);
        }
        ChangeKind::PluginVersion { from, to, step } => {
            phrase.kind = "version";
            phrase.head = vec![text("version ")];
            phrase.head.extend(arrow(from, to));
            phrase.head.extend(step_spans(Some(*step), is_back(from, to)));
        }
        ChangeKind::PluginPackage { from, to } => {
            phrase.kind = "package";
            phrase.head = vec![text("package ")];
            phrase.head.extend(arrow(from, to));
        }
        ChangeKind::PluginRole { from, to } => {
            phrase.kind = "role";
            phrase.head = vec![text("role ")];
            phrase.head.extend(arrow(from.as_str(), to.as_str()));
        }
        ChangeKind::Arguments { added, removed, reordered, origin } => {
            phrase.kind = "arguments";
            phrase.head.push(text(if *reordered { "the same arguments in another order" } else { "arguments" }));
            phrase.head.push(text(match (origin.from, origin.to) {
                (ArgsFrom::PluginsList, ArgsFrom::PluginsList) => " (written in plugins-list.yaml)",
                (ArgsFrom::Computed, ArgsFrom::Computed) => " (computed)",
                (ArgsFrom::PluginsList, ArgsFrom::Computed) => " (computed now, written in plugins-list.yaml before)",
                (ArgsFrom::Computed, ArgsFrom::PluginsList) => " (written in plugins-list.yaml now, computed before)",
            }));
            for argument in removed {
                phrase.lines.extend(argument_lines(argument, Some(Mark::Removed), ""));
            }
            for argument in added {
                phrase.lines.extend(argument_lines(argument, Some(Mark::Added), ""));
            }
        }
        ChangeKind::Dependencies { packages } => {
            phrase.kind = "dependencies";
            phrase.head = vec![text(format!("dependencies: {}", tally(packages)))];
            phrase.packages = packages;
        }
        ChangeKind::Output { .. } => output(&mut phrase, change),
    }
    phrase
}

fn back(from: Option<&str>, to: Option<&str>) -> bool {
    from.zip(to).is_some_and(|(from, to)| is_back(from, to))
}

fn host(phrase: &mut Phrase<'_>, from: Option<&RhdhRelease>, to: Option<&RhdhRelease>) {
    phrase.kind = "RHDH";
    let said = |host: Option<&RhdhRelease>| {
        host.map_or("none", |host| host.version.as_deref().unwrap_or(&host.requested)).to_owned()
    };
    phrase.head = vec![text("RHDH ")];
    phrase.head.extend(arrow(said(from), said(to)));
    if let (Some(from), Some(to)) = (from, to) {
        if from.requested == to.requested {
            phrase.head.extend([text(": "), name(to.requested.clone()), text(" moved")]);
        }
        if let (Some(from), Some(to)) = (&from.commit, &to.commit) {
            let mut spans = vec![text("commit ")];
            spans.extend(arrow(short(from), short(to)));
            phrase.lines.push(line(spans));
        }
        if from.lockfile != to.lockfile {
            phrase.lines.push(line(vec![text("its yarn.lock, which says what plugins can share, is another one")]));
        }
    }
}

fn tool_moved(phrase: &mut Phrase<'_>, tool: &str, from: Option<&Pin>, to: Option<&Pin>, step: Option<VersionStep>) {
    phrase.kind = "tool";
    let version = |pin: Option<&Pin>| pin.map_or("none", |pin| &pin.version).to_owned();
    phrase.head = vec![text(format!("{tool} "))];
    match (from, to) {
        (Some(from), Some(to)) if from.version == to.version => phrase.head.push(name(to.version.clone())),
        _ => phrase.head.extend(arrow(version(from), version(to))),
    }
    let versions = (from.map(|pin| pin.version.as_str()), to.map(|pin| pin.version.as_str()));
    phrase.head.extend(step_spans(step, back(versions.0, versions.1)));
    let requested = |pin: Option<&Pin>| pin.and_then(|pin| pin.requested.clone());
    if let (Some(from), Some(to)) = (requested(from), requested(to)) {
        if from != to {
            let mut spans = vec![text("asked for: ")];
            spans.extend(arrow(from, to));
            phrase.lines.push(line(spans));
        } else if versions.1 != Some(&to) {
            phrase.lines.push(line(vec![name(to), text(" moved")]));
        }
    }
}

fn removed(plugins: usize, moved: &[PluginPlace]) -> Vec<PhraseSpan> {
    let mut spans = vec![text("the workspace is gone")];
    if plugins == 0 {
        return spans;
    }
    if moved.is_empty() {
        spans.push(text(format!(", and its {} with it", count(plugins, "plugin"))));
        return spans;
    }
    let mut to: Vec<&str> = moved.iter().map(|place| place.workspace.as_str()).collect();
    to.dedup();
    spans.push(text(match (plugins, moved.len()) {
        (1, _) => "; its plugin moved to ".to_owned(),
        (all, some) if all == some => format!("; its {all} plugins moved to "),
        (all, some) => format!("; {some} of its {} moved to ", count(all, "plugin")),
    }));
    for (index, workspace) in to.iter().enumerate() {
        if index > 0 {
            spans.push(text(", "));
        }
        spans.push(name(*workspace));
    }
    spans
}

fn workspace_moved(phrase: &mut Phrase<'_>, from: &WorkspacePlace, to: &WorkspacePlace, evidence: Evidence) {
    phrase.kind = "workspace";
    phrase.head = vec![text("the workspace moved")];
    if from.name != to.name {
        phrase.head.extend([text(": it was "), name(from.name.clone()), text(proof(evidence))]);
    }
    for (what, from, to) in [("repository ", &from.repo, &to.repo), ("folder ", &from.path, &to.path)] {
        if from != to {
            let mut spans = vec![text(what)];
            spans.extend(arrow(from, to));
            phrase.lines.push(line(spans));
        }
    }
}

fn proof(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::SameName => " (same name)",
        Evidence::SamePackage => " (same package)",
        Evidence::SameFolder => " (same repository and folder)",
        Evidence::SamePlugins => " (most plugins are the same)",
    }
}

fn plugin_moved(from: &PluginPlace, to: &PluginPlace, evidence: Evidence) -> Vec<PhraseSpan> {
    let mut spans = vec![text("moved here from ")];
    match (from.workspace == to.workspace, from.plugin == to.plugin) {
        (true, _) => spans.push(name(from.plugin.clone())),
        (false, true) => spans.extend([text("workspace "), name(from.workspace.clone())]),
        (false, false) => {
            spans.extend([name(from.plugin.clone()), text(" in workspace "), name(from.workspace.clone())]);
        }
    }
    spans.push(text(proof(evidence)));
    spans
}

fn commit(phrase: &mut Phrase<'_>, from: &ReleaseSource, to: &ReleaseSource, back: bool) {
    phrase.kind = "commit";
    let both = from.commit.is_some() && to.commit.is_some();
    let same = both && from.commit == to.commit;
    let dated = |source: &ReleaseSource| source.date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
    phrase.head = vec![text(if both { "commit " } else { "ref " }), name(reference(from))];
    if same {
        phrase.head.push(text(" is the same"));
    } else {
        phrase.head.extend([text(dated(from)), text(" → "), name(reference(to)), text(dated(to))]);
    }
    if back {
        phrase.head.extend([text(" ("), PhraseSpan::Loud("older".into()), text(")")]);
    }
    let is_ref = |source: &ReleaseSource| source.commit.as_ref() != Some(&source.requested);
    if from.requested != to.requested && both && (is_ref(from) || is_ref(to)) {
        let mut spans = vec![text("asked for: ")];
        spans.extend(arrow(short(&from.requested), short(&to.requested)));
        phrase.lines.push(line(spans));
    } else if from.requested == to.requested && from.repo == to.repo && both && is_ref(to) {
        phrase.lines.push(line(vec![name(short(&to.requested)), text(" moved")]));
    }
}

fn input_noun(input: InputKind) -> &'static str {
    match input {
        InputKind::Patch => "patch",
        InputKind::Overlay => "overlay",
        InputKind::Scalprum => "scalprum configuration",
        InputKind::AppConfig => "app configuration",
        InputKind::Backstage | InputKind::Other => "file",
    }
}

fn package_of(package: Option<&String>, version: Option<&String>) -> Vec<PhraseSpan> {
    let Some(package) = package else { return Vec::new() };
    let mut spans = vec![text(": "), name(package.clone())];
    spans.extend(version.into_iter().flat_map(|version| [text(" "), name(version.clone())]));
    spans
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
        spans: vec![text(word), name(why.clone())],
    }));
    lines
}

fn output(phrase: &mut Phrase<'_>, change: &Change) {
    phrase.kind = "output";
    let ChangeKind::Output { verdict, inputs, outputs, first, .. } = &change.what else { return };
    let listed = |words: Vec<&str>| words.join(", ");
    let inputs = listed(inputs.iter().map(|input| input.as_str()).collect());
    let outputs = listed(outputs.iter().copied().map(OutputClass::as_str).collect());
    phrase.head = match verdict {
        OutputVerdict::Changed => vec![text(format!("output changed ({outputs}), as its inputs did: {inputs}"))],
        OutputVerdict::WithoutEffect => vec![text(format!("same output, although inputs changed: {inputs}"))],
        OutputVerdict::Unreproducible => vec![
            PhraseSpan::Loud("not reproducible".into()),
            text(format!(": the inputs are the same, the output is not ({outputs})")),
        ],
    };
    if let Some(first) = first {
        let mut spans = vec![text("first difference: ")];
        if let Some(file) = &first.file {
            spans.extend([name(file.clone()), text(": ")]);
        }
        spans.push(text(first.class.clone()));
        if first.count > 1 {
            spans.push(text(format!("; {} entries differ", first.count)));
        }
        phrase.lines.push(line(spans));
    }
}

fn affected(affects: &[Affected]) -> Vec<PhraseLine> {
    let mut lines = Vec::new();
    for (tie, word) in [(Tie::Shares, "used by "), (Tie::Embeds, "embedded by ")] {
        let places: Vec<&PluginPlace> =
            affects.iter().filter(|affected| affected.how == tie).map(|affected| &affected.place).collect();
        if places.is_empty() {
            continue;
        }
        let mut spans = vec![text(word)];
        for (index, place) in places.iter().enumerate() {
            if index > 0 {
                spans.push(text(", "));
            }
            spans.push(name(format!("{}/{}", place.workspace, place.plugin)));
        }
        lines.push(line(spans));
    }
    lines
}

/// A package and where it moved: `lodash 3.10.1 → 4.17.21 (major)`.
pub fn package_spans(package: &PackageChange) -> Vec<PhraseSpan> {
    let list = |versions: &[String]| versions.join(", ");
    let mut spans = vec![name(package.package.clone()), text(" ")];
    match (package.change, package.from.is_empty(), package.to.is_empty()) {
        (PackageMove::Removed, ..) => spans.push(name(list(&package.from))),
        (PackageMove::Added, ..) => spans.push(name(list(&package.to))),
        (_, true, _) => spans.extend([text("also in "), name(list(&package.to))]),
        (_, _, true) => spans.extend([text("no longer in "), name(list(&package.from))]),
        _ => spans.extend(arrow(list(&package.from), list(&package.to))),
    }
    let down = back(package.from.last().map(String::as_str), package.to.last().map(String::as_str));
    spans.extend(step_spans(package.step, package.change == PackageMove::Changed && down));
    spans
}

/// The sign of a package among those that moved.
pub fn package_mark(package: &PackageChange) -> Mark {
    match (package.change, package.step) {
        (PackageMove::Removed, _) => Mark::Removed,
        (PackageMove::Added, _) => Mark::Added,
        (_, Some(VersionStep::Major)) => Mark::Review,
        _ => Mark::Changed,
    }
}

/// `2 new, 1 gone, 41 moved (3 by a major)`
pub fn tally(packages: &[PackageChange]) -> String {
    let of = |change: PackageMove| packages.iter().filter(|package| package.change == change).count();
    let major = packages.iter().filter(|package| package.step == Some(VersionStep::Major)).count();
    let mut parts = Vec::new();
    for (n, word) in
        [(of(PackageMove::Added), "new"), (of(PackageMove::Removed), "gone"), (of(PackageMove::Changed), "moved")]
    {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    let majors = if major > 0 { format!(" ({major} by a major)") } else { String::new() };
    format!("{}{majors}", parts.join(", "))
}

/// How a plugin is called by its path.
pub fn plugin_spans(path: &str) -> Vec<PhraseSpan> {
    let mut spans = vec![name(path)];
    if path == "." {
        spans.push(text(" (the workspace itself)"));
    }
    spans
}

/// True for a change that says a plugin is new, gone or moved: it stands in the plugin's own line.
pub fn is_headline(what: &ChangeKind) -> bool {
    matches!(what, ChangeKind::PluginAdded { .. } | ChangeKind::PluginRemoved { .. } | ChangeKind::PluginMoved { .. })
}
