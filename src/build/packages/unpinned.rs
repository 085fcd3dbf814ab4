//! Packages without a checksum in their lockfile, since they are only for some platforms: the lock seals them.
//!
//! The first build on a platform adds what it was given to `factory.lock.d/<workspace>/packages.sha512`; later builds,
//! on any machine, must use the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::lock::companions::CompanionPath;
use crate::lock::text::FILE_NAME;
use crate::lock::{Sha256, Workspace};
use crate::tools::provide::platform;
use crate::ui::some_names;
use crate::user_file;

/// The SHA-512 in hex of yarn's zips, by locator and cache key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpinned(BTreeMap<(String, String), String>);

impl Unpinned {
    /// The sealed list of a workspace, whose checksum is in the lock; empty before there is one.
    pub fn sealed(lock_dir: &Path, workspace: &Workspace) -> Result<Self> {
        let Some(sealed) = &workspace.sealed else { return Ok(Self::default()) };
        let path = Self::path(lock_dir, &workspace.name);
        let broken = |what: String| Error::Lock {
            place: Place::file(&path),
            what,
            hint: "restore it and the lock from version control".into(),
        };
        let text = user_file::read_text(&path, user_file::DOCUMENT)
            .map_err(|e| broken(format!("cannot be read ({e}); the lock needs it")))?;
        let found = Sha256::of(&text);
        if found != sealed.packages {
            return Err(broken(format!("has the checksum {found}, but the lock says {}", sealed.packages)));
        }
        Ok(Self::parse(&text))
    }

    /// Reads the text of a list; a line that is none of it is passed over.
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            let (digest, key, locator) = (words.next()?, words.next()?, words.next()?);
            Some(((locator, key), digest))
        };
        Self(text.split_terminator('\n').filter_map(line).collect())
    }

    /// Where a workspace's list is kept.
    pub fn path(lock_dir: &Path, workspace: &str) -> PathBuf {
        CompanionPath::packages(workspace).below(lock_dir)
    }

    /// One `<SHA-512 in hex> <cache key> <locator>` a line, sorted by locator.
    pub fn to_text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, ((locator, key), digest)| {
            let _ = writeln!(text, "{digest} {key} {locator}");
            text
        })
    }

    /// Adds a zip.
    pub fn insert(&mut self, locator: &str, key: &str, digest: String) {
        self.0.insert((locator.to_owned(), key.to_owned()), digest);
    }

    /// The digest that a zip must have; none when it is not in the list.
    pub fn get(&self, locator: &str, key: &str) -> Option<&str> {
        self.0.get(&(locator.to_owned(), key.to_owned())).map(String::as_str)
    }

    /// Adds what is not in this list yet. True when there was anything.
    pub fn merge(&mut self, other: Self) -> bool {
        let before = self.0.len();
        for (zip, digest) in other.0 {
            self.0.entry(zip).or_insert(digest);
        }
        self.0.len() > before
    }

    /// What a build uses must be what is in this list. With `frozen`, all of it must be in the list.
    pub fn check_sealed(&self, used: &Self, workspace: &str, lock_dir: &Path, frozen: bool) -> Result<()> {
        let mut unlisted = Vec::new();
        for ((locator, key), found) in &used.0 {
            match self.get(locator, key) {
                Some(sealed) if sealed == found => {}
                Some(sealed) => {
                    return Err(Error::Integrity {
                        what: format!("package `{locator}` of workspace `{workspace}`"),
                        expected: format!("{sealed} (SHA-512 of yarn's zip)"),
                        found: found.clone(),
                        hint:
                            "the registry serves other bytes than those that were sealed: nothing is built from them; \
                               compare with another registry"
                                .into(),
                    });
                }
                None => unlisted.push(locator),
            }
        }
        if !frozen || unlisted.is_empty() {
            return Ok(());
        }
        Err(Error::Lock {
            place: Place::file(lock_dir.join(FILE_NAME)),
            what: format!(
                "workspace `{workspace}` was sealed without packages that it needs on {}: {}",
                platform()?,
                some_names(unlisted.iter())
            ),
            hint: "build without `--frozen` once on this platform, and commit the lock".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(zips: &[(&str, &str)]) -> Unpinned {
        let mut list = Unpinned::default();
        for (locator, digest) in zips {
            list.insert(locator, "10c0", (*digest).to_owned());
        }
        list
    }

    #[test]
    fn a_build_is_held_to_the_list_and_frozen_to_all_of_it() {
        let sealed = list(&[("@b/x64@npm:1.0.0", "00"), ("a@npm:1.0.0", "11")]);
        assert_eq!(sealed.to_text(), "00 10c0 @b/x64@npm:1.0.0\n11 10c0 a@npm:1.0.0\n");
        let check = |used: &Unpinned, frozen| {
            let held = sealed.check_sealed(used, "todo", Path::new("/l"), frozen);
            held.map_err(|error| (error.exit_code(), error.to_string()))
        };
        assert_eq!(check(&list(&[("a@npm:1.0.0", "11")]), true), Ok(()));
        let other = "package `a@npm:1.0.0` of workspace `todo` does not match its checksum: expected 11 (SHA-512 of \
                     yarn's zip), found 12";
        for frozen in [false, true] {
            assert_eq!(check(&list(&[("a@npm:1.0.0", "12")]), frozen), Err((5, other.to_owned())));
        }
        let arm64 = list(&[("@b/arm64@npm:1.0.0", "22")]);
        assert_eq!(check(&arm64, false), Ok(()));
        let unlisted = format!(
            "/l/factory.lock: workspace `todo` was sealed without packages that it needs on {}: `@b/arm64@npm:1.0.0`",
            platform().unwrap()
        );
        assert_eq!(check(&arm64, true), Err((3, unlisted)));
    }

    #[test]
    fn another_platform_adds_its_own_and_moves_nothing() {
        let mut sealed = list(&[("a@npm:1.0.0", "11")]);
        assert!(!sealed.merge(list(&[("a@npm:1.0.0", "12")])));
        assert!(sealed.merge(list(&[("b@npm:1.0.0", "22")])));
        assert_eq!(sealed, list(&[("a@npm:1.0.0", "11"), ("b@npm:1.0.0", "22")]));
    }
}
