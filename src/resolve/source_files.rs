//! The files of a workspace before anything is built: those of a commit, or of a local tree.

pub mod changed;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use changed::ChangedFiles;

use crate::error::{Error, Result};
use crate::lock::{SourcePart, at};
use crate::overlay::source_parts::LaidSource;
use crate::store::git::{EntryKind, Tree};
use crate::user_file;
use crate::yarn::graph::manifests::is_skipped;
use crate::yarn::lockfile::YarnLock;

/// Where a workspace's files are read from.
pub enum Files {
    /// A commit, read from the repository's objects.
    Commit(Box<Tree>),
    /// A local tree, read as it is.
    Local(PathBuf),
    /// One of them after patches and overlays.
    Changed(Box<ChangedFiles>),
}

/// The largest file that is read, in bytes: lockfiles have a few MB.
const LARGEST: u64 = 64 << 20;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

impl Files {
    /// The bytes of a file; `path` is from the repository's root. None when it is not there.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Commit(tree) => tree.read(path),
            Self::Local(root) => read_local(root, path),
            Self::Changed(changed) => changed.read(path),
        }
    }

    /// The same of a JSON or YAML file, without the byte order mark that npm and yarn pass over.
    pub fn read_text(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.read(path)?.map(|mut bytes| {
            if bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            bytes
        }))
    }

    /// What lies at some paths, from the repository's root, as content. A local tree has none.
    pub fn parts<'p>(&self, paths: impl IntoIterator<Item = &'p str>) -> Result<Vec<SourcePart>> {
        match self {
            Self::Commit(tree) => LaidSource { tree, touched: &BTreeSet::new(), laid: Path::new("") }.parts(paths),
            Self::Changed(changed) => changed.parts(paths),
            Self::Local(_) => Ok(vec![]),
        }
    }

    /// The names in a folder, each with whether it is a folder itself; nothing for a local tree.
    pub fn children(&self, folder: &str) -> Result<Vec<(String, bool)>> {
        match self {
            Self::Commit(tree) => {
                let is_child = |path: &str| folder_in(folder, path) == ".";
                let entries = tree.walk(folder, |path, _| is_child(path))?;
                Ok(entries.map(|entry| (last(&entry.path).to_owned(), entry.kind == EntryKind::Folder)).collect())
            }
            Self::Changed(changed) => changed.children(folder),
            Self::Local(_) => Ok(vec![]),
        }
    }

    /// The permission bits of a file; 0644 for one that is not there, and for all of a local tree.
    pub fn mode(&self, path: &str) -> Result<u32> {
        match self {
            Self::Commit(tree) => Ok(tree.kind(path)?.map_or(0o644, EntryKind::mode)),
            Self::Local(_) | Self::Changed(_) => Ok(0o644),
        }
    }

    /// The files before patches and overlays.
    pub fn pinned(&self) -> &Self {
        match self {
            Self::Changed(changed) => changed.base(),
            pinned => pinned,
        }
    }

    /// The committer's time of a commit in seconds since 1970. A local tree has none: its outputs carry 1980-01-01, the
    /// earliest time that zip knows.
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Commit(tree) => tree.epoch(),
            Self::Local(_) => 315_532_800,
            Self::Changed(changed) => changed.base().epoch(),
        }
    }

    /// The `package.json` files of a workspace, each with its folder from the workspace. Folders that hold no package
    /// of it (`node_modules`, dist, dot-folders) are left out.
    pub fn manifests(&self, workspace: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let mut paths = self.manifest_paths(workspace)?;
        paths.sort();
        let mut manifests = Vec::with_capacity(paths.len());
        for path in paths {
            if let Some(bytes) = self.read_text(&path)? {
                manifests.push((folder_in(workspace, &path), bytes));
            }
        }
        Ok(manifests)
    }

    /// Adds the `package.json` files of the packages that a workspace's lockfile names to `manifests`, which has those that
    /// were found: folders that hold no plugin (`.storybook`) may still be packages.
    pub fn add_manifests(
        &self,
        workspace: &str,
        lock: &YarnLock<'_>,
        manifests: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<()> {
        for folder in lock.workspace_paths().into_iter().flatten() {
            if !manifests.contains_key(folder)
                && let Some(bytes) = self.read(&at(workspace, &at(folder, "package.json")))?
            {
                manifests.insert(folder.to_owned(), bytes);
            }
        }
        Ok(())
    }

    fn manifest_paths(&self, workspace: &str) -> Result<Vec<String>> {
        Ok(match self {
            Self::Commit(tree) => tree
                .walk(workspace, |path, kind| match kind {
                    EntryKind::Folder => !is_skipped(last(path)),
                    EntryKind::File | EntryKind::Executable => last(path) == "package.json",
                    EntryKind::Symlink | EntryKind::Submodule => false,
                })?
                .filter(|entry| entry.kind != EntryKind::Folder)
                .map(|entry| entry.path)
                .collect(),
            Self::Local(root) => {
                let mut found = Vec::new();
                walk_local(root, &root.join(workspace), &mut found)?;
                found
            }
            Self::Changed(changed) => changed.manifests(workspace, changed.base().manifest_paths(workspace)?),
        })
    }
}

/// The folder of a `package.json` from the workspace.
fn folder_in(workspace: &str, manifest: &str) -> String {
    let folder = manifest.rsplit_once('/').map_or(".", |(folder, _)| folder);
    if workspace == "." {
        return folder.to_owned();
    }
    match folder.strip_prefix(workspace).map(|rest| rest.trim_start_matches('/')) {
        Some("") | None => ".".to_owned(),
        Some(rest) => rest.to_owned(),
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn read_local(root: &Path, path: &str) -> Result<Option<Vec<u8>>> {
    let full = root.join(path);
    let Ok(real) = full.canonicalize() else { return Ok(None) };
    let inside = root.canonicalize().is_ok_and(|root| real.starts_with(root));
    if !inside || !real.is_file() {
        return Ok(None);
    }
    match user_file::read(&real, LARGEST) {
        Err(error) if error.kind() == ErrorKind::FileTooLarge => {
            Err(Error::usage(format!("`{}` is too large to read", full.display()), "check the local tree"))
        }
        found => found.map(Some).map_err(Error::io("read", &full)),
    }
}

fn walk_local(root: &Path, folder: &Path, found: &mut Vec<String>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("read", folder)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("read", folder))?;
        let (name, kind) = (entry.file_name(), entry.file_type().map_err(Error::io("read", folder))?);
        let Some(name) = name.to_str() else { continue };
        if kind.is_dir() && !is_skipped(name) {
            walk_local(root, &entry.path(), found)?;
        } else if kind.is_file() && name == "package.json" {
            let path = entry.path();
            let relative = path.strip_prefix(root).unwrap_or(&path);
            // `.` may stand in it when the workspace is the root.
            let parts = relative.components().filter(|c| matches!(c, std::path::Component::Normal(_)));
            found.push(parts.map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_named_by_their_folder_from_the_workspace() {
        assert_eq!(folder_in(".", "package.json"), ".");
        assert_eq!(folder_in(".", "plugins/a/package.json"), "plugins/a");
        assert_eq!(folder_in("w/x", "w/x/package.json"), ".");
        assert_eq!(folder_in("w/x", "w/x/plugins/a/package.json"), "plugins/a");
    }

    #[test]
    fn a_local_tree_is_read_without_leaving_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("plugins/a/node_modules/b")).unwrap();
        fs::write(root.join("package.json"), "{}").unwrap();
        fs::write(root.join("plugins/a/package.json"), "{}").unwrap();
        fs::write(root.join("plugins/a/node_modules/b/package.json"), "{}").unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        let files = Files::Local(root);
        let manifests = files.manifests(".").unwrap();
        assert_eq!(manifests.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), [".", "plugins/a"]);
        assert_eq!(files.read("link").unwrap(), None);
        assert_eq!(files.read("../secret").unwrap(), None);
    }
}
