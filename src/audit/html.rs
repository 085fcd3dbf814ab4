//! The changes as one page that needs no network and no server: by workspace, sortable, searchable, for a desk and for a
//! phone. What moved in the same way in several plugins stands there once.
//!
//! All text from outside is escaped. Should anything slip through, the page's own policy runs no script but ours.

mod changes;
mod levels;

use std::fmt::Write as _;

use super::change::Mark;
use super::diff::{Diff, Form, Side};
use super::display::shortened;
use super::phrase::{self, PhraseSpan};
use crate::html::{escaped, source_hash};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

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
    changes::changes(&mut page, diff);
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

/// The page that compares two commits, where the row or the heading says of what.
fn compare(link: Option<&str>) -> String {
    link.map_or_else(String::new, |link| format!(" <a href=\"{}\" rel=\"noreferrer\">compare</a>", escaped(link)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_ours_ends_its_element() {
        assert!(!STYLE.contains("</"), "the style holds an end tag");
        assert!(!SCRIPT.contains("</"), "the script holds an end tag");
    }
}
