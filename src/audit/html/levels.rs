//! Plugins by their level of support, on the page.

use std::fmt::Write as _;

use super::super::change::Mark;
use super::super::diff::Diff;
use super::super::phrase::{Phrase, PhraseLine, support};
use super::super::support::{PluginRow, SupportGroup};
use super::{class, compare, list, spans};
use crate::html::escaped;

/// One table for each level, where metadata says any.
pub(super) fn levels(page: &mut String, diff: &Diff) {
    if !support::has_support(diff) {
        return;
    }
    page.push_str("<h2>Plugins by support level</h2>\n");
    for group in &diff.support {
        level(page, group);
    }
    page.push_str("<h2>Changes</h2>\n");
}

fn level(page: &mut String, group: &SupportGroup) {
    let (name, tally) = (spans(&[support::level(group)]), support::tally(group));
    if group.plugins.is_empty() {
        let _ = writeln!(page, "<p class=\"level\"><b>{name}</b> <span class=\"soft\">{tally}</span></p>");
        return;
    }
    let common = support::common(group);
    let said = common.iter().map(|line| format!("<p class=\"soft\">{}{}</p>\n", support::UNLESS, spans(&line.spans)));
    let said = said.collect::<Vec<_>>().concat();
    let _ = writeln!(
        page,
        "<details class=\"level\" open><summary><b>{name}</b> <span class=\"soft\">{tally}</span></summary>\n\
         {said}<table>\n<thead><tr><th scope=\"col\" aria-label=\"Mark\">±</th><th scope=\"col\">Plugin</th>\
         <th scope=\"col\">Workspace</th></tr></thead>\n<tbody>"
    );
    for plugin in &group.plugins {
        row(page, plugin, &common);
    }
    page.push_str("</tbody>\n</table>\n</details>\n");
}

fn row(page: &mut String, row: &PluginRow, common: &[PhraseLine]) {
    let mark = support::row_mark(row);
    // The workspace has a column of its own.
    let alone = PluginRow { workspace: None, ..row.clone() };
    let Phrase { head, lines, .. } = support::row(&alone, common);
    let title = row.title.as_deref().map(|title| format!("{} ", escaped(title))).unwrap_or_default();
    let look = if mark == Mark::Review { " class=\"look\"" } else { "" };
    let _ = write!(
        page,
        "<tr{look}><td class=\"mark {}\">{mark}</td><td class=\"what\">{title}{}",
        class(mark),
        spans(&head)
    );
    page.push_str(&compare(row.link.as_deref()));
    list(page, lines.into_iter().map(|line| (line.mark, line.below, line.spans)));
    let workspace = row.workspace.as_deref().map(escaped).unwrap_or_default();
    let _ = writeln!(page, "</td><td class=\"workspace\">{workspace}</td></tr>");
}
