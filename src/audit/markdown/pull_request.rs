//! The body of a pull request, as Renovate writes it: a table of what moved, then the details, folded up.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::change::{ChangeKind, PackageMove};
use super::super::diff::Diff;
use super::super::display::short_ref;
use super::super::phrase::{self, PhraseSpan};
use super::super::support::PluginRow;
use super::super::version_step::VersionStep;
use super::page::{LIMIT, MarkdownPage};
use super::text::{cut, escaped};

/// The most bytes of the table: the rest is for details.
const TABLE: usize = LIMIT / 2;

/// A row of the table: what moved, how, and where.
struct Row {
    is_major: bool,
    package: String,
    change: String,
    place: String,
}

/// Renders the body in at most 65,536 bytes.
pub fn render(diff: &Diff) -> String {
    let mut page = MarkdownPage::new(head(diff));
    for block in super::blocks(diff) {
        page.add(&block.folded());
    }
    page.add(&super::notes(diff));
    page.finish()
}

fn head(diff: &Diff) -> String {
    let mut rows = rows(diff);
    if rows.is_empty() {
        let what = if diff.changes.is_empty() { "No changes." } else { "No plugin and no tool moves." };
        return format!("{what}\n{}", review(diff));
    }
    // Majors first, else in the order of the release.
    rows.sort_by_key(|row| !row.is_major);
    let mut text =
        String::from("This PR contains the following updates:\n\n| Package | Change | Workspace |\n|---|---|---|\n");
    let mut shown = 0;
    for Row { package, change, place, .. } in &rows {
        let row = format!("| {package} | {change} | {place} |\n");
        if text.len() + row.len() > TABLE {
            break;
        }
        text.push_str(&row);
        shown += 1;
    }
    if shown < rows.len() {
        let _ = writeln!(
            text,
            "\n**{} more updates do not fit here**; the details below name them as far as they fit.",
            rows.len() - shown
        );
    }
    text + &review(diff) + "\n---\n"
}

fn review(diff: &Diff) -> String {
    phrase::review(diff)
        .map_or_else(String::new, |review| format!("\n> [!WARNING]\n> {review}, marked with `!` below.\n"))
}

/// RHDH, Backstage and the tools, plugins, and workspaces of which no plugin moved.
fn rows(diff: &Diff) -> Vec<Row> {
    let mut rows = Vec::new();
    for change in diff.changes.iter().filter(|change| change.workspace.is_none()) {
        let moved = |name: &str, from: Option<&str>, to: Option<&str>, step| Row {
            is_major: step == Some(VersionStep::Major),
            package: code(name),
            change: arrow(from, to, step),
            place: String::new(),
        };
        match &change.what {
            ChangeKind::Host { from, to } => {
                let version =
                    |host: &super::super::change::RhdhRelease| host.version.clone().unwrap_or(host.requested.clone());
                rows.push(moved(
                    "RHDH",
                    from.as_ref().map(version).as_deref(),
                    to.as_ref().map(version).as_deref(),
                    None,
                ));
            }
            ChangeKind::Backstage { from, to, step } => {
                rows.push(moved("Backstage", from.as_deref(), to.as_deref(), *step));
            }
            ChangeKind::Tool { tool, from, to, step } => {
                let version = |pin: &super::super::change::Pin| pin.version.clone();
                rows.push(moved(
                    tool,
                    from.as_ref().map(version).as_deref(),
                    to.as_ref().map(version).as_deref(),
                    *step,
                ));
            }
            _ => {}
        }
    }
    let plugins = || diff.support.iter().flat_map(|group| group.plugins.iter().map(move |row| (group, row)));
    for (group, row) in plugins() {
        let is_said = row.change != PackageMove::Changed || row.version.is_moved() || row.support.is_moved();
        if is_said {
            let support = phrase::support::has_support(diff).then(|| match phrase::support::level(group) {
                PhraseSpan::Text(known) => known,
                other => code(other.as_str()),
            });
            rows.push(plugin_row(row, support));
        }
    }
    let named: BTreeSet<&str> =
        plugins().filter(|(_, row)| row.version.is_moved()).filter_map(|(_, row)| row.workspace.as_deref()).collect();
    for change in &diff.changes {
        let (Some(workspace), ChangeKind::Commit { from, to, link, .. }) = (&change.workspace, &change.what) else {
            continue;
        };
        if named.contains(workspace.as_str()) {
            continue;
        }
        let reference = |source: &super::super::change::ReleaseSource| {
            short_ref(source.commit.as_deref().unwrap_or(&source.requested)).to_owned()
        };
        let what = arrow(Some(&reference(from)), Some(&reference(to)), None);
        rows.push(Row {
            is_major: false,
            package: format!("{} (sources)", code(workspace)),
            change: linked(&what, link.as_deref()),
            place: code(workspace),
        });
    }
    rows
}

fn plugin_row(row: &PluginRow, support: Option<String>) -> Row {
    let version = row.version.last().map(code).unwrap_or_default();
    let change = match row.change {
        PackageMove::Added => format!("new: {version}"),
        PackageMove::Removed => format!("removed: {version}"),
        PackageMove::Changed if row.version.is_moved() => {
            arrow(row.version.from.as_deref(), row.version.to.as_deref(), row.step)
        }
        PackageMove::Changed => version,
    };
    let support = support.map(|support| format!("<br>{support}")).unwrap_or_default();
    let moved = match (&row.support.from, &row.support.to) {
        (Some(from), Some(to)) if from != to => format!(" (was {})", code(from)),
        _ => String::new(),
    };
    Row {
        is_major: row.step == Some(VersionStep::Major),
        package: format!("{}{support}{moved}", code(&row.package)),
        change: linked(&change, row.link.as_deref()),
        place: row.workspace.as_deref().map(code).unwrap_or_default(),
    }
}

fn arrow(from: Option<&str>, to: Option<&str>, step: Option<VersionStep>) -> String {
    let version = |version: Option<&str>| version.map_or_else(|| "none".to_owned(), code);
    let step = step.and_then(VersionStep::word).map(|word| format!(" (**{word}**)")).unwrap_or_default();
    format!("{} → {}{step}", version(from), version(to))
}

fn linked(text: &str, link: Option<&str>) -> String {
    // A cell ends at a bar, also in an address.
    link.map_or_else(|| text.to_owned(), |link| format!("{text} ([compare](<{}>))", link.replace('|', "%7C")))
}

/// A name in a cell: a bar would end it, also in a code span of markdown.
fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(&cut(text)))
}
