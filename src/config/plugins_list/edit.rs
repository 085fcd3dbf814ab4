//! Writing a `plugins-list.yaml`: new arguments in an existing text, or a whole new one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::PluginsList;
use crate::lock::Argument;

impl PluginsList {
    /// The list's text with other arguments for the plugins named in `args`.
    ///
    /// All the rest stays byte for byte: comments (also those behind a value), order, blank lines, line breaks, a
    /// missing line break at the end, and the lines of plugins whose arguments are already those. A path that is
    /// not in the list is ignored. A value of several lines becomes one line.
    pub fn with_args(&self, args: &BTreeMap<String, Vec<Argument>>) -> String {
        let mut out = String::with_capacity(self.text.len());
        let mut done = 0;
        for (entry, span) in self.entries.iter().zip(&self.spans) {
            let Some(args) = args.get(&entry.path).filter(|args| **args != entry.args) else { continue };
            out.push_str(&self.text[done..span.value.start]);
            if !args.is_empty() {
                out.push(' ');
                out.push_str(&scalar(&join(args)));
            }
            done = span.comment.start;
        }
        out.push_str(&self.text[done..]);
        out
    }
}

/// The text of a new list: one line per plugin, in the given order.
pub fn generate<'a>(plugins: impl IntoIterator<Item = (&'a str, &'a [Argument])>) -> String {
    let mut out = String::new();
    for (path, args) in plugins {
        out.push_str(&scalar(path));
        out.push(':');
        if !args.is_empty() {
            let _ = write!(out, " {}", scalar(&join(args)));
        }
        out.push('\n');
    }
    out
}

/// One line of arguments that splits into `args` again. Quotes stand only where they are needed: the original hands
/// them on as they are, so `!pkg` is written without.
fn join(args: &[Argument]) -> String {
    let plain = |arg: &str| {
        !arg.is_empty()
            && arg.chars().all(|c| {
                c.is_ascii_alphanumeric() || "@/._+:,=!^~*%-".contains(c) || (c > '\u{a0}' && c.is_alphanumeric())
            })
    };
    let mut line = String::new();
    for arg in args.iter().flat_map(Argument::words) {
        if !line.is_empty() {
            line.push(' ');
        }
        if plain(arg) {
            line.push_str(arg);
        } else {
            let _ = write!(line, "'{}'", arg.replace('\'', r"'\''"));
        }
    }
    line
}

/// A text as a YAML scalar: plain where no reader of YAML 1.1 or 1.2 takes it for something else, else quoted.
fn scalar(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')) {
        let mut quoted = String::from('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                    let _ = write!(quoted, "\\u{:04X}", u32::from(c));
                }
                c => quoted.push(c),
            }
        }
        quoted.push('"');
        return quoted.into();
    }
    if is_plain(text) { text.into() } else { format!("'{}'", text.replace('\'', "''")).into() }
}

fn is_plain(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.next());
    let number = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let starts_well = match first {
        None => false,
        // `-x` and `.x` are texts; `- x`, `-1` and `.5` are not.
        Some('-' | '.' | '+') => second.is_none_or(|c| !c.is_ascii_digit() && c != ' ' && c != '.') && text != "-",
        Some(c) => !number(first) && !" \t,[]{}#&*!|>'\"%@`?:=<~".contains(c),
    };
    starts_well
        && !text.ends_with([' ', '\t', ':'])
        && ![": ", ":\t", " #", "\t#"].iter().any(|mark| text.contains(mark))
        && !matches!(word.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null")
        && !matches!(word.trim_start_matches(['-', '+']), ".inf" | ".nan")
}
