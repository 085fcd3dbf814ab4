//! The files beside a lock: beside the file, in the commit it was read from, or nowhere.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::git_revision::Revision;
use crate::error::{Error, Place, Result};
use crate::lock::Sha256;
use crate::lock::bundle::Bundle;
use crate::lock::companions::CompanionPath;
use crate::user_file;

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
                // A link is followed, since the digest says whether it is the file.
                match user_file::read(&path, user_file::DOCUMENT) {
                    Err(e) if e.kind() == ErrorKind::PermissionDenied => Err(Error::io("read", &path)(e)),
                    read => Ok(read.ok()),
                }
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

    /// A file's bytes; an error when they are not those the lock names.
    pub fn required(&self, path: &CompanionPath, digest: Sha256) -> Result<Vec<u8>> {
        self.verified(path, digest)?.map_err(|why| Error::Lock {
            place: Place::file(path.as_str()),
            what: match why {
                Unusable::Missing => "not found; the lock requires it".into(),
                Unusable::Mismatch => "does not match the digest in the lock".into(),
            },
            hint: "restore `factory.lock.d` from version control".into(),
        })
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

/// What is in the bundles of a frontend, from the file at `path`.
pub fn read_bundle(bytes: &[u8], path: &CompanionPath) -> Result<Bundle> {
    let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned());
    text.and_then(Bundle::parse).map_err(|what| Error::Lock {
        place: Place::file(path.as_str()),
        what,
        hint: "use the factory that wrote the lock, or a newer one".into(),
    })
}
