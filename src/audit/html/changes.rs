//! The changes on the page: a table with a group of rows for each workspace.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::alike::{AlikeMove, AlikeMoves};
use super::super::change::{Change, ChangeKind, Mark, PackageChange};
use super::super::diff::Diff;
use super::super::phrase::{self, Phrase, PhraseLine, PhraseSpan};
use super::{class, compare, list, spans};
use crate::html::escaped;

/// Packages of one list that are shown unfolded.
const SHOWN: usize = 12;
const COLUMNS: [&str; 4] = ["", "Plugin", "Kind", "Change"];

const MARKS: [(Mark, &str); 5] = [
    (Mark::Review, "needs review"),
    (Mark::Added, "added"),
    (Mark::Removed, "removed"),
    (Mark::Changed, "changed"),
    (Mark::Same, "moved or no effect"),
];

/// The changes, with what filters them.
pub(super) fn changes(page: &mut String, diff: &Diff) {
    let alike = AlikeMoves::of(diff);
    let of_alike = alike.sorted().into_iter().map(|one| phrase::package_mark(one.package));
    let marks: Vec<Mark> = diff.changes.iter().map(|change| change.mark).chain(of_alike).collect();
    controls(page, diff, &marks);
    page.push_str("<table id=\"changes\">\n<thead><tr>");
    for column in COLUMNS {
        let (label, name) = if column.is_empty() { (" aria-label=\"Mark\"", "±") } else { ("", column) };
        let _ = write!(page, "<th scope=\"col\"><button type=\"button\"{label}>{name}</button></th>");
    }
    page.push_str("</tr></thead>\n");
    let is_everywhere = |change: &&Change| change.workspace.is_none();
    let all: Vec<&Change> = diff.changes.iter().filter(is_everywhere).collect();
    if !all.is_empty() {
        group(page, "All workspaces", &all, &alike);
    }
    alike_group(page, &alike.sorted());
    let rest: Vec<&Change> = diff.changes.iter().filter(|change| !is_everywhere(change)).collect();
    for changes in rest.chunk_by(|a, b| a.workspace == b.workspace) {
        group(page, changes[0].workspace.as_deref().unwrap_or_default(), changes, &alike);
    }
    page.push_str("</table>\n");
}

/// The changes of one workspace, or of all.
fn group(page: &mut String, name: &str, changes: &[&Change], alike: &AlikeMoves<'_>) {
    let link = changes.iter().find_map(|change| match &change.what {
        ChangeKind::Commit { link, .. } => link.as_deref(),
        _ => None,
    });
    let marks: Vec<Mark> = changes.iter().map(|change| change.mark).collect();
    group_head(page, name, &marks, &compare(link));
    for change in changes {
        row(page, change, alike);
    }
    page.push_str("</tbody>\n");
}

fn group_head(page: &mut String, name: &str, marks: &[Mark], link: &str) {
    let quiet = if marks.contains(&Mark::Review) { "" } else { " data-quiet" };
    let _ = write!(
        page,
        "<tbody{quiet}>\n<tr class=\"group\"><th colspan=\"{}\" scope=\"rowgroup\"><button type=\"button\" \
         aria-expanded=\"true\">{}</button>",
        COLUMNS.len(),
        escaped(name)
    );
    for (mark, meaning) in MARKS {
        let n = marks.iter().filter(|one| **one == mark).count();
        if n > 0 {
            let _ = write!(
                page,
                " <span class=\"count\" title=\"{meaning}\"><b class=\"{}\">{mark}</b> {n}</span>",
                class(mark)
            );
        }
    }
    let _ = writeln!(page, "{link}</th></tr>");
}

/// What moved in the same way in several plugins, once.
fn alike_group(page: &mut String, alike: &[&AlikeMove<'_>]) {
    if alike.is_empty() {
        return;
    }
    let marks: Vec<Mark> = alike.iter().map(|one| phrase::package_mark(one.package)).collect();
    group_head(page, "Dependencies of several plugins", &marks, "");
    for AlikeMove { package, plugins } in alike {
        let mark = phrase::package_mark(package);
        let names: Vec<String> = plugins
            .iter()
            .map(|(workspace, plugin)| format!("<li><code>{}</code></li>", escaped(&format!("{workspace}/{plugin}"))))
            .collect();
        let plugins =
            format!("<details><summary>{} plugins</summary><ul>{}</ul></details>", plugins.len(), names.concat());
        open_row(page, mark, "dependencies", &plugins);
        let _ = writeln!(page, "{}</td></tr>", spans(&phrase::package_spans(package)));
    }
    page.push_str("</tbody>\n");
}

fn open_row(page: &mut String, mark: Mark, kind: &str, plugin: &str) {
    let look = if mark == Mark::Review { " class=\"look\"" } else { "" };
    let _ = write!(
        page,
        "<tr{look} data-mark=\"{mark}\" data-kind=\"{kind}\"><td class=\"mark {}\" data-sort=\"{}\">{mark}</td>\
         <td class=\"plugin\">{plugin}</td><td class=\"kind\">{kind}</td><td class=\"what\">",
        class(mark),
        mark as u8,
    );
}

fn row(page: &mut String, change: &Change, alike: &AlikeMoves<'_>) {
    let Phrase { kind, head, lines, packages } = phrase::describe(change);
    let plugin = change.plugin.as_deref().map(|path| spans(&phrase::plugin_spans(path))).unwrap_or_default();
    open_row(page, change.mark, kind, &plugin);
    page.push_str(&spans(&head));
    list(page, lines.iter().map(|PhraseLine { mark, below, spans }| (*mark, *below, spans.clone())));
    let is_of_plugin = change.plugin.is_some();
    let (also, own): (Vec<_>, Vec<_>) = packages.iter().partition(|package| is_of_plugin && alike.has(package));
    self::packages(page, &own);
    if !also.is_empty() {
        let names: Vec<PhraseSpan> = also
            .iter()
            .flat_map(|package| [PhraseSpan::Name(package.package.clone()), PhraseSpan::Text(", ".into())])
            .take(also.len() * 2 - 1)
            .collect();
        let _ = write!(
            page,
            "<details><summary>{} as in other plugins</summary><p>{}</p></details>",
            also.len(),
            spans(&names)
        );
    }
    page.push_str("</td></tr>\n");
}

fn packages(page: &mut String, packages: &[&PackageChange]) {
    let item = |package: &&PackageChange| (Some(phrase::package_mark(package)), false, phrase::package_spans(package));
    let (shown, folded) = packages.split_at(packages.len().min(SHOWN));
    list(page, shown.iter().map(item));
    if !folded.is_empty() {
        let _ = write!(page, "<details><summary>{} more</summary>", folded.len());
        list(page, folded.iter().map(item));
        page.push_str("</details>");
    }
}

/// What filters rows with these marks.
fn controls(page: &mut String, diff: &Diff, marks: &[Mark]) {
    page.push_str(
        "<div class=\"controls\" role=\"search\">\n\
         <input type=\"search\" id=\"search\" placeholder=\"Search…\" aria-label=\"Search workspace, plugin, package\">\n\
         <select id=\"kind\" aria-label=\"Kind of change\"><option value=\"\">every kind</option>",
    );
    let kinds: BTreeSet<&str> = diff.changes.iter().map(|change| phrase::describe(change).kind).collect();
    for kind in kinds {
        let _ = write!(page, "<option>{kind}</option>");
    }
    page.push_str(
        "</select>\n<label id=\"sort-label\">sort <select id=\"sort\"><option value=\"\">as compared</option>",
    );
    for (index, column) in COLUMNS.iter().enumerate() {
        let name = if column.is_empty() { "Mark" } else { column };
        let _ = write!(page, "<option value=\"{index}\">{name}</option>");
    }
    page.push_str("</select></label>\n");
    for (mark, meaning) in MARKS {
        let n = marks.iter().filter(|one| **one == mark).count();
        if n > 0 {
            let _ = writeln!(
                page,
                "<button type=\"button\" data-only=\"{mark}\" aria-pressed=\"false\">\
                 <b class=\"{}\">{mark}</b> {meaning} ({n})</button>",
                class(mark)
            );
        }
    }
    page.push_str(
        "<button type=\"button\" id=\"fold\" aria-pressed=\"false\">fold all</button>\n\
         <span id=\"shown\" class=\"soft\" role=\"status\"></span>\n</div>\n",
    );
}
