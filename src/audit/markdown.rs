//! The changes for a pull request: GitHub takes at most 65,536 characters, so what does not fit is counted.
//!
//! Names from outside stand in code spans: there nothing is a tag, a link or a mention of somebody.

use std::fmt::Write as _;

use super::change::{Change, ChangeKind, Mark, PackageChange};
use super::diff::Diff;
use super::display::printable;
use super::phrase::{self, Phrase, PhraseLine, PhraseSpan};
use crate::ui::count;

/// GitHub's limit on the text of a pull request or comment. It is in characters; bytes are never fewer.
const LIMIT: usize = 65_536;
/// Room for the sentence that says what is missing.
const TAIL: usize = 200;
/// Packages of one list.
const SHOWN: usize = 40;
/// Characters of one name; longer ones are cut.
const NAME: usize = 400;

/// Renders the changes in at most 65,536 bytes.
pub fn render(diff: &Diff) -> String {
    let mut page = MarkdownPage { text: head(diff), left_out: 0, full: false };
    for block in blocks(diff) {
        page.add(&block);
    }
    let notes: Vec<Item> =
        diff.notes.iter().map(|note| Item { text: format!("- {}\n", sentence(note)), changes: 0 }).collect();
    if !notes.is_empty() {
        page.add(&Block { open: "\n## Not compared\n\n".into(), items: notes, close: String::new() });
    }
    page.finish()
}

/// Changes that belong under one heading.
struct Block {
    open: String,
    items: Vec<Item>,
    close: String,
}

/// The text of one or more changes.
struct Item {
    text: String,
    changes: usize,
}

struct MarkdownPage {
    text: String,
    left_out: usize,
    full: bool,
}

impl MarkdownPage {
    fn add(&mut self, block: &Block) {
        let changes = |items: &[Item]| items.iter().map(|item| item.changes).sum::<usize>();
        let room = (LIMIT - TAIL).saturating_sub(self.text.len() + block.open.len() + block.close.len());
        let mut used = 0;
        let fits = block.items.iter().take_while(|item| {
            used += item.text.len();
            used <= room
        });
        let fits = if self.full { 0 } else { fits.count() };
        if fits < block.items.len() {
            // What comes later is left out too: a report with holes would mislead.
            self.full = true;
            self.left_out += changes(&block.items[fits..]);
        }
        if fits > 0 {
            self.text.push_str(&block.open);
            for item in &block.items[..fits] {
                self.text.push_str(&item.text);
            }
            self.text.push_str(&block.close);
        }
    }

    fn finish(mut self) -> String {
        if self.full {
            let left = match self.left_out {
                0 => "some notes do".to_owned(),
                1 => "1 more change does".to_owned(),
                n => format!("{} do", count(n, "more change")),
            };
            let _ = writeln!(self.text, "\n**{left} not fit here**; see all with `factory diff --format html`.");
        }
        self.text
    }
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

fn spans(spans: &[PhraseSpan]) -> String {
    spans
        .iter()
        .map(|span| match span {
            PhraseSpan::Text(text) => text.clone(),
            PhraseSpan::Name(name) => code(name),
            PhraseSpan::Sentence(text) => sentence(text),
            PhraseSpan::Link(link) => format!("[compare](<{link}>)"),
            PhraseSpan::Command(command) => code(command),
            PhraseSpan::Loud(word) => format!("**{word}**"),
        })
        .collect()
}

/// A sentence that quotes text from outside: what stands between back-ticks, and each word that is more than a word, is in
/// a code span.
fn sentence(text: &str) -> String {
    let text = cut(text);
    let mut out = String::new();
    let parts: Vec<&str> = text.split('`').collect();
    if !are_quotes(&parts) {
        return code(&text);
    }
    for (index, part) in parts.into_iter().enumerate() {
        if index % 2 == 1 {
            out.push_str(&code(part));
            continue;
        }
        for (index, word) in part.split(' ').enumerate() {
            if index > 0 {
                out.push(' ');
            }
            out.push_str(&quoted(word));
        }
    }
    out
}

/// True for the parts of a text between its back-ticks where these stand around words, and words around them: a name from
/// outside can have some too.
fn are_quotes(parts: &[&str]) -> bool {
    let last = parts.len() - 1;
    let is_quote = |(index, part): (usize, &&str)| {
        if index % 2 == 1 {
            return !part.trim().is_empty();
        }
        let (first, behind) = (part.split(' ').next().unwrap_or_default(), part.rsplit(' ').next().unwrap_or_default());
        let begins = index == 0 || first.chars().all(|c| ",;:.)".contains(c));
        let ends = index == last || behind.chars().all(|c| c == '(');
        begins && ends && (index == 0 || index == last || part.contains(' '))
    };
    last.is_multiple_of(2) && parts.iter().enumerate().all(is_quote)
}

/// A word, in a code span unless it can be nothing else than a word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "→.,;:()'".contains(c);
    let is_reference = |word: &str| word.starts_with("www.") || word.starts_with("GH-");
    if word.chars().all(is_plain) && !is_reference(word) {
        return word.to_owned();
    }
    let name = word.trim_start_matches('(').trim_end_matches([')', ',', ';', ':']);
    match word.split_once(name).filter(|_| !name.is_empty()) {
        Some((before, after)) => format!("{before}{}{after}", code(name)),
        None => code(word),
    }
}

/// A code span that holds any text (`CommonMark` 0.31, "Code spans").
fn code(text: &str) -> String {
    let text = cut(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    if text.trim().is_empty() { "` `".into() } else { format!("{fence}{pad}{text}{pad}{fence}") }
}

/// Text for HTML inside markdown.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            // Neither markdown nor a mention begins here.
            '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' | '|' | '@' | '"' | '!' => format!("&#{};", c as u32),
            c => c.to_string(),
        })
        .collect()
}

fn cut(text: &str) -> String {
    let text = printable(text);
    match text.char_indices().nth(NAME) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_span_holds_any_text() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`a`"), "`` `a` ``");
        assert_eq!(code("a\nb\u{1b}"), "`a\u{fffd}b\u{fffd}`");
        assert_eq!(code("x".repeat(1000).as_str()).chars().count(), NAME + 3);
    }

    #[test]
    fn a_sentence_has_code_spans_for_what_it_quotes() {
        assert_eq!(
            sentence("cpu-features has the marker `nan`, reached by @x/ssh2 → cpu-features (optional)"),
            "`cpu-features` has the marker `nan`, reached by `@x/ssh2` → `cpu-features` (optional)"
        );
        assert_eq!(
            sentence("(@team, see https://example.com): #1 <b> a_b www.x.org"),
            "(`@team`, see `https://example.com`): `#1` `<b>` `a_b` `www.x.org`"
        );
        assert_eq!(sentence("an odd ` of @x"), "``an odd ` of @x``");
        assert_eq!(sentence("a `b c`: d"), "a `b c`: d");
        for name in ["``@x` is", "`a`@x `b` c", "`a`,@x `b` c", "@y`a` b", "`a`/`@x` b"] {
            assert_eq!(sentence(name), code(name));
        }
    }

    #[test]
    fn a_summary_is_no_markup() {
        assert_eq!(escaped("<img src=x>@team `x`"), "&lt;img src=x&gt;&#64;team &#96;x&#96;");
    }
}
