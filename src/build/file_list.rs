//! The list of a package's files that lies beside the lock, so that a build that makes something else can say which file
//! differs first, on any machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use sha2::Digest as _;

use crate::error::Result;
use crate::image::PackageFiles;
use crate::yarn::lockfile::{YarnEntry, YarnLock};

/// Hex digits kept of a file's SHA-256: enough to tell files apart; what is proven stands in the lock.
const DIGITS: usize = 16;

/// The files of a package with the start of their SHA-256. A package below `node_modules` is one line: its content is
/// pinned by the closure, and 30,000 lines would help nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileList(BTreeMap<String, String>);

/// How two packages differ first, in the classes of reproducible.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceClass {
    /// Only the compression or the packing: the files are equal.
    Packing,
    /// The exported `package.json`.
    PackageJson,
    /// A bundle's name, which holds a hash of its content.
    BundleName,
    /// A bundle's content.
    Bundle,
    /// A dependency in `node_modules`.
    Dependency,
    /// An embedded package's build.
    Embedded,
    /// Anything else.
    Other,
}

impl fmt::Display for DifferenceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packing => "the files are equal: only their packing differs",
            Self::PackageJson => "the exported package.json",
            Self::BundleName => "the name of a bundle, which holds a hash of its content",
            Self::Bundle => "the content of a bundle",
            Self::Dependency => "a dependency drifted",
            Self::Embedded => "an embedded package was not rebuilt identically",
            Self::Other => "the plugin's own build",
        })
    }
}

/// A difference between what was sealed and what was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The first file that differs, is missing or is new.
    pub file: Option<String>,
    /// How.
    pub class: DifferenceClass,
    /// How many files differ, are missing or are new.
    pub count: usize,
}

/// The files of a package that have been read so far, in their order.
#[derive(Default)]
pub(super) struct HashedFiles(BTreeMap<String, sha2::Sha256>);

impl HashedFiles {
    pub(super) fn add(&mut self, path: &str, executable: bool, bytes: &[u8]) {
        let group = group(path);
        let hasher = self.0.entry(group.to_owned()).or_default();
        if group.len() != path.len() {
            hasher.update(path.as_bytes());
            hasher.update([0]);
        }
        hasher.update([u8::from(executable)]);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }

    pub(super) fn list(self) -> FileList {
        let short = |hasher: sha2::Sha256| hex::encode(hasher.finalize())[..DIGITS].to_owned();
        FileList(self.0.into_iter().map(|(path, hasher)| (path, short(hasher))).collect())
    }
}

impl FileList {
    /// The list of a package's entries.
    pub fn of(entries: &PackageFiles) -> Result<Self> {
        let mut hashed = HashedFiles::default();
        for entry in entries.entries() {
            let bytes = entries.read(&entry.path)?.unwrap_or_default();
            hashed.add(&entry.path, entry.executable, &bytes);
        }
        Ok(hashed.list())
    }

    /// One `<hex> <path>` a line, sorted by path.
    pub fn to_text(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::new(), |mut text, (path, digest)| {
            let _ = writeln!(text, "{digest} {path}");
            text
        })
    }

    /// Reads what [`Self::to_text`] wrote; lines of another form are left out.
    pub fn from_text(text: &str) -> Self {
        Self(text.lines().filter_map(|line| line.split_once(' ')).map(|(d, p)| (p.to_owned(), d.to_owned())).collect())
    }

    /// The first difference, if the lists differ at all, else a difference of packing. `embedded` are the names of the
    /// packages that lie in `node_modules` and were built from the workspace's source.
    pub fn difference(&self, made: &Self, embedded: &BTreeSet<String>) -> Difference {
        let mut files: Vec<&String> = Vec::new();
        for (path, digest) in &self.0 {
            if made.0.get(path) != Some(digest) {
                files.push(path);
            }
        }
        files.extend(made.0.keys().filter(|path| !self.0.contains_key(*path)));
        files.sort();
        // The cause comes before its consequences: a changed dependency or embedded package changes bundles.
        let class_of = |path: &str| {
            let renamed = self.0.contains_key(path) != made.0.contains_key(path);
            let own = path.strip_prefix("node_modules/").is_some_and(|name| embedded.contains(name));
            if own { DifferenceClass::Embedded } else { class_of(path, renamed) }
        };
        let first = files.iter().min_by_key(|path| (rank(class_of(path)), path.as_str()));
        Difference {
            class: first.map_or(DifferenceClass::Packing, |path| class_of(path)),
            file: first.map(|path| (*path).clone()),
            count: files.len(),
        }
    }
}

/// The names of the packages that a closure takes from folders of the export: those that are embedded.
pub fn embedded(closure: &str) -> BTreeSet<String> {
    let Ok(lock) = YarnLock::parse(closure.as_bytes(), Path::new("yarn.lock")) else { return BTreeSet::new() };
    let locators = lock.entries.iter().filter_map(YarnEntry::locator);
    locators.filter(|locator| locator.is_from_folder()).map(|locator| locator.name.to_owned()).collect()
}

fn rank(class: DifferenceClass) -> u8 {
    match class {
        DifferenceClass::Dependency => 0,
        DifferenceClass::Embedded => 1,
        DifferenceClass::Other => 2,
        DifferenceClass::PackageJson => 3,
        DifferenceClass::Bundle => 4,
        DifferenceClass::BundleName | DifferenceClass::Packing => 5,
    }
}

fn class_of(path: &str, renamed: bool) -> DifferenceClass {
    if path == "package.json" {
        DifferenceClass::PackageJson
    } else if path.starts_with("node_modules/") {
        DifferenceClass::Dependency
    } else if path.starts_with("embedded/") {
        DifferenceClass::Embedded
    } else if path.starts_with("dist-scalprum/") || path.starts_with("dist/static/") {
        if renamed { DifferenceClass::BundleName } else { DifferenceClass::Bundle }
    } else {
        DifferenceClass::Other
    }
}

/// The line a file belongs to: itself, or the outermost package in `node_modules` that holds it.
fn group(path: &str) -> &str {
    let Some(rest) = path.strip_prefix("node_modules/") else { return path };
    let segments = if rest.starts_with('@') { 2 } else { 1 };
    match rest.match_indices('/').nth(segments - 1) {
        Some((at, _)) => &path[.."node_modules/".len() + at],
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Content, PackageFile};

    fn list(files: &[(&str, &str)]) -> FileList {
        let entry = |(path, text): &(&str, &str)| PackageFile {
            path: (*path).to_owned(),
            executable: false,
            content: Content::Bytes(text.as_bytes().to_vec()),
        };
        FileList::of(&PackageFiles::new(files.iter().map(entry).collect()).unwrap()).unwrap()
    }

    #[test]
    fn a_package_in_node_modules_is_one_line() {
        let list = list(&[
            ("node_modules/@a/b/index.js", "1"),
            ("node_modules/@a/b/node_modules/c/index.js", "1"),
            ("node_modules/d/index.js", "1"),
            ("package.json", "{}"),
        ]);
        let paths: Vec<_> = list.0.keys().map(String::as_str).collect();
        assert_eq!(paths, ["node_modules/@a/b", "node_modules/d", "package.json"]);
        assert_eq!(FileList::from_text(&list.to_text()), list);
    }

    #[test]
    fn the_cause_is_named_before_its_consequences() {
        let sealed = list(&[("dist-scalprum/a.1.js", "1"), ("node_modules/d/index.js", "1"), ("dist/x.js", "1")]);
        let made = list(&[("dist-scalprum/a.2.js", "2"), ("node_modules/d/index.js", "2"), ("dist/x.js", "1")]);
        let difference = sealed.difference(&made, &BTreeSet::new());
        assert_eq!(difference.file.as_deref(), Some("node_modules/d"));
        assert_eq!((difference.class, difference.count), (DifferenceClass::Dependency, 3));
        assert_eq!(sealed.difference(&sealed, &BTreeSet::new()).class, DifferenceClass::Packing);
        // What is embedded lies among the dependencies.
        let own = embedded(
            "__metadata:\n  version: 8\n\n\"d@file:./embedded/d::locator=x\":\n  version: 1.0.0\n  resolution: \"d@file:./embedded/d#x::hash=1\"\n\n\"e@npm:1\":\n  version: 1.0.0\n  resolution: \"e@npm:1.0.0\"\n",
        );
        assert_eq!(own, BTreeSet::from(["d".to_owned()]));
        assert_eq!(sealed.difference(&made, &own).class, DifferenceClass::Embedded);
    }
}
