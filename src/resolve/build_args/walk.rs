//! The walk from a plugin through what is embedded, and from there through what is private.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::args::{Arg, ArgReason, ComputedArgs, Fate, Flag, ManifestRequest, RegistryManifests};
use super::natives::NativeMarker;
use super::siblings::{Sibling, Siblings};
use crate::error::Result;
use crate::resolve::host::HostLock;
use crate::yarn::graph::{DependencyGraph, Edge, EdgeTarget, PackageJson, PackageNode};

/// The scope the host shares with plugins.
const BACKSTAGE: &str = "@backstage/";

/// What becomes of a dependency of the plugin or of an embedded package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DependencyClass {
    /// rhdh-cli embeds it by itself.
    Sibling(usize),
    /// An argument embeds it.
    Embedded(usize),
    /// The host has it.
    Shared,
    /// Installed below the plugin.
    Private(usize),
    /// Not for this platform, or optional and not in the lock.
    Absent,
}

/// The plugin or a package embedded in it.
#[derive(Debug)]
pub(super) struct Embedded<'a> {
    pub node: usize,
    /// The package whose dependency it is, and that dependency; `None` for the plugin.
    pub from: Option<(usize, Edge<'a>)>,
    /// One per edge of the node.
    pub classes: Vec<DependencyClass>,
}

/// A native package of the private closure.
#[derive(Debug)]
pub(super) struct NativeDependency {
    pub marker: NativeMarker,
    /// From the plugin's dependency to the package.
    pub path: Vec<String>,
    pub mandatory: bool,
}

/// The walk's state. What is in `embed` and `shared` only grows: a round is repeated until it adds nothing, since
/// an argument counts wherever its package is met.
pub(super) struct ExportWalk<'w, 'a> {
    pub graph: &'w DependencyGraph<'a>,
    pub host: &'w HostLock,
    pub answers: &'w RegistryManifests,
    pub plugin: usize,
    /// By node: the edge that leads to the nearest `@backstage` package below it, if there is one.
    towards: Vec<Option<usize>>,
    pub embed: BTreeMap<&'a str, ArgReason>,
    pub unshare: BTreeMap<&'a str, ArgReason>,
    pub shared: BTreeMap<&'a str, ArgReason>,
    /// In rhdh-cli's order, the plugin first.
    pub embedded: Vec<Embedded<'a>>,
    /// Nodes of the private closure, natives not included.
    pub private: BTreeSet<usize>,
    /// By the name they are depended on by.
    pub natives: BTreeMap<&'a str, NativeDependency>,
    pub manifest_requests: BTreeSet<ManifestRequest>,
}

impl<'w, 'a> ExportWalk<'w, 'a> {
    pub fn new(
        graph: &'w DependencyGraph<'a>,
        host: &'w HostLock,
        answers: &'w RegistryManifests,
        plugin: usize,
    ) -> Self {
        Self {
            graph,
            host,
            answers,
            plugin,
            towards: towards_backstage(graph),
            embed: BTreeMap::new(),
            unshare: BTreeMap::new(),
            shared: BTreeMap::new(),
            embedded: Vec::new(),
            private: BTreeSet::new(),
            natives: BTreeMap::new(),
            manifest_requests: BTreeSet::new(),
        }
    }

    /// Walks until a round finds nothing new to embed or share.
    pub fn run(mut self) -> Result<Self> {
        loop {
            let known = (self.embed.len(), self.shared.len());
            self.walk_embedded()?;
            self.walk_private()?;
            self.share_natives();
            if known == (self.embed.len(), self.shared.len()) {
                return Ok(self);
            }
        }
    }

    /// A package of the graph.
    pub fn node(&self, node: usize) -> &'w PackageNode<'a> {
        &self.graph.nodes[node]
    }

    /// What the registry says of a package, if it was asked.
    pub fn answer(&self, node: usize) -> Option<&'w PackageJson> {
        let node = self.node(node);
        self.answers.get(node.name, node.version)
    }

    /// The manifest of a workspace, or the registry's if it was asked.
    pub fn manifest(&self, node: usize) -> Option<&'w PackageJson> {
        self.node(node).workspace.map(|(_, manifest)| manifest).or_else(|| self.answer(node))
    }

    /// From the plugin down through embedded packages, in the order of rhdh-cli's own search: depth first, each
    /// package once.
    fn walk_embedded(&mut self) -> Result<()> {
        self.embedded.clear();
        let mut seen = HashSet::new();
        let mut siblings = Siblings::default();
        let mut stack = vec![(self.plugin, None, None)];
        while let Some((node, from, inherited)) = stack.pop() {
            if !seen.insert(node) {
                continue;
            }
            let scope = siblings.below(inherited, self.node(node));
            let mut classes = Vec::with_capacity(self.node(node).edges.len());
            let mut below = Vec::new();
            for edge in &self.node(node).edges {
                let class = self.classify(node, edge, siblings.find(scope, edge.name))?;
                if let DependencyClass::Sibling(target) | DependencyClass::Embedded(target) = class {
                    below.push((target, Some((node, edge.clone())), scope));
                }
                classes.push(class);
            }
            stack.extend(below.into_iter().rev());
            self.embedded.push(Embedded { node, from, classes });
        }
        Ok(())
    }

    fn classify(&mut self, node: usize, edge: &Edge<'a>, sibling: Option<Sibling>) -> Result<DependencyClass> {
        let name = edge.name;
        let is_backstage = name.starts_with(BACKSTAGE);
        let is_sure = sibling == Some(Sibling::Sure);
        let is_likely = sibling == Some(Sibling::Likely);
        let is_shared =
            (is_backstage && self.host.has(name) && !self.embed.contains_key(name)) || self.shared.contains_key(name);
        let target = match edge.target {
            EdgeTarget::Package(target) => target,
            _ if is_shared => return Ok(DependencyClass::Shared),
            EdgeTarget::Missing if !edge.optional => return Err(self.graph.out_of_date(node, edge)),
            EdgeTarget::Missing | EdgeTarget::Elsewhere => return Ok(DependencyClass::Absent),
        };
        if is_sure || (is_likely && is_shared) {
            return Ok(DependencyClass::Sibling(target));
        }
        if is_shared {
            return Ok(DependencyClass::Shared);
        }
        if is_backstage {
            // rhdh-cli embeds no optional dependency, and accepts what is not shared if that needs nothing shared.
            if edge.optional && !self.embed.contains_key(name) && self.towards[target].is_none() {
                let host = self.host.label.clone();
                self.unshare.insert(name, ArgReason::OptionalNotInHost { name: name.to_owned(), host });
                return Ok(DependencyClass::Private(target));
            }
            if !self.embed.contains_key(name) {
                let reason = ArgReason::NotInHost { name: name.to_owned(), host: self.host.label.clone() };
                self.embed.insert(name, reason.clone());
                self.unshare.insert(name, reason);
            }
            return Ok(DependencyClass::Embedded(target));
        }
        if self.towards[target].is_some() && !self.embed.contains_key(name) {
            let path = self.path_to_backstage(name, target);
            self.embed.insert(name, ArgReason::ReachesBackstage { path });
        }
        if !is_likely
            && !edge.optional
            && !self.embed.contains_key(name)
            && let Some(reason) = self.not_published(target)
        {
            self.embed.insert(name, reason);
        }
        Ok(if self.embed.contains_key(name) {
            DependencyClass::Embedded(target)
        } else if is_likely {
            DependencyClass::Sibling(target)
        } else {
            DependencyClass::Private(target)
        })
    }

    /// The reason to embed a package of the workspace that no registry has.
    fn not_published(&self, node: usize) -> Option<ArgReason> {
        let PackageNode { name, version, workspace, .. } = self.node(node);
        let (path, manifest) = (*workspace)?;
        let reason = |version| ArgReason::NotPublished { name: (*name).to_owned(), path: path.to_owned(), version };
        if manifest.private {
            return Some(reason(None));
        }
        let is_missing = self.answers.is_published(name, version) == Some(false);
        is_missing.then(|| reason(Some((*version).to_owned())))
    }

    /// The shortest way from a package to an `@backstage` one.
    fn path_to_backstage(&self, name: &str, from: usize) -> Vec<String> {
        let mut path = vec![name];
        let mut at = from;
        while let Some(edge) = self.towards[at].and_then(|edge| self.node(at).edges.get(edge)) {
            path.push(edge.name);
            match edge.target {
                EdgeTarget::Package(target) if !edge.name.starts_with(BACKSTAGE) => at = target,
                _ => break,
            }
        }
        shortened(&path)
    }

    /// The result, once nothing changes any more.
    pub fn finish(mut self) -> ComputedArgs {
        let (diagnostics, cli_needs) = (self.check(), self.cli_needs());
        let packages = self.packages();
        let mut args = Vec::new();
        let arg = |flag, value: String, reason| Arg { flag, value, reason };
        args.extend(self.embed.iter().map(|(name, reason)| arg(Flag::Embed, (*name).to_owned(), reason.clone())));
        args.extend(self.unshare.iter().map(|(name, reason)| arg(Flag::Share, format!("!{name}"), reason.clone())));
        args.extend(self.shared.iter().map(|(name, reason)| arg(Flag::Share, (*name).to_owned(), reason.clone())));
        args.extend(self.natives.iter().map(|(name, native)| {
            let (marker, path) = (native.marker.clone(), native.path.clone());
            let reason = if native.mandatory {
                ArgReason::MissingNative { marker, path, host: self.host.label.clone() }
            } else {
                ArgReason::OptionalNative { marker, path }
            };
            arg(Flag::Suppress, (*name).to_owned(), reason)
        }));
        ComputedArgs {
            args,
            diagnostics,
            cli_needs,
            manifest_requests: std::mem::take(&mut self.manifest_requests).into_iter().collect(),
            packages,
            is_backend: true,
        }
    }

    fn packages(&self) -> BTreeMap<String, Fate> {
        let mut out = BTreeMap::new();
        for &node in &self.private {
            out.insert(self.node(node).name.to_owned(), Fate::Private { direct: false });
        }
        for embedded in self.embedded.iter().rev() {
            for (edge, class) in self.node(embedded.node).edges.iter().zip(&embedded.classes) {
                let fate = match class {
                    DependencyClass::Sibling(_) => Fate::Sibling,
                    DependencyClass::Embedded(_) => Fate::Embedded,
                    DependencyClass::Shared => Fate::Shared,
                    DependencyClass::Private(_) => Fate::Private { direct: true },
                    DependencyClass::Absent => continue,
                };
                out.insert(edge.name.to_owned(), fate);
            }
        }
        out.extend(self.natives.keys().map(|name| ((*name).to_owned(), Fate::Native)));
        out
    }
}

/// Names as messages show them: the middle of a very long path is left out.
pub(super) fn shortened(path: &[&str]) -> Vec<String> {
    const ENDS: usize = 8;
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    if path.len() <= 2 * ENDS {
        return own(path);
    }
    [own(&path[..ENDS]), vec!["…".to_owned()], own(&path[path.len() - ENDS..])].concat()
}

/// By node: the edge towards the nearest `@backstage` package among its production dependencies, at any depth.
fn towards_backstage(graph: &DependencyGraph<'_>) -> Vec<Option<usize>> {
    let mut dependents = vec![Vec::new(); graph.nodes.len()];
    let mut towards = vec![None; graph.nodes.len()];
    let mut queue = VecDeque::new();
    for (node, package) in graph.nodes.iter().enumerate() {
        for (index, edge) in package.edges.iter().enumerate() {
            if let EdgeTarget::Package(target) = edge.target {
                dependents[target].push((node, index));
            }
            if edge.name.starts_with(BACKSTAGE) && edge.target != EdgeTarget::Elsewhere && towards[node].is_none() {
                towards[node] = Some(index);
                queue.push_back(node);
            }
        }
    }
    while let Some(node) = queue.pop_front() {
        for &(dependent, index) in &dependents[node] {
            if towards[dependent].is_none() {
                towards[dependent] = Some(index);
                queue.push_back(dependent);
            }
        }
    }
    towards
}
