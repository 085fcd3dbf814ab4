//! The private closure: what is installed below the plugin, and the natives in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::args::{ArgReason, ManifestPurpose, ManifestRequest};
use super::natives::{Native, NativeMarker};
use super::walk::{DependencyClass, ExportWalk, NativeDependency, shortened};
use crate::error::Result;
use crate::npm::range::npm_version;
use crate::yarn::graph::EdgeTarget;
use crate::yarn::lockfile::YarnEntry;

#[derive(Default)]
struct PrivateClosure<'a> {
    private: BTreeSet<usize>,
    natives: BTreeMap<&'a str, (NativeMarker, Vec<String>)>,
    unknown: BTreeSet<usize>,
}

impl<'a> ExportWalk<'_, 'a> {
    /// Through the private closure: twice, first without optional dependencies, to tell apart the natives that the
    /// plugin cannot do without.
    pub(super) fn walk_private(&mut self) -> Result<()> {
        self.natives.clear();
        self.manifest_requests.clear();
        let mandatory = self.breadth_first(false)?;
        let all = self.breadth_first(true)?;
        self.private = all.private;
        for node in all.unknown {
            self.request_manifest(node, ManifestPurpose::Native);
        }
        for node in self.embedded.iter().skip(1).map(|embedded| embedded.node).collect::<Vec<_>>() {
            let is_from_registry = self.node(node).entry.is_some_and(YarnEntry::is_from_registry);
            if is_from_registry && self.answer(node).is_none() {
                self.request_manifest(node, ManifestPurpose::Embedded);
            }
        }
        for node in self.workspaces_of_registry() {
            self.request_manifest(node, ManifestPurpose::Published);
        }
        for (name, (marker, path)) in all.natives {
            self.natives.insert(name, NativeDependency { marker, path, mandatory: false });
        }
        for (name, (marker, path)) in mandatory.natives {
            self.natives.insert(name, NativeDependency { marker, path, mandatory: true });
        }
        Ok(())
    }

    /// Packages of the workspace that are to come from the registry, which was not asked for them yet.
    fn workspaces_of_registry(&self) -> Vec<usize> {
        let mut out = Vec::new();
        for embedded in &self.embedded {
            for (edge, class) in self.node(embedded.node).edges.iter().zip(&embedded.classes) {
                let DependencyClass::Private(target) = class else { continue };
                let node = self.node(*target);
                let is_asked = self.answers.is_published(node.name, node.version).is_some();
                if !edge.optional && !is_asked && node.workspace.is_some() && npm_version(node.version).is_some() {
                    out.push(*target);
                }
            }
        }
        out
    }

    fn breadth_first(&self, through_optional: bool) -> Result<PrivateClosure<'a>> {
        let classes: HashMap<usize, &[DependencyClass]> =
            self.embedded.iter().map(|embedded| (embedded.node, embedded.classes.as_slice())).collect();
        let names: HashSet<&str> =
            self.embedded.iter().filter_map(|embedded| Some(embedded.from.as_ref()?.1.name)).collect();
        let mut closure = PrivateClosure::default();
        let mut parents: HashMap<usize, (usize, &str)> = HashMap::new();
        let mut seen = HashSet::from([self.plugin]);
        let mut queue = VecDeque::from([self.plugin]);
        while let Some(node) = queue.pop_front() {
            let classes = classes.get(&node);
            for (index, edge) in self.node(node).edges.iter().enumerate() {
                if edge.optional && !through_optional {
                    continue;
                }
                let (target, is_embedded) = match (classes.and_then(|classes| classes.get(index)), edge.target) {
                    (Some(DependencyClass::Sibling(target) | DependencyClass::Embedded(target)), _) => (*target, true),
                    (Some(DependencyClass::Private(target)), _) => (*target, false),
                    // Below a private package an embedded one is the same embedded one, and was walked.
                    (None, _) if names.contains(edge.name) || self.shared.contains_key(edge.name) => continue,
                    (None, EdgeTarget::Package(target)) => (target, false),
                    (None, EdgeTarget::Missing) if !edge.optional => return Err(self.graph.out_of_date(node, edge)),
                    (Some(DependencyClass::Shared | DependencyClass::Absent), _)
                    | (None, EdgeTarget::Missing | EdgeTarget::Elsewhere) => continue,
                };
                if seen.contains(&target) {
                    continue;
                }
                if !is_embedded {
                    match Native::of(self.node(target), self.answer(target)) {
                        Native::Yes(marker) => {
                            let path = || path(&parents, self.plugin, node, edge.name);
                            closure.natives.entry(edge.name).or_insert_with(|| (marker, path()));
                            continue;
                        }
                        Native::Unknown => {
                            closure.unknown.insert(target);
                        }
                        Native::No => {}
                    }
                    closure.private.insert(target);
                }
                seen.insert(target);
                parents.insert(target, (node, edge.name));
                queue.push_back(target);
            }
        }
        Ok(closure)
    }

    /// The mandatory-native rule: a native the host has is shared, and every private package from which it is
    /// reached is embedded, since only embedded packages can leave a dependency to the host.
    pub(super) fn share_natives(&mut self) {
        let wanted: Vec<&'a str> = self
            .natives
            .iter()
            .filter(|(name, native)| native.mandatory && self.host.has(name))
            .map(|(name, _)| *name)
            .collect();
        for native in wanted {
            let Some(found) = self.natives.remove(native) else { continue };
            let host = self.host.label.clone();
            self.shared
                .insert(native, ArgReason::HostNative { marker: found.marker, path: found.path, host: host.clone() });
            let above = self.above(native);
            let names = self.names_of(&above);
            for name in names {
                self.embed.entry(name).or_insert_with(|| ArgReason::NeedsHostNative {
                    name: name.to_owned(),
                    native: native.to_owned(),
                    host: host.clone(),
                });
            }
        }
    }

    /// The private packages from which a native one is reached.
    fn above(&self, native: &str) -> HashSet<usize> {
        let mut dependents: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut above = HashSet::new();
        let mut queue = Vec::new();
        for &node in &self.private {
            for edge in &self.node(node).edges {
                if edge.name == native && above.insert(node) {
                    queue.push(node);
                }
                if let EdgeTarget::Package(target) = edge.target {
                    dependents.entry(target).or_default().push(node);
                }
            }
        }
        while let Some(node) = queue.pop() {
            for &dependent in dependents.get(&node).into_iter().flatten() {
                if above.insert(dependent) {
                    queue.push(dependent);
                }
            }
        }
        above
    }

    /// The names by which private packages are depended on.
    fn names_of(&self, nodes: &HashSet<usize>) -> BTreeSet<&'a str> {
        let dependents = self.embedded.iter().map(|embedded| embedded.node).chain(self.private.iter().copied());
        dependents
            .flat_map(|node| &self.node(node).edges)
            .filter(|edge| matches!(edge.target, EdgeTarget::Package(target) if nodes.contains(&target)))
            .map(|edge| edge.name)
            .collect()
    }

    fn request_manifest(&mut self, node: usize, purpose: ManifestPurpose) {
        let node = self.node(node);
        self.manifest_requests.insert(ManifestRequest {
            name: node.name.to_owned(),
            version: node.version.to_owned(),
            purpose,
            integrity: node.entry.and_then(|entry| entry.integrity.as_deref()).map(str::to_owned),
        });
    }
}

/// The names from the plugin's dependency down to `last`, a dependency of `node`.
fn path(parents: &HashMap<usize, (usize, &str)>, plugin: usize, node: usize, last: &str) -> Vec<String> {
    let mut path = vec![last];
    let mut at = node;
    while let Some((parent, name)) = parents.get(&at).filter(|_| at != plugin) {
        path.push(name);
        at = *parent;
    }
    path.reverse();
    shortened(&path)
}
