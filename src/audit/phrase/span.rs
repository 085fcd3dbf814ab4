//! What a phrase is made of: pieces of text that each renderer draws in its own way.

use super::super::change::{Mark, PackageChange};
use super::super::display::short_ref;
use super::super::version_step::{VersionStep, is_back};

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhraseSpan {
    /// Our words.
    Text(String),
    /// A name, a version, a path: text from outside.
    Name(String),
    /// A sentence that quotes text from outside.
    Sentence(String),
    /// An address.
    Link(String),
    /// A word of warning: `major`.
    Loud(String),
    /// What can be run in a shell; never broken.
    Command(String),
}

impl PhraseSpan {
    /// The text, an address and a command too.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text)
            | Self::Name(text)
            | Self::Sentence(text)
            | Self::Link(text)
            | Self::Loud(text)
            | Self::Command(text) => text,
        }
    }
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

impl<'a> Phrase<'a> {
    pub(super) fn new(kind: &'static str, head: Vec<PhraseSpan>) -> Self {
        Self { kind, head, lines: Vec::new(), packages: &[] }
    }

    pub(super) fn with_packages(self, packages: &'a [PackageChange]) -> Self {
        Self { packages, ..self }
    }

    pub(super) fn with_lines(mut self, lines: impl IntoIterator<Item = PhraseLine>) -> Self {
        self.lines.extend(lines);
        self
    }
}

pub(super) fn text(text: impl Into<String>) -> PhraseSpan {
    PhraseSpan::Text(text.into())
}

pub(super) fn name(name: impl Into<String>) -> PhraseSpan {
    PhraseSpan::Name(name.into())
}

pub(super) fn sentence(sentence: impl Into<String>) -> PhraseSpan {
    PhraseSpan::Sentence(sentence.into())
}

pub(super) fn line(spans: Vec<PhraseSpan>) -> PhraseLine {
    PhraseLine { mark: None, below: false, spans }
}

/// `from → to`
pub(super) fn arrow(from: impl Into<String>, to: impl Into<String>) -> Vec<PhraseSpan> {
    vec![name(from), text(" → "), name(to)]
}

/// `label from → to`
pub(super) fn labelled_arrow(
    label: impl Into<String>,
    from: impl Into<String>,
    to: impl Into<String>,
) -> Vec<PhraseSpan> {
    vec![text(label), name(from), text(" → "), name(to)]
}

/// `requested: from → to`, with commits cut.
pub(super) fn requested_line(from: &str, to: &str) -> PhraseLine {
    line(labelled_arrow("requested: ", short_ref(from), short_ref(to)))
}

/// Names between commas.
pub(super) fn name_list(names: impl IntoIterator<Item = String>) -> Vec<PhraseSpan> {
    let mut spans = Vec::new();
    for known in names {
        if !spans.is_empty() {
            spans.push(text(", "));
        }
        spans.push(name(known));
    }
    spans
}

/// ` (major)`, ` (0.x minor)`, ` (older)`, or nothing.
pub(super) fn step_spans(step: Option<VersionStep>, back: bool) -> Vec<PhraseSpan> {
    let mut spans = Vec::new();
    if let Some(word) = step.and_then(VersionStep::word) {
        let word = if step == Some(VersionStep::Major) { PhraseSpan::Loud(word.to_owned()) } else { text(word) };
        spans.extend([text(" ("), word, text(")")]);
    }
    if back {
        spans.extend([text(" ("), PhraseSpan::Loud("older".into()), text(")")]);
    }
    spans
}

/// True when both versions are known and the second is lower.
pub(super) fn is_downgrade(from: Option<&str>, to: Option<&str>) -> bool {
    from.zip(to).is_some_and(|(from, to)| is_back(from, to))
}
