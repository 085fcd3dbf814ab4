//! Counts and lists in words.

use std::fmt::Display;

/// `1 plugin`, `3 plugins`. The noun is the last word of `noun`: `1 overlay file`, `2 overlay files`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {}", plural(noun)) }
}

/// `1234.5 MB`
pub fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

/// The plural of a regular noun: `plugins`, `patches`, `entries`.
pub fn plural(noun: &str) -> String {
    let sibilant = ["s", "x", "z", "ch", "sh"].iter().any(|ending| noun.ends_with(ending));
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if sibilant => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// The first few of a list, and how many more there are: `a, b and 12 more`.
pub fn some<T: Display>(list: impl ExactSizeIterator<Item = T>) -> String {
    const SHOWN: usize = 5;
    let more = list.len().saturating_sub(SHOWN);
    let text = list.take(SHOWN).map(|one| one.to_string()).collect::<Vec<_>>().join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}

/// The first `most` characters of a text, with an ellipsis where there are more.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A text from outside with its control characters escaped: `\u{1b}`.
pub fn controls_escaped(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() }).collect()
}

/// [`some`] names, in back-ticks.
pub fn some_names<T: Display>(names: impl ExactSizeIterator<Item = T>) -> String {
    some(names.map(|name| format!("`{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short() {
        assert_eq!(count(1, "plugin"), "1 plugin");
        assert_eq!(count(0, "plugin"), "0 plugins");
        assert_eq!(count(1, "patch"), "1 patch");
        assert_eq!(count(2, "patch"), "2 patches");
        assert_eq!(count(2, "cache entry"), "2 cache entries");
        assert_eq!(count(2, "key"), "2 keys");
    }
}
