//! The syntax of a `.env` file: python-dotenv's, which is what the original reads it with.
//!
//! The rules are those of python-dotenv 1.2 (`parser.py`, `variables.py`): `KEY=value`, an `export ` before it,
//! `'…'` and `"…"` (with escapes, over several lines), ` # comment` behind a value, `${NAME}` and `${NAME:-default}`
//! in every value, single-quoted ones included. A bare `$NAME` is not expanded. A key without `=` sets nothing. A line
//! that cannot be read is skipped; the caller warns of it.

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The variable.
    pub key: String,
    /// Its value before expansion; `None` for a key without `=`.
    pub value: Option<String>,
    /// 1-based line of the key.
    pub line: usize,
}

/// The assignments of a text in their order, and the 1-based lines that cannot be read.
pub fn parse(text: &str) -> (Vec<Binding>, Vec<usize>) {
    // Python opens the file with universal newlines.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut reader = DotenvReader { rest: &text, line: 1 };
    let (mut bindings, mut broken) = (Vec::new(), Vec::new());
    loop {
        reader.take_while(is_space);
        if reader.rest.is_empty() {
            return (bindings, broken);
        }
        let line = reader.line;
        match reader.binding() {
            Ok(Some((key, value))) if is_usable(&key, value.as_deref()) => {
                bindings.push(Binding { key, value, line });
            }
            Ok(None) => {}
            Ok(Some(_)) => broken.push(line),
            Err(Unreadable) => {
                reader.take_while(|c| c != '\n');
                reader.eat('\n');
                broken.push(line);
            }
        }
    }
}

/// Expands `${NAME}` and `${NAME:-default}`; what is not set is empty.
pub fn expand(value: &str, mut get: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let variable = from[2..].find('}').and_then(|end| {
            let inner = &from[2..2 + end];
            match inner.split_once(':') {
                None => Some((inner, "", end)),
                Some((name, default)) => default.strip_prefix('-').map(|default| (name, default, end)),
            }
        });
        out.push_str(before);
        if let Some((name, default, end)) = variable {
            out.push_str(&get(name).unwrap_or_else(|| default.to_owned()));
            rest = &from[2 + end + 1..];
        } else {
            out.push_str("${");
            rest = &from[2..];
        }
    }
    out.push_str(rest);
    out
}

/// False for what no environment can hold.
fn is_usable(key: &str, value: Option<&str>) -> bool {
    !key.contains(['=', '\0']) && !value.is_some_and(|value| value.contains('\0'))
}

/// Python's `\s`.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Python's `[^\S\r\n]`.
fn is_blank(c: char) -> bool {
    is_space(c) && c != '\n'
}

/// A line that is no assignment.
struct Unreadable;

struct DotenvReader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> DotenvReader<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, test: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !test(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.rest.starts_with(c);
        if found {
            self.take(c.len_utf8());
        }
        found
    }

    /// One statement up to its line's end: an assignment, or nothing (a comment).
    fn binding(&mut self) -> Result<Option<(String, Option<String>)>, Unreadable> {
        if self.rest.strip_prefix("export").is_some_and(|rest| rest.starts_with(is_blank)) {
            self.take("export".len());
            self.take_while(is_blank);
        }
        let key = match self.rest.chars().next() {
            Some('#') => None,
            Some('\'') => {
                let end = self.rest[1..].find('\'').filter(|&end| end > 0).ok_or(Unreadable)?;
                let key = self.rest[1..=end].to_owned();
                self.take(end + 2);
                Some(key)
            }
            _ => {
                let key = self.take_while(|c| !is_space(c) && !"=#".contains(c));
                Some(key.to_owned()).filter(|key| !key.is_empty()).map(Some).ok_or(Unreadable)?
            }
        };
        self.take_while(is_blank);
        let value = if self.eat('=') {
            self.take_while(is_blank);
            Some(self.value().ok_or(Unreadable)?)
        } else {
            None
        };
        self.comment();
        self.take_while(is_blank);
        if !self.rest.is_empty() && !self.eat('\n') {
            return Err(Unreadable);
        }
        Ok(key.map(|key| (key, value)))
    }

    fn value(&mut self) -> Option<String> {
        match self.rest.chars().next() {
            None | Some('\n') => Some(String::new()),
            Some('\'') => Some(unescape(self.quoted('\'')?, r"\'")),
            Some('"') => Some(unescape(self.quoted('"')?, "\\'\"abfnrtv")),
            _ => {
                let part = self.take_while(|c| c != '\n');
                let comment = part.match_indices('#').map(|(at, _)| at).find(|&at| part[..at].ends_with(is_space));
                Some(part[..comment.unwrap_or(part.len())].trim_end_matches(is_space).to_owned())
            }
        }
    }

    /// The inside of a quoted value: up to the first quote without a backslash before it, or, where there is none,
    /// up to the last quote of all (as the regular expression backtracks).
    fn quoted(&mut self, quote: char) -> Option<&'a str> {
        let mut end = None;
        let mut from = 1;
        while let Some(at) = self.rest[from..].find(quote).map(|at| from + at) {
            end = Some(at);
            if !self.rest[..at].ends_with('\\') {
                break;
            }
            from = at + 1;
        }
        let end = end?;
        let inside = &self.rest[1..end];
        self.take(end + 1);
        Some(inside)
    }

    fn comment(&mut self) {
        if self.rest.trim_start_matches(is_blank).starts_with('#') {
            self.take_while(|c| c != '\n');
        }
    }
}

/// Resolves the escapes of one of `escapes`; other backslashes stay.
fn unescape(text: &str, escapes: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(&next) if c == '\\' && escapes.contains(next) => {
                out.push(match next {
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\u{b}',
                    other => other,
                });
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}
