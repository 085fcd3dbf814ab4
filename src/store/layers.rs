//! Layers: trees of many files that are made in the cache, kept as entries and never written to again. Several may be
//! kept for one key, told apart by what follows it in their names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

use super::cache_entry::{CacheEntry, CheckedEntry, entry_lock_name};
use super::checksums;
use super::process_lock::{self, LockGuard, Share};
use super::scratch::Scratch;
use super::stat_cache::Reading;
use super::{CacheKind, Store, trash};
use crate::Result;

/// The one layer of a key that is being made.
#[derive(Debug)]
pub struct NewLayer {
    store: Store,
    key: String,
    scratch: Scratch,
    _alone: LockGuard,
}

impl Store {
    /// The names of the layers of a key, in the order in which they are tried.
    pub fn layers_of(&self, key: &str) -> Vec<String> {
        let entries = fs::read_dir(self.kind_dir(CacheKind::Layers)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(key)).collect();
        names.sort_unstable();
        names
    }

    /// Where the layer of this name lies, if it is there.
    pub fn layer_path(&self, name: &str) -> PathBuf {
        self.entry_path(CacheKind::Layers, name)
    }

    /// The layer of this name, if every file of it is as it was. One in which a file changed is removed.
    pub fn sound_layer(&self, name: &str, reading: Reading, interrupt: &AtomicBool) -> Result<CheckedEntry> {
        self.sound_entry(CacheKind::Layers, name, reading, interrupt)
    }

    /// Begins a layer, after any other process or thread that makes one of this key has ended.
    pub fn new_layer(&self, key: &str, interrupt: &AtomicBool) -> Result<NewLayer> {
        let alone = self.lock(&format!("{}.fill", entry_lock_name(CacheKind::Layers, key)), interrupt)?;
        self.make_room()?;
        Ok(NewLayer { store: self.clone(), key: key.to_owned(), scratch: self.scratch()?, _alone: alone })
    }
}

impl Store {
    /// Where the disk is nearly full, layers that were not used for the longest time make way.
    fn make_room(&self) -> Result<()> {
        let layers = self.kind_dir(CacheKind::Layers);
        if !trash::is_scarce(&layers) {
            return Ok(());
        }
        let used = |name: &String| self.layer_path(name).metadata().and_then(|meta| meta.modified()).ok();
        let mut names = self.layers_of("");
        names.sort_by_cached_key(used);
        for name in names {
            let lock_file = self.lock_file(&entry_lock_name(CacheKind::Layers, &name));
            if let Some(_alone) = process_lock::attempt(&lock_file, Share::Exclusive)? {
                self.discard(&self.layer_path(&name))?;
                self.prune_shared_files();
            }
            if !trash::is_scarce(&layers) {
                break;
            }
        }
        Ok(())
    }
}

impl NewLayer {
    /// The empty folder to fill, on the file system of the cache.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Lists the files, shares those that other layers have, and keeps the layer as `<key>-<variant>`, or under a name
    /// that begins so.
    ///
    /// It is not flushed to the disk: what a loss of power takes has another size, and is noticed.
    pub fn keep(self, variant: &str, interrupt: &AtomicBool) -> Result<CacheEntry> {
        let Self { store, key, scratch, _alone } = self;
        let files = checksums::read_all(scratch.path(), interrupt)?;
        store.share_files(scratch.path(), &files, interrupt)?;
        let list = checksums::write_list(scratch.path(), &files)?;
        drop(files);
        checksums::write_record(scratch.path(), &list, interrupt)?;
        let mut names =
            std::iter::once(format!("{key}-{variant}")).chain((1..).map(|n| format!("{key}-{variant}.{n}")));
        // One of this name that is there was of no use to the caller.
        let taken = |name: &String| store.entry_path(CacheKind::Layers, name).exists();
        let name = names.find(|name| !taken(name)).unwrap_or_default();
        let path = store.entry_path(CacheKind::Layers, &name);
        let lock_file = store.lock_file(&entry_lock_name(CacheKind::Layers, &name));
        let used = process_lock::acquire(&lock_file, Share::Shared, interrupt)?;
        let fresh = scratch.place_unflushed(&path)?;
        store.sound.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        Ok(CacheEntry { path, fresh, _use: used })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    static GO: AtomicBool = AtomicBool::new(false);

    fn layer(store: &Store, key: &str, files: &[(&str, &str)]) -> CacheEntry {
        let new = store.new_layer(key, &GO).unwrap();
        for (path, text) in files {
            let file = new.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(456_789_000);
            fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        }
        new.keep("v", &GO).unwrap()
    }

    fn inode(layer: &CacheEntry, path: &str) -> u64 {
        fs::metadata(layer.path().join(path)).unwrap().ino()
    }

    #[test]
    fn a_file_that_layers_have_in_common_is_stored_once() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let large = "x".repeat(100_000);
        let one = layer(&store, "one", &[("a/x.js", &large), ("b/x.js", &large), ("own.js", "1")]);
        let bytes = |kind| store.size().unwrap().into_iter().find(|size| size.kind == kind).unwrap().bytes;
        let before = bytes(CacheKind::Layers);
        let two = layer(&store, "two", &[("x.js", &large), ("y.js", &large), ("own.js", "2")]);
        assert_eq!((inode(&one, "a/x.js"), inode(&one, "b/x.js")), (inode(&two, "x.js"), inode(&two, "y.js")));
        // Within a layer no two paths are one file: a script that archives them would see that.
        assert_ne!(inode(&one, "a/x.js"), inode(&one, "b/x.js"));
        assert_ne!(inode(&one, "own.js"), inode(&two, "own.js"));
        assert!(bytes(CacheKind::Layers) < before + 50_000, "{before}");
    }

    #[test]
    fn what_no_layer_has_any_more_goes() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let large = "x".repeat(100_000);
        let one = layer(&store, "one", &[("x.js", &large), ("own.js", &"1".repeat(50_000))]);
        let two = layer(&store, "two", &[("x.js", &large)]);
        drop(one);
        let pruned = store.prune(crate::store::PruneScope::All).unwrap();
        assert_eq!((pruned.entries, pruned.busy), (1, 1));
        let left = || {
            let folders = fs::read_dir(store.kind_dir(CacheKind::Files)).unwrap().flatten();
            folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten()).count()
        };
        assert_eq!(left(), 1);
        assert_eq!(fs::read_to_string(two.path().join("x.js")).unwrap(), large);
        drop(two);
        store.prune(crate::store::PruneScope::All).unwrap();
        assert_eq!(left(), 0);
    }

    #[test]
    fn a_damaged_file_is_shared_with_nobody() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let one = layer(&store, "one", &[("x.js", "good")]);
        let (name, file) = (one.path().file_name().unwrap().to_str().unwrap().to_owned(), one.path().join("x.js"));
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "bad!").unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        let two = layer(&store, "two", &[("x.js", "good")]);
        assert_eq!(fs::read_to_string(two.path().join("x.js")).unwrap(), "good");
        drop(one);
        let another = Store::open(root.path()).unwrap();
        let found = another.sound_layer(&name, Reading::Changed, &GO).unwrap();
        assert!(matches!(&found, CheckedEntry::Damaged(what) if what.ends_with("/x.js` was changed")), "{found:?}");
        let three = layer(&store, "three", &[("x.js", "good")]);
        assert_eq!(inode(&three, "x.js"), inode(&two, "x.js"));
        assert!(another.layers_of("one").is_empty());
    }
}
