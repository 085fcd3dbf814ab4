//! What the packages of a workspace root reach by dependencies of all kinds: which other packages of the root, and which
//! part of the lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use super::{DependencyGraph, EdgeTarget, PackageNode, local};
use crate::lock::Sha256;

/// What some workspaces reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach<'a> {
    /// The folders of the workspaces that are reached, the first ones among them.
    pub workspaces: BTreeSet<&'a str>,
    /// The names, own ones and aliases, under which the other packages that are reached are installed.
    pub names: BTreeSet<&'a str>,
    /// Folders and archives of the source that packages are made of, from the root's folder; `..` may stand in them.
    pub local: BTreeSet<String>,
    /// Digest of what the lock says of the packages that are reached, and of where yarn puts them.
    pub locked: Sha256,
}

/// Answers for one graph, which must be a [complete](DependencyGraph::complete) one.
pub struct Reacher<'g, 'a> {
    graph: &'g DependencyGraph<'a>,
    /// By name, where there are several of a name: how many packages depend on each.
    rivals: HashMap<&'a str, Vec<(usize, usize)>>,
}

impl<'g, 'a> Reacher<'g, 'a> {
    /// Counts who depends on what.
    pub fn new(graph: &'g DependencyGraph<'a>) -> Self {
        let mut dependents = vec![0; graph.nodes.len()];
        for edge in graph.nodes.iter().flat_map(|node| &node.edges) {
            if let EdgeTarget::Package(target) = edge.target {
                dependents[target] += 1;
            }
        }
        let mut rivals: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        for (number, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.workspace.is_none()) {
            rivals.entry(node.name).or_default().push((number, dependents[number]));
        }
        rivals.retain(|_, all| all.len() > 1);
        Self { graph, rivals }
    }

    /// What the workspaces in these folders reach, and the packages that are installed under some names; all there are under
    /// the empty one.
    pub fn of(&self, folders: &[&str], installed: &[&str]) -> Reach<'a> {
        let nodes = &self.graph.nodes;
        let mut pending: Vec<usize> = folders.iter().filter_map(|folder| self.graph.workspace(folder)).collect();
        if !installed.is_empty() {
            let is_asked =
                |node: &usize| names(&nodes[*node]).any(|name| installed.iter().any(|it| it.is_empty() || *it == name));
            pending.extend((0..nodes.len()).filter(is_asked));
        }
        let mut reached = BTreeSet::new();
        while let Some(number) = pending.pop() {
            if !reached.insert(number) {
                continue;
            }
            pending.extend(nodes[number].edges.iter().filter_map(|edge| match edge.target {
                EdgeTarget::Package(target) => Some(target),
                EdgeTarget::Elsewhere | EdgeTarget::Missing => None,
            }));
        }
        let workspaces = reached.iter().filter_map(|number| nodes[*number].workspace.map(|(path, _)| path)).collect();
        let names = reached.iter().flat_map(|number| names(&nodes[*number])).collect();
        let local = reached.iter().flat_map(|number| local::paths(&nodes[*number])).collect();
        Reach { workspaces, names, local, locked: Sha256::of(self.text(&reached)) }
    }

    /// A block a package, sorted; below them, for packages of one name, which of them more packages depend on: yarn puts
    /// that one where most find it, and bundlers see where a package lies.
    fn text(&self, reached: &BTreeSet<usize>) -> String {
        let nodes = &self.graph.nodes;
        let mut blocks: Vec<String> = reached.iter().map(|number| self.block(*number)).collect();
        blocks.sort();
        let names: BTreeSet<&str> = reached.iter().map(|number| nodes[*number].name).collect();
        for name in names {
            let Some(rivals) = self.rivals.get(name) else { continue };
            let mut ranks: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
            for (number, dependents) in rivals {
                ranks.entry(*dependents).or_default().insert(self.locator(*number));
            }
            let ranks = ranks.into_values().rev().map(|equals| equals.into_iter().collect::<Vec<_>>().join(" = "));
            blocks.push(format!("{name}: {}\n", ranks.collect::<Vec<_>>().join(" > ")));
        }
        blocks.concat()
    }

    fn block(&self, number: usize) -> String {
        let node = &self.graph.nodes[number];
        let mut text = format!("{}\n", self.locator(number));
        if let Some(entry) = node.entry {
            for (key, value) in
                [("checksum", &entry.checksum), ("integrity", &entry.integrity), ("conditions", &entry.conditions)]
            {
                if let Some(value) = value {
                    let _ = writeln!(text, "  {key} {value}");
                }
            }
        }
        let edges = node.edges.iter().map(|edge| {
            let target = match edge.target {
                EdgeTarget::Package(target) => self.locator(target),
                EdgeTarget::Elsewhere | EdgeTarget::Missing => "nothing".to_owned(),
            };
            format!("  {}@{} is {target}\n", edge.name, edge.range)
        });
        let peers = node.peers.iter().map(|peer| format!("  peer {}@{} {}\n", peer.name, peer.range, peer.optional));
        let mut lines: Vec<String> = edges.chain(peers).collect();
        lines.sort();
        text.extend(lines);
        text
    }

    /// A package's locator; in a lock of yarn 1, its name, version and address.
    fn locator(&self, number: usize) -> String {
        let node = &self.graph.nodes[number];
        match (node.workspace, node.entry) {
            (Some((path, _)), _) => format!("workspace {path}"),
            (None, Some(entry)) => format!("{}@{} {}", node.name, node.version, entry.resolution),
            (None, None) => node.name.to_owned(),
        }
    }
}

/// The names under which a package is installed; none for a workspace, which is linked.
fn names<'a>(node: &PackageNode<'a>) -> impl Iterator<Item = &'a str> {
    let entry = node.entry.filter(|_| node.workspace.is_none());
    let aliases = entry.into_iter().flat_map(|entry| entry.descriptors.iter().map(|descriptor| &*descriptor.name));
    entry.map(|_| node.name).into_iter().chain(aliases)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Manifests;
    use super::*;
    use crate::yarn::lockfile::YarnLock;

    const BERRY: &str = r#"__metadata:
  version: 8

"root@workspace:.":
  version: 0.0.0-use.local
  resolution: "root@workspace:."
  dependencies:
    typescript: "npm:^5"

"a@workspace:plugins/a":
  version: 0.0.0-use.local
  resolution: "a@workspace:plugins/a"
  dependencies:
    common: "workspace:^"
    left: "npm:^1"

"b@workspace:plugins/b":
  version: 0.0.0-use.local
  resolution: "b@workspace:plugins/b"
  dependencies:
    left: "npm:^2"

"common@workspace:^, common@workspace:plugins/common":
  version: 0.0.0-use.local
  resolution: "common@workspace:plugins/common"

"left@npm:^1":
  version: 1.0.0
  resolution: "left@npm:1.0.0"
  checksum: 10c0/aa

"left@npm:^2":
  version: 2.0.0
  resolution: "left@npm:2.0.0"
  checksum: 10c0/bb

"typescript@npm:^5":
  version: 5.0.0
  resolution: "typescript@npm:5.0.0"
  checksum: 10c0/cc
"#;

    fn reach(lock: &str, folders: &[&str]) -> (Vec<String>, Sha256) {
        let lock = YarnLock::parse(lock.as_bytes(), Path::new("yarn.lock")).unwrap();
        let files = [".", "plugins/a", "plugins/b", "plugins/common"].map(|path| {
            let name = path.rsplit('/').next().unwrap().replace('.', "root");
            let dependencies = match path {
                "plugins/a" => r#", "dependencies": { "common": "*" }, "devDependencies": { "left": "^1" }"#,
                "plugins/b" => r#", "devDependencies": { "left": "^2" }"#,
                "." => r#", "workspaces": ["plugins/*"], "devDependencies": { "typescript": "^5" }"#,
                _ => "",
            };
            (path.to_owned(), format!(r#"{{ "name": "{name}", "version": "1.0.0"{dependencies} }}"#).into_bytes())
        });
        let manifests = Manifests::parse(&lock, &files.into()).unwrap();
        let graph = DependencyGraph::complete(&lock, &manifests);
        let Reach { workspaces, locked, .. } = Reacher::new(&graph).of(folders, &[]);
        (workspaces.into_iter().map(str::to_owned).collect(), locked)
    }

    #[test]
    fn a_plugin_reaches_what_it_and_the_root_depend_on() {
        let (workspaces, locked) = reach(BERRY, &[".", "plugins/a"]);
        assert_eq!(workspaces, [".", "plugins/a", "plugins/common"]);
        // What it does not reach may change; what the root does may not.
        assert_eq!(reach(&BERRY.replace("10c0/bb", "10c0/dd"), &[".", "plugins/a"]).1, locked);
        for changed in ["10c0/aa", "10c0/cc"] {
            assert_ne!(reach(&BERRY.replace(changed, "10c0/dd"), &[".", "plugins/a"]).1, locked, "{changed}");
        }
        assert_eq!(reach(BERRY, &[".", "plugins/b"]).0, [".", "plugins/b"]);
        // Another descriptor of the same package is not another package.
        let wider = BERRY.replace("\"left@npm:^1\":", "\"left@npm:1, left@npm:^1\":");
        assert_eq!(reach(&wider, &[".", "plugins/a"]).1, locked);
    }

    #[test]
    fn it_counts_which_version_most_packages_share() {
        let (_, locked) = reach(BERRY, &[".", "plugins/a"]);
        // One more package depends on the other `left`: yarn puts that one on top.
        let other = BERRY.replace(
            "  resolution: \"common@workspace:plugins/common\"\n",
            "  resolution: \"common@workspace:plugins/common\"\n  dependencies:\n    left: \"npm:^2\"\n",
        );
        assert_ne!(reach(&other, &[".", "plugins/b"]).1, reach(BERRY, &[".", "plugins/b"]).1);
        assert_ne!(reach(&other, &[".", "plugins/a"]).1, locked);
    }

    #[test]
    fn yarn_1_has_its_workspaces_in_the_manifests() {
        let lock = "# yarn lockfile v1\n\n\nleft@^1:\n  version \"1.0.0\"\n  resolved \"https://x/left-1.0.0.tgz#1\"\n  \
                    integrity sha512-aa\n\nleft@^2:\n  version \"2.0.0\"\n  resolved \"https://x/left-2.0.0.tgz#2\"\n  integrity \
                    sha512-bb\n\ntypescript@^5:\n  version \"5.0.0\"\n  resolved \"https://x/typescript-5.0.0.tgz#3\"\n  integrity \
                    sha512-cc\n";
        let (workspaces, locked) = reach(lock, &[".", "plugins/a"]);
        assert_eq!(workspaces, [".", "plugins/a", "plugins/common"]);
        assert_eq!(reach(&lock.replace("sha512-bb", "sha512-dd"), &[".", "plugins/a"]).1, locked);
        assert_ne!(reach(&lock.replace("sha512-aa", "sha512-dd"), &[".", "plugins/a"]).1, locked);
    }
}
