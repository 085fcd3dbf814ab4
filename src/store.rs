//! The cache folder that every stage shares: git objects, tools, registry files, finished builds.
//!
//! ```text
//! <cache>/
//!   CACHEDIR.TAG            backup programs leave the folder alone
//!   git/<name>-<hash>/      one bare repository per repository URL
//!   tools/ npm/ yarn/ builds/   entries: each appears whole or not at all
//!   layers/                 entries: installed trees, shown to builds below what these write
//!   files/                  the files of layers by content, each linked to by all that have it
//!   work/                   the folders of the last builds
//!   trash/                  what is being removed
//!   unlocked/               why there is no lock: one file per lock that `factory resolve` could not write
//!   locks/                  one file per lock between processes
//!   tmp/                    work in progress, on the same file system, removed when its process has ended
//! ```
//!
//! Nothing here is a record: deleting the folder costs time, never a pin.
//!
//! `process_lock` keeps processes apart and `scratch` gives each of them a folder below `tmp/`; `cache_entry` fills a
//! scratch folder and [`atomic`] gives it its name. `checksums` lists an entry's files and compares them before each
//! use, for which `stat_cache` remembers those that were not touched. `layers` keeps trees of many files, those that
//! several have once (`shared_files`); `cloned_tree` copies them where a build cannot be shown them. `prune` removes what
//! is not used, `trash` what nobody needs, beside the work. [`git`] is the sources. `untrusted_tree` reads and writes where
//! scripts could.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Error, Result};

pub mod atomic;
mod beneath;
mod cache_entry;
mod checksums;
mod cloned_tree;
pub mod git;
mod layers;
mod process_lock;
mod prune;
mod real_path;
mod scratch;
mod shared_files;
mod stat_cache;
mod trash;
mod untrusted_tree;

pub use atomic::{AtomicFile, atomic_copy, atomic_edit, atomic_file, discard_unfinished, new_file};
pub use beneath::{file_beneath, room_beneath, stays_beneath};
pub use cache_entry::{CacheEntry, CheckedEntry, entry_lock_name};
pub use checksums::KnownSums;
pub use cloned_tree::{can_clone, clone_tree};
pub use layers::NewLayer;
pub use process_lock::{LockGuard, Share};
pub use prune::{PruneScope, Pruned, Size, disk_usage};
pub use real_path::real_path;
pub use scratch::{Scratch, remove_tree};
pub use stat_cache::Reading;
pub use untrusted_tree::{LeftKind, UntrustedTree, open_folder_beneath, open_unlinked};

/// The signature that the cache directory tagging specification asks for.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55
# This folder is the cache of `factory`: everything in it can be fetched or built again.
";

/// The kinds of content, each with a folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheKind {
    /// Bare repositories.
    Git,
    /// Node, yarn, rhdh-cli and their trees.
    Tools,
    /// npm's own cache.
    Npm,
    /// Yarn's own cache.
    Yarn,
    /// Finished builds.
    Builds,
    /// Installed trees.
    Layers,
    /// The files of layers.
    Files,
    /// The trees of the last builds.
    Work,
    /// What is being removed.
    Trash,
}

impl CacheKind {
    /// All kinds, in the order `factory cache size` prints them. Layers come before their files, which count where they
    /// are met first.
    pub const ALL: [Self; 9] = [
        Self::Git,
        Self::Tools,
        Self::Npm,
        Self::Yarn,
        Self::Builds,
        Self::Layers,
        Self::Files,
        Self::Work,
        Self::Trash,
    ];

    /// True for a folder that a tool keeps as its own cache: it goes as a whole or not at all.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Npm | Self::Yarn)
    }

    /// The name of the folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Tools => "tools",
            Self::Npm => "npm",
            Self::Yarn => "yarn",
            Self::Builds => "builds",
            Self::Layers => "layers",
            Self::Files => "files",
            Self::Work => "work",
            Self::Trash => "trash",
        }
    }
}

/// An open cache folder. Cheap to clone; any number of processes may have the same folder open.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
    session: Arc<Mutex<Option<Arc<scratch::ScratchSession>>>>,
    /// Entries that this process has held against their lists.
    sound: Arc<Mutex<HashSet<PathBuf>>>,
    remover: trash::Remover,
}

impl Store {
    /// Opens the cache at `dir`, creating it (mode 0700) where it is missing, and removes what dead processes left,
    /// beside the work.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        let dir = std::path::absolute(&dir).map_err(Error::io("find", &dir))?;
        let fresh = !dir.exists();
        for folder in ["locks", "tmp", "unlocked"].into_iter().chain(CacheKind::ALL.map(CacheKind::as_str)) {
            let folder = dir.join(folder);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(Error::io("create", &folder))?;
        }
        if fresh {
            // Missing parents got the mode too, under the umask; the cache itself is set whatever the umask is.
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).map_err(Error::io("create", &dir))?;
        }
        let tag = dir.join("CACHEDIR.TAG");
        if !tag.exists() {
            atomic_file(&tag, CACHEDIR_TAG.as_bytes())?;
        }
        let store = Self { dir, session: Arc::default(), sound: Arc::default(), remover: Arc::default() };
        scratch::sweep(&store.tmp(), &store.kind_dir(CacheKind::Trash));
        store.empty_trash();
        Ok(store)
    }

    /// The cache folder, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of a kind.
    pub fn kind_dir(&self, kind: CacheKind) -> PathBuf {
        self.dir.join(kind.as_str())
    }

    /// Takes the lock `name` between all processes and threads that share this cache, waiting as long as it takes.
    ///
    /// [`LockGuard::waited`] tells whether another held it. Dropping the guard, or dying, releases it.
    pub fn lock(&self, name: &str, interrupt: &AtomicBool) -> Result<LockGuard> {
        process_lock::acquire(&self.lock_file(name), Share::Exclusive, interrupt)
    }

    /// The lock `name` if nobody else has it.
    pub fn try_lock(&self, name: &str) -> Result<Option<LockGuard>> {
        process_lock::attempt(&self.lock_file(name), Share::Exclusive)
    }

    /// An empty folder on the cache's own file system, removed when the value is dropped, or by the next run where
    /// this one is killed.
    pub fn scratch(&self) -> Result<Scratch> {
        let session = {
            let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            match &*session {
                Some(session) => Arc::clone(session),
                None => Arc::clone(session.insert(Arc::new(scratch::ScratchSession::start(&self.tmp())?))),
            }
        };
        Scratch::new(session)
    }

    /// The folder of what could not be locked.
    pub fn unlocked_dir(&self) -> PathBuf {
        self.dir.join("unlocked")
    }

    fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    fn lock_file(&self, name: &str) -> PathBuf {
        self.dir.join("locks").join(format!("{}.lock", file_name(name)))
    }
}

/// `text` as the name of one file: letters, digits and `._+-` stay, so that a person finds it; when anything else was in
/// it, or it is long, a checksum keeps different texts apart.
fn file_name(text: &str) -> String {
    const LONGEST: usize = 80;
    let safe = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if !text.is_empty() && text.len() <= LONGEST && text.chars().all(safe) && !text.starts_with('.') {
        return text.to_owned();
    }
    let kept: String = text.chars().map(|c| if safe(c) { c } else { '+' }).take(LONGEST - 18).collect();
    format!("{}-{}", kept.trim_start_matches('.'), short_hash(text))
}

/// The first 16 hexadecimal digits of the SHA-256 of `text`.
fn short_hash(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_a_private_tagged_folder() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path().join("a/cache")).unwrap();
        let mode = fs::metadata(store.dir()).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o700);
        let tag = fs::read_to_string(store.dir().join("CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"), "{tag}");
        for kind in CacheKind::ALL {
            assert!(store.kind_dir(kind).is_dir());
        }
        Store::open(store.dir()).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("cache");
        fs::write(&file, "").unwrap();
        let error = Store::open(&file).unwrap_err().to_string();
        assert!(error.starts_with("cannot create `") && error.contains("cache/locks`"), "{error}");
    }

    #[test]
    fn file_names_are_readable_safe_and_distinct() {
        assert_eq!(file_name("node-22.20.0"), "node-22.20.0");
        let odd = file_name("../a b");
        assert!(!odd.contains('/') && !odd.starts_with('.'), "{odd}");
        assert_ne!(file_name("a/b"), file_name("a:b"));
        assert!(file_name(&"x".repeat(500)).len() <= 90);
    }
}
