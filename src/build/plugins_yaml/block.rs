//! A map as a block of YAML that readers of YAML 1.1 and of YAML 1.2 take for the same.
//!
//! RHDH's installers read it as YAML 1.1 (`PyYAML`) or 1.2 (the npm package `yaml`), and in 1.1 a plain `NO`, `on`,
//! `1_000`, `12:30:45`, `2024-01-01` or `=` is no text. So a text is plain only if it cannot be anything else.

use std::fmt::Write as _;

use yaml_serde::{Mapping, Number, Value};

/// Plain scalars that some reader takes for a truth value, a number or nothing, whatever their case.
const WORDS: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"];

/// The lines of a map that is not empty.
pub(super) fn render(map: &Mapping) -> String {
    let mut out = String::new();
    mapping(&mut out, map, 0);
    out
}

/// The entries of a map; the first one follows what stands in its line.
fn mapping(out: &mut String, map: &Mapping, indent: usize) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            pad(out, indent);
        }
        match key {
            Value::String(text) => out.push_str(&in_line(text)),
            // No installer reads a map or a list as a key.
            key => out.push_str(&scalar(key).unwrap_or_else(|| in_line(&format!("{key:?}")))),
        }
        out.push(':');
        match untagged(value) {
            Value::Mapping(map) if !map.is_empty() => {
                out.push('\n');
                pad(out, indent + 2);
                mapping(out, map, indent + 2);
            }
            Value::Sequence(list) if !list.is_empty() => {
                out.push('\n');
                pad(out, indent);
                sequence(out, list, indent);
            }
            value => {
                out.push(' ');
                leaf(out, value, indent + 2);
            }
        }
    }
}

/// The items of a list; the first one follows what stands in its line.
fn sequence(out: &mut String, list: &[Value], indent: usize) {
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            pad(out, indent);
        }
        out.push_str("- ");
        match untagged(item) {
            Value::Mapping(map) if !map.is_empty() => mapping(out, map, indent + 2),
            Value::Sequence(list) if !list.is_empty() => sequence(out, list, indent + 2),
            item => leaf(out, item, indent + 2),
        }
    }
}

/// The installers refuse every tag that is not YAML's own, and those are no more than the type of the value.
fn untagged(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) => untagged(&tagged.value),
        value => value,
    }
}

/// What holds nothing else, with the end of its line. `indent` is that of its further lines.
fn leaf(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(text) if is_literal(text) => literal(out, text, indent),
        Value::String(text) => out.push_str(&in_line(text)),
        value => out.push_str(&scalar(value).unwrap_or_default()),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

/// What is no text and holds nothing else; none for everything else.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(number(value)),
        Value::Sequence(list) if list.is_empty() => Some("[]".to_owned()),
        Value::Mapping(map) if map.is_empty() => Some("{}".to_owned()),
        _ => None,
    }
}

/// In YAML 1.1 a number with an exponent has a point and a sign too: `1.0e+21`.
fn number(value: &Number) -> String {
    let text = value.to_string();
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{digits}{point}e{sign}{exponent}")
}

/// A text within a line.
fn in_line(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.chars().any(must_be_escaped) {
        double_quoted(text)
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Whether no reader takes the text for anything else when it is not quoted.
fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let begins = match chars.next() {
        Some('.') => chars.next().is_some_and(|second| second == '/' || second.is_alphabetic()),
        Some(first) => first.is_alphabetic() || "_/$".contains(first),
        None => false,
    };
    let word = text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase();
    begins
        && !WORDS.contains(&word.as_str())
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !text.chars().any(must_be_escaped)
}

/// What is no printable character, or is the end of a line for some reader.
fn must_be_escaped(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if must_be_escaped(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a text of several lines can stand as it is: its first line says how far it is indented.
fn is_literal(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && text.split('\n').all(|line| line.is_empty() || !line.trim_matches(' ').is_empty())
        && !text.chars().any(|c| c != '\n' && must_be_escaped(c))
}

fn literal(out: &mut String, text: &str, indent: usize) {
    let body = text.strip_suffix('\n');
    out.push_str(match body {
        None => "|-\n",
        Some(body) if body.ends_with('\n') => "|+\n",
        Some(_) => "|\n",
    });
    for line in body.unwrap_or(text).split('\n') {
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_yaml_1_1_reader_takes_for_something_else_is_quoted() {
        let words = "NO on Off y N yes ~ null Null TRUE 1_000 0b1 0o17 017 0x1F 12:30:45 2024-01-01 \
                     2024-01-01T00:00:00Z = << .5 .inf .NaN -.inf 1e3 +1 - --- ... a: :80 \
                     @x `x %x *x &x !x | > ? [x {x #x 'x";
        for text in words.split(' ').chain(["a: b", "a #b", "x ", " x", "", "1 000", "\u{a0}x"]) {
            assert_eq!(in_line(text), format!("'{}'", text.replace('\'', "''")));
        }
        for text in ["a\tb", "a\u{85}b", "a\u{2028}b", "\u{feff}a", "a\0b", "a\r\nb", "\n"] {
            assert_eq!(in_line(text), double_quoted(text));
        }
        assert_eq!(double_quoted("\"\\\n\r\t\u{1b}\u{2029}é"), r#""\"\\\n\r\t\u001b\u2029é""#);
        let plain = "a no-way ./x.tgz oci://h:5000/a/b@sha256:0!x ${X} $include /a é _1 a:b a#b x'y";
        for text in plain.split(' ').chain(["a b"]) {
            assert_eq!(in_line(text), text);
        }
    }

    #[test]
    fn numbers_are_numbers_in_both_versions() {
        for (text, expected) in
            [("5", "5"), ("-7", "-7"), ("1.50", "1.5"), ("1e21", "1.0e+21"), ("1.25e-9", "1.25e-9"), (".inf", ".inf")]
        {
            assert_eq!(number(&yaml_serde::from_str(text).unwrap()), expected);
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let texts = [
            "a\nb",
            "a\nb\n",
            "a\nb\n\n",
            "a\n\n  b\nc",
            " a\nb",
            "\na",
            "a\n \nb",
            "a\n\tb",
            "a\r\nb",
            "\n",
            "# a\nb",
            "- a\n- b\n",
            "NO",
            "",
            "a'b: c",
            "\u{2028}\"",
        ];
        let list: Vec<Value> = texts.into_iter().map(Value::from).collect();
        let mut map = Mapping::new();
        for text in texts {
            map.insert(text.into(), text.into());
        }
        let maps = vec![Value::Mapping(map.clone()), Value::Sequence(vec![Value::Sequence(list.clone()), Value::Null])];
        map.insert("list".into(), Value::Sequence(list));
        map.insert("nested".into(), Value::Sequence(maps));
        map.insert(Value::Bool(true), Value::Mapping(Mapping::new()));
        let text = render(&map);
        assert_eq!(yaml_serde::from_str::<Mapping>(&text).unwrap(), map, "{text}");
    }
}
