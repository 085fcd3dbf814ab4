//! What of a workspace's source each plugin is built from: its folder, the packages of the workspace that it reaches, and
//! the root's files that steer builds. As content, so that a commit which leaves them alone changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::graph::reach::Reacher;
use super::graph::{DependencyGraph, Manifests};
use super::package_manager::ancestors;
use super::source_files::{Files, at};
use crate::error::Result;
use crate::lock::{PartContent, SourcePart, Workspace};
use crate::overlay::source_parts::lies_in;
use crate::yarn::lockfile::YarnLock;

/// Files and folders of a workspace's root that steer its builds. What an export reads besides is found when it is
/// built.
const STEERING: [&str; 16] = [
    ".babelrc",
    ".browserslistrc",
    ".npmrc",
    ".swcrc",
    ".yarn/patches",
    ".yarn/plugins",
    ".yarn/releases",
    ".yarnrc",
    ".yarnrc.yml",
    "babel.config.js",
    "babel.config.json",
    "backstage.json",
    "package.json",
    "tsconfig.base.json",
    "tsconfig.build.json",
    "tsconfig.json",
];

/// Sets the sources of all plugins of `workspace`; a local tree has none. `before` is the workspace as it was locked: what
/// builds found out of its plugins stays.
pub fn set(
    workspace: &mut Workspace,
    files: &Files,
    lockfile: &[u8],
    manifests: &BTreeMap<String, Vec<u8>>,
    before: Option<&Workspace>,
) -> Result<()> {
    if workspace.source.local {
        return Ok(());
    }
    let root = workspace.source.path.clone();
    let path = PathBuf::from(at(&root, "yarn.lock"));
    let lock = YarnLock::parse(lockfile, &path)?;
    // What is wrong with a package that no plugin needs is not told here: then a plugin is built from the whole workspace.
    let mut all = manifests.clone();
    for folder in lock.workspace_paths().into_iter().flatten() {
        if !all.contains_key(folder)
            && let Some(bytes) = files.read(&at(&root, &at(folder, "package.json")))?
        {
            all.insert(folder.to_owned(), bytes);
        }
    }
    let manifests = Manifests::parse(&lock, &all).ok();
    let graph = manifests.as_ref().map(|manifests| DependencyGraph::complete(&lock, manifests));
    let reacher = graph.as_ref().map(Reacher::new);
    let steering = steering(workspace);
    for plugin in &mut workspace.plugin {
        let known = before.and_then(|before| before.plugin.iter().find(|known| known.path == plugin.path));
        plugin.reads = known.map(|known| known.reads.clone()).unwrap_or_default();
        let mut wanted: BTreeSet<String> = steering.iter().chain(&plugin.reads).cloned().collect();
        wanted.insert(at(&root, &plugin.path));
        let reach = reacher.as_ref().map(|reacher| reacher.of(&[".", &plugin.path]));
        match &reach {
            // The root's own files are among those that steer.
            Some(reach) => wanted.extend(reach.workspaces.iter().filter(|it| **it != ".").map(|it| at(&root, it))),
            None => drop(wanted.insert(root.clone())),
        }
        let yarn_lock = at(&root, "yarn.lock");
        let mut parts = files.parts(wanted.iter().map(String::as_str))?;
        if let Some(reach) = reach.filter(|_| !wanted.iter().any(|path| lies_in(&yarn_lock, path))) {
            parts.push(SourcePart { path: yarn_lock, content: PartContent::Reached(reach.locked) });
        }
        parts.sort();
        plugin.sources = parts;
    }
    Ok(())
}

/// The files that steer the builds of all plugins of a workspace, whether they are there or not.
fn steering(workspace: &Workspace) -> BTreeSet<String> {
    let source = &workspace.source;
    let own = STEERING.iter().map(|name| at(&source.path, name));
    // Yarn reads its settings in every folder from the workspace up.
    let above = ancestors(&source.path).into_iter().map(|folder| at(&folder, ".yarnrc.yml"));
    own.chain(above).chain(source.yarn.path.clone()).collect()
}
