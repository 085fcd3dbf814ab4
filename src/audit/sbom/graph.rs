//! The packages of a closure, with what each depends on.

use std::collections::{BTreeMap, BTreeSet};

use crate::lock::Integrity;
use crate::lock::bundle::{Bundle, PackageOrigin};
use crate::yarn::lockfile::{LockedDependency, YarnEntry, YarnLock};

/// A package of a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-512 of its tarball in hex, where the closure says it (yarn v1).
    pub sha512: Option<String>,
    /// Built from the workspace's source and embedded, not taken from a registry.
    pub embedded: bool,
    /// Installed on some platforms only.
    pub optional: bool,
    /// How it is in the bundles of a frontend, if it is.
    pub bundled: Option<Bundling>,
    /// The packages it depends on, by their positions.
    pub depends: BTreeSet<usize>,
}

/// How a package is in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bundling {
    /// For the plugin alone.
    Own,
    /// Shared with the host at run time: the host's is used where it has one.
    Shared,
}

/// The packages of a closure, one per name and version, with what each depends on.
pub(super) struct BillGraph {
    pub(super) packages: Vec<BillPackage>,
    /// Those that the plugin itself asks for.
    pub(super) direct: BTreeSet<usize>,
}

impl BillGraph {
    pub(super) fn of(closure: &YarnLock<'_>) -> Self {
        let entries: Vec<&YarnEntry<'_>> =
            closure.entries.iter().filter(|entry| entry.workspace_path().is_none()).collect();
        let mut positions: BTreeMap<(String, String), usize> = BTreeMap::new();
        for entry in &entries {
            positions.insert((entry.name().to_owned(), entry.version.to_string()), 0);
        }
        for (position, at) in positions.values_mut().enumerate() {
            *at = position;
        }
        let position = |entry: &YarnEntry<'_>| positions[&(entry.name().to_owned(), entry.version.to_string())];
        let mut packages: Vec<BillPackage> = positions
            .keys()
            .map(|(name, version)| BillPackage {
                name: name.clone(),
                version: version.clone(),
                sha512: None,
                embedded: false,
                optional: true,
                bundled: None,
                depends: BTreeSet::new(),
            })
            .collect();
        let edges = DependencyEdges::of(&entries);
        for entry in &entries {
            let at = position(entry);
            let package = &mut packages[at];
            package.sha512 = package.sha512.take().or_else(|| entry.integrity.as_deref().and_then(sha512));
            package.embedded |= entry.is_from_folder();
            package.optional &= entry.conditions.is_some();
            package.depends.extend(edges.targets(entry).map(&position).filter(|other| *other != at));
        }
        // Yarn v1 does not say who the root is: what nobody depends on is what the plugin asks for.
        let roots: Vec<&YarnEntry<'_>> =
            closure.entries.iter().filter(|entry| entry.workspace_path().is_some()).collect();
        let direct = if roots.is_empty() {
            let needed: BTreeSet<usize> = packages.iter().flat_map(|package| package.depends.iter().copied()).collect();
            (0..packages.len()).filter(|at| !needed.contains(at)).collect()
        } else {
            roots.into_iter().flat_map(|root| edges.targets(root).map(&position).collect::<Vec<_>>()).collect()
        };
        Self { packages, direct }
    }
}

/// The packages in the bundles of a frontend: a bundle says what is in it, and not who asked for it.
impl From<&Bundle> for BillGraph {
    fn from(bundle: &Bundle) -> Self {
        let packages = bundle.by_package().into_iter().map(|((name, version), facts)| BillPackage {
            name: name.to_owned(),
            version: version.to_owned(),
            sha512: None,
            embedded: facts.iter().all(|fact| fact.origin == PackageOrigin::Workspace),
            optional: false,
            bundled: Some(if bundle.is_shared(name) { Bundling::Shared } else { Bundling::Own }),
            depends: BTreeSet::new(),
        });
        let packages: Vec<BillPackage> = packages.collect();
        let direct = (0..packages.len()).collect();
        Self { packages, direct }
    }
}

/// From `name@range` to the entry it is locked to.
pub(in super::super) struct DependencyEdges<'e, 't> {
    by_descriptor: BTreeMap<(&'e str, &'e str), &'e YarnEntry<'t>>,
    by_name: BTreeMap<&'e str, Vec<&'e YarnEntry<'t>>>,
}

impl<'e, 't> DependencyEdges<'e, 't> {
    pub(in super::super) fn of(entries: &[&'e YarnEntry<'t>]) -> Self {
        let mut edges = Self { by_descriptor: BTreeMap::new(), by_name: BTreeMap::new() };
        for &entry in entries {
            for descriptor in &entry.descriptors {
                edges.by_descriptor.insert((&descriptor.name, &descriptor.range), entry);
            }
            let names: BTreeSet<&str> = entry.descriptors.iter().map(|descriptor| descriptor.name.as_ref()).collect();
            for name in names {
                edges.by_name.entry(name).or_default().push(entry);
            }
        }
        edges
    }

    /// Where the dependencies of an entry lead.
    fn targets(&self, entry: &'e YarnEntry<'t>) -> impl Iterator<Item = &'e YarnEntry<'t>> {
        entry.dependencies.iter().filter_map(|dependency| self.target(dependency))
    }

    /// Where a dependency leads. One that `resolutions` sent elsewhere is found by its name, when that is the only entry
    /// with it; peers are met by whoever depends.
    pub(in super::super) fn target(&self, dependency: &LockedDependency<'t>) -> Option<&'e YarnEntry<'t>> {
        let (name, range) = (dependency.name.as_ref(), dependency.range.as_ref());
        let npm = format!("npm:{range}");
        let exact = self.by_descriptor.get(&(name, range)).or_else(|| self.by_descriptor.get(&(name, npm.as_str())));
        exact.copied().or_else(|| match self.by_name.get(name).map(Vec::as_slice) {
            Some([only]) => Some(*only),
            _ => None,
        })
    }
}

/// The SHA-512 among the checksums of an integrity, in hex.
fn sha512(integrity: &str) -> Option<String> {
    integrity.split_ascii_whitespace().find_map(|one| one.parse::<Integrity>().ok()).map(|integrity| integrity.hex())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn resolutions_are_followed_by_name() {
        let text = br#"__metadata:
  version: 8

"@x/plugin-dynamic@workspace:.":
  version: 0.0.0-use.local
  resolution: "@x/plugin-dynamic@workspace:."
  dependencies:
    "@x/common": "npm:0.1.0"
    old: "npm:^1.0.0"

"@x/common@file:./embedded/x-common::locator=x":
  version: 0.1.0+embedded
  resolution: "@x/common@file:./embedded/x-common#./embedded/x-common::hash=1&locator=x"

"esbuild-mac@npm:1.0.0":
  version: 1.0.0
  resolution: "esbuild-mac@npm:1.0.0"
  conditions: os=darwin

"old@npm:^1.0.0":
  version: 1.2.3
  resolution: "old@npm:1.2.3"
  dependencies:
    old: "npm:^2.0.0"
    esbuild-mac: "npm:1.0.0"

"old@npm:^2.0.0":
  version: 2.0.0
  resolution: "old@npm:2.0.0"
"#;
        let closure = YarnLock::parse(text, Path::new("yarn.lock")).unwrap();
        let graph = BillGraph::of(&closure);
        let names: Vec<_> = graph.packages.iter().map(|p| format!("{}@{}", p.name, p.version)).collect();
        assert_eq!(names, ["@x/common@0.1.0+embedded", "esbuild-mac@1.0.0", "old@1.2.3", "old@2.0.0"]);
        assert_eq!(graph.direct, [0, 2].into());
        assert_eq!(graph.packages[2].depends, [1, 3].into());
        assert!(graph.packages[0].embedded && !graph.packages[2].embedded);
        assert!(graph.packages[1].optional && !graph.packages[2].optional);
    }
}
