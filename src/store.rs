//! The cache: git repositories, tools, packages. Entries are whole or absent; processes wait for each other.

pub mod atomic;
pub mod npm;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The cache folder.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// A lock between processes, held until dropped.
#[derive(Debug)]
pub struct Guard(#[allow(dead_code)] File);

impl Store {
    /// Opens the cache, making it first.
    pub fn open(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let dir = dir.canonicalize().map_err(Error::io("open", &dir))?;
        let tag = dir.join("CACHEDIR.TAG");
        if !tag.exists() {
            atomic::file(&tag, b"Signature: 8a477f597d28d172789f06886806bc55\n")?;
        }
        Ok(Self { dir })
    }

    /// A folder of the cache, made when it is not there.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        Ok(path)
    }

    /// A temporary folder on the cache's file system, removed when dropped.
    pub fn scratch(&self) -> Result<tempfile::TempDir> {
        let parent = self.folder("tmp")?;
        tempfile::tempdir_in(&parent).map_err(Error::io("create", &parent))
    }

    /// An entry that is there.
    pub fn existing(&self, kind: &str, key: &str) -> Option<PathBuf> {
        Some(self.dir.join(kind).join(key)).filter(|path| path.is_dir())
    }

    /// An entry, filled by `fill` when it is not there: whole or absent, and filled once when processes race.
    pub fn entry(&self, kind: &str, key: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let _guard = self.lock(&format!("{kind}-{key}"), || {})?;
        if let Some(path) = self.existing(kind, key) {
            return Ok(path);
        }
        let scratch = self.scratch()?;
        let content = scratch.path().join("content");
        fs::create_dir(&content).map_err(Error::io("create", &content))?;
        fill(&content)?;
        let path = self.folder(kind)?.join(key);
        fs::rename(&content, &path).map_err(Error::io("create", &path))?;
        Ok(path)
    }

    /// Locks `name` between processes; `waiting` is called once when another one holds it.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> Result<Guard> {
        let path = self.folder("locks")?.join(name);
        let file = File::create(&path).map_err(Error::io("lock", &path))?;
        if file.try_lock().is_err() {
            waiting();
            file.lock().map_err(Error::io("lock", &path))?;
        }
        Ok(Guard(file))
    }
}

/// Removes a folder and all in it, if it is there.
pub fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}
