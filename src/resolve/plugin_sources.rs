//! What of a workspace's source each plugin is built from: its folder, the packages of the workspace that it reaches, and
//! the root's files that steer builds. As content, so that a commit which leaves them alone changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::package_manager::ancestors;
use super::source_files::Files;
use crate::error::Result;
use crate::lock::{PartContent, SourcePart, Workspace, at, installed_name, lies_in};
use crate::overlay::source_parts::reached_paths;
use crate::yarn::KEPT_BY_YARN;
use crate::yarn::graph::reach::Reacher;
use crate::yarn::graph::{DependencyGraph, Manifests};
use crate::yarn::lockfile::YarnLock;

/// Files of a workspace's root that steer no build. What an export reads of them is found when it is built.
const NOT_STEERING: [&str; 7] = [".editorconfig", ".eslint", ".git", ".prettier", "LICENSE", "NOTICE", "yarn.lock"];
/// Folders of it that steer none, those of packages apart.
const NOT_STEERING_FOLDERS: [&str; 8] =
    [".changeset", ".git", ".github", ".husky", ".idea", ".vscode", "docs", "node_modules"];

/// Sets the sources of all plugins of `workspace`; a local tree has none. `before` is the workspace as it was locked: what
/// builds found out of its plugins stays.
pub fn set(
    workspace: &mut Workspace,
    files: &Files,
    lock: &YarnLock<'_>,
    manifests: &BTreeMap<String, Vec<u8>>,
    before: Option<&Workspace>,
) -> Result<()> {
    if workspace.source.local {
        return Ok(());
    }
    let root = workspace.source.path.clone();
    // What is wrong with a package that no plugin needs is not told here: then a plugin is built from the whole workspace.
    let manifests = Manifests::parse(lock, manifests).ok();
    let graph = manifests.as_ref().map(|manifests| DependencyGraph::complete(lock, manifests));
    let reacher = graph.as_ref().map(Reacher::new);
    let packages: Vec<&str> = graph.iter().flat_map(|graph| graph.workspaces().map(|(path, _)| path)).collect();
    let steering = steering(workspace, files, &packages)?;
    for plugin in &mut workspace.plugin {
        let known = before.and_then(|before| before.plugin.iter().find(|known| known.path == plugin.path));
        plugin.reads = known.map(|known| known.reads.clone()).unwrap_or_default();
        let mut wanted: BTreeSet<String> = steering.iter().chain(&plugin.reads).cloned().collect();
        wanted.insert(at(&root, &plugin.path));
        let installed: Vec<&str> = plugin.reads.iter().filter_map(|read| installed_name(&root, read)).collect();
        let reach = reacher.as_ref().map(|reacher| reacher.of(&[".", &plugin.path], &installed));
        match &reach {
            // The root's own files are among those that steer.
            Some(reach) => wanted.extend(reached_paths(reach, &root)),
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

/// The files and folders that steer the builds of all plugins of a workspace: those of its root in which there is none of
/// its packages. Scripts that install and compile read them.
fn steering(workspace: &Workspace, files: &Files, packages: &[&str]) -> Result<BTreeSet<String>> {
    let source = &workspace.source;
    let mut steering = BTreeSet::new();
    for (name, is_folder) in files.children(&source.path)? {
        if name == ".yarn" && is_folder {
            let inner = files.children(&at(&source.path, ".yarn"))?.into_iter().map(|(name, _)| name);
            let inner = inner.filter(|name| !KEPT_BY_YARN.contains(&name.as_str()));
            steering.extend(inner.map(|name| at(&source.path, &format!(".yarn/{name}"))));
            continue;
        }
        let is_left_out = if is_folder {
            NOT_STEERING_FOLDERS.contains(&name.as_str()) || packages.iter().any(|package| lies_in(package, &name))
        } else {
            let is_text = Path::new(&name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("md"));
            is_text || NOT_STEERING.iter().any(|start| name.starts_with(start))
        };
        if !is_left_out {
            steering.insert(at(&source.path, &name));
        }
    }
    // Yarn reads its settings in every folder from the workspace up.
    steering.extend(ancestors(&source.path).into_iter().map(|folder| at(&folder, ".yarnrc.yml")));
    steering.extend(source.yarn.path.clone());
    Ok(steering)
}
