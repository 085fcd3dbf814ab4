//! Who depends on what in a workspace: its lockfile and its `package.json` files, after patches and overlays.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Result;
use crate::lock::at;
use crate::overlay::source_parts::LaidSource;
use crate::store::git::EntryKind;
use crate::yarn::graph::manifests::{is_searched, is_skipped};
use crate::yarn::graph::reach::Reacher;
use crate::yarn::graph::{DependencyGraph, Manifests};
use crate::yarn::lockfile::YarnLock;

/// The texts, as they were before the build.
pub(super) struct Dependencies {
    lock: Vec<u8>,
    /// By folder from the workspace.
    manifests: BTreeMap<String, Vec<u8>>,
}

impl Dependencies {
    /// Reads those of the workspace at `root`.
    pub(super) fn read(laid: &LaidSource<'_>, root: &str) -> Result<Self> {
        let path = at(root, "yarn.lock");
        let lock = laid.read(&path)?.unwrap_or_default();
        let folders = YarnLock::parse(&lock, Path::new(&path)).ok().and_then(|lock| {
            let folders = lock.workspace_paths()?;
            Some(folders.into_iter().chain(["."]).map(str::to_owned).collect::<Vec<_>>())
        });
        let folders = match folders {
            Some(folders) => folders,
            None => packages(laid, root)?,
        };
        let mut manifests = BTreeMap::new();
        for folder in folders {
            if let Some(text) = laid.read(&at(root, &at(&folder, "package.json")))? {
                manifests.insert(folder, text);
            }
        }
        Ok(Self { lock, manifests })
    }

    /// The folders of the packages from the workspace, its own left out.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        self.manifests.keys().map(String::as_str).filter(|folder| *folder != ".")
    }

    /// Hands over what answers who reaches what; nothing where lockfile and manifests do not fit: then each plugin is built
    /// from the whole workspace.
    pub(super) fn ask<T>(&self, ask: impl FnOnce(&Reacher<'_, '_>) -> T) -> Option<T> {
        let lock = YarnLock::parse(&self.lock, Path::new("yarn.lock")).ok()?;
        let manifests = Manifests::parse(&lock, &self.manifests).ok()?;
        let graph = DependencyGraph::complete(&lock, &manifests);
        Some(ask(&Reacher::new(&graph)))
    }
}

/// The folders from a workspace, itself among them, that have a `package.json`: yarn 1 has them in no lockfile.
fn packages(laid: &LaidSource<'_>, root: &str) -> Result<Vec<String>> {
    let entries = laid.tree.walk(root, |path, kind| {
        let name = path.rsplit('/').next().unwrap_or(path);
        if kind == EntryKind::Folder { !is_skipped(name) } else { name == "package.json" }
    })?;
    let files = entries.filter(|entry| entry.kind != EntryKind::Folder).map(|entry| entry.path);
    let from_root =
        |path: &str| Some(if root == "." { path } else { path.strip_prefix(root)?.strip_prefix('/')? }.to_owned());
    let paths = files.chain(laid.touched.iter().cloned()).filter_map(|path| from_root(&path));
    let folders = paths.filter_map(|path| match path.strip_suffix("package.json")? {
        "" => Some(".".to_owned()),
        folder => folder.strip_suffix('/').map(str::to_owned),
    });
    Ok(folders.filter(|folder| is_searched(folder)).collect())
}
