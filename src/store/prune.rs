//! The size of the cache, and removing what is not used.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::cache_entry::entry_lock_name;
use super::process_lock::{self, Share};
use super::{CacheKind, Store, scratch, trash};
use crate::{Error, Result};

/// The size of one kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The kind.
    pub kind: CacheKind,
    /// How many entries or repositories.
    pub entries: usize,
    /// Bytes on disk; hard-linked files count once.
    pub bytes: u64,
}

/// What to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneScope {
    /// Everything nobody uses right now.
    All,
    /// Everything that was not used for this long.
    OlderThan(Duration),
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many entries and repositories are gone.
    pub entries: usize,
    /// Bytes that became free.
    pub bytes: u64,
    /// How many were kept because another process uses them.
    pub busy: usize,
}

/// Something that may be removed.
struct Prunable {
    used: SystemTime,
    bytes: u64,
    path: PathBuf,
    lock_file: PathBuf,
    is_whole: bool,
}

impl Store {
    /// The size of each kind of content; locks and work in progress are left out.
    pub fn size(&self) -> Result<Vec<Size>> {
        let mut seen = HashSet::new();
        CacheKind::ALL
            .into_iter()
            .map(|kind| {
                let dir = self.kind_dir(kind);
                let entries = fs::read_dir(&dir).map_err(Error::io("read", &dir))?;
                let entries = match kind {
                    // In a folder each for the first digits of their names.
                    CacheKind::Files => {
                        entries.flatten().flat_map(|folder| fs::read_dir(folder.path())).flatten().count()
                    }
                    _ => entries.count(),
                };
                Ok(Size { kind, entries, bytes: usage(&dir, &mut seen) })
            })
            .collect()
    }

    /// Removes content. What another process uses stays and is counted as busy.
    pub fn prune(&self, what: PruneScope) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let mut seen = HashSet::new();
        for kind in CacheKind::ALL {
            let dir = self.kind_dir(kind);
            if matches!(kind, CacheKind::Trash | CacheKind::Files) {
                continue;
            }
            if kind.is_whole() {
                let is_empty = fs::read_dir(&dir).map_err(Error::io("read", &dir))?.next().is_none();
                if !is_empty {
                    self.prune_one(&dir, &self.lock_file(kind.as_str()), what, &mut pruned, &mut seen)?;
                    fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
                }
                continue;
            }
            for item in fs::read_dir(&dir).map_err(Error::io("read", &dir))?.flatten() {
                let path = item.path();
                let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
                let lock_file = self.lock_file(&entry_lock_name(kind, name));
                self.prune_one(&path, &lock_file, what, &mut pruned, &mut seen)?;
            }
        }
        self.prune_trash(&mut pruned, &mut seen);
        pruned.bytes += self.prune_shared_files();
        Ok(pruned)
    }

    fn is_layer(&self, path: &Path) -> bool {
        path.starts_with(self.kind_dir(CacheKind::Layers))
    }

    /// Removes what was not used for the longest time until the cache has at most `most` bytes, or all that is left is in
    /// use.
    pub fn prune_to(&self, most: u64) -> Result<Pruned> {
        let (mut pruned, mut seen) = (Pruned::default(), HashSet::new());
        self.prune_trash(&mut pruned, &mut HashSet::new());
        pruned.bytes += self.prune_shared_files();
        let mut found = Vec::new();
        for kind in CacheKind::ALL.into_iter().filter(|kind| *kind != CacheKind::Files) {
            let dir = self.kind_dir(kind);
            let one = |path: PathBuf, lock_file: PathBuf, seen: &mut _| {
                let used = fs::symlink_metadata(&path).and_then(|meta| meta.modified()).unwrap_or(UNIX_EPOCH);
                Prunable { used, bytes: usage(&path, seen), path, lock_file, is_whole: kind.is_whole() }
            };
            if kind.is_whole() {
                if fs::read_dir(&dir).map_err(Error::io("read", &dir))?.next().is_some() {
                    found.push(one(dir, self.lock_file(kind.as_str()), &mut seen));
                }
                continue;
            }
            for item in fs::read_dir(&dir).map_err(Error::io("read", &dir))?.flatten() {
                let path = item.path();
                let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
                let lock_file = self.lock_file(&entry_lock_name(kind, name));
                found.push(one(path, lock_file, &mut seen));
            }
        }
        let mut total = found.iter().map(|one| one.bytes).sum::<u64>();
        found.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        for Prunable { path, lock_file, bytes, is_whole, .. } in found {
            if total <= most {
                break;
            }
            let before = pruned.entries;
            self.prune_one(&path, &lock_file, PruneScope::All, &mut pruned, &mut HashSet::new())?;
            if is_whole {
                fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
            }
            if pruned.entries > before {
                // Files that layers share are counted with one of them.
                let is_layer = self.is_layer(&path);
                pruned.bytes += if is_layer { self.prune_shared_files() } else { 0 };
                total = if is_layer { self.size()?.iter().map(|size| size.bytes).sum() } else { total - bytes };
            }
        }
        Ok(pruned)
    }

    /// What is being removed is removed now.
    fn prune_trash(&self, pruned: &mut Pruned, seen: &mut HashSet<(u64, u64)>) {
        let trash = self.kind_dir(CacheKind::Trash);
        scratch::sweep(&self.tmp(), &trash);
        let entries = fs::read_dir(&trash).into_iter().flatten().flatten();
        pruned.bytes += entries.map(|entry| usage(&entry.path(), seen)).sum::<u64>();
        pruned.entries += trash::empty(&trash);
    }

    fn prune_one(
        &self,
        path: &Path,
        lock_file: &Path,
        what: PruneScope,
        pruned: &mut Pruned,
        seen: &mut HashSet<(u64, u64)>,
    ) -> Result<()> {
        if !is_old(path, what) {
            return Ok(());
        }
        let Some(_alone) = process_lock::attempt(lock_file, Share::Exclusive)? else {
            pruned.busy += 1;
            return Ok(());
        };
        // It may have been used between the check and the lock.
        if is_old(path, what) {
            // What layers share becomes free with the last of them.
            pruned.bytes += if self.is_layer(path) { unshared(path) } else { usage(path, seen) };
            let trash = self.scratch()?;
            fs::rename(path, trash.path().join("x")).map_err(Error::io("remove", path))?;
            pruned.entries += 1;
        }
        let _ = fs::remove_file(lock_file);
        Ok(())
    }
}

fn is_old(path: &Path, what: PruneScope) -> bool {
    match what {
        PruneScope::All => true,
        PruneScope::OlderThan(age) => fs::symlink_metadata(path)
            .and_then(|found| found.modified())
            .is_ok_and(|used| SystemTime::now().duration_since(used).is_ok_and(|unused| unused >= age)),
    }
}

/// Bytes on disk of `path` and everything below it; what cannot be read counts nothing.
pub fn disk_usage(path: &Path) -> u64 {
    usage(path, &mut HashSet::new())
}

fn usage(path: &Path, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    if found.nlink() > 1 && !found.is_dir() && !seen.insert((found.dev(), found.ino())) {
        return 0;
    }
    let mut bytes = found.blocks() * 512;
    if found.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            bytes += usage(&entry.path(), seen);
        }
    }
    bytes
}

/// The bytes of files that have no other name.
fn unshared(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => unshared(&entry.path()) + found.blocks() * 512,
            Ok(found) if found.nlink() == 1 => found.blocks() * 512,
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::sync::atomic::AtomicBool;

    static GO: AtomicBool = AtomicBool::new(false);

    fn fill(store: &Store, key: &str) -> super::super::CacheEntry {
        store
            .entry(CacheKind::Tools, key, &GO, |dir| {
                fs::write(dir.join("data"), vec![7; 100_000]).map_err(Error::io("write", dir))
            })
            .unwrap()
    }

    #[test]
    fn what_nobody_uses_is_measured_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let used = fill(&store, "used");
        let idle = fill(&store, "idle").path().to_path_buf();
        let tools = store.size().unwrap().into_iter().find(|size| size.kind == CacheKind::Tools).unwrap();
        assert_eq!(tools.entries, 2);
        assert!(tools.bytes >= 200_000, "{}", tools.bytes);

        let pruned = store.prune(PruneScope::All).unwrap();
        assert_eq!((pruned.entries, pruned.busy), (1, 1));
        assert!(pruned.bytes >= 100_000);
        assert!(!idle.exists());
        assert!(used.path().join("data").exists());
    }

    #[test]
    fn the_tree_of_the_last_build_goes_and_that_of_a_running_one_stays() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        for name in ["done", "running"] {
            let tree = store.kind_dir(CacheKind::Work).join(name);
            fs::create_dir(&tree).unwrap();
            fs::write(tree.join("file"), vec![7; 100_000]).unwrap();
        }
        let work = store.size().unwrap().into_iter().find(|size| size.kind == CacheKind::Work).unwrap();
        assert!(work.entries == 2 && work.bytes >= 200_000, "{work:?}");
        let _running = store.lock(&entry_lock_name(CacheKind::Work, "running"), &GO).unwrap();
        let pruned = store.prune(PruneScope::All).unwrap();
        assert_eq!((pruned.entries, pruned.busy), (1, 1));
        let left: Vec<_> =
            fs::read_dir(store.kind_dir(CacheKind::Work)).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, ["running"]);
    }

    #[test]
    fn the_cache_of_a_tool_goes_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let npm = store.tool_cache(CacheKind::Npm, &GO).unwrap();
        fs::create_dir_all(npm.path().join("_cacache/index")).unwrap();
        fs::write(npm.path().join("_cacache/index/a"), "1").unwrap();
        assert_eq!(store.prune(PruneScope::All).unwrap(), Pruned { busy: 1, ..Pruned::default() });
        drop(npm);
        assert_eq!(store.prune(PruneScope::OlderThan(Duration::from_secs(60))).unwrap(), Pruned::default());
        assert_eq!(store.prune(PruneScope::All).unwrap().entries, 1);
        assert_eq!(fs::read_dir(store.kind_dir(CacheKind::Npm)).unwrap().count(), 0);
    }

    #[test]
    fn age_counts_from_the_last_use() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let age = Duration::from_secs(86_400);
        for key in ["old", "used-again"] {
            let path = fill(&store, key).path().to_path_buf();
            File::open(path).unwrap().set_modified(SystemTime::now() - 2 * age).unwrap();
        }
        drop(fill(&store, "used-again"));
        assert_eq!(store.prune(PruneScope::OlderThan(age)).unwrap().entries, 1);
        assert!(store.find_entry(CacheKind::Tools, "used-again", &GO).unwrap().is_some());
        assert!(store.find_entry(CacheKind::Tools, "old", &GO).unwrap().is_none());
    }

    #[test]
    fn what_was_used_last_stays_until_the_cache_is_small_enough() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        for (key, days) in [("old", 3), ("used", 2), ("new", 0)] {
            let path = fill(&store, key).path().to_path_buf();
            File::open(path).unwrap().set_modified(SystemTime::now() - days * Duration::from_secs(86_400)).unwrap();
        }
        let lock = store.lock(&entry_lock_name(CacheKind::Tools, "used"), &GO).unwrap();
        assert_eq!(store.prune_to(10 << 20).unwrap(), Pruned::default());
        // Two of three fit.
        let pruned = store.prune_to(250_000).unwrap();
        assert_eq!((pruned.entries, pruned.busy), (1, 0));
        let left = || {
            let entries = fs::read_dir(store.kind_dir(CacheKind::Tools)).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(left(), ["new", "used"]);
        let pruned = store.prune_to(0).unwrap();
        assert_eq!((pruned.entries, pruned.busy), (1, 1));
        assert_eq!(left(), ["used"]);
        drop(lock);
    }

    #[test]
    fn what_is_being_removed_counts_and_goes() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let left = store.kind_dir(CacheKind::Trash).join("left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("file"), vec![7; 100_000]).unwrap();
        let size = store.size().unwrap().into_iter().find(|size| size.kind == CacheKind::Trash).unwrap();
        assert!(size.entries == 1 && size.bytes >= 100_000, "{size:?}");
        let pruned = store.prune(PruneScope::OlderThan(Duration::from_secs(60))).unwrap();
        assert!(pruned.entries == 1 && pruned.bytes >= 100_000, "{pruned:?}");
        assert!(!left.exists());
    }
}
