//! The changes for a pull request: GitHub takes at most 65,536 characters, so what does not fit is counted.
//!
//! Names from outside stand in code spans: there nothing is a tag, a link or a mention of somebody.

mod page;
pub mod pull_request;
pub(in crate::audit) mod text;

use std::fmt::Write as _;

use super::change::{Change, ChangeKind, Mark, PackageChange};
use super::diff::Diff;
use super::phrase::{self, Phrase, PhraseLine};
use super::support::SupportGroup;
use page::{Block, Item, MarkdownPage};
use text::{code, cut, escaped, sentence, spans};

/// Packages of one list.
const SHOWN: usize = 40;

/// Renders the changes in at most 65,536 bytes.
pub fn render(diff: &Diff) -> String {
    let mut page = MarkdownPage::new(head(diff));
    for block in blocks(diff) {
        page.add(&block);
    }
    page.add(&notes(diff));
    page.finish()
}

fn notes(diff: &Diff) -> Block {
    let items = diff.notes.iter().map(|note| Item { text: format!("- {}\n", sentence(note)), changes: 0 });
    Block { open: "\n## Not compared\n\n".into(), items: items.collect(), close: String::new() }
}

fn head(diff: &Diff) -> String {
    let mut text = format!("# {} → {}\n\n", code(&diff.old.name), code(&diff.new.name));
    for (what, summary) in phrase::summary(diff) {
        let _ = writeln!(text, "- **{what}**: {}", spans(&summary));
    }
    if let Some(review) = phrase::review(diff) {
        let _ = writeln!(text, "- **review**: {review}, marked with `!`");
    }
    if diff.changes.is_empty() {
        text.push_str("\nNo changes.\n");
    } else {
        text.push_str("\n`+` added · `-` removed · `~` changed · `=` moved or no effect · `!` needs review\n");
    }
    text
}

fn blocks(diff: &Diff) -> Vec<Block> {
    let is_host = |change: &Change| matches!(change.what, ChangeKind::HostPackage { .. });
    let mut blocks = Vec::new();
    let causes = |title: &str, host: bool| {
        let items: Vec<Item> = diff
            .changes
            .iter()
            .filter(|change| change.workspace.is_none() && is_host(change) == host)
            .map(|change| item(change, 0))
            .collect();
        Block { open: format!("\n## {title}\n\n"), items, close: String::new() }
    };
    blocks.push(causes("For all workspaces", false));
    blocks.push(causes("RHDH packages that plugins can share", true));
    if phrase::support::has_support(diff) {
        let items = diff.support.iter().map(level).collect();
        blocks.push(Block { open: "\n## Plugins by support level\n\n".into(), items, close: String::new() });
    }
    let rest: Vec<&Change> = diff.changes.iter().filter(|change| change.workspace.is_some()).collect();
    for (index, changes) in rest.chunk_by(|a, b| a.workspace == b.workspace).enumerate() {
        let mut block = workspace(changes[0].workspace.as_deref().unwrap_or_default(), changes);
        if index == 0 {
            block.open.insert_str(0, "\n## Workspaces\n");
        }
        blocks.push(block);
    }
    blocks.retain(|block| !block.items.is_empty());
    blocks
}

/// The plugins of one level of support. They are changes of their workspaces, and not counted twice.
fn level(group: &SupportGroup) -> Item {
    let mut text = format!("- {}: {}\n", spans(&[phrase::support::level(group)]), phrase::support::tally(group));
    let common = phrase::support::common(group);
    for line in &common {
        let _ = writeln!(text, "  - {}{}", phrase::support::UNLESS, spans(&line.spans));
    }
    let shown = group.plugins.len().min(SHOWN);
    for row in &group.plugins[..shown] {
        let Phrase { head, lines: below, .. } = phrase::support::row(row, &common);
        let _ = writeln!(text, "  - `{}` {}", phrase::support::row_mark(row), spans(&head));
        lines(&mut text, &below, 2);
    }
    if shown < group.plugins.len() {
        let _ = writeln!(text, "  - and {} more", group.plugins.len() - shown);
    }
    Item { text, changes: 0 }
}

/// A workspace is folded up unless something in it is to be looked at.
fn workspace(name: &str, changes: &[&Change]) -> Block {
    let marks: Vec<String> = [Mark::Review, Mark::Added, Mark::Removed, Mark::Changed, Mark::Same]
        .into_iter()
        .filter_map(|mark| {
            let n = changes.iter().filter(|change| change.mark == mark).count();
            (n > 0).then(|| format!("{mark} {n}"))
        })
        .collect();
    let open = if changes.iter().any(|change| change.mark == Mark::Review) { " open" } else { "" };
    let mut items = Vec::new();
    for changes in changes.chunk_by(|a, b| a.plugin == b.plugin) {
        match &changes[0].plugin {
            Some(plugin) => items.push(plugin_item(plugin, changes)),
            None => items.extend(changes.iter().map(|change| item(change, 0))),
        }
    }
    Block {
        open: format!("\n<details{open}><summary><b>{}</b> · {}</summary>\n\n", escaped(&cut(name)), marks.join(" · ")),
        items,
        close: "\n</details>\n".into(),
    }
}

fn plugin_item(path: &str, changes: &[&Change]) -> Item {
    let mark = changes.iter().map(|change| change.mark).min().unwrap_or(Mark::Changed);
    let mut text = format!("- `{mark}` {}", spans(&phrase::plugin_spans(path)));
    let mut rest = changes;
    if let Some(first) = changes.first().filter(|change| phrase::is_headline(&change.what)) {
        let phrase = phrase::describe(first);
        text = format!("- `{}` {}: {}", first.mark, spans(&phrase::plugin_spans(path)), spans(&phrase.head));
        text.push('\n');
        lines(&mut text, &phrase.lines, 1);
        rest = &changes[1..];
    } else {
        text.push('\n');
    }
    for change in rest {
        text.push_str(&item(change, 1).text);
    }
    Item { text, changes: changes.len() }
}

fn item(change: &Change, depth: usize) -> Item {
    let Phrase { head, lines: below, packages, .. } = phrase::describe(change);
    let mut text = format!("{}- `{}` {}\n", "  ".repeat(depth), change.mark, spans(&head));
    lines(&mut text, &below, depth + 1);
    self::packages(&mut text, packages, depth + 1);
    Item { text, changes: 1 }
}

fn lines(text: &mut String, lines: &[PhraseLine], depth: usize) {
    for line in lines {
        let mark = line.mark.map(|mark| format!("`{mark}` ")).unwrap_or_default();
        let depth = depth + usize::from(line.below);
        let _ = writeln!(text, "{}- {mark}{}", "  ".repeat(depth), spans(&line.spans));
    }
}

fn packages(text: &mut String, packages: &[PackageChange], depth: usize) {
    let shown = packages.len().min(SHOWN);
    for package in &packages[..shown] {
        let mark = phrase::package_mark(package);
        let _ = writeln!(text, "{}- `{mark}` {}", "  ".repeat(depth), spans(&phrase::package_spans(package)));
    }
    if shown < packages.len() {
        let _ = writeln!(text, "{}- and {} more", "  ".repeat(depth), packages.len() - shown);
    }
}
