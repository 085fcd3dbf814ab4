//! `trash/`: what nobody needs any more. It is renamed there, which takes no time, and removed by a thread of low
//! priority beside the work. What is left when the process ends, the next one removes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::process_lock::{self, Share};
use super::scratch::{random_name, remove_tree};
use super::{CacheKind, Store};
use crate::{Error, Result};

/// With less room than this on the disk nothing is left for later.
const SCARCE: u64 = 8 << 30;
/// The lock of the one process that removes.
const LOCK: &str = "trash";

/// The thread that removes, if there is one.
pub(super) type Remover = Arc<Mutex<Option<JoinHandle<()>>>>;

impl Store {
    /// Takes the folder or file `path` of the cache out of the way at once, if it is there, and removes it beside the
    /// work; where the disk is nearly full, before this returns.
    pub fn discard(&self, path: &Path) -> Result<()> {
        let trash = self.kind_dir(CacheKind::Trash);
        match fs::rename(path, trash.join(random_name())) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("remove", path)(error)),
        }
        if is_scarce(&trash) {
            empty(&trash);
        } else {
            self.empty_trash();
        }
        Ok(())
    }

    /// Goes on with what is in the trash, beside the work.
    pub(super) fn empty_trash(&self) {
        let (trash, lock_file) = (self.kind_dir(CacheKind::Trash), self.lock_file(LOCK));
        let is_empty = fs::read_dir(&trash).is_ok_and(|mut entries| entries.next().is_none());
        let mut remover = self.remover.lock().unwrap_or_else(PoisonError::into_inner);
        if is_empty || remover.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let remove = move || {
            let Ok(Some(_alone)) = process_lock::attempt(&lock_file, Share::Exclusive) else { return };
            // Of this thread alone; without it the work only takes a little longer.
            let _ = rustix::process::nice(19);
            while empty(&trash) > 0 {}
        };
        // A machine that has no thread left removes it the next time.
        *remover = std::thread::Builder::new().name("remover".to_owned()).spawn(remove).ok();
    }

    #[cfg(test)]
    pub(super) fn wait_for_remover(&self) {
        let thread = self.remover.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join().unwrap();
        }
    }
}

/// Removes all that is in the trash; how much was removed.
pub(super) fn empty(trash: &Path) -> usize {
    let entries: Vec<PathBuf> = fs::read_dir(trash).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let gone = |path: &&PathBuf| if path.is_dir() { remove_tree(path) } else { fs::remove_file(path) }.is_ok();
    entries.iter().filter(gone).count()
}

/// Whether the disk is nearly full.
pub(super) fn is_scarce(folder: &Path) -> bool {
    let Ok(found) = nix::sys::statvfs::statvfs(folder) else { return false };
    found.blocks_available().saturating_mul(found.fragment_size()) < SCARCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_is_discarded_is_out_of_the_way_at_once_and_then_removed() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let tree = store.kind_dir(CacheKind::Work).join("todo");
        for round in 0..3 {
            fs::create_dir_all(tree.join("node_modules/a")).unwrap();
            fs::write(tree.join("node_modules/a/index.js"), "").unwrap();
            store.discard(&tree).unwrap();
            assert!(!tree.exists(), "{round}");
        }
        store.discard(&tree).unwrap();
        store.wait_for_remover();
        // One that ended just before the last was discarded leaves it to the next.
        store.empty_trash();
        store.wait_for_remover();
        assert_eq!(names(&root.path().join("trash")), 0);
    }

    #[test]
    fn what_an_ended_process_left_goes_with_the_next() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        store.wait_for_remover();
        let trash = store.kind_dir(CacheKind::Trash);
        fs::create_dir_all(trash.join("left/deep")).unwrap();
        fs::write(trash.join("file"), "").unwrap();
        // Another process removes already.
        let other = store.try_lock(LOCK).unwrap().unwrap();
        let next = Store::open(root.path()).unwrap();
        next.wait_for_remover();
        assert_eq!(names(&trash), 2);
        drop(other);
        Store::open(root.path()).unwrap().wait_for_remover();
        assert_eq!(names(&trash), 0);
    }
}
