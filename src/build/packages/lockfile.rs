//! What a `yarn.lock` names, of either kind of yarn, between the shared cache and that of a build.

use std::collections::BTreeSet;
use std::path::Path;

use super::berry::{self, LockedPackage};
use super::classic;
use super::unpinned::Unpinned;
use super::{CopiedIn, PackageCache, is_berry};
use crate::error::Result;
use crate::lock::Workspace;
use crate::yarn::lockfile::YarnLock;

/// What a lockfile names.
pub enum LockfilePackages {
    /// Zips of yarn 2 and later.
    Berry(Vec<LockedPackage>),
    /// Tarballs of classic yarn, by their SHA-512.
    Classic(BTreeSet<String>),
}

impl LockfilePackages {
    /// Reads a lockfile of the workspace's yarn; `path` is for messages.
    pub fn of(workspace: &Workspace, lockfile: &[u8], path: &Path) -> Result<Self> {
        let lock = YarnLock::parse(lockfile, path)?;
        let is_berry = is_berry(workspace);
        Ok(if is_berry { Self::Berry(berry::of_lock(&lock)) } else { Self::Classic(classic::of_lock(&lock)) })
    }

    /// Adds what another lockfile of the same yarn names.
    pub fn extend(&mut self, other: Self) {
        match (self, other) {
            (Self::Berry(all), Self::Berry(more)) => all.extend(more),
            (Self::Classic(all), Self::Classic(more)) => all.extend(more),
            _ => {}
        }
    }

    /// Copies it from the shared cache into the build's.
    pub fn copy_in(&self, packages: &PackageCache<'_>) -> Result<CopiedIn> {
        match self {
            Self::Berry(listed) => packages.copy_in(listed),
            Self::Classic(listed) => Ok(CopiedIn { damaged: packages.copy_in_classic(listed)?, ..CopiedIn::default() }),
        }
    }

    /// What of it is in the build's cache without a checksum in the lockfile.
    pub fn unpinned(&self, packages: &PackageCache<'_>) -> Result<Unpinned> {
        match self {
            Self::Berry(listed) => packages.unpinned(listed),
            // Of the mirror only tarballs with a checksum are shared.
            Self::Classic(_) => Ok(Unpinned::default()),
        }
    }

    /// Copies what yarn fetched of it into the shared cache.
    pub fn take_back(&self, packages: &PackageCache<'_>) -> Result<usize> {
        match self {
            Self::Berry(listed) => packages.take_back(listed),
            Self::Classic(listed) => packages.take_back_classic(listed),
        }
    }
}
