//! Where a lock is not what its `package.json` files ask for: `yarn install --immutable` fails there (YN0028), and
//! `--frozen-lockfile` of yarn 1, since yarn would write the lock anew.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use super::index::{DescriptorIndex, unescaped};
use super::manifests::{self, Manifests, PackageJson};
use super::{DependencyGraph, Resolver};
use crate::npm::range::{NpmRange, npm_version};
use crate::yarn::locator::split_name;
use crate::yarn::lockfile::{LockKind, YarnEntry, YarnLock};

/// One such place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMismatch {
    /// A dependency that no key of the lock has.
    NoKey {
        /// Who depends on it.
        dependent: String,
        /// Its name.
        name: String,
        /// Its range, after `resolutions`.
        range: String,
    },
    /// A package of the workspace that is not in the lock.
    NoWorkspace {
        /// Its folder.
        folder: String,
    },
    /// A dependency of a package of the workspace that its block in the lock has otherwise.
    OtherRange {
        /// The package's folder.
        folder: String,
        /// The dependency.
        name: String,
        /// The range in package.json; none where it has no such dependency.
        wanted: Option<String>,
        /// The range in the lock; none where it has no such dependency.
        locked: Option<String>,
    },
    /// A key of the lock that nothing depends on.
    UnusedKey {
        /// `name@range`.
        key: String,
    },
    /// Two entries of one package: yarn writes one, with the keys of both.
    TwoEntries {
        /// `name@range` of the first.
        first: String,
        /// `name@range` of the second.
        second: String,
        /// `name@version`.
        package: String,
    },
}

/// A key whose range does not allow the version that it is locked to: yarn takes it where it does not check resolutions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutOfRange {
    /// `name@range`.
    pub key: String,
    /// The version.
    pub version: String,
}

impl fmt::Display for LockMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey { dependent, name, range } => {
                write!(f, "`{name}@{range}`, a dependency of `{dependent}`, has no entry in yarn.lock")
            }
            Self::NoWorkspace { folder } => write!(f, "the package in `{folder}` has no entry in yarn.lock"),
            Self::OtherRange { folder, name, wanted: Some(wanted), locked: Some(locked) } => {
                write!(
                    f,
                    "`{name}` of the package in `{folder}` is `{wanted}` in package.json, and `{locked}` in yarn.lock"
                )
            }
            Self::OtherRange { folder, name, wanted: Some(wanted), .. } => {
                write!(f, "`{name}@{wanted}` of the package in `{folder}` is not among its dependencies in yarn.lock")
            }
            Self::OtherRange { folder, name, .. } => {
                write!(f, "`{name}` is a dependency of the package in `{folder}` in yarn.lock, and not in package.json")
            }
            Self::UnusedKey { key } => write!(f, "`{key}` has an entry in yarn.lock, and nothing depends on it"),
            Self::TwoEntries { first, second, package } => {
                write!(f, "`{first}` and `{second}` are two entries of `{package}`, which yarn makes one")
            }
        }
    }
}

/// Where a lock is not what the manifests ask for. `folders` are those of all `package.json` files that there are.
pub fn mismatches<'f>(
    lock: &YarnLock<'_>,
    manifests: &Manifests,
    folders: impl IntoIterator<Item = &'f str>,
) -> BTreeSet<LockMismatch> {
    let graph = DependencyGraph::complete(lock, manifests);
    let resolver = Resolver {
        kind: lock.kind,
        index: DescriptorIndex::new(lock),
        resolutions: &graph.resolutions,
        workspaces: &graph.workspaces,
        workspaces_by_name: graph.workspaces.values().map(|&node| (graph.nodes[node].name, node)).collect(),
        nodes: &graph.nodes,
    };
    let (mut found, mut asked) = (BTreeSet::new(), HashSet::new());
    for node in &graph.nodes {
        let wanted = match node.workspace {
            Some((folder, manifest)) => {
                let wanted = dependencies(manifest);
                if let Some(entry) = node.entry {
                    compare(folder, manifest, entry, &mut found);
                }
                wanted
            }
            None => node.edges.iter().map(|edge| (edge.name, edge.range)).collect(),
        };
        for (name, range) in wanted {
            let range = resolver.resolutions.replace((node.name, node.version), name, range).unwrap_or(range);
            asked.insert((name.to_owned(), bare(range).to_owned()));
            if resolver.locked(node, name, range).is_none() {
                let dependent = node.workspace.map_or_else(|| node.name.to_owned(), |(folder, _)| folder.to_owned());
                found.insert(LockMismatch::NoKey { dependent, name: name.to_owned(), range: range.to_owned() });
            }
        }
    }
    if lock.kind != LockKind::V1 {
        found.extend(unused(lock, &mut asked));
        found.extend(doubled(lock));
        let root = manifests.get(".");
        let is_missing = |folder: &&str| {
            *folder != "."
                && manifests.get(folder).is_none()
                && root.is_some_and(|root| manifests::takes_in(root, folder))
        };
        let missing = folders.into_iter().filter(is_missing);
        found.extend(missing.map(|folder| LockMismatch::NoWorkspace { folder: folder.to_owned() }));
    }
    found
}

/// The keys whose range does not allow their version.
pub fn out_of_range(lock: &YarnLock<'_>, manifests: &Manifests) -> BTreeSet<OutOfRange> {
    let resolutions = manifests.get(".").map(|root| &root.resolutions);
    // In a lock of yarn 1 a key keeps its range, whatever replaces it.
    let is_replaced = |name: &str| {
        let replaces = |pattern: &String| pattern == name || pattern.ends_with(&format!("/{name}"));
        lock.kind == LockKind::V1 && resolutions.is_some_and(|table| table.keys().any(replaces))
    };
    let mut found = BTreeSet::new();
    for entry in &lock.entries {
        let Some(version) = npm_version(&entry.version) else { continue };
        for descriptor in entry.descriptors.iter().filter(|one| !is_replaced(&one.name)) {
            let Some(range) = NpmRange::parse(bare(&descriptor.range)) else { continue };
            if !range.allows(&version) {
                let key = format!("{}@{}", descriptor.name, descriptor.range);
                found.insert(OutOfRange { key, version: entry.version.to_string() });
            }
        }
    }
    found
}

/// What yarn installs of a package of the workspace; of one in two lists, the later one counts.
fn dependencies(manifest: &PackageJson) -> Vec<(&str, &str)> {
    let lists = [&manifest.dependencies, &manifest.optional_dependencies, &manifest.dev_dependencies];
    let mut all: indexmap::IndexMap<&str, &str> = indexmap::IndexMap::new();
    for (name, range) in lists.into_iter().flatten() {
        all.insert(name, range);
    }
    all.into_iter().collect()
}

/// The dependencies of a package of the workspace, of its manifest and of its block in the lock.
fn compare(folder: &str, manifest: &PackageJson, entry: &YarnEntry<'_>, found: &mut BTreeSet<LockMismatch>) {
    let locked = |name: &str| entry.dependencies.iter().find(|one| one.name == name).map(|one| &*one.range);
    let wanted = dependencies(manifest);
    let other = |name: &str, wanted: Option<&str>, locked: Option<&str>| LockMismatch::OtherRange {
        folder: folder.to_owned(),
        name: name.to_owned(),
        wanted: wanted.map(str::to_owned),
        locked: locked.map(str::to_owned),
    };
    for (name, range) in &wanted {
        let there = locked(name);
        if there.is_none_or(|there| bare(there) != bare(range)) {
            found.insert(other(name, Some(range), there));
        }
    }
    for one in entry.dependencies.iter().filter(|one| !wanted.iter().any(|(name, _)| *name == one.name)) {
        found.insert(other(&one.name, None, Some(&one.range)));
    }
}

/// The keys of npm packages that are not asked for, neither by a dependency nor as what a patch is made of.
fn unused(lock: &YarnLock<'_>, asked: &mut HashSet<(String, String)>) -> Vec<LockMismatch> {
    let descriptors = || lock.entries.iter().flat_map(|entry| &entry.descriptors);
    for descriptor in descriptors() {
        let patched = descriptor.range.strip_prefix("patch:").and_then(split_name);
        if let Some((name, rest)) = patched {
            let source = unescaped(rest.split('#').next().unwrap_or_default());
            asked.insert((name.to_owned(), bare(&source).to_owned()));
        }
    }
    let is_unused = |name: &str, range: &str| {
        let bare = range.strip_prefix("npm:").filter(|bare| !bare.contains("::"));
        bare.is_some_and(|bare| !asked.contains(&(name.to_owned(), bare.to_owned())))
    };
    let unused = descriptors().filter(|one| is_unused(&one.name, &one.range));
    unused.map(|one| LockMismatch::UnusedKey { key: format!("{}@{}", one.name, one.range) }).collect()
}

/// The entries of a package that another entry is of already.
fn doubled(lock: &YarnLock<'_>) -> Vec<LockMismatch> {
    let mut first: HashMap<&str, &YarnEntry<'_>> = HashMap::with_capacity(lock.entries.len());
    let key = |entry: &YarnEntry<'_>| {
        entry.descriptors.first().map_or_else(String::new, |one| format!("{}@{}", one.name, one.range))
    };
    let mut found = Vec::new();
    for entry in &lock.entries {
        if let Some(known) = first.insert(&entry.resolution, entry) {
            let package = format!("{}@{}", entry.name(), entry.version);
            found.push(LockMismatch::TwoEntries { first: key(known), second: key(entry), package });
        }
    }
    found
}

fn bare(range: &str) -> &str {
    range.strip_prefix("npm:").unwrap_or(range)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    const LOCK: &str = "__metadata:\n  version: 8\n\n\"root@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \
        \"root@workspace:.\"\n  dependencies:\n    a: \"npm:^1.0.0\"\n    t: \"npm:~5.0.0\"\n\n\"a@npm:^1.0.0\":\n  \
        version: 1.2.0\n  resolution: \"a@npm:1.2.0\"\n  dependencies:\n    b: \"npm:^2.0.0\"\n\n\"b@npm:^2.0.0\":\n  \
        version: 2.0.0\n  resolution: \"b@npm:2.0.0\"\n\n\"t@npm:~5.0.0\":\n  version: 5.0.1\n  resolution: \
        \"t@npm:5.0.1\"\n\n\"t@patch:t@npm%3A~5.0.0#optional!builtin<compat/t>\":\n  version: 5.0.1\n  resolution: \
        \"t@patch:t@npm%3A5.0.1#optional!builtin<compat/t>\"\n";
    const ROOT: &str = r#"{"name":"root","dependencies":{"a":"^1.0.0"},"devDependencies":{"t":"~5.0.0"}}"#;

    fn said(lock: &str, root: &str) -> Vec<String> {
        let lock = YarnLock::parse(lock.as_bytes(), Path::new("yarn.lock")).unwrap();
        let manifests = Manifests::parse(&lock, &BTreeMap::from([(".".to_owned(), root.into())])).unwrap();
        let mut all: Vec<String> =
            mismatches(&lock, &manifests, [".", "plugins/new"]).iter().map(ToString::to_string).collect();
        all.extend(out_of_range(&lock, &manifests).iter().map(|one| format!("{} {}", one.key, one.version)));
        all
    }

    #[test]
    fn a_lock_that_yarn_wrote_has_none() {
        assert_eq!(said(LOCK, ROOT), [""; 0]);
        let replaced = ROOT.replace("}}", "},\"resolutions\":{\"b\":\"npm:@x/b@3.0.0\"}}");
        let lock =
            LOCK.replace("\"b@npm:^2.0.0\":", "\"b@npm:@x/b@3.0.0\":").replace("\"b@npm:2.0.0\"", "\"@x/b@npm:3.0.0\"");
        assert_eq!(said(&lock, &replaced), [""; 0]);
    }

    #[test]
    fn each_place_is_named() {
        let moved = LOCK.replace("\"b@npm:^2.0.0\":", "\"b@npm:^3.0.0\":");
        assert_eq!(
            said(&moved, ROOT),
            [
                "`b@^2.0.0`, a dependency of `a`, has no entry in yarn.lock".replace("^2", "npm:^2"),
                "`b@npm:^3.0.0` has an entry in yarn.lock, and nothing depends on it".to_owned(),
                "b@npm:^3.0.0 2.0.0".to_owned(),
            ]
        );
        // An entry that got the version of another.
        let two = format!("{LOCK}\n\"b@npm:2.0.0\":\n  version: 2.0.0\n  resolution: \"b@npm:2.0.0\"\n");
        let exact = ROOT.replace("\"a\":\"^1.0.0\"", "\"a\":\"^1.0.0\",\"b\":\"2.0.0\"");
        let two = two.replace("    a: \"npm:^1.0.0\"\n    t", "    a: \"npm:^1.0.0\"\n    b: \"npm:2.0.0\"\n    t");
        let expected = "`b@npm:^2.0.0` and `b@npm:2.0.0` are two entries of `b@2.0.0`, which yarn makes one";
        assert_eq!(said(&two, &exact), [expected]);
        let other =
            ROOT.replace("\"a\":\"^1.0.0\"", "\"a\":\"^1.1.0\",\"c\":\"1.0.0\"").replace("\"t\":\"~5.0.0\"", "");
        assert_eq!(
            said(LOCK, &other.replace("}}", "},\"workspaces\":[\"plugins/*\"]}")),
            [
                "`a@^1.1.0`, a dependency of `.`, has no entry in yarn.lock",
                "`c@1.0.0`, a dependency of `.`, has no entry in yarn.lock",
                "the package in `plugins/new` has no entry in yarn.lock",
                "`a` of the package in `.` is `^1.1.0` in package.json, and `npm:^1.0.0` in yarn.lock",
                "`c@1.0.0` of the package in `.` is not among its dependencies in yarn.lock",
                "`t` is a dependency of the package in `.` in yarn.lock, and not in package.json",
                "`a@npm:^1.0.0` has an entry in yarn.lock, and nothing depends on it",
            ]
            .map(str::to_owned)
        );
    }
}
