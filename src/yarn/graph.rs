//! The dependency graph of a workspace root, as its lock resolves it: every dependent gets the very package its own
//! range is locked to. Nothing here asks where a package would sit in `node_modules`.

pub mod immutable;
mod index;
mod local;
pub mod manifests;
pub mod reach;
mod resolutions;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::error::{Error, Place};
use crate::npm::range::satisfies;
use crate::yarn::lockfile::{LockKind, YarnEntry, YarnLock};
use crate::yarn::platform::Platform;

use index::DescriptorIndex;
pub use manifests::{Manifests, PackageJson};
use resolutions::Resolutions;

/// The graph; borrows from the lock and the manifests.
#[derive(Clone, Debug)]
pub struct DependencyGraph<'a> {
    /// The lock, for messages.
    pub lock_path: PathBuf,
    /// Of the root `package.json`.
    resolutions: Resolutions<'a>,
    /// Packages and workspaces. An index into this is what [`EdgeTarget::Package`] holds.
    pub nodes: Vec<PackageNode<'a>>,
    workspaces: BTreeMap<&'a str, usize>,
}

/// A package or workspace.
#[derive(Clone, Debug)]
pub struct PackageNode<'a> {
    /// Its own name, not an alias.
    pub name: &'a str,
    /// Its version; a workspace's from its `package.json`, `0.0.0` when it has none.
    pub version: &'a str,
    /// The folder and manifest of a workspace.
    pub workspace: Option<(&'a str, &'a PackageJson)>,
    /// The lock's entry; absent for a workspace of a v1 lock.
    pub entry: Option<&'a YarnEntry<'a>>,
    /// Production dependencies: the required and the optional ones.
    pub edges: Vec<Edge<'a>>,
    /// Peer dependencies.
    pub peers: Vec<Edge<'a>>,
}

/// A dependency of a node.
#[derive(Clone, Debug)]
pub struct Edge<'a> {
    /// The name it is depended on by.
    pub name: &'a str,
    /// The range as rhdh-cli reads it: from `package.json` for a workspace, else from the lock.
    pub range: &'a str,
    /// True when it may fail to install or, for a peer, be absent.
    pub optional: bool,
    /// What it resolves to; for a peer always [`EdgeTarget::Missing`].
    pub target: EdgeTarget,
}

/// What a dependency resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeTarget {
    /// Index of a node.
    Package(usize),
    /// A package for other platforms only.
    Elsewhere,
    /// Nothing in the lock: it is out of date.
    Missing,
}

impl<'a> DependencyGraph<'a> {
    /// Resolves every production dependency of every package, leaving out what `platform` does not install.
    pub fn new(lock: &'a YarnLock<'a>, manifests: &'a Manifests, platform: &Platform) -> Self {
        Self::resolve(lock, manifests, Some(platform))
    }

    /// Resolves the dependencies of all kinds, for all platforms.
    pub fn complete(lock: &'a YarnLock<'a>, manifests: &'a Manifests) -> Self {
        Self::resolve(lock, manifests, None)
    }

    /// Production dependencies for one platform; without one, all of them.
    fn resolve(lock: &'a YarnLock<'a>, manifests: &'a Manifests, platform: Option<&Platform>) -> Self {
        let mut nodes = Vec::with_capacity(lock.entries.len());
        let mut workspaces = BTreeMap::new();
        let mut elsewhere = Vec::with_capacity(lock.entries.len());
        for entry in &lock.entries {
            let path = entry.workspace_path();
            let workspace = path.and_then(|path| Some((path, manifests.get(path)?)));
            if let Some((path, _)) = workspace {
                workspaces.insert(path, nodes.len());
            }
            let conditions = entry.conditions.as_deref();
            elsewhere.push(platform.zip(conditions).is_some_and(|(platform, needs)| !platform.allows(needs)));
            nodes.push(PackageNode {
                name: entry.name(),
                version: match workspace {
                    Some((_, manifest)) => manifest.version.as_deref().unwrap_or("0.0.0"),
                    None => &entry.version,
                },
                workspace,
                entry: Some(entry),
                edges: Vec::new(),
                peers: Vec::new(),
            });
        }
        if lock.kind == LockKind::V1 {
            for (path, manifest) in manifests.iter() {
                workspaces.insert(path, nodes.len());
                elsewhere.push(false);
                nodes.push(PackageNode {
                    name: manifest.name.as_deref().unwrap_or_default(),
                    version: manifest.version.as_deref().unwrap_or("0.0.0"),
                    workspace: Some((path, manifest)),
                    entry: None,
                    edges: Vec::new(),
                    peers: Vec::new(),
                });
            }
        }
        let root = manifests.get(".");
        let resolutions = root.map(|root| Resolutions::new(&root.resolutions)).unwrap_or_default();
        let resolver = Resolver {
            kind: lock.kind,
            index: DescriptorIndex::new(lock),
            resolutions: &resolutions,
            workspaces: &workspaces,
            workspaces_by_name: workspaces.values().map(|&node| (nodes[node].name, node)).collect(),
            nodes: &nodes,
        };
        let found: Vec<_> = nodes
            .iter()
            .map(|node| {
                let mut edges = if platform.is_some() { edges(node) } else { all_edges(node) };
                for (edge, locked) in &mut edges {
                    edge.target = match resolver.resolve(node, edge.name, locked) {
                        Some(target) if elsewhere[target] => EdgeTarget::Elsewhere,
                        Some(target) => EdgeTarget::Package(target),
                        None => EdgeTarget::Missing,
                    };
                }
                (edges.into_iter().map(|(edge, _)| edge).collect::<Vec<_>>(), peers(node))
            })
            .collect();
        for (node, (edges, peers)) in nodes.iter_mut().zip(found) {
            (node.edges, node.peers) = (edges, peers);
        }
        Self { lock_path: lock.path.clone(), resolutions, nodes, workspaces }
    }

    /// The node of a workspace by its folder (`.` for the root).
    pub fn workspace(&self, path: &str) -> Option<usize> {
        self.workspaces.get(path).copied()
    }

    /// The workspaces by folder, sorted.
    pub fn workspaces(&self) -> impl Iterator<Item = (&'a str, usize)> {
        self.workspaces.iter().map(|(path, node)| (*path, *node))
    }

    /// The range that `resolutions` put in the place of a dependency's own.
    pub fn resolution(&self, node: usize, edge: &Edge<'_>) -> Option<&'a str> {
        let parent = &self.nodes[node];
        self.resolutions.replace((parent.name, parent.version), edge.name, edge.range)
    }

    /// The error for a dependency that the lock does not resolve.
    pub fn out_of_date(&self, node: usize, edge: &Edge<'_>) -> Error {
        Error::config(
            Place::file(&self.lock_path),
            format!(
                "lock out of date: `{}@{}`, a dependency of `{}`, is not in it",
                edge.name, edge.range, self.nodes[node].name
            ),
            "run `yarn install` in the repository and commit its yarn.lock, or pin a commit with a valid yarn.lock",
        )
    }
}

/// The production dependencies of a node, each with the range that its lock resolves.
fn edges<'a>(node: &PackageNode<'a>) -> Vec<(Edge<'a>, &'a str)> {
    let locked = node.entry.map(|entry| entry.dependencies.as_slice()).unwrap_or_default();
    let edge = |name, range, optional| Edge { name, range, optional, target: EdgeTarget::Missing };
    match node.workspace {
        // A workspace's block mixes in its dev dependencies: the names come from the manifest. Its range is the
        // lock's, which has only the dev one of a package listed twice.
        Some((_, manifest)) => manifest
            .production()
            .map(|(name, range, optional)| {
                let found = locked.iter().find(|dependency| dependency.name == name);
                let optional = optional || found.is_some_and(|dependency| dependency.optional);
                (edge(name, range, optional), found.map_or(range, |dependency| dependency.range.as_ref()))
            })
            .collect(),
        None => locked
            .iter()
            .map(|dependency| {
                (edge(&dependency.name, &dependency.range, dependency.optional), dependency.range.as_ref())
            })
            .collect(),
    }
}

/// The dependencies of a node of all kinds but peers. Berry locks those of workspaces with the rest.
fn all_edges<'a>(node: &PackageNode<'a>) -> Vec<(Edge<'a>, &'a str)> {
    let edge = |name, range| (Edge { name, range, optional: false, target: EdgeTarget::Missing }, range);
    match (node.entry, node.workspace) {
        (Some(entry), _) => entry.dependencies.iter().map(|one| edge(&*one.name, &*one.range)).collect(),
        (None, Some((_, manifest))) => {
            let production = manifest.production().map(|(name, range, _)| edge(name, range));
            let development = manifest.dev_dependencies.iter().map(|(name, range)| edge(name.as_str(), range.as_str()));
            production.chain(development).collect()
        }
        (None, None) => Vec::new(),
    }
}

fn peers<'a>(node: &PackageNode<'a>) -> Vec<Edge<'a>> {
    let edge = |name, range, optional| Edge { name, range, optional, target: EdgeTarget::Missing };
    match (node.workspace, node.entry) {
        (Some((_, manifest)), _) => manifest
            .peer_dependencies
            .iter()
            .map(|(name, range)| {
                let optional = manifest.peer_dependencies_meta.get(name).is_some_and(|meta| meta.optional);
                edge(name.as_str(), range.as_str(), optional)
            })
            .collect(),
        (None, Some(entry)) => {
            entry.peers.iter().map(|peer| edge(peer.name.as_ref(), peer.range.as_ref(), peer.optional)).collect()
        }
        (None, None) => Vec::new(),
    }
}

struct Resolver<'g, 'a> {
    kind: LockKind,
    index: DescriptorIndex<'a>,
    resolutions: &'g Resolutions<'a>,
    workspaces: &'g BTreeMap<&'a str, usize>,
    workspaces_by_name: HashMap<&'a str, usize>,
    nodes: &'g [PackageNode<'a>],
}

impl Resolver<'_, '_> {
    fn resolve(&self, parent: &PackageNode<'_>, name: &str, range: &str) -> Option<usize> {
        let replaced = self
            .resolutions
            .replace((parent.name, parent.version), name, range)
            .and_then(|replaced| self.locked(parent, name, replaced));
        // What is left is a range that yarn rewrote in a way not known here: no choice, no doubt.
        replaced.or_else(|| self.locked(parent, name, range)).or_else(|| self.index.only(name))
    }

    /// The entry whose descriptor is `name@range`, in any of the forms that yarn gives it.
    fn locked(&self, parent: &PackageNode<'_>, name: &str, range: &str) -> Option<usize> {
        if self.kind == LockKind::V1
            && let Some(&workspace) = self.workspaces_by_name.get(name)
            && (range == "*" || satisfies(self.nodes[workspace].version, range))
        {
            return Some(workspace);
        }
        if let Some(entry) = self.index.exact(name, range) {
            return Some(entry);
        }
        if let Some(wanted) = range.strip_prefix("workspace:") {
            let by_path = self.workspaces.get(wanted).filter(|node| self.nodes[**node].name == name);
            return by_path.or_else(|| self.workspaces_by_name.get(name)).copied();
        }
        let own = parent.entry.map_or("", |entry| entry.resolution.as_ref());
        self.index.bound(name, range, own).or_else(|| self.index.patched(name, range))
    }
}

#[cfg(test)]
mod tests;
