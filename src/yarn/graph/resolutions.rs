//! `resolutions` of the root `package.json`: which dependency gets another range than the one written.

use indexmap::IndexMap;

use crate::yarn::locator::split_name;

/// The overrides, in the order of the file; the first that matches counts, as for yarn.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolutions<'a> {
    rules: Vec<Rule<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule<'a> {
    /// The dependent: its name, and its version if the pattern has one.
    parent: Option<(&'a str, Option<&'a str>)>,
    name: &'a str,
    /// Only dependencies with this very range.
    range: Option<&'a str>,
    to: &'a str,
}

impl<'a> Resolutions<'a> {
    pub fn new(table: &'a IndexMap<String, String>) -> Self {
        Self { rules: table.iter().filter_map(|(pattern, to)| rule(pattern, to)).collect() }
    }

    /// The range that replaces `range` of `name` in `parent` (name and version).
    pub fn replace(&self, parent: (&str, &str), name: &str, range: &str) -> Option<&'a str> {
        let same = |one: &str, other: &str| bare(one) == bare(other);
        self.rules
            .iter()
            .find(|rule| {
                rule.name == name
                    && rule.range.is_none_or(|wanted| same(wanted, range))
                    && rule.parent.is_none_or(|(wanted, version)| {
                        wanted == parent.0 && version.is_none_or(|version| same(version, parent.1))
                    })
            })
            .map(|rule| rule.to)
    }
}

fn bare(range: &str) -> &str {
    range.strip_prefix("npm:").unwrap_or(range)
}

/// `name`, `name@range`, `parent/name`, `parent@version/name`; `**/` says nothing more and is dropped.
fn rule<'a>(pattern: &'a str, to: &'a str) -> Option<Rule<'a>> {
    let mut rest = pattern;
    let mut parent = None;
    loop {
        if let Some(after) = rest.strip_prefix("**/").or_else(|| rest.strip_prefix("*/")) {
            rest = after;
            continue;
        }
        let (name, range, after) = specifier(rest)?;
        match after {
            None => return Some(Rule { parent, name, range, to }),
            Some(after) => (parent, rest) = (Some((name, range)), after),
        }
    }
}

/// `name` or `name@text` up to the next `/`: its parts and what follows.
fn specifier(text: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
    let skip = if text.starts_with('@') { text.find('/')? + 1 } else { 0 };
    let end = text[skip..].find('/').map(|at| at + skip);
    let (own, after) = match end {
        // An alias or patch as range may hold a `/`: then the rest is all of it.
        Some(end) if !text[skip..end].contains(':') => (&text[..end], Some(&text[end + 1..])),
        _ => (text, None),
    };
    let (name, range) = split_name(own).map_or((own, None), |(name, range)| (name, Some(range)));
    (!name.is_empty()).then_some((name, range, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_pattern() {
        let table: IndexMap<String, String> = [
            ("lib@npm:^1.0.0", "1.5.0"),
            ("**/glob", "^8"),
            ("@s/a/@t/b", "2"),
            ("@s/a@3.0.0/c", "4"),
            ("lib@^2", "patch:lib@npm%3A^2#~/x.patch"),
            ("p/**/q", "5"),
        ]
        .map(|(pattern, to)| (pattern.to_owned(), to.to_owned()))
        .into_iter()
        .collect();
        let rules = Resolutions::new(&table);
        assert_eq!(rules.replace(("x", "1.0.0"), "lib", "^1.0.0"), Some("1.5.0"));
        assert_eq!(rules.replace(("x", "1.0.0"), "lib", "npm:^2"), Some("patch:lib@npm%3A^2#~/x.patch"));
        assert_eq!(rules.replace(("x", "1.0.0"), "lib", "^3"), None);
        assert_eq!(rules.replace(("x", "1.0.0"), "glob", "^7"), Some("^8"));
        assert_eq!(rules.replace(("@s/a", "1.0.0"), "@t/b", "^1"), Some("2"));
        assert_eq!(rules.replace(("x", "1.0.0"), "@t/b", "^1"), None);
        assert_eq!(rules.replace(("@s/a", "3.0.0"), "c", "^1"), Some("4"));
        assert_eq!(rules.replace(("@s/a", "3.0.1"), "c", "^1"), None);
        assert_eq!(rules.replace(("p", "1.0.0"), "q", "^1"), Some("5"));
    }
}
