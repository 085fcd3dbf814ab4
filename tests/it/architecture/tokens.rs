//! Rust source → trees of tokens: as much of the language as is needed to see what uses what.

/// A token, or what stands between two brackets.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A word: identifiers, keywords and numbers.
    Word(String),
    Punct(char),
    /// The text of a string, a character or a lifetime: of no interest here.
    Literal,
    /// `///`, and `//!` when `inner`.
    Doc {
        inner: bool,
    },
    /// What stands in `(`, `[` or `{`.
    Group(char, Vec<Token>),
}

impl Token {
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    pub fn is(&self, punct: char) -> bool {
        *self == Self::Punct(punct)
    }

    /// What stands in this bracket; none for another one.
    pub fn group(&self, bracket: char) -> Option<&[Token]> {
        match self {
            Self::Group(found, inside) if *found == bracket => Some(inside),
            _ => None,
        }
    }
}

/// The trees of a file.
pub fn parse(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut reader = TokenReader { chars: &chars, at: 0 };
    let tokens = reader.until(None);
    assert_eq!(reader.at, chars.len(), "brackets do not match");
    tokens
}

struct TokenReader<'c> {
    chars: &'c [char],
    at: usize,
}

impl TokenReader<'_> {
    fn rest(&self) -> &[char] {
        &self.chars[self.at..]
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(index, c)| self.rest().get(index) == Some(&c))
    }

    /// The length of what goes before `end`.
    fn length_to(&self, end: impl Fn(char) -> bool) -> usize {
        self.rest().iter().position(|&c| end(c)).unwrap_or(self.rest().len())
    }

    fn until(&mut self, close: Option<char>) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some(&c) = self.rest().first() {
            if Some(c) == close {
                self.at += 1;
                break;
            }
            tokens.extend(self.next(c));
        }
        tokens
    }

    /// The next token; none for blanks and comments.
    fn next(&mut self, c: char) -> Option<Token> {
        if c.is_whitespace() {
            self.at += 1;
            return None;
        }
        if self.starts_with("//") {
            let inner = self.starts_with("//!");
            let is_doc = inner || self.starts_with("///") && !self.starts_with("////");
            self.at += self.length_to(|c| c == '\n');
            return is_doc.then_some(Token::Doc { inner });
        }
        if self.starts_with("/*") {
            self.at += 2;
            while !self.starts_with("*/") {
                self.at += 1;
            }
            self.at += 2;
            return None;
        }
        if self.is_string() {
            self.string();
            return Some(Token::Literal);
        }
        if c.is_alphanumeric() || c == '_' {
            let length = self.length_to(|c| !c.is_alphanumeric() && c != '_');
            let word = self.rest()[..length].iter().collect();
            self.at += length;
            return Some(Token::Word(word));
        }
        self.at += 1;
        match c {
            '\'' => {
                self.character_or_lifetime();
                Some(Token::Literal)
            }
            '(' => Some(Token::Group(c, self.until(Some(')')))),
            '[' => Some(Token::Group(c, self.until(Some(']')))),
            '{' => Some(Token::Group(c, self.until(Some('}')))),
            _ => Some(Token::Punct(c)),
        }
    }

    /// `"`, `b"`, `r"`, `r#"`, `br#"`, …
    fn is_string(&self) -> bool {
        let mut rest = self.rest();
        if rest.first() == Some(&'b') {
            rest = &rest[1..];
        }
        if rest.first() == Some(&'r') {
            rest = &rest[1..];
            let hashes = rest.iter().take_while(|c| **c == '#').count();
            rest = &rest[hashes..];
        }
        rest.first() == Some(&'"')
    }

    fn string(&mut self) {
        let prefix = self.length_to(|c| c == '"');
        let is_raw = self.rest()[..prefix].contains(&'r');
        let end: String =
            ['"'].into_iter().chain(self.rest()[..prefix].iter().copied().filter(|c| *c == '#')).collect();
        self.at += prefix + 1;
        while !self.starts_with(&end) {
            self.at += if !is_raw && self.rest()[0] == '\\' { 2 } else { 1 };
        }
        self.at += end.len();
    }

    /// What stands behind a `'`.
    fn character_or_lifetime(&mut self) {
        match self.rest() {
            ['\\', ..] => {
                self.at += 2;
                self.at += self.length_to(|c| c == '\'') + 1;
            }
            [_, '\'', ..] => self.at += 2,
            _ => self.at += self.length_to(|c| !c.is_alphanumeric() && c != '_'),
        }
    }
}

#[harness::test]
fn what_stands_in_a_literal_is_no_code() {
    let of = |text: &str| parse(text);
    let f = Token::Word("f".to_owned());
    for literal in ["\"crate::a\"", "r#\"crate::a \"b\" \"#", "b\"\\\"crate\"", "'\"'", "'\\''", "'\\u{1b}'", "'static"]
    {
        assert_eq!(of(&format!("f {literal} f")), [f.clone(), Token::Literal, f.clone()], "{literal}");
    }
    assert_eq!(of("f // crate::a\n/* crate */f"), [f.clone(), f.clone()]);
    assert_eq!(of("/// a\nf(f)"), [Token::Doc { inner: false }, f.clone(), Token::Group('(', vec![f])]);
}
