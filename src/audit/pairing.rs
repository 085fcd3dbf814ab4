//! Which workspace and plugin of the new release is which of the old one: a move is not a removal and an addition.
//!
//! A workspace is the same by its name; else by repository and folder; else when most of its plugins' packages are in
//! it. A plugin is the same by its path in the same workspace; else by its package's name; where packages are not
//! known (configurations), by repository and path. Each rule counts only where it points at one candidate.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::change::Evidence;
use super::release::{Release, ReleasePlugin, ReleaseWorkspace};

/// Workspace and plugin, by their positions.
pub type PluginIndex = (usize, usize);

/// What is what.
#[derive(Debug, Default)]
pub struct Pairs {
    /// The old workspace of each new one.
    pub workspaces: HashMap<usize, (usize, Evidence)>,
    /// The new workspace of each old one.
    pub old_workspaces: HashMap<usize, usize>,
    /// The old plugin of each new one; none as evidence when it stayed where it was.
    pub plugins: HashMap<PluginIndex, (PluginIndex, Option<Evidence>)>,
    /// The new plugin of each old one.
    pub old_plugins: HashMap<PluginIndex, PluginIndex>,
}

impl Pairs {
    /// Finds the pairs of two releases.
    pub fn of(old: &Release, new: &Release) -> Self {
        let mut pairs = Self::default();
        pairs.by_name(old, new);
        pairs.by_folder(old, new);
        pairs.by_plugins(old, new);
        pairs.plugins_in_place(old, new, true);
        pairs.plugins_by(old, new, Evidence::SamePackage, |_, plugin| plugin.package.clone());
        pairs.plugins_in_place(old, new, false);
        pairs.plugins_by(old, new, Evidence::SameFolder, |workspace, plugin| {
            plugin.package.is_none().then(|| format!("{}\n{}", repo_key(&workspace.repo_from_root()), plugin.path))
        });
        pairs
    }

    fn add(&mut self, old: usize, new: usize, evidence: Evidence) {
        self.workspaces.insert(new, (old, evidence));
        self.old_workspaces.insert(old, new);
    }

    fn add_plugin(&mut self, old: PluginIndex, new: PluginIndex, evidence: Option<Evidence>) {
        self.plugins.insert(new, (old, evidence));
        self.old_plugins.insert(old, new);
    }

    fn by_name(&mut self, old: &Release, new: &Release) {
        let names: HashMap<&str, usize> =
            old.workspaces.iter().enumerate().map(|(at, workspace)| (workspace.name.as_str(), at)).collect();
        for (at, workspace) in new.workspaces.iter().enumerate() {
            if let Some(&before) = names.get(workspace.name.as_str()) {
                self.add(before, at, Evidence::SameName);
            }
        }
    }

    fn by_folder(&mut self, old: &Release, new: &Release) {
        let key = |workspace: &ReleaseWorkspace| Some((repo_key(&workspace.repo_from_root()), workspace.path.clone()));
        let olds =
            unique(old.workspaces.iter().enumerate().filter(|(at, _)| !self.old_workspaces.contains_key(at)), key);
        let news = unique(new.workspaces.iter().enumerate().filter(|(at, _)| !self.workspaces.contains_key(at)), key);
        for (key, before) in olds {
            if let (Some(before), Some(Some(now))) = (before, news.get(&key)) {
                self.add(before, *now, Evidence::SameFolder);
            }
        }
    }

    /// Another name in another place, but the same packages.
    fn by_plugins(&mut self, old: &Release, new: &Release) {
        let mut holders: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, workspace) in new.workspaces.iter().enumerate().filter(|(at, _)| !self.workspaces.contains_key(at)) {
            for package in workspace.plugins.iter().filter_map(|plugin| plugin.package.as_deref()) {
                holders.entry(package).or_default().push(at);
            }
        }
        for (at, workspace) in old.workspaces.iter().enumerate() {
            if self.old_workspaces.contains_key(&at) {
                continue;
            }
            let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
            for package in workspace.plugins.iter().filter_map(|plugin| plugin.package.as_deref()) {
                for holder in holders.get(package).into_iter().flatten() {
                    *shared.entry(*holder).or_default() += 1;
                }
            }
            let best = shared.iter().max_by_key(|(_, count)| **count).map(|(now, count)| (*now, *count));
            // Half of both, so that a large workspace that swallows a small one is no move of the small one.
            if let Some((now, count)) = best
                && 2 * count > workspace.plugins.len()
                && 2 * count > new.workspaces[now].plugins.len()
                && !self.workspaces.contains_key(&now)
            {
                self.add(at, now, Evidence::SamePlugins);
            }
        }
    }

    /// The same path in the same workspace; `sure` asks that the package is not another one.
    fn plugins_in_place(&mut self, old: &Release, new: &Release, sure: bool) {
        let mut found = Vec::new();
        for (&now, &(before, evidence)) in &self.workspaces {
            let (workspace, was) = (&new.workspaces[now], &old.workspaces[before]);
            let paths: HashMap<&str, usize> =
                was.plugins.iter().enumerate().map(|(at, plugin)| (plugin.path.as_str(), at)).collect();
            for (p, plugin) in workspace.plugins.iter().enumerate() {
                let Some(&q) = paths.get(plugin.path.as_str()) else { continue };
                let other = &was.plugins[q];
                let is_other = plugin.package.is_some() && other.package.is_some() && plugin.package != other.package;
                let is_free = !self.plugins.contains_key(&(now, p)) && !self.old_plugins.contains_key(&(before, q));
                if is_free && !(sure && is_other) {
                    let moved = (workspace.name != was.name).then_some(evidence);
                    found.push(((before, q), (now, p), moved));
                }
            }
        }
        for (before, now, evidence) in found {
            self.add_plugin(before, now, evidence);
        }
    }

    fn plugins_by(
        &mut self,
        old: &Release,
        new: &Release,
        evidence: Evidence,
        key: impl Fn(&ReleaseWorkspace, &ReleasePlugin) -> Option<String>,
    ) {
        let olds = unique(places(old).filter(|(at, _)| !self.old_plugins.contains_key(at)), |(workspace, plugin)| {
            key(workspace, plugin)
        });
        let news = unique(places(new).filter(|(at, _)| !self.plugins.contains_key(at)), |(workspace, plugin)| {
            key(workspace, plugin)
        });
        for (key, before) in olds {
            if let (Some(before), Some(Some(now))) = (before, news.get(&key)) {
                self.add_plugin(before, *now, Some(evidence));
            }
        }
    }
}

/// All plugins with their positions.
pub fn places(release: &Release) -> impl Iterator<Item = (PluginIndex, (&ReleaseWorkspace, &ReleasePlugin))> {
    release.workspaces.iter().enumerate().flat_map(|(w, workspace)| {
        workspace.plugins.iter().enumerate().map(move |(p, plugin)| ((w, p), (workspace, plugin)))
    })
}

/// Positions by key; none where a key stands for several.
fn unique<I, T, K: std::hash::Hash + Eq>(
    items: impl Iterator<Item = (I, T)>,
    key: impl Fn(T) -> Option<K>,
) -> HashMap<K, Option<I>> {
    let mut found: HashMap<K, Option<I>> = HashMap::new();
    for (at, item) in items {
        if let Some(key) = key(item) {
            found.entry(key).and_modify(|known| *known = None).or_insert(Some(at));
        }
    }
    found
}

/// The spellings of one repository's address.
fn repo_key(repo: &str) -> String {
    let repo = repo.trim_end_matches('/');
    repo.strip_suffix(".git").unwrap_or(repo).to_lowercase()
}

/// The plugins' keys for counting: name of the workspace and path.
pub fn keys(release: &Release) -> HashSet<(&str, &str)> {
    places(release).map(|(_, (workspace, plugin))| (workspace.name.as_str(), plugin.path.as_str())).collect()
}
