//! Which of the packages that a patch moves are in what is sealed of the plugins.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::provenance::vouched;
use super::{AuditedPatch, LockedSide, UnknownPlugin};
use crate::audit::closure::{PackageVersions, versions};
use crate::audit::shipped::PluginContents;
use crate::yarn::graph::{DependencyGraph, EdgeTarget};

/// A package that moves and is shipped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ShippedChange {
    /// Its name.
    pub package: String,
    /// The plugin's folder from the workspace.
    pub plugin: String,
    /// The versions that are sealed in the plugin.
    pub sealed: Vec<String>,
}

/// The versions that are known to be in a plugin, by package.
fn sealed(contents: &PluginContents) -> PackageVersions {
    match contents {
        PluginContents::Closure(graph) => {
            versions(graph.nodes().iter().map(|node| (node.name.as_str(), node.version.as_str())))
        }
        PluginContents::Bundle(bundle) => versions(bundle.by_package().into_keys()),
        PluginContents::Unsealed | PluginContents::Unrecorded => PackageVersions::new(),
    }
}

/// What moves and is shipped, and the plugins of which that is not known.
pub(super) fn of(
    before: &LockedSide<'_>,
    after: &LockedSide<'_>,
    audited: &AuditedPatch<'_>,
) -> (Vec<ShippedChange>, Vec<UnknownPlugin>) {
    let (mut shipped, mut unknown) = (Vec::new(), Vec::new());
    let (before, after) = (before.graphs(), after.graphs());
    for plugin in audited.plugins {
        let reached = |graphs: &[DependencyGraph<'_>; 2]| [reached(&graphs[0], plugin), reached(&graphs[1], plugin)];
        let moved = moved(&reached(&before), &reached(&after));
        // Whatever is in it, it stays.
        if moved.is_empty() {
            continue;
        }
        let Some(part) = audited.shipped.iter().find(|part| part.plugin.path == **plugin) else {
            unknown.push(UnknownPlugin { plugin: (*plugin).to_owned(), why: "it is not in the lock".to_owned() });
            continue;
        };
        for (package, versions) in sealed(&part.contents) {
            if moved.get(&package).is_some_and(|moved| !moved.is_disjoint(&versions)) {
                let sealed = versions.into_iter().collect();
                shipped.push(ShippedChange { package, plugin: (*plugin).to_owned(), sealed });
            }
        }
        unknown.extend(part.contents.unknown().map(|why| UnknownPlugin { plugin: (*plugin).to_owned(), why }));
    }
    shipped.sort();
    (shipped, unknown)
}

/// What a plugin reaches, by package.
type Reached = BTreeMap<String, BTreeSet<ReachedArchive>>;

/// An archive of a package: its version, where it is from, and what vouches for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ReachedArchive {
    version: String,
    resolution: String,
    checksum: Option<String>,
}

/// The versions that are reached on one side only, or from another source, by package.
fn moved(before: &[Reached; 2], after: &[Reached; 2]) -> PackageVersions {
    let none = BTreeSet::new();
    let mut moved = PackageVersions::new();
    for (before, after) in before.iter().zip(after) {
        for name in before.keys().chain(after.keys()) {
            let (old, new) = (before.get(name).unwrap_or(&none), after.get(name).unwrap_or(&none));
            let differing: Vec<String> = old.symmetric_difference(new).map(|one| one.version.clone()).collect();
            if !differing.is_empty() {
                moved.entry(name.clone()).or_default().extend(differing);
            }
        }
    }
    moved
}

/// The archives of each package that a plugin reaches; packages of the workspace are none.
fn reached(graph: &DependencyGraph<'_>, plugin: &str) -> Reached {
    let mut pending: Vec<usize> = graph.workspace(plugin).into_iter().collect();
    let (mut seen, mut found) = (BTreeSet::new(), Reached::new());
    while let Some(number) = pending.pop() {
        if !seen.insert(number) {
            continue;
        }
        let node = &graph.nodes[number];
        if node.workspace.is_none() {
            found.entry(node.name.to_owned()).or_default().insert(ReachedArchive {
                version: node.version.to_owned(),
                resolution: node.entry.map(|entry| entry.resolution.to_string()).unwrap_or_default(),
                checksum: node.entry.and_then(vouched).map(str::to_owned),
            });
        }
        pending.extend(node.edges.iter().filter_map(|edge| match edge.target {
            EdgeTarget::Package(target) => Some(target),
            EdgeTarget::Elsewhere | EdgeTarget::Missing => None,
        }));
    }
    found
}
