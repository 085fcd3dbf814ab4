//! Getting refs and commits: look first, lock, then ask.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;

use super::attempt::{attempt, with_retries};
use super::failure::GitFailure;
use super::pack_watch::PackWatch;
use super::remote::{Advertised, RefScope};
use super::repository::{Repository, create_bare, parse_id, ref_name};
use super::transport::{Errand, Network};
use super::tree::Tree;
use super::{program, remote};
use crate::store::atomic_file;
use crate::{Error, Result};

impl Repository {
    /// The refs of the repository, local or remote. An empty repository has none.
    pub fn list(&self, scope: RefScope, network: &Network, interrupt: &AtomicBool) -> Result<Vec<Advertised>> {
        if !self.is_remote() {
            return self.list_local();
        }
        let limits = network.limits;
        let errand = Errand {
            what: format!("listing the refs of `{}`", self.url),
            by_gix: Arc::new(move |repository, _| remote::list(repository, scope, limits)),
            by_program: Arc::new(move |repository, stop| program::list(repository, scope, limits, stop)),
        };
        errand
            .run(self, network, interrupt)
            .map_err(|refused| refused.into_error("list the refs of", &self.url, &self.dir))
    }

    /// The tree of `commit` (40 hexadecimal digits). Where it is not in the cache, exactly that commit is fetched, at
    /// depth 1; one process fetches while others that want the same repository wait.
    pub fn fetch(&self, commit: &str, network: &Network, interrupt: &AtomicBool) -> Result<Tree> {
        let id = parse_id(commit)?;
        if let Some(tree) = self.tree(commit)? {
            return Ok(tree);
        }
        if !self.is_remote() {
            return Err(Error::usage(
                format!("the repository `{}` has no commit `{commit}`", self.url),
                "fetch it there (`git fetch`), or resolve again",
            ));
        }
        let folder = self.dir.file_name().and_then(|name| name.to_str()).unwrap_or("git");
        let alone = Arc::new(self.store.lock(&format!("git-{folder}.fill"), interrupt)?);
        if let Some(tree) = self.tree(commit)? {
            return Ok(tree);
        }
        // An attempt that was given up may still write for a moment: the lock stays with it.
        let (by_program, limits) = (Arc::clone(&alone), network.limits);
        let errand = Errand {
            what: format!("fetching `{commit}` from `{}`", self.url),
            by_gix: Arc::new(move |repository, stop| {
                let _alone = &alone;
                remove_leftovers(&repository.dir, id);
                remote::fetch(repository, id, limits, stop)
            }),
            by_program: Arc::new(move |repository, stop| {
                let _alone = &by_program;
                remove_leftovers(&repository.dir, id);
                program::fetch(repository, id, stop)
            }),
        };
        errand
            .run(self, network, interrupt)
            .map_err(|refused| refused.into_error(&format!("fetch commit `{commit}` from"), &self.url, &self.dir))?;
        if self.open_isolated()?.has_object(id) {
            self.mark(id)?;
        }
        self.tree(commit)?.ok_or_else(|| {
            GitFailure::NoCommit.into_error(&format!("fetch commit `{commit}` from"), &self.url, &self.dir)
        })
    }

    /// Writes the ref that says "this commit is here whole", after all it stands for has reached the disk.
    fn mark(&self, commit: ObjectId) -> Result<()> {
        for path in files(&self.dir.join("objects/pack")).chain([self.dir.join("shallow")]) {
            match fs::File::open(&path).and_then(|file| file.sync_all()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("write", &path)(error));
                }
                _ => {}
            }
        }
        atomic_file(&self.dir.join(ref_name(commit)), format!("{commit}\n").as_bytes())
    }

    /// The commits whose ids begin with `prefix` (7 to 39 hexadecimal digits), those behind tag objects too. `None` where
    /// that cannot be known without the whole history: for a remote, unless the `git` program is used.
    pub(crate) fn commits_with_prefix(
        &self,
        prefix: &str,
        network: &Network,
        interrupt: &AtomicBool,
    ) -> Result<Option<Vec<String>>> {
        if self.is_remote() && !network.is_by_program(&self.url) {
            return Ok(None);
        }
        if self.is_remote() {
            let what = format!("looking for the commit `{prefix}` in `{}`", self.url);
            return with_retries(network.attempts, network.pause, interrupt, &what, || {
                let broken = |error: Error| GitFailure::Other(error.to_string());
                let (repository, prefix) = (self.clone(), prefix.to_owned());
                let scratch = self.store.scratch().map_err(broken)?;
                create_bare(scratch.path()).map_err(broken)?;
                let watch = PackWatch::new(scratch.path(), network.limits.pack);
                attempt(network.timeout, interrupt, watch, move |stop| {
                    program::commits_with_prefix(&repository, scratch.path(), &prefix, stop)
                })
            })
            .map(Some)
            .map_err(|failure| failure.into_error("read the history of", &self.url, &self.dir));
        }
        let repo = self.open_isolated()?;
        let read = || -> gix::Result<Vec<String>> {
            let mut found = HashSet::new();
            repo.objects.lookup_prefix(gix::hash::Prefix::from_hex(prefix)?, Some(&mut found))?;
            let mut commits = Vec::new();
            for id in found {
                if let Ok(commit) = repo.find_object(id)?.peel_to_kind(gix::objs::Kind::Commit) {
                    commits.push(commit.id.to_string());
                }
            }
            Ok(commits)
        };
        read().map(Some).map_err(|error| super::failure::damaged(&self.url, &error))
    }

    fn list_local(&self) -> Result<Vec<Advertised>> {
        let repo = self.open_isolated()?;
        let read = || -> gix::Result<Vec<Advertised>> {
            let mut refs = Vec::new();
            let head = repo.head()?;
            if let Some(id) = head.id() {
                refs.push(Advertised {
                    name: "HEAD".to_owned(),
                    target: id.to_string(),
                    peeled: None,
                    symbolic: head.referent_name().map(|name| name.as_bstr().to_string()),
                });
            }
            for found in repo.references()?.all()? {
                // A ref to an object that is gone does not stop the others.
                let Ok(mut found) = found else { continue };
                let name = found.name().as_bstr().to_string();
                let symbolic = found.target().try_name().map(|name| name.as_bstr().to_string());
                let Some(target) = direct_target(&mut found) else { continue };
                let Ok(peeled) = found.peel_to_id() else { continue };
                let peeled = Some(peeled.detach()).filter(|peeled| *peeled != target);
                refs.push(Advertised {
                    name,
                    target: target.to_string(),
                    peeled: peeled.map(|id| id.to_string()),
                    symbolic,
                });
            }
            Ok(refs)
        };
        read().map_err(|error| super::failure::damaged(&self.url, &error))
    }
}

/// What a ref points to after following symbolic refs, but not through tag objects.
fn direct_target(found: &mut gix::Reference<'_>) -> Option<ObjectId> {
    if let Some(id) = found.try_id() {
        return Some(id.detach());
    }
    let mut next = found.follow()?.ok()?;
    for _ in 0..5 {
        if let Some(id) = next.try_id() {
            return Some(id.detach());
        }
        next = next.follow()?.ok()?;
    }
    None
}

/// Removes the leftovers of a killed fetch from a bare repository of the cache. Only with the repository's lock held.
fn remove_leftovers(dir: &Path, commit: ObjectId) {
    let locks = files(dir).chain(files(&dir.join("refs/factory")));
    let locks = locks.filter(|path| ends_with(path, ".lock") || ends_with(path, ".tmp"));
    let packs = files(&dir.join("objects/pack")).filter(|path| !ends_with(path, ".pack") && !ends_with(path, ".idx"));
    // A mark without its commit: the machine went down before the objects reached the disk.
    for path in locks.chain(packs).chain([dir.join(ref_name(commit))]) {
        let _ = fs::remove_file(path);
    }
}

fn ends_with(path: &Path, end: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(end.as_bytes()))
}

/// The regular files of a folder; none where it cannot be read.
fn files(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path())
}
