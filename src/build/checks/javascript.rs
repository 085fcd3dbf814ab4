//! The modules that JavaScript asks for by a literal name: `require("x")`, `import("x")`, `import … from "x"`,
//! `export … from "x"`.
//!
//! Nothing is run and no tree is built. Comments, strings, templates and regular expressions are told apart from code, in
//! minified code too, in time and memory that grow with the length of the text. What is no JavaScript gives names that are
//! missing or wrong, never an error: what is found is a reason for a warning, not for more.

use std::collections::BTreeSet;

/// Names without those of files (`./x`, `/x`).
pub(super) fn required_modules(source: &[u8]) -> BTreeSet<String> {
    let mut scanner = Scanner::new(source);
    scanner.run();
    scanner.found
}

/// What the last token means for the next one: whether a `/` divides, and what a `{` opens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// A statement can begin: `/` begins a regular expression, `{` a block.
    Statement,
    /// An operand is due: `/` begins a regular expression, `{` an object.
    Operator,
    /// An operand: `/` divides, `{` opens a body.
    Operand,
    /// `.`: the next word is the name of a property.
    Dot,
    /// `if`, `while`, `for`, `with`: a statement follows on the parentheses.
    Control,
}

/// What is open, and so what its end means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Parenthesis,
    /// Of `if (…)` and its like.
    Head,
    Square,
    Block,
    Object,
    /// `${` in a template.
    Substitution,
}

struct Scanner<'s> {
    source: &'s [u8],
    at: usize,
    last: Last,
    open: Vec<Bracket>,
    /// Up to here no regular expression can begin, since its line ends first. Saves looking again.
    no_regex_before: usize,
    /// Between `import` or `export` and its `from`.
    is_in_clause: bool,
    found: BTreeSet<String>,
}

impl<'s> Scanner<'s> {
    fn new(source: &'s [u8]) -> Self {
        let mut scanner = Self {
            source,
            at: 0,
            last: Last::Statement,
            open: Vec::new(),
            no_regex_before: 0,
            is_in_clause: false,
            found: BTreeSet::new(),
        };
        if source.starts_with(b"#!") {
            scanner.at = scanner.end_of_line(0);
        }
        scanner
    }

    fn run(&mut self) {
        loop {
            self.at = self.skip_blank(self.at);
            let Some(byte) = self.byte(self.at) else { return };
            match byte {
                b'"' | b'\'' => {
                    self.at = self.end_of_string(self.at).unwrap_or_else(|line| line);
                    self.last = Last::Operand;
                }
                b'`' => self.template(self.at + 1),
                b'/' => self.slash(),
                b'(' | b'[' | b'{' => self.opening(byte),
                b')' | b']' | b'}' => self.closing(byte),
                _ if is_word(byte) => self.word(),
                _ => self.punctuation(byte),
            }
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.source.get(at).copied()
    }

    fn end_of_line(&self, from: usize) -> usize {
        self.find(from, |byte| matches!(byte, b'\n' | b'\r'))
    }

    fn find(&self, from: usize, is_it: impl Fn(u8) -> bool) -> usize {
        let rest = self.source.get(from..).unwrap_or_default();
        rest.iter().position(|byte| is_it(*byte)).map_or(self.source.len(), |found| from + found)
    }

    /// The place of the next token: white space and comments are skipped.
    fn skip_blank(&self, mut at: usize) -> usize {
        loop {
            let rest = self.source.get(at..).unwrap_or_default();
            if rest.first().is_some_and(u8::is_ascii_whitespace) || rest.starts_with(b"\x0b") {
                at += 1;
            } else if rest.starts_with(b"\xef\xbb\xbf") {
                at += 3;
            } else if rest.starts_with(b"//") {
                at = self.end_of_line(at);
            } else if rest.starts_with(b"/*") {
                let end = rest[2..].windows(2).position(|two| two == b"*/");
                at = end.map_or(self.source.len(), |end| at + end + 4);
            } else {
                return at;
            }
        }
    }

    /// Behind the string that begins here; the end of its line if it has none.
    fn end_of_string(&self, start: usize) -> Result<usize, usize> {
        let quote = self.source[start];
        let mut at = start + 1;
        loop {
            match self.byte(at) {
                None => return Err(self.source.len()),
                Some(b'\\') => at += 2,
                Some(b'\n') => return Err(at),
                Some(byte) if byte == quote => return Ok(at + 1),
                Some(_) => at += 1,
            }
        }
    }

    /// The text of a template from here to its end, or to the code in it.
    fn template(&mut self, mut at: usize) {
        loop {
            match self.byte(at) {
                None => break,
                Some(b'\\') => at += 2,
                Some(b'`') => {
                    self.last = Last::Operand;
                    at += 1;
                    break;
                }
                Some(b'$') if self.byte(at + 1) == Some(b'{') => {
                    self.open.push(Bracket::Substitution);
                    self.last = Last::Operator;
                    at += 2;
                    break;
                }
                Some(_) => at += 1,
            }
        }
        self.at = at.min(self.source.len());
    }

    fn slash(&mut self) {
        let divides = matches!(self.last, Last::Operand | Last::Dot);
        if let Some(end) = (!divides).then(|| self.end_of_regex(self.at)).flatten() {
            self.at = end;
            self.last = Last::Operand;
        } else {
            self.at += 1;
            self.last = Last::Operator;
        }
    }

    /// Behind the regular expression that begins here, if it ends on its line. Its flags are a word of their own.
    fn end_of_regex(&mut self, start: usize) -> Option<usize> {
        if start < self.no_regex_before {
            return None;
        }
        let (mut at, mut is_in_class) = (start + 1, false);
        loop {
            match self.byte(at) {
                None | Some(b'\n' | b'\r') => {
                    self.no_regex_before = at;
                    return None;
                }
                Some(b'\\') if self.byte(at + 1) != Some(b'\n') => at += 1,
                Some(b'[') => is_in_class = true,
                Some(b']') => is_in_class = false,
                Some(b'/') if !is_in_class => return Some(at + 1),
                Some(_) => {}
            }
            at += 1;
        }
    }

    fn opening(&mut self, byte: u8) {
        let bracket = match byte {
            b'(' if self.last == Last::Control => Bracket::Head,
            b'(' => Bracket::Parenthesis,
            b'[' => Bracket::Square,
            _ if self.last == Last::Operator => Bracket::Object,
            _ => Bracket::Block,
        };
        self.is_in_clause &= byte == b'{';
        self.open.push(bracket);
        self.last = if bracket == Bracket::Block { Last::Statement } else { Last::Operator };
        self.at += 1;
    }

    fn closing(&mut self, byte: u8) {
        self.at += 1;
        let pair = |bracket: &Bracket| match byte {
            b')' => matches!(bracket, Bracket::Parenthesis | Bracket::Head),
            b']' => *bracket == Bracket::Square,
            _ => matches!(bracket, Bracket::Block | Bracket::Object | Bracket::Substitution),
        };
        // What does not fit is passed over: this is no parser.
        let closed = self.open.pop_if(|bracket| pair(bracket));
        self.last = match closed {
            Some(Bracket::Head | Bracket::Block) => Last::Statement,
            Some(Bracket::Substitution) => return self.template(self.at),
            _ => Last::Operand,
        };
    }

    fn punctuation(&mut self, byte: u8) {
        let rest = &self.source[self.at..];
        let is_twice = rest.get(1) == Some(&byte);
        let is_clause = matches!(byte, b',' | b'*');
        self.is_in_clause &= is_clause;
        (self.last, self.at) = match byte {
            b';' => (Last::Statement, self.at + 1),
            b'.' if rest.starts_with(b"...") => (Last::Operator, self.at + 3),
            b'.' | b'#' => (Last::Dot, self.at + 1),
            b'=' if rest.starts_with(b"=>") => (Last::Statement, self.at + 2),
            // Behind an operand they change it, and it stays one.
            b'+' | b'-' if is_twice => {
                (if self.last == Last::Operand { Last::Operand } else { Last::Operator }, self.at + 2)
            }
            _ => (Last::Operator, self.at + 1),
        };
    }

    fn word(&mut self) {
        let (start, before) = (self.at, self.last);
        self.at = self.find(start, |byte| !is_word(byte));
        let word = &self.source[start..self.at];
        self.last = if before == Last::Dot { Last::Operand } else { meaning(word, before) };
        if before == Last::Dot {
            return;
        }
        let next = self.skip_blank(self.at);
        match word {
            b"require" => self.called_with(next),
            b"import" => {
                self.called_with(next);
                self.literal_at(next);
                self.is_in_clause = true;
            }
            b"export" => self.is_in_clause = true,
            b"from" if self.is_in_clause => self.literal_at(next),
            _ => {}
        }
    }

    /// Notes the name in `("name")`, also with more arguments behind it.
    fn called_with(&mut self, at: usize) {
        if self.byte(at) != Some(b'(') {
            return;
        }
        let Some((name, end)) = self.literal(self.skip_blank(at + 1)) else { return };
        if matches!(self.byte(self.skip_blank(end)), Some(b')' | b',')) {
            self.note(name);
        }
    }

    fn literal_at(&mut self, at: usize) {
        if let Some((name, _)) = self.literal(at) {
            self.note(name);
        }
    }

    /// The string or template at this place without escapes or code in it, and the place behind it.
    fn literal(&self, at: usize) -> Option<(&'s [u8], usize)> {
        let quote = self.byte(at).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
        let end = self.find(at + 1, |byte| byte == quote || matches!(byte, b'\\' | b'\n' | b'$'));
        (self.byte(end) == Some(quote)).then(|| (&self.source[at + 1..end], end + 1))
    }

    fn note(&mut self, name: &[u8]) {
        if let Ok(name) = std::str::from_utf8(name)
            && !name.starts_with(['.', '/'])
        {
            self.found.insert(name.to_owned());
        }
    }
}

/// Letters, digits and what else stands in names; all that is not ASCII is taken for letters.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'\\') || byte >= 0x80
}

fn meaning(word: &[u8], before: Last) -> Last {
    match word {
        b"if" | b"while" | b"for" | b"with" => Last::Control,
        // `for await (…)`
        b"await" if before == Last::Control => Last::Control,
        b"else" | b"do" | b"try" | b"finally" => Last::Statement,
        b"return" | b"typeof" | b"case" | b"in" | b"of" | b"instanceof" | b"new" | b"delete" | b"void" | b"throw"
        | b"yield" | b"await" | b"default" | b"extends" => Last::Operator,
        _ => Last::Operand,
    }
}

#[cfg(test)]
mod tests;
