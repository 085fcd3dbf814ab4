//! `REV:path`: files of a commit, read from the repository's objects without a `git` program.

use std::fs;
use std::path::{Component, Path, PathBuf};

use gix::objs::tree::EntryKind;

use crate::config::versions_json;
use crate::error::{Error, Result};

/// What RHDH's export repository calls the folder of its workspaces.
pub const WORKSPACES: &str = "workspaces";
/// Larger files are none of a configuration's.
const LIMIT: u64 = 64 << 20;
/// No real configuration is deeper.
const DEPTH: usize = 40;

/// The tree of a commit.
#[derive(Debug)]
pub struct Revision {
    repo: gix::Repository,
    tree: gix::ObjectId,
    name: String,
}

/// What a path is in a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreePathKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

impl Revision {
    /// Finds the repository that `start` lies in, and the commit that `rev` names there.
    pub fn open(start: &Path, rev: &str) -> Result<Self> {
        let repo = discover(start).ok_or_else(|| {
            Error::usage(
                format!("`{}` is not in a git repository, so `{rev}` cannot be resolved", start.display()),
                "pass the path of a lock, or run in a clone",
            )
        })?;
        let tree = repo
            .rev_parse_single(rev)
            .ok()
            .and_then(|id| id.object().ok())
            .and_then(|object| object.peel_to_tree().ok())
            .map(|tree| tree.id)
            .ok_or_else(|| {
                let hint = match rev {
                    "HEAD" => "nothing is committed yet: commit the lock".to_owned(),
                    _ if repo.is_shallow().unwrap_or(false) => {
                        "this clone is shallow, and has no earlier commits than its own: run `git fetch \
                                               --unshallow`; in GitHub's checkout action, set `fetch-depth: 0`"
                            .to_owned()
                    }
                    _ => format!("fetch it; for a branch of a remote, use `origin/{}`", rev.escape_debug()),
                };
                Error::usage(format!("`{}` is not a commit in this repository", rev.escape_debug()), hint)
            })?;
        Ok(Self { repo, tree, name: rev.to_owned() })
    }

    /// What it was named by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A path as git counts it, from the repository's root; `here` is where relative paths start.
    pub fn relative(&self, here: &Path, path: &Path) -> Result<String> {
        let outside = || {
            Error::usage(
                format!("`{}` is outside the repository", path.display()),
                "use a path in the repository's work tree",
            )
        };
        let root = self.repo.workdir().and_then(|dir| dir.canonicalize().ok()).ok_or_else(outside)?;
        // The file itself need not be there any more, nor its folders: only what is there is looked up.
        let full = here.join(path);
        let folder = full.file_name().and(full.parent()).unwrap_or(&full);
        let there = folder.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
        let (there, found) = there.ok_or_else(outside)?;
        let rest = normal(full.strip_prefix(there).unwrap_or(Path::new(""))).ok_or_else(outside)?;
        let below = found.join(rest).strip_prefix(&root).map(Path::to_path_buf).map_err(|_| outside())?;
        below.to_str().map(str::to_owned).ok_or_else(outside)
    }

    /// A path behind `REV:`, from the root: as git has it, it starts there, or with `./` in `here`.
    pub fn path(&self, here: &Path, text: &str) -> Result<String> {
        if matches!(text, "." | "..") || text.starts_with("./") || text.starts_with("../") {
            return self.relative(here, Path::new(text));
        }
        Ok(text.trim_matches('/').to_owned())
    }

    /// Where a path from the root is in the work tree, or would be.
    pub fn in_work_tree(&self, path: &str) -> Option<PathBuf> {
        Some(self.repo.workdir()?.canonicalize().ok()?.join(path))
    }

    /// Lays out a configuration folder below `scratch`, and returns where: `versions.json` lies beside `workspaces`.
    pub fn lay_out(&self, path: &str, scratch: &Path) -> Result<PathBuf> {
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = scratch.join(if last == WORKSPACES { WORKSPACES } else { "config" });
        self.export(path, &dir)?;
        if last == WORKSPACES
            && let Some(bytes) = self.read(&below(parent, versions_json::FILE_NAME))?
        {
            let file = scratch.join(versions_json::FILE_NAME);
            fs::write(&file, bytes).map_err(Error::io("write", &file))?;
        }
        Ok(dir)
    }

    /// What a path from the root is; none when there is no such file or folder.
    pub fn kind(&self, path: &str) -> Result<Option<TreePathKind>> {
        Ok(self.find(path)?.and_then(|(_, kind)| match kind {
            EntryKind::Blob | EntryKind::BlobExecutable => Some(TreePathKind::File),
            EntryKind::Tree => Some(TreePathKind::Folder),
            EntryKind::Link | EntryKind::Commit => None,
        }))
    }

    /// The plain names of what a folder has; nothing where there is none.
    pub fn entries(&self, path: &str) -> Result<Vec<(String, TreePathKind)>> {
        let Some((id, EntryKind::Tree)) = self.find(path)? else { return Ok(Vec::new()) };
        let tree = self.repo.find_tree(id).map_err(|e| self.damaged(&e))?;
        let mut entries = Vec::new();
        for entry in tree.iter() {
            let entry = entry.map_err(|e| self.damaged(&e))?;
            let kind = match entry.mode().kind() {
                EntryKind::Blob | EntryKind::BlobExecutable => TreePathKind::File,
                EntryKind::Tree => TreePathKind::Folder,
                EntryKind::Link | EntryKind::Commit => continue,
            };
            let name = std::str::from_utf8(entry.filename()).ok().filter(|name| is_plain_name(name));
            entries.extend(name.map(|name| (name.to_owned(), kind)));
        }
        Ok(entries)
    }

    /// The bytes of a file.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.find(path)? {
            Some((id, EntryKind::Blob | EntryKind::BlobExecutable)) => self.blob(id, path).map(Some),
            _ => Ok(None),
        }
    }

    /// Writes a folder of the commit to `to`. Links are replaced by the files of that folder they lead to; those that
    /// lead anywhere else, and submodules, are left out.
    pub fn export(&self, path: &str, to: &Path) -> Result<()> {
        let Some((id, EntryKind::Tree)) = self.find(path)? else { return Ok(()) };
        let mut links = Vec::new();
        self.export_tree(id, Path::new(""), to, &mut links, 0)?;
        for (link, target) in links {
            let from = link.parent().unwrap_or(Path::new("")).join(&target);
            if let Some(from) = normal(&from).map(|from| to.join(from))
                && from.is_file()
            {
                let to = to.join(&link);
                fs::copy(&from, &to).map_err(Error::io("write", &to))?;
            }
        }
        Ok(())
    }

    fn export_tree(
        &self,
        id: gix::ObjectId,
        below: &Path,
        to: &Path,
        links: &mut Vec<(PathBuf, String)>,
        depth: usize,
    ) -> Result<()> {
        let folder = to.join(below);
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        if depth > DEPTH {
            return Ok(());
        }
        let tree = self.repo.find_tree(id).map_err(|e| self.damaged(&e))?;
        for entry in tree.iter() {
            let entry = entry.map_err(|e| self.damaged(&e))?;
            // A tree can hold any bytes as a name: only plain ones become files.
            let Some(name) = std::str::from_utf8(entry.filename()).ok().filter(|name| is_plain_name(name)) else {
                continue;
            };
            let below = below.join(name);
            let file = to.join(&below);
            match entry.mode().kind() {
                EntryKind::Tree => self.export_tree(entry.object_id(), &below, to, links, depth + 1)?,
                EntryKind::Commit => {}
                EntryKind::Link => {
                    let target = self.blob(entry.object_id(), name)?;
                    links.extend(String::from_utf8(target).ok().map(|target| (below, target)));
                }
                kind @ (EntryKind::Blob | EntryKind::BlobExecutable) => {
                    fs::write(&file, self.blob(entry.object_id(), name)?).map_err(Error::io("write", &file))?;
                    if kind == EntryKind::BlobExecutable {
                        use std::os::unix::fs::PermissionsExt as _;
                        let mode = fs::Permissions::from_mode(0o755);
                        fs::set_permissions(&file, mode).map_err(Error::io("write", &file))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn find(&self, path: &str) -> Result<Option<(gix::ObjectId, EntryKind)>> {
        let tree = self.repo.find_tree(self.tree).map_err(|e| self.damaged(&e))?;
        let path = path.trim_matches('/');
        if path.is_empty() || path == "." {
            return Ok(Some((self.tree, EntryKind::Tree)));
        }
        let entry = tree.lookup_entry_by_path(path).map_err(|e| self.damaged(&e))?;
        Ok(entry.map(|entry| (entry.object_id(), entry.mode().kind())))
    }

    fn blob(&self, id: gix::ObjectId, path: &str) -> Result<Vec<u8>> {
        let size = self.repo.find_header(id).map_err(|e| self.damaged(&e))?.size();
        if size > LIMIT {
            return Err(Error::usage(
                format!("`{}:{path}` is {} MiB large, the limit is {} MiB", self.name, size >> 20, LIMIT >> 20),
                "check that the path is that of a lock or a configuration",
            ));
        }
        Ok(self.repo.find_blob(id).map_err(|e| self.damaged(&e))?.take_data())
    }

    fn damaged(&self, error: &dyn std::fmt::Display) -> Error {
        Error::usage(format!("cannot read `{}`: {error}", self.name), "check the repository with `git fsck`")
    }
}

/// The repository that a folder lies in. None of the user's git configuration is read.
pub(super) fn discover(start: &Path) -> Option<gix::Repository> {
    let options = || gix::open::Options::isolated();
    let mapping = gix::sec::trust::Mapping { full: options(), reduced: options() };
    let upwards = gix::discover::upwards::Options::default();
    gix::ThreadSafeRepository::discover_opts(start, upwards, mapping).ok().map(|repo| repo.to_thread_local())
}

/// A path of git's from a folder of git's.
pub fn below(dir: &str, entry: &str) -> String {
    if dir.is_empty() { entry.to_owned() } else { format!("{dir}/{entry}") }
}

fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.eq_ignore_ascii_case(".git")
        && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control())
}

/// A path without `.` and `..`; none when it leads out.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_their_folder() {
        assert_eq!(normal(Path::new("a/../b/./c")), Some("b/c".into()));
        assert_eq!(normal(Path::new("a/../../b")), None);
        assert_eq!(normal(Path::new("/etc/passwd")), None);
    }

    #[test]
    fn names_that_are_no_names_are_left_out() {
        for name in ["..", ".git", ".GIT", "a/b", "a\\b", "", "a\nb"] {
            assert!(!is_plain_name(name), "{name:?}");
        }
        assert!(is_plain_name("plugins-list.yaml"));
    }
}
