//! The plugins of a release as RHDH's release notes have them: what is new, gone and changed by level of support.
//!
//! Text from outside is letters, digits and character references: no macro, attribute or cell begins in it.

use std::fmt::Write as _;

use super::change::{ChangeKind, PackageMove};
use super::diff::Diff;
use super::display::printable;
use super::phrase::{self, Phrase, PhraseSpan};
use super::support::{FromTo, PluginRow, SupportGroup};
use crate::ui::cut;

/// Characters of one name; longer ones are cut.
const NAME: usize = 400;

/// Renders the release notes.
pub fn render(diff: &Diff) -> String {
    let mut page = format!(
        "= Dynamic plugins: changes from {} to {}\n:table-caption!:\n\n",
        escaped(&diff.old.name),
        escaped(&diff.new.name)
    );
    for (what, summary) in phrase::summary(diff) {
        let _ = writeln!(page, "* {what}: {}", spans(&summary));
    }
    platform(&mut page, diff);
    for group in &diff.support {
        level(&mut page, group);
    }
    if !diff.notes.is_empty() {
        page.push_str("\n== Not compared\n\n");
        for note in &diff.notes {
            let _ = writeln!(page, "* {}", escaped(note));
        }
    }
    page
}

/// What concerns all plugins. The packages of RHDH are many, and those who write plugins look at them elsewhere.
fn platform(page: &mut String, diff: &Diff) {
    let is_told = |what: &ChangeKind| !matches!(what, ChangeKind::HostPackage { .. } | ChangeKind::ToolPackages { .. });
    let mut changes =
        diff.changes.iter().filter(|change| change.workspace.is_none() && is_told(&change.what)).peekable();
    if changes.peek().is_none() {
        return;
    }
    page.push_str("\n== All plugins\n\n");
    for change in changes {
        let Phrase { head, lines, .. } = phrase::describe(change);
        let _ = writeln!(page, "* {}", spans(&head));
        for line in lines {
            let _ = writeln!(page, "** {}", spans(&line.spans));
        }
    }
}

fn level(page: &mut String, group: &SupportGroup) {
    let of = |change: PackageMove| group.plugins.iter().filter(move |row| row.change == change && is_told(row));
    if group.plugins.iter().all(|row| !is_told(row)) {
        return;
    }
    let _ = write!(page, "\n== {}\n", title(group));
    let new = [("Name", 3), ("Plugin", 5), ("Version", 2), ("Backstage version", 2)];
    table(page, "New plugins", &new, of(PackageMove::Added), |row| {
        let version = row.version.to.as_deref();
        vec![name(row), mono(Some(&row.package)), mono(version), mono(row.supported_versions.to.as_deref())]
    });
    let changed = [("Name", 3), ("Plugin", 5), ("Previous version", 2), ("Version", 2), ("Note", 4)];
    table(page, "Changed plugins", &changed, of(PackageMove::Changed), |row| {
        let (from, to) = (row.version.from.as_deref(), row.version.to.as_deref());
        vec![name(row), mono(Some(&row.package)), mono(from), mono(to), note(row)]
    });
    let removed = [("Name", 3), ("Plugin", 5), ("Last version", 2)];
    table(page, "Removed plugins", &removed, of(PackageMove::Removed), |row| {
        vec![name(row), mono(Some(&row.package)), mono(row.version.from.as_deref())]
    });
}

/// Release notes are about versions and about what is promised of them.
fn is_told(row: &PluginRow) -> bool {
    let moved = [&row.version, &row.support, &row.lifecycle];
    row.change != PackageMove::Changed || moved.into_iter().any(FromTo::is_moved)
}

/// A table with these columns, each with its share of the width.
fn table<'a>(
    page: &mut String,
    title: &str,
    columns: &[(&str, u8)],
    rows: impl Iterator<Item = &'a PluginRow>,
    cells: impl Fn(&PluginRow) -> Vec<String>,
) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let widths: Vec<String> = columns.iter().map(|(_, width)| width.to_string()).collect();
    let _ = write!(page, "\n=== {title}\n\n[%header,cols=\"{}\"]\n|===\n", widths.join(","));
    for (column, _) in columns {
        let _ = writeln!(page, "|{column}");
    }
    for row in rows {
        page.push('\n');
        for cell in cells(row) {
            let _ = writeln!(page, "|{cell}");
        }
    }
    page.push_str("|===\n");
}

fn title(group: &SupportGroup) -> String {
    match &phrase::support::level(group) {
        PhraseSpan::Text(text) => {
            let mut letters = text.chars();
            letters.next().map(|first| format!("{}{}", first.to_uppercase(), letters.as_str())).unwrap_or_default()
        }
        other => spans(std::slice::from_ref(other)),
    }
}

fn name(row: &PluginRow) -> String {
    escaped(row.title.as_deref().unwrap_or(&row.package))
}

fn note(row: &PluginRow) -> String {
    let mut notes: Vec<String> =
        row.step.and_then(super::version_step::VersionStep::word).map(str::to_owned).into_iter().collect();
    for (what, moved) in [("support", &row.support), ("lifecycle", &row.lifecycle)] {
        if moved.is_moved() {
            notes.push(format!("{what} {} → {}", mono(moved.from.as_deref()), mono(moved.to.as_deref())));
        }
    }
    notes.extend(row.link.iter().map(|address| link(address)));
    notes.join(", ")
}

fn spans(spans: &[PhraseSpan]) -> String {
    let one = |span: &PhraseSpan| match span {
        // Our own words have no markup.
        PhraseSpan::Text(text) => text.clone(),
        PhraseSpan::Sentence(text) => escaped(text),
        PhraseSpan::Name(text) | PhraseSpan::Command(text) => mono(Some(text)),
        PhraseSpan::Link(address) => link(address),
        PhraseSpan::Loud(word) => format!("*{}*", escaped(word)),
    };
    spans.iter().map(one).collect()
}

fn mono(text: Option<&str>) -> String {
    let text = text.map(escaped).unwrap_or_default();
    if text.trim().is_empty() { String::new() } else { format!("``{text}``") }
}

/// A link; nothing in the address ends the passthrough that it stands in.
fn link(address: &str) -> String {
    let address: String = address
        .chars()
        .map(|c| match c {
            '+' => "%2B".to_owned(),
            '[' => "%5B".to_owned(),
            ']' => "%5D".to_owned(),
            '|' => "%7C".to_owned(),
            c => c.to_string(),
        })
        .collect();
    format!("link:++{address}++[compare]")
}

/// Letters, digits, and single dots, hyphens, slashes, commas and blanks between them stay; all else is a character
/// reference.
fn escaped(text: &str) -> String {
    let text = cut(&printable(text), NAME);
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        let is_plain = c.is_alphanumeric() || matches!(c, '→' | '…') || (c == ' ' && !out.is_empty());
        // `...`, `--` and `//` are more than what they are made of.
        let is_single = matches!(c, '.' | '-' | '/' | ',') && before.is_alphanumeric();
        if is_plain || is_single {
            out.push(c);
        } else {
            let _ = write!(out, "&#{};", u32::from(c));
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_no_markup() {
        assert_eq!(escaped("@x/plugin-todo 1.0.0"), "&#64;x/plugin-todo 1.0.0");
        assert_eq!(escaped("a|b ]] {x} <s>\n\u{1b}"), "a&#124;b &#93;&#93; &#123;x&#125; &#60;s&#62;&#65533;&#65533;");
        assert_eq!(escaped("a--b ... c://d"), "a-&#45;b &#46;&#46;&#46; c&#58;&#47;&#47;d");
        assert_eq!(link("https://x/a++[b]|"), "link:++https://x/a%2B%2B%5Bb%5D%7C++[compare]");
    }
}
