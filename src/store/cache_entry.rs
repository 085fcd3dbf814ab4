//! Entries: content under a key that appears whole or not at all, filled by one process while others wait for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use super::process_lock::{self, LockGuard, Share};
use super::{CacheKind, Store, file_name};
use crate::store::checksums::{self, FileCheck, KnownSums};
use crate::store::stat_cache::{self, Reading};
use crate::{Error, Result};

/// An entry in use: it is not pruned while this value lives.
#[derive(Debug)]
pub struct CacheEntry {
    pub(super) path: PathBuf,
    pub(super) fresh: bool,
    pub(super) _use: LockGuard,
}

impl CacheEntry {
    /// The folder. Treat it as read-only: other processes use it too.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True when this call filled it, false when it was there.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }
}

/// What [`Store::sound_entry`] found.
#[derive(Debug)]
pub enum CheckedEntry {
    /// The entry, as it was filled.
    Sound(CacheEntry),
    /// There is none.
    Missing,
    /// There was one, in which this was wrong; it has been removed.
    Damaged(String),
}

impl Store {
    /// The entry `key` of a kind, filled by `fill` where it is missing.
    ///
    /// `fill` gets an empty folder on the same file system; its content gets the entry's name only when `fill` returns
    /// `Ok`. When two processes want the same entry, one fills and the other waits; when the filler fails or dies, the
    /// other fills.
    pub fn entry(
        &self,
        kind: CacheKind,
        key: &str,
        interrupt: &AtomicBool,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<CacheEntry> {
        self.hashed_entry(kind, key, interrupt, |to| fill(to).map(|()| KnownSums::default()))
    }

    /// The same with a `fill` that has hashed what it wrote.
    pub fn hashed_entry(
        &self,
        kind: CacheKind,
        key: &str,
        interrupt: &AtomicBool,
        fill: impl FnOnce(&Path) -> Result<KnownSums>,
    ) -> Result<CacheEntry> {
        if let Some(entry) = self.find_entry(kind, key, interrupt)? {
            return Ok(entry);
        }
        let name = entry_lock_name(kind, key);
        let filling = self.lock(&format!("{name}.fill"), interrupt)?;
        if let Some(entry) = self.find_entry(kind, key, interrupt)? {
            return Ok(entry);
        }
        let path = self.entry_path(kind, key);
        let used = process_lock::acquire(&self.lock_file(&name), Share::Shared, interrupt)?;
        let scratch = self.scratch()?;
        let known = fill(scratch.path())?;
        if has_list(kind) {
            checksums::write(scratch.path(), &known, interrupt)?;
            self.sound.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        }
        // A flush of many files takes seconds. What a loss of power takes of a tool has another size then, and is noticed.
        let fresh = if kind == CacheKind::Tools { scratch.place_unflushed(&path)? } else { scratch.place(&path)? };
        drop(filling);
        Ok(CacheEntry { path, fresh, _use: used })
    }

    /// The entry `key` of a kind if it is there.
    pub fn find_entry(&self, kind: CacheKind, key: &str, interrupt: &AtomicBool) -> Result<Option<CacheEntry>> {
        let path = self.entry_path(kind, key);
        let used = process_lock::acquire(&self.lock_file(&entry_lock_name(kind, key)), Share::Shared, interrupt)?;
        if !path.is_dir() {
            return Ok(None);
        }
        touch(&path);
        Ok(Some(CacheEntry { path, fresh: false, _use: used }))
    }

    /// The folder that npm or yarn ([`CacheKind::is_whole`]) keeps as its own cache, in use until the value is dropped.
    pub fn tool_cache(&self, kind: CacheKind, interrupt: &AtomicBool) -> Result<CacheEntry> {
        let used = process_lock::acquire(&self.lock_file(kind.as_str()), Share::Shared, interrupt)?;
        let path = self.kind_dir(kind);
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        touch(&path);
        Ok(CacheEntry { path, fresh: false, _use: used })
    }

    /// The entry `key` of a kind, every file of it as it was when it was filled. One in which a file changed is removed:
    /// it is never used. A process looks once, however many of its builds use the entry.
    pub fn sound_entry(
        &self,
        kind: CacheKind,
        key: &str,
        reading: Reading,
        interrupt: &AtomicBool,
    ) -> Result<CheckedEntry> {
        // One process checks, and removes what is damaged; the others find it sound, or missing.
        let _alone = self.lock(&format!("{}.check", entry_lock_name(kind, key)), interrupt)?;
        let Some(entry) = self.find_entry(kind, key, interrupt)? else { return Ok(CheckedEntry::Missing) };
        let is_known = self.sound.lock().unwrap_or_else(PoisonError::into_inner).contains(entry.path());
        if is_known || !has_list(kind) {
            return Ok(CheckedEntry::Sound(entry));
        }
        match checksums::check(entry.path(), reading, interrupt)? {
            FileCheck::Damaged(damage) => {
                drop(entry);
                self.remove_entry(kind, key, interrupt)?;
                return Ok(CheckedEntry::Damaged(damage));
            }
            // Without the record the next look takes longer: a cache that cannot be written is none the worse for it.
            FileCheck::Sound(record) => {
                let _ = self.note(&entry.path().join(stat_cache::RECORD), &record);
            }
        }
        self.sound.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.path().to_path_buf());
        Ok(CheckedEntry::Sound(entry))
    }

    /// Removes the entry `key` of a kind, for instance one whose content turned out to be damaged; false when it was
    /// not there. Waits for those who use it.
    pub fn remove_entry(&self, kind: CacheKind, key: &str, interrupt: &AtomicBool) -> Result<bool> {
        let path = self.entry_path(kind, key);
        let _alone = self.lock(&entry_lock_name(kind, key), interrupt)?;
        if !path.exists() {
            return Ok(false);
        }
        self.discard(&path)?;
        Ok(true)
    }

    /// Writes a file of our own into an entry, atomically: a killed run leaves its temporary file in `tmp/`.
    fn note(&self, path: &Path, text: &str) -> Result<()> {
        if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        let scratch = self.scratch()?;
        let new = scratch.path().join("note");
        fs::write(&new, text).map_err(Error::io("write", &new))?;
        fs::rename(&new, path).map_err(Error::io("write", path))
    }

    pub(super) fn entry_path(&self, kind: CacheKind, key: &str) -> PathBuf {
        self.kind_dir(kind).join(file_name(key))
    }
}

/// Tools and installed packages are run, and builds are published: their files are listed when they are filled.
fn has_list(kind: CacheKind) -> bool {
    matches!(kind, CacheKind::Tools | CacheKind::Builds | CacheKind::Layers)
}

/// The lock that users of an entry share and its remover holds alone.
pub fn entry_lock_name(kind: CacheKind, key: &str) -> String {
    format!("{}-{}", kind.as_str(), file_name(key))
}

/// A folder's modification time is the last time it was used; [`super::prune`] goes by it.
pub(super) fn touch(path: &Path) {
    let _ = File::open(path).and_then(|dir| dir.set_modified(SystemTime::now()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    static GO: AtomicBool = AtomicBool::new(false);

    #[test]
    fn many_want_it_one_fills_it() {
        let root = tempfile::tempdir().unwrap();
        let fills = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                // A store of its own each: what threads of one process do, processes do.
                scope.spawn(|| {
                    let store = Store::open(root.path()).unwrap();
                    let entry = store
                        .entry(CacheKind::Tools, "node-22", &GO, |dir| {
                            fills.fetch_add(1, Ordering::SeqCst);
                            fs::write(dir.join("a"), "1").unwrap();
                            thread::yield_now();
                            fs::write(dir.join("b"), "2").unwrap();
                            Ok(())
                        })
                        .unwrap();
                    assert_eq!(fs::read(entry.path().join("b")).unwrap(), b"2");
                });
            }
        });
        assert_eq!(fills.load(Ordering::SeqCst), 1);
        assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_entry_is_named_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let open = || Store::open(root.path()).unwrap();
        let fill = |dir: &Path| fs::write(dir.join("a"), "1").map_err(Error::io("write", dir));
        drop(open().entry(CacheKind::Tools, "x", &GO, fill).unwrap());
        assert!(matches!(
            open().sound_entry(CacheKind::Tools, "x", Reading::Changed, &GO).unwrap(),
            CheckedEntry::Sound(_)
        ));
        fs::write(root.path().join("tools/x/a"), "2").unwrap();
        let CheckedEntry::Damaged(what) = open().sound_entry(CacheKind::Tools, "x", Reading::Changed, &GO).unwrap()
        else {
            panic!("not noticed")
        };
        assert!(what.ends_with("tools/x/a` was changed"), "{what}");
        assert!(matches!(
            open().sound_entry(CacheKind::Tools, "x", Reading::Changed, &GO).unwrap(),
            CheckedEntry::Missing
        ));
    }

    #[test]
    fn a_failed_fill_leaves_nothing_and_the_next_one_fills() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let failed = store.entry(CacheKind::Tools, "x", &GO, |dir| {
            fs::write(dir.join("half"), "").unwrap();
            Err(Error::Interrupted)
        });
        assert!(matches!(failed, Err(Error::Interrupted)));
        assert!(store.find_entry(CacheKind::Tools, "x", &GO).unwrap().is_none());
        assert_eq!(fs::read_dir(store.kind_dir(CacheKind::Tools)).unwrap().count(), 0);

        let entry = store.entry(CacheKind::Tools, "x", &GO, |_| Ok(())).unwrap();
        assert!(entry.is_fresh());
        assert!(!store.entry(CacheKind::Tools, "x", &GO, |_| unreachable!()).unwrap().is_fresh());
        drop(entry);
        assert!(store.remove_entry(CacheKind::Tools, "x", &GO).unwrap());
        assert!(!store.remove_entry(CacheKind::Tools, "x", &GO).unwrap());
        assert!(store.find_entry(CacheKind::Tools, "x", &GO).unwrap().is_none());
    }
}
