//! `tmp/`: work in progress. Each process has one folder there and holds a lock beside it while it runs, so
//! that leftovers of a killed process can be told from what a running one needs, across containers too.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::process_lock::{self, LockGuard, Share};
use crate::{Error, Result};

/// A process's own folder in `tmp/`.
#[derive(Debug)]
pub(super) struct ScratchSession {
    dir: PathBuf,
    lock_file: PathBuf,
    _alive: LockGuard,
}

impl ScratchSession {
    pub(super) fn start(tmp: &Path) -> Result<Self> {
        loop {
            let name = random_name();
            let lock_file = tmp.join(format!("{name}.lock"));
            let Some(alive) = process_lock::attempt(&lock_file, Share::Exclusive)? else { continue };
            let dir = tmp.join(name);
            fs::DirBuilder::new().mode(0o700).create(&dir).map_err(Error::io("create", &dir))?;
            return Ok(Self { dir, lock_file, _alive: alive });
        }
    }
}

impl Drop for ScratchSession {
    fn drop(&mut self) {
        let _ = remove_tree(&self.dir);
        let _ = fs::remove_file(&self.lock_file);
    }
}

/// The process, and enough to tell its sessions apart.
pub(super) fn random_name() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let bits = RandomState::new().hash_one(std::time::SystemTime::now());
    format!("{}-{:08x}", std::process::id(), bits & 0xffff_ffff)
}

/// A folder for work in progress; removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: Option<TempDir>,
    _session: Arc<ScratchSession>,
}

impl Scratch {
    pub(super) fn new(session: Arc<ScratchSession>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(&session.dir)
            .map_err(Error::io("create", &session.dir))?;
        Ok(Self { folder: Some(folder), _session: session })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }

    /// Flushes the content to disk and gives it a name elsewhere on the cache's file system; false when something has
    /// that name already.
    pub(super) fn place(self, to: &Path) -> Result<bool> {
        super::atomic::flush(self.path())?;
        self.place_flushed(to)
    }

    /// The same for content that was flushed as it was written.
    pub(super) fn place_flushed(self, to: &Path) -> Result<bool> {
        let placed = self.place_unflushed(to)?;
        if placed {
            super::atomic::flush_name(to)?;
        }
        Ok(placed)
    }

    /// The same without a wait for the disk.
    pub(super) fn place_unflushed(mut self, to: &Path) -> Result<bool> {
        let placed = super::atomic::rename_dir(self.path(), to)?;
        if placed && let Some(folder) = self.folder.take() {
            let _ = folder.keep();
        }
        Ok(placed)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            let _ = remove_tree(&folder.keep());
        }
    }
}

/// Moves the leftovers of killed processes from `tmp` to the trash. Never fails: a later run tries again.
pub(super) fn sweep(tmp: &Path, trash: &Path) {
    let Ok(entries) = fs::read_dir(tmp) else { return };
    for lock_file in entries.flatten().map(|entry| entry.path()) {
        if lock_file.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        if let Ok(Some(_dead)) = process_lock::attempt(&lock_file, Share::Exclusive) {
            let dir = lock_file.with_extension("");
            if !dir.exists() || fs::rename(&dir, trash.join(random_name())).is_ok() {
                let _ = fs::remove_file(&lock_file);
                tracing::debug!("`{}` was left by a process that was killed: it is removed", dir.display());
            }
        }
    }
}

/// Removes a folder and all in it, if it is there; also folders without write permission, which builds and Go modules
/// leave.
pub fn remove_tree(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            make_writable(dir);
            fs::remove_dir_all(dir)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn make_writable(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn scratch_goes_away_and_the_session_with_it() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let scratch = store.scratch().unwrap();
        let path = scratch.path().to_path_buf();
        fs::write(path.join("half"), "").unwrap();
        fs::create_dir(path.join("locked")).unwrap();
        fs::write(path.join("locked/file"), "").unwrap();
        fs::set_permissions(path.join("locked"), std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
        drop(scratch);
        assert!(!path.exists());
        drop(store);
        assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn only_what_dead_processes_left_is_swept() {
        let root = tempfile::tempdir().unwrap();
        let alive = Store::open(root.path()).unwrap();
        let scratch = alive.scratch().unwrap();
        // A killed process leaves its folder and an unlocked lock file.
        let tmp = root.path().join("tmp");
        fs::create_dir(tmp.join("999-dead")).unwrap();
        fs::write(tmp.join("999-dead/half"), "").unwrap();
        fs::write(tmp.join("999-dead.lock"), "999").unwrap();

        let _other = Store::open(root.path()).unwrap();
        assert!(scratch.path().exists());
        assert!(!tmp.join("999-dead").exists() && !tmp.join("999-dead.lock").exists());
    }
}
