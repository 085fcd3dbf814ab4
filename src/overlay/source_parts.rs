//! What of a source lies at some paths after patches and overlays, by git's ids: equal parts are equal content, whatever
//! commit they are from.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::error::{Error, Result};
use crate::lock::{PartContent, SourcePart, at, is_relative, lies_in};
use crate::store::git::Tree;
use crate::store::{LeftKind, UntrustedTree};
use crate::yarn::graph::reach::Reach;

/// The largest file that a patch or overlay may have made, in bytes.
const LARGEST: u64 = 64 << 20;

/// A commit's tree, and what patches and overlays made of some of its files.
pub struct LaidSource<'a> {
    /// The commit's.
    pub tree: &'a Tree,
    /// The files that may differ from the commit's, from the repository's root.
    pub touched: &'a BTreeSet<String>,
    /// Where they lie, under the paths that they have in the repository.
    pub laid: &'a Path,
}

impl LaidSource<'_> {
    /// The parts at `paths`, sorted; each once, and none that lies in another. Paths at which there is nothing are left out.
    /// What was changed in a folder stands beside it, as a part of its own.
    pub fn parts<'p>(&self, paths: impl IntoIterator<Item = &'p str>) -> Result<Vec<SourcePart>> {
        let wanted: BTreeSet<&str> = paths.into_iter().collect();
        let is_covered = |path: &str| wanted.iter().any(|outer| *outer != path && lies_in(path, outer));
        let mut parts = Vec::new();
        for path in wanted.iter().filter(|path| !is_covered(path)) {
            if !self.touched.contains(*path)
                && let Some(content) = self.committed(path)?
            {
                parts.push(SourcePart { path: (*path).to_owned(), content });
            }
        }
        for path in self.touched.iter().filter(|path| wanted.iter().any(|outer| lies_in(path, outer))) {
            let (before, now) = (self.committed(path)?, self.changed(path)?);
            // A file that is asked for by its own path has one part, changed or not.
            if before != now || (wanted.contains(path.as_str()) && !is_covered(path)) {
                match now {
                    Some(content) => parts.push(SourcePart { path: path.clone(), content }),
                    None if before.is_some() => {
                        parts.push(SourcePart { path: path.clone(), content: PartContent::Gone });
                    }
                    None => {}
                }
            }
        }
        parts.sort();
        Ok(parts)
    }

    /// Whether there is something at a path.
    pub fn has(&self, path: &str) -> Result<bool> {
        let found = if self.touched.contains(path) { self.changed(path)? } else { self.committed(path)? };
        Ok(found.is_some())
    }

    /// The bytes of a file; none where there is none.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        if !self.touched.contains(path) {
            return self.tree.read(path);
        }
        UntrustedTree::open(self.laid, "the patched source")?.find_linked(Path::new(path), LARGEST)
    }

    /// Whether a folder, or a file, is of the source, as patches and overlays may have made it.
    pub fn is_source(&self, path: &str) -> Result<bool> {
        Ok(self.committed(path)?.is_some() || self.touched.iter().any(|touched| lies_in(touched, path)))
    }

    /// Whether a path is a folder of the commit.
    pub fn is_folder(&self, path: &str) -> Result<bool> {
        Ok(self.tree.git_entry(path)?.is_some_and(|(mode, _)| mode == 0o040_000))
    }

    fn committed(&self, path: &str) -> Result<Option<PartContent>> {
        Ok(self.tree.git_entry(path)?.map(|(mode, id)| PartContent::Git { mode, id }))
    }

    /// What patches and overlays made of a file; none when it is gone. A link is never followed.
    fn changed(&self, path: &str) -> Result<Option<PartContent>> {
        let laid = UntrustedTree::open(self.laid, "the patched source")?;
        let file = Path::new(path);
        let (mode, bytes) = match laid.kind(file) {
            Some(LeftKind::Link) => {
                let link = self.laid.join(path);
                let target = fs::read_link(&link).map_err(Error::io("read", &link))?;
                (0o120_000, target.as_os_str().as_bytes().to_vec())
            }
            Some(LeftKind::File) => {
                let bytes = laid.read(file, LARGEST)?;
                (if laid.is_executable(file) { 0o100_755 } else { 0o100_644 }, bytes)
            }
            _ => return Ok(None),
        };
        Ok(Some(PartContent::Git { mode, id: self.tree.blob_id(&bytes)? }))
    }
}

/// The folders and files, from the repository's root, that the packages of a workspace which are reached are made of; its
/// root's own are not among them.
pub fn reached_paths(reach: &Reach<'_>, root: &str) -> Vec<String> {
    let folders = reach.workspaces.iter().filter(|folder| **folder != ".").map(|folder| at(root, folder));
    folders.chain(reach.local.iter().filter_map(|path| normal(&at(root, path)))).collect()
}

/// A path without `.` and `..`; none where it leaves the repository.
fn normal(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()?),
            segment => segments.push(segment),
        }
    }
    Some(if segments.is_empty() { ".".to_owned() } else { segments.join("/") }).filter(|path| is_relative(path))
}
