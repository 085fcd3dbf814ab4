//! Text from outside as markdown: it stands in code spans, where nothing is a tag, a link or a mention of somebody.

use super::super::display::printable;
use super::super::phrase::PhraseSpan;
use crate::ui;

/// Characters of one name; longer ones are cut.
const NAME: usize = 400;

/// The pieces of a phrase.
pub(super) fn spans(spans: &[PhraseSpan]) -> String {
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
pub(in crate::audit) fn sentence(text: &str) -> String {
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
pub(in crate::audit) fn code(text: &str) -> String {
    let text = cut(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    if text.trim().is_empty() { "` `".into() } else { format!("{fence}{pad}{text}{pad}{fence}") }
}

/// Text for HTML inside markdown.
pub(super) fn escaped(text: &str) -> String {
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

pub(super) fn cut(text: &str) -> String {
    ui::cut(&printable(text), NAME)
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
