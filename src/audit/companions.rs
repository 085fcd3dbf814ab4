//! The files beside a lock: beside the file, in the commit it was read from, or nowhere.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use super::git_revision::Revision;
use crate::error::{Error, Result};
use crate::lock::Sha256;
use crate::lock::companions::CompanionPath;

/// A companion larger than this is none: real closures have a few megabytes.
const LIMIT: u64 = 64 << 20;

/// Where the files beside a lock are.
#[derive(Debug, Default)]
pub enum Companions {
    /// Nowhere: the lock came from stdin.
    #[default]
    None,
    /// In this folder, the lock's own.
    Folder(PathBuf),
    /// In a commit, below this folder.
    Revision(Box<Revision>, String),
}

/// Why a companion cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unusable {
    /// It is not there.
    Missing,
    /// Its digest is not the one in the lock.
    Mismatch,
}

impl Companions {
    /// A file's bytes; none when there is no such file.
    pub fn read(&self, path: &CompanionPath) -> Result<Option<Vec<u8>>> {
        match self {
            Self::None => Ok(None),
            Self::Folder(dir) => {
                let path = path.below(dir);
                // A pipe or device would block; a link is followed, since the digest says whether it is the file.
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {}
                    _ => return Ok(None),
                }
                let mut bytes = Vec::new();
                let file = fs::File::open(&path).map_err(Error::io("read", &path))?;
                file.take(LIMIT).read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
                Ok(Some(bytes))
            }
            Self::Revision(revision, dir) => {
                let path = match dir.as_str() {
                    "" => path.to_string(),
                    dir => format!("{dir}/{path}"),
                };
                revision.read(&path)
            }
        }
    }

    /// A file's bytes when they are those the lock names.
    pub fn verified(&self, path: &CompanionPath, digest: Sha256) -> Result<Result<Vec<u8>, Unusable>> {
        Ok(match self.read(path)? {
            None => Err(Unusable::Missing),
            Some(bytes) if Sha256::of(&bytes) == digest => Ok(bytes),
            Some(_) => Err(Unusable::Mismatch),
        })
    }
}
