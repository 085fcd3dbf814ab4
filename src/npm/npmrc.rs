//! The text of an `.npmrc`, as npm's packages `ini` and `@npmcli/config` read it.

use std::collections::BTreeMap;

/// What a line sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// `key = value`. Empty for `null`.
    One(String),
    /// `key[] = value`, once or more often.
    Many(Vec<String>),
}

/// Settings by their names.
pub(super) type Settings = BTreeMap<String, Setting>;

/// Reads the lines before the first section. `variable` has the values of `${NAME}`, in names as well as in values.
pub(super) fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Settings {
    let mut raw = Settings::new();
    for line in text.split(['\r', '\n']) {
        let line = trim(line);
        if line.is_empty() || line.starts_with([';', '#', '=']) {
            continue;
        }
        if line.starts_with('[') && line.ends_with(']') {
            break;
        }
        let (name, value) =
            line.split_once('=').map_or((line, "true".to_owned()), |(name, value)| (name, plain(value)));
        let name = plain(name);
        let value = if value == "null" { String::new() } else { value };
        let list = name.strip_suffix("[]").filter(|name| !name.is_empty());
        let entry = raw.entry(list.unwrap_or(&name).to_owned());
        match (entry, list) {
            (std::collections::btree_map::Entry::Vacant(entry), None) => drop(entry.insert(Setting::One(value))),
            (std::collections::btree_map::Entry::Vacant(entry), Some(_)) => {
                entry.insert(Setting::Many(vec![value]));
            }
            (std::collections::btree_map::Entry::Occupied(mut entry), list) => match entry.get_mut() {
                Setting::Many(values) => values.push(value),
                Setting::One(first) if list.is_some() => {
                    let first = std::mem::take(first);
                    entry.insert(Setting::Many(vec![first, value]));
                }
                Setting::One(first) => *first = value,
            },
        }
    }
    let expanded = |text: &str| expand(trim(text), &variable);
    raw.into_iter()
        .map(|(name, setting)| {
            let setting = match setting {
                Setting::One(value) => Setting::One(expanded(&value)),
                Setting::Many(values) => Setting::Many(values.iter().map(|value| expanded(value)).collect()),
            };
            (expand(&name, &variable), setting)
        })
        .collect()
}

/// JavaScript's white space includes the byte order mark.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// A name or a value without its quotes, its comment and its backslashes (`unsafe` of `ini`).
fn plain(text: &str) -> String {
    let text = trim(text);
    let quoted = |quote: char| text.starts_with(quote) && text.ends_with(quote);
    if quoted('"') || quoted('\'') {
        let inner = if quoted('\'') { text.get(1..text.len() - 1).unwrap_or_default() } else { text };
        return serde_json::from_str(inner).unwrap_or_else(|_| inner.to_owned());
    }
    let mut out = String::new();
    let mut is_escaped = false;
    for c in text.chars() {
        match c {
            ';' | '#' | '\\' if is_escaped => out.push(c),
            _ if is_escaped => out.extend(['\\', c]),
            ';' | '#' => break,
            '\\' => {}
            _ => out.push(c),
        }
        is_escaped = !is_escaped && c == '\\';
    }
    if is_escaped {
        out.push('\\');
    }
    trim(&out).to_owned()
}

/// `${NAME}` is the value of a variable, or stays as it is without one; `${NAME?}` is nothing without one. A backslash
/// before it keeps it, two are one (`env-replace` of `@npmcli/config`).
pub(super) fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        let end = after.find(['$', '{', '}']).filter(|&end| after[end..].starts_with('}'));
        let Some((name, tail)) = end.map(|end| (&after[..end], &after[end + 1..])).filter(|(name, _)| is_name(name))
        else {
            out.push_str(&rest[..start + 2]);
            rest = after;
            continue;
        };
        let bare = before.trim_end_matches('\\');
        let backslashes = before.len() - bare.len();
        out.push_str(bare);
        out.extend(std::iter::repeat_n('\\', backslashes / 2));
        let (known, is_optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
        match variable(known) {
            _ if backslashes % 2 == 1 => out.extend(["${", name, "}"]),
            Some(value) => out.push_str(&value),
            None if is_optional => {}
            None => out.extend(["${", known, "}"]),
        }
        rest = tail;
    }
    out + rest
}

/// What can stand in `${…}`: no `?` but one at the end.
fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('?').unwrap_or(name);
    !name.is_empty() && !name.contains('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Settings {
        parse(text, |name| (name == "T").then(|| "token".to_owned()))
    }

    #[test]
    fn comments_quotes_and_backslashes_are_those_of_ini() {
        for (line, value) in [
            ("a=b", "b"),
            ("  a =  b  ", "b"),
            ("\u{feff}a=b", "b"),
            ("a=b ; c", "b"),
            ("a=b#c", "b"),
            (r"a=b\#c\;d\\e\f", r"b#c;d\e\f"),
            ("a=\"b;c\"", "b;c"),
            ("a='b#c'", "b#c"),
            ("a='\"b\"'", "b"),
            (r#"a="b\nc""#, "b\nc"),
            ("a=\"", "\""),
            ("a", "true"),
            ("a=", ""),
            ("a=null", ""),
            ("a=x=y", "x=y"),
            ("\"a\"=b", "b"),
            ("a=c\na=b", "b"),
            ("a=${T}", "token"),
            ("a=${T?}-${U?}", "token-"),
            ("a=${U}", "${U}"),
            (r"a=\${T}", "${T}"),
            (r"a=\\${T}", "${T}"),
            (r"a=\\\\${T}", r"\token"),
            ("a=${T?x}${${T}", "${T?x}${token"),
            ("a=${}$T", "${}$T"),
        ] {
            assert_eq!(read(line).get("a"), Some(&Setting::One(value.to_owned())), "{line}");
        }
        for line in ["; a=b", "  # a=b", "=b", "", "[s]\na=b"] {
            assert_eq!(read(line), Settings::new(), "{line}");
        }
        assert_eq!(read("//${T}/:_authToken=x").keys().next().unwrap(), "//token/:_authToken");
    }

    #[test]
    fn lists_take_all_of_their_values() {
        let list = |values: &[&str]| Setting::Many(values.iter().map(|&value| value.to_owned()).collect());
        assert_eq!(read("ca[]=a\nca[]=b\nca=c")["ca"], list(&["a", "b", "c"]));
        assert_eq!(read("ca=a\nca[]=b")["ca"], list(&["a", "b"]));
    }
}
