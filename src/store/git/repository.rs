//! One repository, opened: the cache's bare one of a remote source, or the user's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;

use super::limits::LARGEST_OBJECT;
use super::tree::Tree;
use super::url::{SourceLocation, SourceUrl};
use crate::store::cache_entry::{entry_lock_name, touch};
use crate::store::process_lock::{self, LockGuard, Share};
use crate::store::{CacheKind, Store, atomic_file, file_name, short_hash};
use crate::{Error, Result};

/// A repository from which commits are read. The cache's copy is not pruned while this value, or a [`Tree`] of it, lives.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) store: Store,
    pub(super) url: SourceUrl,
    /// What gix opens: the bare repository in the cache, or the user's work tree or bare repository.
    pub(super) dir: PathBuf,
    pub(super) in_use: Option<Arc<LockGuard>>,
}

impl Store {
    /// Opens the repository at `url`; for a remote one this makes an empty bare repository in the cache. No network.
    pub fn repository(&self, url: &SourceUrl, interrupt: &AtomicBool) -> Result<Repository> {
        let SourceLocation::Remote { .. } = url.location() else {
            let dir = url.local_path().map(Path::to_path_buf).unwrap_or_default();
            return Ok(Repository { store: self.clone(), url: url.clone(), dir, in_use: None });
        };
        let key = repository_key(url);
        let lock_file = self.lock_file(&entry_lock_name(CacheKind::Git, &key));
        let in_use = Some(Arc::new(process_lock::acquire(&lock_file, Share::Shared, interrupt)?));
        let dir = self.kind_dir(CacheKind::Git).join(&key);
        if dir.is_dir() {
            touch(&dir);
        } else {
            let scratch = self.scratch()?;
            create_bare(scratch.path())?;
            scratch.place_flushed(&dir)?;
        }
        Ok(Repository { store: self.clone(), url: url.clone(), dir, in_use })
    }

    /// Removes what the cache keeps of the repository at `url`, for instance because it is damaged; false when there was
    /// nothing. Waits for those who use it. A local repository is never removed.
    pub fn remove_repository(&self, url: &SourceUrl, interrupt: &AtomicBool) -> Result<bool> {
        let SourceLocation::Remote { .. } = url.location() else { return Ok(false) };
        self.remove_entry(CacheKind::Git, &repository_key(url), interrupt)
    }
}

impl Repository {
    /// Where the source lives.
    pub fn url(&self) -> &SourceUrl {
        &self.url
    }

    /// The commit `commit` (40 hexadecimal digits), if it is here whole. No network.
    pub fn tree(&self, commit: &str) -> Result<Option<Tree>> {
        let id = parse_id(commit)?;
        if self.is_remote() && !self.dir.join(ref_name(id)).is_file() {
            // The ref is written last: without it, objects may be there that a killed run left in part.
            return Ok(None);
        }
        let repo = self.open_isolated()?;
        match repo.try_find_header(id) {
            Ok(Some(header)) if header.kind() == gix::objs::Kind::Commit => {}
            Ok(Some(header)) => {
                return Err(Error::usage(
                    format!("`{commit}` of `{}` is a {}, not a commit", self.url, header.kind()),
                    "give a branch, a tag of a commit, or a commit",
                ));
            }
            Ok(None) => return Ok(None),
            Err(error) => return Err(super::failure::damaged(&self.url, &error)),
        }
        Tree::open(self.url.clone(), repo, id, self.in_use.clone()).map(Some)
    }

    pub(super) fn is_remote(&self) -> bool {
        self.in_use.is_some()
    }

    /// Opens for reading: none of the user's configuration, no environment, no replacement of objects.
    pub(super) fn open_isolated(&self) -> Result<gix::Repository> {
        let largest = format!("gitoxide.objects.allocLimit={LARGEST_OBJECT}");
        let mut fixed = vec!["core.useReplaceRefs=false"];
        if self.is_remote() {
            fixed.push(&largest);
        }
        let options = gix::open::Options::isolated().config_overrides(fixed);
        gix::open_opts(&self.dir, options).map_err(|error| {
            Error::usage(
                format!("cannot open the repository `{}`: {}", self.url, error.probable_cause()),
                if self.is_remote() {
                    "remove it from the cache with `factory cache prune`"
                } else {
                    "check it with `git fsck`"
                },
            )
        })
    }
}

/// The folder of a repository in the cache: readable, and distinct for distinct URLs.
fn repository_key(url: &SourceUrl) -> String {
    let canonical = url.canonical();
    let readable = canonical.split_once("://").map_or(canonical.as_str(), |(_, rest)| rest);
    let readable: String = file_name(&readable.replace('/', "+")).chars().take(60).collect();
    format!("{}-{}", readable.trim_start_matches('.'), short_hash(&canonical))
}

/// A bare repository as small as git allows: no hooks, no samples.
pub(super) fn create_bare(dir: &Path) -> Result<()> {
    for folder in ["objects/pack", "objects/info", "refs/heads", "refs/tags", "refs/factory"] {
        let folder = dir.join(folder);
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    }
    for (name, text) in [
        ("HEAD", "ref: refs/heads/none\n"),
        ("config", "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"),
    ] {
        atomic_file(&dir.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// The ref that marks a commit as fetched whole.
pub(super) fn ref_name(commit: ObjectId) -> String {
    format!("refs/factory/{commit}")
}

/// A full commit id. Others are a mistake of the caller or of a lock edited by hand.
pub(super) fn parse_id(commit: &str) -> Result<ObjectId> {
    ObjectId::from_hex(commit.as_bytes()).map_err(|_| {
        Error::usage(format!("`{commit}` is not a full commit id"), "a full commit id has 40 hexadecimal digits")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_readable_and_shared_by_the_spellings_of_a_url() {
        let key = |url: &str| repository_key(&SourceUrl::parse(url, Path::new("/")).unwrap());
        let plain = key("https://github.com/backstage/community-plugins");
        assert!(plain.starts_with("github.com+backstage+community-plugins-"), "{plain}");
        assert_eq!(plain, key("https://me:pw@GitHub.com/backstage/community-plugins.git/"));
        assert_ne!(plain, key("http://github.com/backstage/community-plugins"));
        assert!(key(&format!("https://h/{}", "x".repeat(300))).len() < 80);
        assert_eq!(file_name(&plain), plain, "prune finds the lock by the folder's name");
    }
}
