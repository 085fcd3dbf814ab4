//! The packages of a workspace, in a yarn cache of its own for the time of its build.
//!
//! Install scripts and yarn plugins are third-party code that can write to the cache yarn gives them. So a build never
//! sees the shared cache: what its `yarn.lock` names is copied out of it, each zip checked against the lock on the
//! way, and what yarn fetched is taken back the same way. What a build puts in its own cache beside that is dropped.
//!
//! Yarn's lockfile has no checksum for packages that are only for some platforms (the native parts of bundlers). They
//! are shared only among builds of one repository, and must be what the lock has sealed ([`unpinned`]), before that
//! what was fetched first.

pub mod berry;
pub mod classic;
pub mod lockfile;
pub mod unpinned;
pub mod yarn_settings;
pub mod zips;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};
use crate::lock::{Sha256, Workspace};
use crate::store::{CacheEntry, CacheKind, Store, UntrustedTree};
use unpinned::Unpinned;

/// Folder of the zips in yarn's global folder.
const CACHE: &str = "cache";
/// Folder, per repository, of zips that no lockfile has a checksum for.
const UNPINNED: &str = "unpinned";
/// The largest package of a build's cache that is read, in bytes.
const LARGEST: u64 = 512 << 20;

/// True for yarn 2 and later.
pub fn is_berry(workspace: &Workspace) -> bool {
    !workspace.source.yarn.version.starts_with("1.") && !workspace.source.yarn.version.starts_with("0.")
}

/// The packages of one workspace between the shared cache and its own.
pub struct PackageCache<'a> {
    store: &'a Store,
    /// The shared cache: it is not pruned while this lives.
    shared: CacheEntry,
    /// yarn's global folder of this build.
    own: UntrustedTree,
    /// Where zips without a checksum are kept.
    unpinned: PathBuf,
    /// What the lock has sealed of these.
    sealed: Unpinned,
    interrupt: &'a AtomicBool,
}

/// What [`PackageCache::copy_in`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopiedIn {
    /// How many are in the build's cache now.
    pub copied: usize,
    /// Needed on this platform, and not in the cache.
    pub missing: Vec<String>,
    /// Zips that were not what they should be; they have been removed.
    pub damaged: Vec<String>,
}

impl<'a> PackageCache<'a> {
    /// `own` is the build's folder; `repo` the source's repository.
    pub fn new(store: &'a Store, own: &Path, repo: &str, interrupt: &'a AtomicBool) -> Result<Self> {
        let shared = store.tool_cache(CacheKind::Yarn, interrupt)?;
        let unpinned = shared.path().join(UNPINNED).join(&Sha256::of(repo).hex()[..16]);
        for folder in [own, &shared.path().join(CACHE), &unpinned] {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let own = UntrustedTree::open(own, "yarn's cache of the build")?;
        own.make_folder(Path::new(CACHE))?;
        Ok(Self { store, shared, own, unpinned, sealed: Unpinned::default(), interrupt })
    }

    /// Zips without a checksum must be those that the lock has sealed.
    #[must_use]
    pub fn with_sealed(self, sealed: Unpinned) -> Self {
        Self { sealed, ..self }
    }
}
