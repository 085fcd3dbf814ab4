//! Where the entries of a flat YAML map lie in its text.

use std::ops::Range;

/// An entry's place in the text; the ranges are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntrySpan {
    /// 1-based line of the key.
    pub line: usize,
    /// From the start of the key's line to the end of the value's last line, its line break left out.
    pub entry: Range<usize>,
    /// From behind the colon to the end of the value's last line, or to the blanks before a comment behind it.
    pub value: Range<usize>,
    /// A comment behind the value, with the blanks before it; empty when there is none.
    pub comment: Range<usize>,
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) struct ScanError {
    pub line: usize,
    pub column: usize,
    pub what: String,
    pub hint: &'static str,
}

const QUOTE: &str = "put the text in quotes";

/// Finds the entries of a map, refusing what is not one flat block map.
pub(super) fn spans(text: &str) -> Result<Vec<EntrySpan>, ScanError> {
    let mut scan = Scan { text, spans: Vec::new(), base: None, document: false, empty_map: false };
    let mut start = 0;
    for (index, raw) in text.split_inclusive('\n').enumerate() {
        let line = raw.strip_suffix('\n').map_or(raw, |line| line.strip_suffix('\r').unwrap_or(line));
        scan.line(index + 1, start, line).map_err(|(at, what, hint)| {
            let column = 1 + line[..at].chars().count();
            ScanError { line: index + 1, column, what, hint }
        })?;
        start += raw.len();
    }
    Ok(scan.spans)
}

/// What is known of the lines so far.
struct Scan<'a> {
    text: &'a str,
    spans: Vec<EntrySpan>,
    /// The indentation of every entry, from the first one.
    base: Option<usize>,
    /// A `---` was met.
    document: bool,
    /// A `{}` was met: the map has no entries.
    empty_map: bool,
}

impl Scan<'_> {
    /// Takes the line that begins at byte `from` of the text.
    fn line(&mut self, number: usize, from: usize, line: &str) -> Result<(), Refused> {
        refuse_characters(line)?;
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if content.trim().is_empty() || self.continues(from, line, indent) || content.starts_with('#') {
            return Ok(());
        }
        let refused = |at, what: &str, hint| Err((at, what.to_owned(), hint));
        if content.starts_with('\t') {
            return refused(indent, "a tab before the path", "start the line with the path");
        }
        if indent == 0 {
            match line.trim_end() {
                "---" if !self.document && self.spans.is_empty() => {
                    self.document = true;
                    return Ok(());
                }
                "---" | "..." => return refused(0, "more than one YAML document", "keep one list in the file"),
                "{}" if self.spans.is_empty() && !self.empty_map => {
                    self.empty_map = true;
                    return Ok(());
                }
                _ => {}
            }
        }
        if self.empty_map {
            return refused(indent, "an entry after `{}`", "remove the `{}`");
        }
        if *self.base.get_or_insert(indent) != indent {
            return refused(indent, "indented less than the first entry", "start every path in the same column");
        }
        let colon = colon(line, indent)?;
        let comment = comment(line, colon)?;
        self.spans.push(EntrySpan {
            line: number,
            entry: from..from + line.len(),
            value: from + colon + 1..from + comment,
            comment: from + comment..from + line.len(),
        });
        Ok(())
    }

    /// True for a line that belongs to the value of the last entry, or is a comment below it.
    fn continues(&mut self, from: usize, line: &str, indent: usize) -> bool {
        let deeper = self.base.is_some_and(|base| indent > base);
        let Some(last) = self.spans.last_mut().filter(|_| deeper) else { return false };
        // A comment below a value that is complete is no part of it.
        if !line[indent..].starts_with('#') || !last.is_closed(self.text) {
            last.entry.end = from + line.len();
            last.value.end = last.entry.end;
            last.comment = last.entry.end..last.entry.end;
        }
        true
    }
}

/// Where in the line (in bytes), what, and the next step.
type Refused = (usize, String, &'static str);

fn refuse_characters(line: &str) -> Result<(), Refused> {
    if let Some(at) = line.find(['\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return Err((at, "a line break inside a line".to_owned(), "end lines with a line feed"));
    }
    let control = |c: char| c != '\t' && (c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    match line.find(control) {
        Some(at) => Err((at, "a control character".to_owned(), "remove it")),
        None => Ok(()),
    }
}

impl EntrySpan {
    /// True when the value ends in its line: it is neither a block scalar nor in an open quote.
    fn is_closed(&self, text: &str) -> bool {
        let value = text[self.value.clone()].trim();
        match value.chars().next() {
            Some('|' | '>') => false,
            Some(quote @ ('"' | '\'')) => quoted_end(value, quote).is_some(),
            _ => true,
        }
    }
}

/// The byte offset of the colon behind the path.
fn colon(line: &str, indent: usize) -> Result<usize, Refused> {
    let content = &line[indent..];
    let first = content.chars().next().unwrap_or_default();
    let colon = match first {
        quote @ ('"' | '\'') => {
            let end = quoted_end(content, quote)
                .ok_or_else(|| (indent, "a quote that is not closed".to_owned(), "close it in the same line"))?;
            let blanks = content[end..].len() - content[end..].trim_start_matches([' ', '\t']).len();
            Some(end + blanks).filter(|&at| is_colon(content, at))
        }
        '-' | '?' if content[1..].is_empty() || content[1..].starts_with([' ', '\t']) => {
            return Err((
                indent,
                format!("`{first}` before the path"),
                "write one `path/to/plugin:` a line, without it",
            ));
        }
        '{' | '[' | '}' | ']' | ',' => {
            return Err((indent, format!("`{first}` cannot start a path"), "write one `path/to/plugin:` a line"));
        }
        '&' | '*' | '!' | '|' | '>' | '%' | '@' | '`' => {
            return Err((indent, format!("`{first}` has a meaning of its own in YAML"), QUOTE));
        }
        _ => content
            .match_indices([':', '#'])
            .take_while(|&(at, c)| c == ":" || !content[..at].ends_with([' ', '\t']))
            .map(|(at, _)| at)
            .find(|&at| is_colon(content, at)),
    };
    let missing =
        || (indent, "no `: ` behind the path".to_owned(), "write `path/to/plugin:`, with or without arguments");
    Ok(indent + colon.ok_or_else(missing)?)
}

/// The byte offset of the comment behind the value, with the blanks before it; else that of the line's end.
fn comment(line: &str, colon: usize) -> Result<usize, Refused> {
    let rest = &line[colon + 1..];
    let value = rest.trim_start_matches([' ', '\t']);
    let at = line.len() - value.len();
    // The start of a comment, counted from the value's start.
    let comment = |from: usize| {
        value
            .match_indices('#')
            .map(|(at, _)| at)
            .find(|&at| at >= from && (at == 0 || value[..at].ends_with([' ', '\t'])))
            .unwrap_or(value.len())
    };
    let end = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted_end(value, quote).map_or(value.len(), comment),
        Some(c @ ('&' | '*' | '!' | '%' | '@' | '`')) => {
            return Err((at, format!("`{c}` has a meaning of its own in YAML"), QUOTE));
        }
        Some('{' | '[') => {
            return Err((
                at,
                "the arguments are not a text".to_owned(),
                "write them in one line: `--flag value --flag value`",
            ));
        }
        _ => comment(0),
    };
    let before_comment = line[..at + end].trim_end_matches([' ', '\t']).len();
    Ok(if end < value.len() { before_comment.max(colon + 1) } else { line.len() })
}

/// True where a colon ends a key.
fn is_colon(content: &str, at: usize) -> bool {
    let rest = &content[at..];
    rest.starts_with(':') && (rest.len() == 1 || rest[1..].starts_with([' ', '\t']))
}

/// The offset behind the closing quote of a text that starts with one.
fn quoted_end(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote == '"' {
            chars.next();
        } else if c == quote {
            // In single quotes, two of them stand for one.
            if quote == '\'' && chars.peek().is_some_and(|&(_, next)| next == quote) {
                chars.next();
            } else {
                return Some(at + 1);
            }
        }
    }
    None
}
