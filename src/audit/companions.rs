//! The files beside a lock: beside the file, in the commit it was read from, or nowhere.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use super::revision::Revision;
use crate::error::{Error, Result};
use crate::lock::Sha256;
use crate::lock::text::COMPANION;

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
    Other,
}

impl Companions {
    /// A file's bytes; `path` is below `factory.lock.d`. None when there is no such file.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::None => Ok(None),
            Self::Folder(dir) => {
                let path = dir.join(COMPANION).join(path);
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
                    "" => format!("{COMPANION}/{path}"),
                    dir => format!("{dir}/{COMPANION}/{path}"),
                };
                revision.read(&path)
            }
        }
    }

    /// A file's bytes when they are those the lock names.
    pub fn held(&self, path: &str, digest: Sha256) -> Result<Result<Vec<u8>, Unusable>> {
        Ok(match self.read(path)? {
            None => Err(Unusable::Missing),
            Some(bytes) if Sha256::of(&bytes) == digest => Ok(bytes),
            Some(_) => Err(Unusable::Other),
        })
    }
}

/// The closure's place below `factory.lock.d`.
pub fn closure_path(workspace: &str, plugin: &str) -> String {
    below(workspace, plugin, "yarn.lock")
}

/// The place of the list of a plugin's files below `factory.lock.d`.
pub fn files_path(workspace: &str, plugin: &str) -> String {
    below(workspace, plugin, "files")
}

/// The place of rhdh-cli's tree below `factory.lock.d`.
pub fn cli_tree_path(version: &str) -> String {
    format!("rhdh-cli/{version}/package-lock.json")
}

fn below(workspace: &str, plugin: &str, file: &str) -> String {
    match plugin {
        "." => format!("{workspace}/{file}"),
        plugin => format!("{workspace}/{plugin}/{file}"),
    }
}
