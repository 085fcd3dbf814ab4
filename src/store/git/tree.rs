//! A commit's tree, read without a checkout.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::tree::EntryKind as GixKind;

use super::failure::damaged;
use super::url::SourceUrl;
use crate::store::process_lock::LockGuard;
use crate::{Error, Result};

/// The most bytes [`Tree::read`] gives: far beyond any package.json or lockfile, and no danger to memory.
const LARGEST_FILE: u64 = 64 << 20;
/// The most entries of one tree. A few refused objects can spell out a tree of any size; Linux has 90,000.
const MOST_ENTRIES: usize = 500_000;
/// The most bytes of the tree object of one folder: 200,000 files.
const LARGEST_FOLDER: u64 = 16 << 20;
/// The longest path, as the kernel has it.
const LONGEST_PATH: usize = 4096;
/// How many symlinks a path may go through, as the kernel has it.
const MOST_LINKS: usize = 40;

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A file, 0644.
    File,
    /// A file, 0755.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A folder.
    Folder,
    /// A commit of another repository.
    Submodule,
}

impl EntryKind {
    /// The permission bits a checkout gives it.
    pub fn mode(self) -> u32 {
        match self {
            Self::File => 0o644,
            Self::Executable | Self::Folder | Self::Submodule => 0o755,
            Self::Symlink => 0o777,
        }
    }
}

impl EntryKind {
    /// The mode in a tree object.
    fn git_mode(self) -> u32 {
        match self {
            Self::File => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
            Self::Folder => 0o040_000,
            Self::Submodule => 0o160_000,
        }
    }
}

impl From<GixKind> for EntryKind {
    fn from(kind: GixKind) -> Self {
        match kind {
            GixKind::Tree => Self::Folder,
            GixKind::Blob => Self::File,
            GixKind::BlobExecutable => Self::Executable,
            GixKind::Link => Self::Symlink,
            GixKind::Commit => Self::Submodule,
        }
    }
}

/// An entry that [`Tree::walk`] met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// From the repository's root, with `/`.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// The same for a checkout: bytes, and the object.
#[derive(Clone, Debug)]
pub(crate) struct TreeNode {
    pub(crate) path: BString,
    pub(crate) kind: EntryKind,
    pub(crate) id: ObjectId,
}

/// The tree of one commit. `Send`, not `Sync`: one thread at a time.
#[derive(Debug)]
pub struct Tree {
    url: SourceUrl,
    repo: gix::Repository,
    commit: ObjectId,
    root: ObjectId,
    epoch: u64,
    _in_use: Option<Arc<LockGuard>>,
}

impl Tree {
    /// `in_use` keeps a repository of the cache from being pruned.
    pub(super) fn open(
        url: SourceUrl,
        mut repo: gix::Repository,
        commit: ObjectId,
        in_use: Option<Arc<LockGuard>>,
    ) -> Result<Self> {
        repo.object_cache_size_if_unset(4 << 20);
        let (root, epoch) = {
            let read = || -> gix::Result<(ObjectId, i64)> {
                let commit = repo.find_commit(commit)?;
                gix::objs::compute_hash(commit.id.kind(), gix::objs::Kind::Commit, &commit.data)?.verify(&commit.id)?;
                let time = commit.time()?;
                Ok((commit.tree_id()?.detach(), time.seconds))
            };
            let (root, seconds) = read().map_err(|error| damaged(&url, &error))?;
            (root, u64::try_from(seconds).unwrap_or(0))
        };
        Ok(Self { url, repo, commit, root, epoch, _in_use: in_use })
    }

    /// The commit, 40 hexadecimal digits.
    pub fn commit(&self) -> String {
        self.commit.to_string()
    }

    /// The committer's time in seconds since 1970 (0 for a time before that).
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Where the source lives.
    pub fn url(&self) -> &SourceUrl {
        &self.url
    }

    /// The bytes of the file at `path` (from the root, with `/`), through symlinks that stay in the tree, as a program
    /// would read it in a checkout. `None` where there is no file. Larger than 64 MiB is an error.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(node) = self.find(path)? else { return Ok(None) };
        if !matches!(node.kind, EntryKind::File | EntryKind::Executable) {
            return Ok(None);
        }
        let size = self.repo.find_header(node.id).map_err(|error| self.damaged(&error))?.size();
        if size > LARGEST_FILE {
            return Err(Error::Build {
                what: format!("`{path}` of `{}` has {size} bytes, which is too large to read", self.url),
                tail: Vec::new(),
                hint: "check the commit: such files are not read from a source".to_owned(),
            });
        }
        self.blob(node.id).map(Some)
    }

    /// The bytes of the object `id`, held to that id.
    fn blob(&self, id: ObjectId) -> Result<Vec<u8>> {
        blob(&self.repo, id).map_err(|error| self.damaged(&error))
    }

    /// What lies at `path`, through symlinks; `None` for nothing.
    pub fn kind(&self, path: &str) -> Result<Option<EntryKind>> {
        Ok(self.find(path)?.map(|node| node.kind))
    }

    /// The mode and id of what lies at `path`, through symlinks, as `git ls-tree` prints them; `None` for nothing.
    pub fn git_entry(&self, path: &str) -> Result<Option<(u32, String)>> {
        Ok(self.find(path)?.map(|node| (node.kind.git_mode(), node.id.to_string())))
    }

    /// The id that git would give a file with these bytes in this repository.
    pub fn blob_id(&self, bytes: &[u8]) -> Result<String> {
        let id = gix::objs::compute_hash(self.root.kind(), gix::objs::Kind::Blob, bytes);
        id.map(|id| id.to_string()).map_err(|_| self.refused("a file that looks like an attack on SHA-1"))
    }

    /// Everything below the folder `prefix` (`.` for the root), folders before what is in them, in git's order. `filter`
    /// sees each entry's path from the root; where it says no, the entry is left out, and a folder with all in it.
    /// Names that are not UTF-8 are left out. Nothing where `prefix` is no folder.
    pub fn walk(
        &self,
        prefix: &str,
        mut filter: impl FnMut(&str, EntryKind) -> bool,
    ) -> Result<std::vec::IntoIter<TreeEntry>> {
        let mut found = Vec::new();
        if let Some(node) = self.find(prefix)?.filter(|node| node.kind == EntryKind::Folder) {
            self.descend(node.id, node.path, &mut |node| {
                let Ok(path) = node.path.to_str() else { return Ok(false) };
                let keep = filter(path, node.kind);
                if keep {
                    found.push(TreeEntry { path: path.to_owned(), kind: node.kind });
                }
                Ok(keep)
            })?;
        }
        Ok(found.into_iter())
    }

    /// Every entry below the folder at `prefix`, with paths from that folder. An error where there is no such folder.
    pub(crate) fn nodes(&self, prefix: &str) -> Result<Vec<TreeNode>> {
        let folder = self.find(prefix)?.filter(|node| node.kind == EntryKind::Folder).ok_or_else(|| {
            Error::usage(
                format!("`{}` has no folder `{prefix}` at commit `{}`", self.url, self.commit()),
                "check the workspace path",
            )
        })?;
        let mut nodes = Vec::new();
        self.descend(folder.id, BString::default(), &mut |node| {
            nodes.push(node.clone());
            Ok(true)
        })?;
        Ok(nodes)
    }

    /// For threads: each makes its own [`ObjectReader`] from it.
    pub(crate) fn objects(&self) -> Objects {
        Objects { repo: self.repo.clone().into_sync(), url: self.url.clone() }
    }

    fn damaged(&self, error: &gix::Error) -> Error {
        damaged(&self.url, error)
    }

    fn descend(&self, tree: ObjectId, path: BString, visit: &mut dyn FnMut(&TreeNode) -> Result<bool>) -> Result<()> {
        let mut left = MOST_ENTRIES;
        // Last in, first out: the entries of a folder are pushed in reverse, so that they come out in order.
        let mut pending = vec![TreeNode { path, kind: EntryKind::Folder, id: tree }];
        let mut is_root = true;
        while let Some(node) = pending.pop() {
            let enter = if is_root { true } else { visit(&node)? && node.kind == EntryKind::Folder };
            is_root = false;
            if !enter {
                continue;
            }
            let children = self.children(node.id)?;
            left = left.saturating_sub(children.len());
            for (name, kind, id) in children.into_iter().rev() {
                let path = join(node.path.as_ref(), name.as_ref());
                if left == 0 || path.len() > LONGEST_PATH {
                    return Err(self.refused(if left == 0 { "too many files" } else { "a path that is too long" }));
                }
                pending.push(TreeNode { path, kind, id });
            }
        }
        Ok(())
    }

    fn children(&self, tree: ObjectId) -> Result<Vec<(BString, EntryKind, ObjectId)>> {
        let size = self.repo.find_header(tree).map_err(|error| self.damaged(&error))?.size();
        if size > LARGEST_FOLDER {
            return Err(self.refused("a folder with too many files"));
        }
        let read = || -> gix::Result<_> {
            let tree = self.repo.find_tree(tree)?;
            gix::objs::compute_hash(tree.id.kind(), gix::objs::Kind::Tree, &tree.data)?.verify(&tree.id)?;
            tree.iter()
                .map(|entry| {
                    let entry = entry?;
                    Ok((entry.filename().to_owned(), entry.kind().into(), entry.object_id()))
                })
                .collect()
        };
        let children: Vec<(BString, EntryKind, ObjectId)> = read().map_err(|error| self.damaged(&error))?;
        // git never writes such names; a path made of them would lead anywhere.
        let bad = |name: &[u8]| matches!(name, b"" | b"." | b"..") || name.contains(&b'/') || name.contains(&0);
        match children.iter().find(|(name, ..)| bad(name)) {
            Some((name, ..)) => Err(self.refused(&format!("a file that cannot be checked out: `{name}`"))),
            None => Ok(children),
        }
    }

    /// What `path` leads to in a checkout, symlinks followed as long as they stay in the tree.
    fn find(&self, path: &str) -> Result<Option<TreeNode>> {
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(Error::usage(
                format!("the path `{path}` leaves the repository"),
                "paths are relative to the repository's root and have no `..`",
            ));
        }
        let mut ahead: VecDeque<BString> = path.split('/').map(BString::from).collect();
        let mut here = vec![TreeNode { path: BString::default(), kind: EntryKind::Folder, id: self.root }];
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            if part.is_empty() || part == "." {
                continue;
            }
            if part == ".." {
                here.pop();
                if here.is_empty() {
                    return Ok(None);
                }
                continue;
            }
            let Some(folder) = here.last().filter(|node| node.kind == EntryKind::Folder) else { return Ok(None) };
            let children = self.children(folder.id)?;
            let Some((name, kind, id)) = children.into_iter().find(|(name, ..)| *name == part) else {
                return Ok(None);
            };
            if kind != EntryKind::Symlink {
                here.push(TreeNode { path: join(folder.path.as_ref(), name.as_ref()), kind, id });
                continue;
            }
            links += 1;
            let target = self.link_target(id)?;
            if links > MOST_LINKS || target.starts_with(b"/") {
                return Ok(None);
            }
            for part in target.split(|byte| *byte == b'/').rev() {
                ahead.push_front(part.into());
            }
        }
        Ok(here.pop())
    }

    fn link_target(&self, id: ObjectId) -> Result<Vec<u8>> {
        let size = self.repo.find_header(id).map_err(|error| self.damaged(&error))?.size();
        if size > LONGEST_PATH as u64 {
            return Err(self.refused("a symlink that is too long"));
        }
        self.blob(id)
    }

    fn refused(&self, what: &str) -> Error {
        Error::Build {
            what: format!("commit `{}` of `{}` has {what}", self.commit(), self.url),
            tail: Vec::new(),
            hint: "check the repository: git itself would hardly check this out".to_owned(),
        }
    }

    /// The work tree of a local repository; none for a remote or a bare one.
    pub fn work_tree(&self) -> Option<PathBuf> {
        self.url.local_path()?;
        self.repo.workdir().map(PathBuf::from)
    }
}

/// The objects of a repository, for many threads.
pub(crate) struct Objects {
    repo: gix::ThreadSafeRepository,
    url: SourceUrl,
}

impl Objects {
    pub(crate) fn reader(&self) -> ObjectReader {
        ObjectReader { repo: self.repo.to_thread_local(), url: self.url.clone() }
    }
}

/// Reads objects on one thread.
pub(crate) struct ObjectReader {
    repo: gix::Repository,
    url: SourceUrl,
}

impl ObjectReader {
    /// The target of the symlink `id`; none if it is longer than any path.
    pub(super) fn link_target(&self, id: ObjectId) -> Result<Option<Vec<u8>>> {
        let size = self.repo.find_header(id).map_err(|error| damaged(&self.url, &error))?.size();
        if size > LONGEST_PATH as u64 { Ok(None) } else { self.blob(id).map(Some) }
    }

    /// The bytes of the file `id`, held to that id: a damaged cache is noticed here, not in a build.
    pub(crate) fn blob(&self, id: ObjectId) -> Result<Vec<u8>> {
        blob(&self.repo, id).map_err(|error| damaged(&self.url, &error))
    }
}

fn blob(repo: &gix::Repository, id: ObjectId) -> gix::Result<Vec<u8>> {
    let mut blob = repo.find_blob(id)?;
    let data = std::mem::take(&mut blob.data);
    gix::objs::compute_hash(id.kind(), gix::objs::Kind::Blob, &data)?.verify(&id)?;
    Ok(data)
}

fn join(folder: &BStr, name: &BStr) -> BString {
    let mut path = BString::from(folder);
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}
