//! The packages of a lockfile as a graph: who asks for which, by which range, and the shortest ways to one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::sbom::DependencyEdges;
use crate::yarn::lockfile::{YarnEntry, YarnLock};

/// The packages of a lockfile, one per name and version, by name and version.
#[derive(Clone, Debug, Default)]
pub struct PackageGraph {
    nodes: Vec<GraphPackage>,
}

/// A package of a lockfile.
#[derive(Clone, Debug)]
pub struct GraphPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Built from the workspace's source and embedded, not taken from a registry.
    pub embedded: bool,
    /// Installed on some platforms only.
    pub optional: bool,
    /// Who asks for it: others by their positions, and the plugin itself, which is none.
    pub asked_by: BTreeSet<AskedBy>,
}

/// Who asks for a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedBy {
    /// The position of the package that asks; none for the plugin itself, or, in a workspace, one of its packages.
    pub who: Option<usize>,
    /// The range, as the lockfile has it.
    pub range: String,
}

/// The shortest way to each package.
pub struct Routes<'g> {
    graph: &'g PackageGraph,
    /// How far each is from the plugin, and by which package; none for one that nothing leads to.
    ways: Vec<Option<(usize, Option<usize>)>>,
}

impl PackageGraph {
    /// The graph of a lockfile. Packages of the same tree (`workspace:`) are who asks first.
    pub fn of(lock: &YarnLock<'_>) -> Self {
        let entries: Vec<&YarnEntry<'_>> = lock.entries.iter().filter(|e| e.workspace_path().is_none()).collect();
        let names: BTreeSet<(&str, &str)> = entries.iter().map(|entry| (entry.name(), &*entry.version)).collect();
        let positions: BTreeMap<(&str, &str), usize> = names.into_iter().zip(0..).collect();
        let at = |entry: &YarnEntry<'_>| positions[&(entry.name(), &*entry.version)];
        let mut nodes: Vec<GraphPackage> = positions
            .keys()
            .map(|(name, version)| GraphPackage {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
                embedded: false,
                optional: true,
                asked_by: BTreeSet::new(),
            })
            .collect();
        let edges = DependencyEdges::of(&entries);
        for entry in &entries {
            let node = &mut nodes[at(entry)];
            node.embedded |= entry.is_from_folder();
            node.optional &= entry.conditions.is_some();
        }
        for entry in &lock.entries {
            let who = entry.workspace_path().is_none().then(|| at(entry));
            for dependency in &entry.dependencies {
                let Some(target) = edges.target(dependency).map(at).filter(|target| who != Some(*target)) else {
                    continue;
                };
                nodes[target].asked_by.insert(AskedBy { who, range: dependency.range.to_string() });
            }
        }
        // Yarn v1 does not say who the root is: what nobody depends on is what the plugin asks for.
        if entries.len() == lock.entries.len() {
            let lone: BTreeSet<usize> = (0..nodes.len()).filter(|at| nodes[*at].asked_by.is_empty()).collect();
            for (entry, at) in entries.iter().map(|entry| (entry, at(entry))).filter(|(_, at)| lone.contains(at)) {
                let ranges = entry.descriptors.iter().map(|one| AskedBy { who: None, range: one.range.to_string() });
                nodes[at].asked_by.extend(ranges);
            }
        }
        Self { nodes }
    }

    /// The package at a position.
    pub fn get(&self, at: usize) -> &GraphPackage {
        &self.nodes[at]
    }

    /// All of them.
    pub fn nodes(&self) -> &[GraphPackage] {
        &self.nodes
    }

    /// The positions of the packages of a name.
    pub fn named(&self, name: &str) -> std::ops::Range<usize> {
        let start = self.nodes.partition_point(|node| node.name.as_str() < name);
        let end = self.nodes.partition_point(|node| node.name.as_str() <= name);
        start..end
    }

    /// The shortest way to each package.
    pub fn routes(&self) -> Routes<'_> {
        let mut asks: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut ways = vec![None; self.nodes.len()];
        let mut next = VecDeque::new();
        for (at, node) in self.nodes.iter().enumerate() {
            for by in &node.asked_by {
                match by.who {
                    Some(who) => asks[who].push(at),
                    None if ways[at].is_none() => {
                        ways[at] = Some((0, None));
                        next.push_back(at);
                    }
                    None => {}
                }
            }
        }
        while let Some(at) = next.pop_front() {
            let far = ways[at].map_or(0, |(far, _)| far) + 1;
            for &asked in &asks[at] {
                if ways[asked].is_none() {
                    ways[asked] = Some((far, Some(at)));
                    next.push_back(asked);
                }
            }
        }
        Routes { graph: self, ways }
    }
}

impl Routes<'_> {
    /// The ways to a package, the shortest through each that asks for it; the shortest of all first. A way is the positions
    /// from what the plugin asks for to the package itself.
    pub fn to(&self, target: usize) -> Vec<Vec<usize>> {
        let askers: BTreeSet<Option<usize>> = self.graph.nodes[target].asked_by.iter().map(|by| by.who).collect();
        let mut found: Vec<Vec<usize>> = askers
            .into_iter()
            .filter_map(|who| {
                let mut way = who.map_or(Some(Vec::new()), |who| self.shortest(who))?;
                let is_round = way.contains(&target);
                way.push(target);
                (!is_round).then_some(way)
            })
            .collect();
        found.sort_by_key(Vec::len);
        found
    }

    fn shortest(&self, to: usize) -> Option<Vec<usize>> {
        let mut way = vec![to];
        let (mut far, mut by) = self.ways[to]?;
        while let Some(at) = by {
            way.push(at);
            (far, by) = self.ways[at]?;
        }
        debug_assert_eq!(far, 0);
        way.reverse();
        Some(way)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CLOSURE: &str = r#"__metadata:
  version: 8

"@x/plugin-dynamic@workspace:.":
  version: 0.0.0-use.local
  resolution: "@x/plugin-dynamic@workspace:."
  dependencies:
    a: "npm:^1.0.0"
    b: "npm:^1.0.0"
    lone: "npm:^9.0.0"

"a@npm:^1.0.0":
  version: 1.0.0
  resolution: "a@npm:1.0.0"
  dependencies:
    b: "npm:^1.0.0"
    c: "npm:~2.0.0"

"b@npm:^1.0.0":
  version: 1.1.0
  resolution: "b@npm:1.1.0"
  dependencies:
    a: "npm:^1.0.0"
    c: "npm:^2.0.0"

"c@npm:^2.0.0, c@npm:~2.0.0":
  version: 2.0.4
  resolution: "c@npm:2.0.4"
  dependencies:
    d: "npm:1"

"d@npm:1":
  version: 1.0.0
  resolution: "d@npm:1.0.0"
"#;

    fn ways(text: &str, name: &str) -> Vec<String> {
        let lock = YarnLock::parse(text.as_bytes(), Path::new("yarn.lock")).unwrap();
        let graph = PackageGraph::of(&lock);
        let routes = graph.routes();
        let name_of = |at: &usize| graph.get(*at).name.clone();
        let targets = graph.named(name);
        targets.flat_map(|at| routes.to(at)).map(|way| way.iter().map(name_of).collect::<Vec<_>>().join(">")).collect()
    }

    #[test]
    fn the_shortest_way_through_each_that_asks() {
        assert_eq!(ways(CLOSURE, "a"), ["a", "b>a"]);
        assert_eq!(ways(CLOSURE, "c"), ["a>c", "b>c"]);
        assert_eq!(ways(CLOSURE, "d"), ["a>c>d"]);
        assert_eq!(ways(CLOSURE, "e"), [""; 0]);
    }

    #[test]
    fn who_asks_has_a_range() {
        let lock = YarnLock::parse(CLOSURE.as_bytes(), Path::new("yarn.lock")).unwrap();
        let graph = PackageGraph::of(&lock);
        let by: Vec<_> = graph.get(2).asked_by.iter().map(|by| (by.who, by.range.as_str())).collect();
        assert_eq!(by, [(Some(0), "npm:~2.0.0"), (Some(1), "npm:^2.0.0")]);
    }

    #[test]
    fn yarn_v1_has_no_root() {
        let text = "# yarn lockfile v1\n\n\na@^1.0.0:\n  version \"1.2.3\"\n  dependencies:\n    b \"^2.0.0\"\n\nb@^2.0.0:\n  version \"2.0.0\"\n";
        assert_eq!(ways(text, "a"), ["a"]);
        assert_eq!(ways(text, "b"), ["a>b"]);
    }
}
