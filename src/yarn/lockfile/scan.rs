//! Lines, indentation and quoted words: what both kinds of lock share.

use std::borrow::Cow;
use std::iter::Enumerate;
use std::str::{self, Split};

/// What is wrong, and where (1-based; the column in characters).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub line: usize,
    pub column: usize,
    pub what: String,
}

impl SyntaxError {
    /// An error of a whole line.
    pub fn line(line: usize, what: impl Into<String>) -> Self {
        Self { line, column: 1, what: what.into() }
    }
}

/// The text without a byte-order mark, or the place of the first byte that is not UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, SyntaxError> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let valid = String::from_utf8_lossy(valid);
            let last = valid.rsplit('\n').next().unwrap_or_default();
            let line = valid.matches('\n').count() + 1;
            Err(SyntaxError { line, column: last.chars().count() + 1, what: "not UTF-8".into() })
        }
    }
}

/// A line that says something: no blank, no comment.
#[derive(Clone, Copy, Debug)]
pub(super) struct LockLine<'t> {
    /// 1-based.
    pub number: usize,
    /// Spaces before the text.
    pub indent: usize,
    /// Without indentation and trailing blanks; never empty.
    pub text: &'t str,
}

impl<'t> LockLine<'t> {
    /// An error at `rest`, which must be a tail of the line's text.
    pub fn error(&self, rest: &str, what: impl Into<String>) -> SyntaxError {
        let read = self.text.len().saturating_sub(rest.len());
        let column = self.text.get(..read).map_or(1, |read| read.chars().count() + 1) + self.indent;
        SyntaxError { line: self.number, column, what: what.into() }
    }

    /// Reads a quoted or bare word from the head of `rest`. A bare one ends where `ends` says.
    pub fn word(&self, rest: &'t str, ends: fn(&str) -> usize) -> Result<(Cow<'t, str>, &'t str), SyntaxError> {
        match rest.as_bytes().first() {
            Some(b'"') => self.double_quoted(rest),
            Some(b'\'') => self.single_quoted(rest),
            _ => {
                let (word, after) = rest.split_at(ends(rest));
                if word.is_empty() {
                    Err(self.error(rest, "a name is missing"))
                } else {
                    Ok((Cow::Borrowed(word), after))
                }
            }
        }
    }

    fn double_quoted(&self, rest: &'t str) -> Result<(Cow<'t, str>, &'t str), SyntaxError> {
        let body = &rest[1..];
        let mut escaped = false;
        let mut plain = true;
        for (at, byte) in body.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => (escaped, plain) = (true, false),
                b'"' => {
                    let (word, after) = (&body[..at], &body[at + 1..]);
                    if plain {
                        return Ok((Cow::Borrowed(word), after));
                    }
                    let quoted = &rest[..at + 2];
                    return serde_json::from_str::<String>(quoted)
                        .map(|word| (Cow::Owned(word), after))
                        .map_err(|_| self.error(rest, "invalid escape sequence in a string"));
                }
                _ => {}
            }
        }
        Err(self.error(rest, "unterminated string"))
    }

    fn single_quoted(&self, rest: &'t str) -> Result<(Cow<'t, str>, &'t str), SyntaxError> {
        let body = &rest[1..];
        let mut from = 0;
        while let Some(at) = body.get(from..).and_then(|tail| tail.find('\'')).map(|at| at + from) {
            if body[at + 1..].starts_with('\'') {
                from = at + 2;
                continue;
            }
            let (word, after) = (&body[..at], &body[at + 1..]);
            let word = if word.contains('\'') { Cow::Owned(word.replace("''", "'")) } else { Cow::Borrowed(word) };
            return Ok((word, after));
        }
        Err(self.error(rest, "unterminated string"))
    }
}

/// The lines that say something, one ahead.
pub(super) struct LockLines<'t> {
    inner: Enumerate<Split<'t, char>>,
    ahead: Option<LockLine<'t>>,
}

impl<'t> LockLines<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { inner: text.split('\n').enumerate(), ahead: None }
    }

    /// The next line without taking it.
    pub fn peek(&mut self) -> Result<Option<LockLine<'t>>, SyntaxError> {
        if self.ahead.is_none() {
            self.ahead = self.read()?;
        }
        Ok(self.ahead)
    }

    /// Takes the next line.
    pub fn next(&mut self) -> Result<Option<LockLine<'t>>, SyntaxError> {
        match self.ahead.take() {
            Some(line) => Ok(Some(line)),
            None => self.read(),
        }
    }

    /// Takes the next line if it is indented by more than `indent`.
    pub fn next_below(&mut self, indent: usize) -> Result<Option<LockLine<'t>>, SyntaxError> {
        match self.peek()? {
            Some(line) if line.indent > indent => self.next(),
            _ => Ok(None),
        }
    }

    /// Passes over all lines indented by more than `indent`.
    pub fn skip_below(&mut self, indent: usize) -> Result<(), SyntaxError> {
        while self.next_below(indent)?.is_some() {}
        Ok(())
    }

    fn read(&mut self) -> Result<Option<LockLine<'t>>, SyntaxError> {
        for (index, raw) in self.inner.by_ref() {
            let text = raw.trim_start_matches(' ');
            let line = LockLine { number: index + 1, indent: raw.len() - text.len(), text: text.trim_end() };
            if line.text.is_empty() || line.text.starts_with('#') {
                continue;
            }
            if text.starts_with('\t') {
                return Err(line.error(line.text, "indented with a tab"));
            }
            let is_marker = |marker: &str| line.text.strip_prefix(marker).is_some_and(|rest| !rest.starts_with('='));
            if line.indent == 0 && ["<<<<<<<", "=======", ">>>>>>>", "|||||||"].into_iter().any(is_marker) {
                return Err(line.error(line.text, "unresolved merge conflict"));
            }
            return Ok(Some(line));
        }
        Ok(None)
    }
}
