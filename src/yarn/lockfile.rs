//! `yarn.lock` as data: Berry (`__metadata.version` 4 and later) and v1.
//!
//! A hand-written line reader that borrows from the text: a lock of 1.4 MB costs milliseconds and little more memory
//! than its own bytes. It is strict where a wrong guess would give wrong build arguments (shape, indentation, missing
//! or doubled fields, conflict markers) and passes over fields nobody here asks for. Bad bytes give one
//! [`Error::Config`](crate::Error::Config) with line and column, never a panic.

mod berry;
mod scan;
mod v1;

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};

use super::locator::{self, Locator, split_name};
use scan::SyntaxError;

const HINT: &str =
    "run `yarn install` in the repository and commit its yarn.lock, or pin a commit with a valid yarn.lock";

/// Which yarn wrote the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Yarn 2 and later, with `__metadata.version`. Before 8 dependency ranges lack the `npm:` of their descriptors.
    Berry(u32),
    /// Yarn 1: workspaces are not in the lock.
    V1,
}

/// A parsed lock, borrowing from its text.
#[derive(Clone, Debug)]
pub struct YarnLock<'t> {
    /// The format.
    pub kind: LockKind,
    /// The file, for messages.
    pub path: PathBuf,
    /// Berry only: the key of yarn's cache (its version and compression level) that the lock was written with.
    pub cache_key: Option<Cow<'t, str>>,
    /// One per resolved package, in the order of the file.
    pub entries: Vec<YarnEntry<'t>>,
}

/// A resolved package of a lock.
#[derive(Clone, Debug)]
pub struct YarnEntry<'t> {
    /// 1-based line of its key.
    pub line: usize,
    /// The `name@range` pairs that resolve to it; never empty.
    pub descriptors: Vec<YarnDescriptor<'t>>,
    /// Its version; `0.0.0-use.local` for a Berry workspace.
    pub version: Cow<'t, str>,
    /// Berry: the locator (`name@npm:1.2.3`, `name@workspace:plugins/x`). v1: the tarball's URL, if there is one.
    pub resolution: Cow<'t, str>,
    /// v1 only: the tarball's integrity. (Berry's checksum is of its own zip and says nothing about the tarball.)
    pub integrity: Option<Cow<'t, str>>,
    /// Berry only: `<cache key>/<SHA-512 in hex>` of yarn's zip; before version 8 without the key, which
    /// [`YarnLock::cache_key`] has.
    pub checksum: Option<Cow<'t, str>>,
    /// `dependencies` with the optional ones; of a Berry workspace with the dev ones too.
    pub dependencies: Vec<LockedDependency<'t>>,
    /// `peerDependencies`; empty in v1.
    pub peers: Vec<LockedDependency<'t>>,
    /// Berry's `conditions` (`os=linux & cpu=x64 & libc=glibc`), known to be well-formed.
    pub conditions: Option<Cow<'t, str>>,
}

/// `name@range`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct YarnDescriptor<'t> {
    /// The name it is depended on by; an alias differs from the package's own.
    pub name: Cow<'t, str>,
    /// `npm:^1.2.3`, `workspace:^`, `patch:…`; in v1 a bare range.
    pub range: Cow<'t, str>,
}

/// A line of `dependencies` or `peerDependencies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedDependency<'t> {
    /// The name.
    pub name: Cow<'t, str>,
    /// The range as the lock has it.
    pub range: Cow<'t, str>,
    /// True when it may fail to install (`optionalDependencies`), or a peer may be absent.
    pub optional: bool,
}

impl LockKind {
    /// The line of yarn that writes locks of this format (yarn's `LOCKFILE_VERSION` history).
    pub fn yarn_line(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::Berry(0..=5) => "2",
            Self::Berry(6 | 7) => "3",
            Self::Berry(_) => "4",
        }
    }
}

impl<'t> YarnLock<'t> {
    /// Reads a lock of either kind; `path` is only for messages.
    pub fn parse(text: &'t [u8], path: &Path) -> Result<Self> {
        parse(text)
            .map(|(header, entries)| Self {
                kind: header.kind,
                path: path.to_path_buf(),
                cache_key: header.cache_key,
                entries,
            })
            .map_err(|error| Error::config(Place::at(path, error.line, error.column), error.what, HINT))
    }

    /// The folders of the workspaces a Berry lock knows, `.` for the root; `None` for v1, which does not say.
    ///
    /// These are the only `package.json` files the graph of the workspace asks for, beside the root's.
    pub fn workspace_paths(&self) -> Option<Vec<&str>> {
        match self.kind {
            LockKind::V1 => None,
            LockKind::Berry(_) => Some(self.entries.iter().filter_map(YarnEntry::workspace_path).collect()),
        }
    }
}

impl YarnEntry<'_> {
    /// The locator; none in v1, where a URL can hold an `@` as well, after a colon.
    pub fn locator(&self) -> Option<Locator<'_>> {
        Locator::parse(&self.resolution).filter(|locator| !locator.name.contains(':'))
    }

    /// The package's own name: the locator's in Berry, the first descriptor's in v1 (seeing through an alias).
    pub fn name(&self) -> &str {
        match self.locator() {
            Some(locator) => locator.name,
            None => self.descriptors.first().map_or("", |first| {
                first.range.strip_prefix("npm:").and_then(split_name).map_or(first.name.as_ref(), |(name, _)| name)
            }),
        }
    }

    /// The folder of a Berry workspace, from the root's.
    pub fn workspace_path(&self) -> Option<&str> {
        self.locator()?.workspace_path()
    }

    /// True for what a closure is of: the plugin itself, and what is embedded in it.
    pub fn is_own(&self) -> bool {
        self.workspace_path().is_some() || self.is_from_folder()
    }

    /// True for the entry that a dependency of the same lock resolves to.
    pub fn meets(&self, dependency: &LockedDependency<'_>) -> bool {
        let is_of = |range: &str| range == dependency.range || range.strip_prefix("npm:") == Some(&*dependency.range);
        self.descriptors.iter().any(|descriptor| descriptor.name == dependency.name && is_of(&descriptor.range))
    }

    /// True when the package comes from an npm registry, patched or not.
    pub fn is_from_registry(&self) -> bool {
        match self.locator() {
            Some(locator) if locator.is_from_registry() => true,
            _ => {
                self.resolution.starts_with("http")
                    && self.resolution.contains("/-/")
                    && !self.resolution.contains("://codeload.")
            }
        }
    }

    /// True when the package is made from a folder of the same tree, as those embedded in an exported plugin are.
    pub fn is_from_folder(&self) -> bool {
        self.descriptors.iter().any(|descriptor| locator::is_folder(&descriptor.range))
    }
}

/// What a lock says of itself.
struct LockHeader<'t> {
    kind: LockKind,
    cache_key: Option<Cow<'t, str>>,
}

fn parse(text: &[u8]) -> Result<(LockHeader<'_>, Vec<YarnEntry<'_>>), SyntaxError> {
    let text = scan::utf8(text)?;
    let (header, entries) = if is_v1(text) {
        (LockHeader { kind: LockKind::V1, cache_key: None }, v1::parse(text)?)
    } else {
        let (metadata, entries) = berry::parse(text)?;
        (LockHeader { kind: LockKind::Berry(metadata.version), cache_key: metadata.cache_key }, entries)
    };
    let mut seen = HashSet::with_capacity(entries.len() * 2);
    for entry in &entries {
        for descriptor in &entry.descriptors {
            if !seen.insert(descriptor) {
                return Err(SyntaxError::line(
                    entry.line,
                    format!("`{}@{}` is duplicated", descriptor.name, descriptor.range),
                ));
            }
        }
    }
    Ok((header, entries))
}

/// Yarn's own rule: the comment that v1 writes, among the comments at the top.
fn is_v1(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .take_while(|line| line.is_empty() || line.starts_with('#'))
        .any(|line| line.trim_start_matches('#').trim_start().starts_with("yarn lockfile v1"))
}

/// Splits a descriptor out of a key, keeping the borrow where there is one.
fn descriptor(text: Cow<'_, str>) -> Option<YarnDescriptor<'_>> {
    match text {
        Cow::Borrowed(text) => {
            let (name, range) = split_name(text)?;
            Some(YarnDescriptor { name: Cow::Borrowed(name), range: Cow::Borrowed(range) })
        }
        Cow::Owned(text) => {
            let (name, range) = split_name(&text)?;
            Some(YarnDescriptor { name: Cow::Owned(name.to_owned()), range: Cow::Owned(range.to_owned()) })
        }
    }
}

#[cfg(test)]
mod tests;
