//! Where a descriptor stands in a lock, in any of the forms that yarn gives it.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::yarn::locator::split_name;
use crate::yarn::lockfile::YarnLock;

/// The entries of a lock by their descriptors. Every look-up is one or two of a hash map, whatever the lock.
#[derive(Debug, Default)]
pub(super) struct DescriptorIndex<'a> {
    /// By name and range, with and without `npm:`.
    exact: HashMap<(&'a str, &'a str), usize>,
    /// By name and what stands before `::`.
    bound: HashMap<(&'a str, &'a str), Bound>,
    /// By name and the range that is patched.
    patched: HashMap<(&'a str, Cow<'a, str>), usize>,
    /// By name: its entry, or `None` when there are several.
    only: HashMap<&'a str, Option<usize>>,
}

#[derive(Debug)]
struct Bound {
    first: usize,
    by_locator: HashMap<String, usize>,
}

impl<'a> DescriptorIndex<'a> {
    pub fn new(lock: &'a YarnLock<'a>) -> Self {
        let mut index = Self { exact: HashMap::with_capacity(lock.entries.len() * 3), ..Self::default() };
        for (number, entry) in lock.entries.iter().enumerate() {
            for descriptor in &entry.descriptors {
                index.add(&descriptor.name, &descriptor.range, number);
            }
        }
        index
    }

    fn add(&mut self, name: &'a str, range: &'a str, number: usize) {
        self.exact.insert((name, range), number);
        // Locks before version 8 leave `npm:` out of the ranges of dependencies, not out of the keys.
        if let Some(bare) = range.strip_prefix("npm:") {
            self.exact.entry((name, bare)).or_insert(number);
        }
        if let Some((before, bindings)) = range.split_once("::") {
            let bound =
                self.bound.entry((name, before)).or_insert_with(|| Bound { first: number, by_locator: HashMap::new() });
            if let Some(locator) = bindings.split('&').find_map(|binding| binding.strip_prefix("locator=")) {
                bound.by_locator.entry(unescaped(locator).into_owned()).or_insert(number);
            }
        }
        if let Some((patched, rest)) = range.strip_prefix("patch:").and_then(split_name)
            && patched == name
        {
            let source = rest.split('#').next().unwrap_or_default();
            let source = source.strip_prefix("npm%3A").or(source.strip_prefix("npm:")).unwrap_or(source);
            self.patched.entry((name, unescaped(source))).or_insert(number);
        }
        self.only
            .entry(name)
            .and_modify(|known| *known = known.filter(|known| *known == number))
            .or_insert(Some(number));
    }

    /// `name@range`, or `name@npm:range`.
    pub fn exact(&self, name: &str, range: &str) -> Option<usize> {
        self.exact.get(&(name, range)).copied()
    }

    /// `name@range::…`: `file:`, `link:`, `portal:` and some `patch:` are bound to the dependent's `locator`, and
    /// `backstage:` to a release.
    pub fn bound(&self, name: &str, range: &str, locator: &str) -> Option<usize> {
        let bound = self.bound.get(&(name, range))?;
        Some(bound.by_locator.get(locator).copied().unwrap_or(bound.first))
    }

    /// `name@patch:name@npm%3Arange#…`.
    pub fn patched(&self, name: &str, range: &str) -> Option<usize> {
        let bare = range.strip_prefix("npm:").unwrap_or(range);
        self.patched.get(&(name, Cow::Borrowed(bare))).copied()
    }

    /// The entry of a name that has only one.
    pub fn only(&self, name: &str) -> Option<usize> {
        self.only.get(name).copied().flatten()
    }
}

/// Undoes `encodeURIComponent`.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%').and_then(|code| str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}
