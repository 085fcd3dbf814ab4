//! What a repository has to build, before anything is configured: its yarn workspaces, and their plugins.

use super::discover::{DiscoveredPlugin, discover};
use super::refs;
use super::source_files::Files;
use crate::error::nearest::nearest;
use crate::error::{Error, Result};
use crate::lock::at;
use crate::store::Store;
use crate::store::git::{EntryKind, Network, SourceUrl, Tree};
use crate::ui::some_names;
use crate::yarn::graph::manifests::is_skipped;
use std::sync::atomic::AtomicBool;

/// A commit of a repository.
pub struct Survey {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// The branch or tag that it was found by; none for a commit that was asked for as such.
    pub name: Option<String>,
    files: Files,
    workspaces: Vec<String>,
}

impl Survey {
    /// Finds what `requested` stands for, as `factory resolve` does, and looks at its files.
    pub fn of(
        store: &Store,
        url: &SourceUrl,
        requested: &str,
        network: &Network,
        interrupt: &AtomicBool,
    ) -> Result<Self> {
        let found = refs::resolve(store, url, requested, network, interrupt)?;
        let tree = store.repository(url, interrupt)?.fetch(&found.commit, network, interrupt)?;
        let workspaces = workspaces(&tree)?;
        let name = found.name.as_deref().and_then(refs::bare_name).map(str::to_owned);
        Ok(Self { commit: found.commit, name, files: Files::Commit(Box::new(tree)), workspaces })
    }

    /// The folders that have a `package.json` and a `yarn.lock`, `.` for the root; sorted.
    pub fn workspaces(&self) -> &[String] {
        &self.workspaces
    }

    /// The only workspace; an error if there are several, or none.
    pub fn only_workspace(&self) -> Result<String> {
        match &self.workspaces[..] {
            [one] => Ok(one.clone()),
            [] => Err(Error::usage(
                "the repository has no folder with a package.json and a yarn.lock",
                "factory builds yarn workspaces whose lockfile is committed",
            )),
            many => Err(Error::usage(
                format!("the repository has {} workspaces: {}", many.len(), some_names(many.iter())),
                "choose one with `--workspace-path`",
            )),
        }
    }

    /// The plugins of a workspace, which has to be one.
    pub fn plugins(&self, workspace: &str) -> Result<Vec<DiscoveredPlugin>> {
        if !self.workspaces.iter().any(|known| known == workspace) {
            let near = nearest(workspace, self.workspaces.iter().map(String::as_str));
            let known = if near.is_empty() { &self.workspaces } else { &near };
            let hint = match &known[..] {
                [] => "the repository has no folder with both".to_owned(),
                known => format!("the repository has both in: {}", some_names(known.iter())),
            };
            return Err(Error::usage(
                format!(
                    "`{workspace}` is not a workspace at commit {}: it needs a package.json and a yarn.lock",
                    self.short()
                ),
                hint,
            ));
        }
        let found = discover(self.files.manifests(workspace)?).plugins;
        if found.is_empty() {
            return Err(Error::usage(
                format!("no package of `{workspace}` has a `backstage.role` that can be exported"),
                "check `--workspace-path`",
            ));
        }
        Ok(found)
    }

    /// The Backstage version that a workspace says it is for.
    pub fn backstage(&self, workspace: &str) -> Result<Option<String>> {
        let bytes = self.files.read_text(&at(workspace, "backstage.json"))?;
        let value = bytes.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        Ok(value.and_then(|value| value["version"].as_str().map(str::to_owned)))
    }

    /// The first digits of the commit.
    pub fn short(&self) -> &str {
        &self.commit[..self.commit.len().min(12)]
    }
}

/// The folders with a `package.json` and a `yarn.lock` of what is pinned, for a hint; empty where it is no commit.
pub(super) fn yarn_workspaces(files: &Files) -> Vec<String> {
    match files.pinned() {
        Files::Commit(tree) => workspaces(tree).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn workspaces(tree: &Tree) -> Result<Vec<String>> {
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let is_file = |kind| kind != EntryKind::Folder;
    let entries = tree.walk(".", |path, kind| {
        let name = last(path);
        if is_file(kind) { name == "yarn.lock" || name == "package.json" } else { !is_skipped(&name) }
    })?;
    let files: Vec<String> = entries.filter(|entry| is_file(entry.kind)).map(|entry| entry.path).collect();
    let folder = |path: &str| path.rsplit_once('/').map_or(".", |(folder, _)| folder).to_owned();
    let locks = files.iter().filter(|path| last(path) == "yarn.lock").map(|path| folder(path));
    let mut found: Vec<String> = locks.filter(|folder| files.contains(&at(folder, "package.json"))).collect();
    found.sort();
    Ok(found)
}
