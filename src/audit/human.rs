//! The changes for a terminal: at most 80 columns, readable without colour.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::change::{Change, ChangeKind, Mark, PackageChange, PackageMove};
use super::diff::{Diff, Form};
use super::display::{printable, shortened};
use super::phrase::{self, Phrase, PhraseLine, PhraseSpan};
use super::version_step::VersionStep;
use crate::ui::count;

/// Columns of a line where nothing says otherwise, and at most; only what cannot be broken (an address, a command, a
/// long name) is longer.
const WIDTH: usize = 80;
/// Narrower lines would be nothing but indentation.
const NARROW: usize = 40;
/// Packages shown of one list, unless all are asked for.
const SHOWN: usize = 8;
/// Workspaces that only moved to another commit are shown one by one up to this many, unless all are asked for: of fifty
/// nobody would find the one that did more.
const QUIET: usize = 3;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const LOUD: Style = AnsiColor::Red.on_default().bold();

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub struct HumanOptions {
    /// Every package of every list.
    pub all: bool,
    /// With colours.
    pub colour: bool,
    /// Columns of the terminal; lines have 40 to 80.
    pub width: usize,
}

impl Default for HumanOptions {
    fn default() -> Self {
        Self { all: false, colour: false, width: WIDTH }
    }
}

/// Renders the changes.
pub fn render(diff: &Diff, options: HumanOptions) -> String {
    let width = options.width.clamp(NARROW, WIDTH);
    let mut page = HumanPage { text: String::new(), options: HumanOptions { width, ..options } };
    page.summary(diff);
    let causes = || diff.changes.iter().filter(|change| change.workspace.is_none());
    let is_host = |change: &&Change| matches!(change.what, ChangeKind::HostPackage { .. });
    if causes().any(|change| !is_host(&change)) {
        page.heading("For all workspaces");
        for change in causes().filter(|change| !is_host(change)) {
            page.change(change, 2);
        }
    }
    page.host(causes().filter(is_host));
    page.support(diff);
    let rest: Vec<&Change> = diff.changes.iter().filter(|change| change.workspace.is_some()).collect();
    let workspaces = rest.chunk_by(|a, b| a.workspace == b.workspace);
    let (mut quiet, mut others): (Vec<_>, Vec<_>) = workspaces.partition(|changes| is_quiet(changes));
    if options.all || quiet.len() <= QUIET {
        (quiet, others) = (Vec::new(), rest.chunk_by(|a, b| a.workspace == b.workspace).collect());
    }
    let name = |changes: &[&Change]| changes[0].workspace.clone().unwrap_or_default();
    if !others.is_empty() {
        page.heading("Workspaces");
    }
    for changes in others {
        page.workspace(&name(changes), changes);
    }
    if !quiet.is_empty() {
        page.quiet(diff, &quiet.into_iter().map(name).collect::<Vec<_>>());
    }
    page.end(diff);
    page.text
}

/// True when a workspace moved to another commit, perhaps for another Backstage, and that is all that is known of it.
fn is_quiet(changes: &[&Change]) -> bool {
    let of_commit = |what: &ChangeKind| matches!(what, ChangeKind::Commit { .. } | ChangeKind::Backstage { .. });
    changes.iter().all(|change| change.mark == Mark::Changed && of_commit(&change.what))
}

struct HumanPage {
    text: String,
    options: HumanOptions,
}

/// A word with its style; words are never broken.
struct Word {
    text: String,
    style: Option<Style>,
    /// Whether a space stands before it.
    apart: bool,
}

impl HumanPage {
    fn summary(&mut self, diff: &Diff) {
        let title = format!("{} → {}", printable(&diff.old.name), printable(&diff.new.name));
        let title = self.styled(&title, BOLD);
        let _ = writeln!(self.text, "{title}");
        if diff.new.form == Form::Configuration {
            self.put(
                2,
                "",
                &[PhraseSpan::Text("two configurations: refs, versions, arguments and lists, without locks".into())],
            );
        }
        for (what, spans) in phrase::summary(diff) {
            self.put(2, &format!("{what:<12}"), &spans);
        }
        if diff.changes.is_empty() {
            self.put(2, "", &[PhraseSpan::Text("no changes".into())]);
            return;
        }
        let signs = ["+ added", "- removed", "~ changed", "= moved or no effect", "! needs review"];
        let apart = if self.options.width < WIDTH { "\n  " } else { "   " };
        let legend = signs.map(|sign| self.styled(sign, DIM)).join(apart);
        let _ = writeln!(self.text, "\n  {legend}");
    }

    /// Packages of the host, under what became of them.
    fn host<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) {
        let mut under = "";
        for change in changes {
            let ChangeKind::HostPackage { package, .. } = &change.what else { continue };
            let group = match (package.change, package.step) {
                (PackageMove::Removed, _) => "removed",
                (PackageMove::Added, _) => "added",
                (_, Some(VersionStep::Major)) => "major updates",
                _ => "minor updates of 0.x, which can break like a major",
            };
            if under.is_empty() {
                self.heading("RHDH packages that plugins can share");
            }
            if under != group {
                under = group;
                self.put(2, "", &[PhraseSpan::Text(format!("{group}:"))]);
            }
            // The heading says how far.
            let package = PackageChange { step: None, ..package.clone() };
            self.marked(4, change.mark, &phrase::package_spans(&package));
            self.lines(8, &phrase::describe(change).lines);
        }
    }

    /// Plugins by their level of support, where metadata says it.
    fn support(&mut self, diff: &Diff) {
        if !phrase::support::has_support(diff) {
            return;
        }
        self.heading("Plugins by support level");
        for group in &diff.support {
            let tally = PhraseSpan::Text(format!(": {}", phrase::support::tally(group)));
            self.put(2, "", &[phrase::support::level(group), tally]);
            let common = phrase::support::common(group);
            for line in &common {
                self.put(4, phrase::support::UNLESS, &line.spans);
            }
            let shown = self.shown(group.plugins.len());
            for row in &group.plugins[..shown] {
                let Phrase { head, lines, .. } = phrase::support::row(row, &common);
                self.marked(4, phrase::support::row_mark(row), &head);
                self.lines(8, &lines);
            }
            self.rest(group.plugins.len() - shown, 6);
        }
    }

    fn heading(&mut self, text: &str) {
        let text = self.styled(&text.to_uppercase(), BOLD);
        let _ = writeln!(self.text, "\n{text}");
    }

    fn workspace(&mut self, name: &str, changes: &[&Change]) {
        let name = self.styled(&printable(name), BOLD);
        let _ = writeln!(self.text, "\n{name}");
        for changes in changes.chunk_by(|a, b| a.plugin == b.plugin) {
            match &changes[0].plugin {
                Some(plugin) => self.plugin(plugin, changes),
                None => changes.iter().for_each(|change| self.change(change, 2)),
            }
        }
    }

    fn quiet(&mut self, diff: &Diff, names: &[String]) {
        let other = if diff.new.form == Form::Lock { "commit" } else { "ref" };
        self.heading(&format!("{} with only a new {other}", count(names.len(), "workspace")));
        self.put(2, "", &[PhraseSpan::Text(names.join(", "))]);
        let hint = format!("see the {other}s and links with `--all`, or with `-w NAME` for one workspace");
        self.put(2, "", &[PhraseSpan::Text(hint)]);
    }

    fn plugin(&mut self, path: &str, changes: &[&Change]) {
        let mut rest = changes;
        let mark = changes.iter().map(|change| change.mark).min().unwrap_or(Mark::Changed);
        let mut head = phrase::plugin_spans(path);
        match changes.first() {
            Some(first) if phrase::is_headline(&first.what) => {
                let phrase = phrase::describe(first);
                head.push(PhraseSpan::Text(": ".into()));
                head.extend(phrase.head);
                self.marked(2, first.mark, &head);
                self.lines(6, &phrase.lines);
                rest = &changes[1..];
            }
            _ => self.marked(2, mark, &head),
        }
        for change in rest {
            self.change(change, 4);
        }
    }

    fn change(&mut self, change: &Change, indent: usize) {
        let Phrase { head, lines, packages, .. } = phrase::describe(change);
        self.marked(indent, change.mark, &head);
        self.lines(indent + 2, &lines);
        self.packages(packages, indent + 4);
    }

    fn lines(&mut self, indent: usize, lines: &[PhraseLine]) {
        for line in lines {
            match line.mark {
                Some(mark) => self.marked(indent, mark, &line.spans),
                None => self.put(indent + if line.below { 4 } else { 0 }, "", &line.spans),
            }
        }
    }

    fn packages(&mut self, packages: &[PackageChange], indent: usize) {
        let shown = self.shown(packages.len());
        for package in &packages[..shown] {
            self.marked(indent, phrase::package_mark(package), &phrase::package_spans(package));
        }
        self.rest(packages.len() - shown, indent + 2);
    }

    /// How many of a list are shown.
    fn shown(&self, all: usize) -> usize {
        if self.options.all || all <= SHOWN + 2 { all } else { SHOWN }
    }

    fn rest(&mut self, left_out: usize, indent: usize) {
        if left_out > 0 {
            self.put(indent, "", &[PhraseSpan::Text(format!("and {left_out} more (see all with `--all`)"))]);
        }
    }

    fn end(&mut self, diff: &Diff) {
        if !diff.notes.is_empty() {
            self.heading("Not compared");
            for note in &diff.notes {
                self.put(2, "", &[PhraseSpan::Text(note.clone())]);
            }
        }
        if let Some(review) = phrase::review(diff) {
            let conclusion = self.styled(&format!("{review}, marked with !"), BOLD);
            let _ = writeln!(self.text, "\n{conclusion}");
        }
    }

    fn marked(&mut self, indent: usize, mark: Mark, spans: &[PhraseSpan]) {
        let style = match mark {
            Mark::Review => LOUD,
            Mark::Added => AnsiColor::Green.on_default(),
            Mark::Removed => AnsiColor::Red.on_default(),
            Mark::Changed => AnsiColor::Yellow.on_default(),
            Mark::Same => AnsiColor::Cyan.on_default(),
        };
        let sign = self.styled(mark.as_str(), style);
        self.wrap(indent, &format!("{sign} "), 2, spans);
    }

    fn put(&mut self, indent: usize, before: &str, spans: &[PhraseSpan]) {
        let hang = if before.is_empty() { 2 } else { before.chars().count() };
        self.wrap(indent, before, hang, spans);
    }

    /// Writes a line, broken between words; what follows hangs below the first word.
    fn wrap(&mut self, indent: usize, before: &str, before_width: usize, spans: &[PhraseSpan]) {
        let hanging = indent + before_width;
        let mut line = format!("{}{before}", " ".repeat(indent));
        let mut width = if before.is_empty() { indent } else { hanging };
        let mut empty = true;
        for word in words(spans) {
            let length = word.text.chars().count();
            let gap = usize::from(word.apart && !empty);
            if !empty && word.apart && width + gap + length > self.options.width {
                let _ = writeln!(self.text, "{}", line.trim_end());
                line = " ".repeat(hanging);
                width = hanging;
            } else if gap == 1 {
                line.push(' ');
                width += 1;
            }
            line.push_str(&match word.style {
                Some(style) => self.styled(&word.text, style),
                None => word.text,
            });
            width += length;
            empty = false;
        }
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    fn styled(&self, text: &str, style: Style) -> String {
        if self.options.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Breaks spans at their spaces. A word that runs over two spans (`(`, `major`, `)`) stays together.
fn words(spans: &[PhraseSpan]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut apart = true;
    for span in spans {
        let (text, style) = match span {
            PhraseSpan::Text(text) | PhraseSpan::Name(text) | PhraseSpan::Sentence(text) => (text, None),
            PhraseSpan::Link(text) => (&shortened(text), Some(DIM)),
            PhraseSpan::Loud(text) => (text, Some(LOUD)),
            PhraseSpan::Command(command) => {
                words.push(Word { text: printable(&shortened(command)), style: Some(DIM), apart: true });
                apart = true;
                continue;
            }
        };
        let text = printable(text);
        for (index, part) in text.split(' ').enumerate() {
            apart |= index > 0;
            if !part.is_empty() {
                words.push(Word { text: part.to_owned(), style, apart });
                apart = false;
            }
        }
    }
    // An arrow stays with what it points at, and a word without a gap with the one before it.
    let mut joined: Vec<Word> = Vec::new();
    for word in words {
        match joined.last_mut() {
            Some(last) if last.text == "→" && last.style.is_none() => {
                last.text = format!("→ {}", word.text);
            }
            Some(last) if !word.apart && last.style.is_none() && word.style.is_none() => last.text.push_str(&word.text),
            _ => joined.push(word),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(spans: &[PhraseSpan]) -> String {
        let mut page = HumanPage { text: String::new(), options: HumanOptions::default() };
        page.marked(2, Mark::Changed, spans);
        page.text
    }

    #[test]
    fn lines_break_between_words_and_hang() {
        let long = "a ".repeat(45);
        let text = wrapped(&[PhraseSpan::Text(long)]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with("    a"), "{text}");
    }

    #[test]
    fn lines_are_as_narrow_as_the_terminal() {
        let options = HumanOptions { width: 50, ..HumanOptions::default() };
        let mut page = HumanPage { text: String::new(), options };
        page.marked(2, Mark::Changed, &[PhraseSpan::Text("a ".repeat(45))]);
        assert_eq!(page.text.lines().map(str::len).max(), Some(49), "{}", page.text);
    }

    #[test]
    fn a_command_is_copied_whole() {
        let command = format!("git -C '/a b/{}' log {}..x", "c".repeat(80), "1".repeat(40));
        let text = wrapped(&[PhraseSpan::Command(command.clone())]);
        assert_eq!(text, format!("  ~ {}\n", command.replace(&"1".repeat(40), "11111111")));
    }

    #[test]
    fn what_cannot_be_broken_is_not() {
        let url = format!("https://example.com/{}", "x".repeat(100));
        let text = wrapped(&[PhraseSpan::Link(url.clone())]);
        assert_eq!(text, format!("  ~ {url}\n"));
    }

    #[test]
    fn text_from_outside_does_not_steer() {
        let text = wrapped(&[PhraseSpan::Name("a\u{1b}[2J\u{202e}b\nc".into())]);
        assert_eq!(text, "  ~ a\u{fffd}[2J\u{fffd}b\u{fffd}c\n");
    }
}
