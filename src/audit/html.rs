//! The changes as one page that needs no network and no server: sortable, searchable, for a desk and for a phone.
//!
//! All text from outside is escaped. Should anything slip through, the page's own policy runs no script but ours.

mod levels;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::Digest as _;

use super::change::{Change, Mark, PackageChange};
use super::diff::{Diff, Form, Side};
use super::display::{printable, shortened};
use super::phrase::{self, Phrase, PhraseLine, PhraseSpan};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
/// Packages of one list that are shown unfolded.
const SHOWN: usize = 12;
const COLUMNS: [&str; 5] = ["", "Workspace", "Plugin", "Kind", "Change"];

/// Renders the page.
pub fn render(diff: &Diff) -> String {
    let title = format!("{} → {}", diff.old.name, diff.new.name);
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        source_hash(STYLE),
        source_hash(SCRIPT),
        escaped(&title),
    );
    head(&mut page, diff);
    levels::levels(&mut page, diff);
    controls(&mut page, diff);
    table(&mut page, diff);
    if !diff.notes.is_empty() {
        page.push_str("<h2>Not compared</h2>\n<ul>\n");
        for note in &diff.notes {
            let _ = writeln!(page, "<li>{}</li>", escaped(note));
        }
        page.push_str("</ul>\n");
    }
    let _ = write!(page, "<script>{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

/// A source of a content security policy: only this very text may run.
fn source_hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(sha2::Sha256::digest(text.as_bytes())))
}

fn head(page: &mut String, diff: &Diff) {
    let side = |side: &Side| match (side.form, side.identity) {
        (Form::Lock, Some(identity)) => {
            format!("<code>{}</code> is the lock <code>{identity}</code>", escaped(&side.name))
        }
        _ => format!("<code>{}</code> is a configuration without a lock", escaped(&side.name)),
    };
    let _ = write!(
        page,
        "<h1>{} → {}</h1>\n<p class=\"soft\">{}<br>{}</p>\n<dl>\n",
        path(&diff.old.name),
        path(&diff.new.name),
        side(&diff.old),
        side(&diff.new)
    );
    for (what, summary) in phrase::summary(diff) {
        let _ = writeln!(page, "<dt>{what}</dt><dd>{}</dd>", spans(&summary));
    }
    if let Some(review) = phrase::review(diff) {
        let _ = writeln!(page, "<dt>review</dt><dd>{review}</dd>");
    }
    page.push_str("</dl>\n");
}

const MARKS: [(Mark, &str); 5] = [
    (Mark::Review, "needs review"),
    (Mark::Added, "added"),
    (Mark::Removed, "removed"),
    (Mark::Changed, "changed"),
    (Mark::Same, "moved or no effect"),
];

fn controls(page: &mut String, diff: &Diff) {
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
        let n = diff.changes.iter().filter(|change| change.mark == mark).count();
        if n > 0 {
            let _ = writeln!(
                page,
                "<button type=\"button\" data-only=\"{mark}\" aria-pressed=\"false\">\
                 <b class=\"{}\">{mark}</b> {meaning} ({n})</button>",
                class(mark)
            );
        }
    }
    page.push_str("<span id=\"shown\" class=\"soft\" role=\"status\"></span>\n</div>\n");
}

fn table(page: &mut String, diff: &Diff) {
    page.push_str("<table id=\"changes\">\n<thead><tr>");
    for column in COLUMNS {
        let (label, name) = if column.is_empty() { (" aria-label=\"Mark\"", "±") } else { ("", column) };
        let _ = write!(page, "<th scope=\"col\"><button type=\"button\"{label}>{name}</button></th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for change in &diff.changes {
        row(page, change);
    }
    page.push_str("</tbody>\n</table>\n");
}

fn row(page: &mut String, change: &Change) {
    let Phrase { kind, head, lines, packages } = phrase::describe(change);
    let mark = change.mark;
    let look = if mark == Mark::Review { " class=\"look\"" } else { "" };
    // All workspaces first, as in the other forms.
    let workspace = match &change.workspace {
        Some(name) => format!("<td class=\"workspace\">{}</td>", escaped(name)),
        None => "<td class=\"workspace\" data-sort=\"\"><i>all</i></td>".into(),
    };
    let code = change.plugin.as_deref().map(|path| spans(&phrase::plugin_spans(path))).unwrap_or_default();
    let _ = write!(
        page,
        "<tr{look} data-mark=\"{mark}\" data-kind=\"{kind}\"><td class=\"mark {}\" data-sort=\"{}\">{mark}</td>\
         {workspace}<td class=\"plugin\">{code}</td><td class=\"kind\">{kind}</td><td class=\"what\">{}",
        class(mark),
        mark as u8,
        spans(&head)
    );
    list(page, lines.iter().map(|PhraseLine { mark, below, spans }| (*mark, *below, spans.clone())));
    self::packages(page, packages);
    page.push_str("</td></tr>\n");
}

fn packages(page: &mut String, packages: &[PackageChange]) {
    let item = |package: &PackageChange| (Some(phrase::package_mark(package)), false, phrase::package_spans(package));
    let (shown, folded) = packages.split_at(packages.len().min(SHOWN));
    list(page, shown.iter().map(item));
    if !folded.is_empty() {
        let _ = write!(page, "<details><summary>{} more</summary>", folded.len());
        list(page, folded.iter().map(item));
        page.push_str("</details>");
    }
}

fn list(page: &mut String, items: impl Iterator<Item = (Option<Mark>, bool, Vec<PhraseSpan>)>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    page.push_str("<ul>");
    for (mark, below, text) in items {
        let sign = mark.map(|mark| format!("<b class=\"{}\">{mark}</b>", class(mark))).unwrap_or_default();
        let indent = match (mark, below) {
            (Some(_), _) => "",
            (None, false) => " class=\"soft\"",
            (None, true) => " class=\"soft below\"",
        };
        let _ = write!(page, "<li{indent}>{sign}{}</li>", spans(&text));
    }
    page.push_str("</ul>");
}

fn spans(spans: &[PhraseSpan]) -> String {
    let mut out = String::new();
    for span in spans {
        let _ = match span {
            PhraseSpan::Text(text) | PhraseSpan::Sentence(text) => write!(out, "{}", escaped(text)),
            PhraseSpan::Name(text) | PhraseSpan::Command(text) => write!(out, "<code>{}</code>", escaped(text)),
            PhraseSpan::Link(link) => {
                write!(out, "<a href=\"{}\" rel=\"noreferrer\">{}</a>", escaped(link), escaped(&shortened(link)))
            }
            PhraseSpan::Loud(word) => write!(out, "<span class=\"loud\">{}</span>", escaped(word)),
        };
    }
    out
}

/// A path in a heading, which may break behind its slashes.
fn path(text: &str) -> String {
    escaped(text).replace('/', "/<wbr>")
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Review => "m-look",
        Mark::Added => "m-added",
        Mark::Removed => "m-removed",
        Mark::Changed => "m-changed",
        Mark::Same => "m-same",
    }
}

/// Text for an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_no_markup() {
        assert_eq!(
            escaped("<script>alert('\"&')</script>\u{202e}"),
            "&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;\u{fffd}"
        );
    }

    #[test]
    fn nothing_of_ours_ends_its_element() {
        assert!(!STYLE.contains("</"), "the style holds an end tag");
        assert!(!SCRIPT.contains("</"), "the script holds an end tag");
    }
}
