//! A source of which some files are changed: what patches and overlays made of them lies in a scratch folder.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Files, folder_in, read_local};
use crate::error::Result;
use crate::lock::SourcePart;
use crate::overlay::source_parts::LaidSource;
use crate::store::Scratch;
use crate::yarn::graph::manifests::is_searched;

/// What patches and overlays changed of a source.
pub struct ChangedFiles {
    /// The source as it is pinned.
    base: Files,
    /// The files below have the paths that they have in the repository.
    root: PathBuf,
    _scratch: Scratch,
    /// The files that may differ from the source's: one that is not below `root` is not there.
    touched: BTreeSet<String>,
}

impl ChangedFiles {
    /// `root` lies in `scratch`.
    pub fn new(base: Files, root: PathBuf, scratch: Scratch, touched: BTreeSet<String>) -> Self {
        Self { base, root, _scratch: scratch, touched }
    }

    /// The source without the changes.
    pub fn into_base(self) -> Files {
        self.base
    }

    /// The bytes of a file after patches and overlays.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        if self.touched.contains(path) { read_local(&self.root, path) } else { self.base.read(path) }
    }

    /// What lies at some paths, as content. Changes of a local tree have none.
    pub(super) fn parts<'p>(&self, paths: impl IntoIterator<Item = &'p str>) -> Result<Vec<SourcePart>> {
        match &self.base {
            Files::Commit(tree) => LaidSource { tree, touched: &self.touched, laid: &self.root }.parts(paths),
            Files::Local(_) | Files::Changed(_) => Ok(vec![]),
        }
    }

    /// The names in a folder, those that patches and overlays may have added among them.
    pub(super) fn children(&self, folder: &str) -> Result<Vec<(String, bool)>> {
        let mut children = self.base.children(folder)?;
        for path in self.touched.iter().filter(|path| folder_in(folder, path) == ".") {
            let name = path.rsplit('/').next().unwrap_or(path);
            if children.iter().all(|(known, _)| known != name) {
                children.push((name.to_owned(), false));
            }
        }
        Ok(children)
    }

    pub(super) fn base(&self) -> &Files {
        &self.base
    }

    /// The paths of the `package.json` files of a workspace, from those of the source.
    pub(super) fn manifests(&self, workspace: &str, mut paths: Vec<String>) -> Vec<String> {
        paths.retain(|path| !self.touched.contains(path));
        let inside = |path: &str| workspace == "." || path.starts_with(&format!("{workspace}/"));
        let is_manifest = |path: &str| path == "package.json" || path.ends_with("/package.json");
        let touched = self.touched.iter().filter(|path| inside(path) && is_manifest(path));
        let found = touched.filter(|path| is_searched(&folder_in(workspace, path)) && self.root.join(path).is_file());
        paths.extend(found.cloned());
        paths
    }
}
