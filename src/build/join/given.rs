//! Reads the files of shards, which others wrote.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::shard::{self, ShardRecord};
use crate::error::{Error, Place, Result};
use crate::lock::Shard;
use crate::store::UntrustedTree;
use crate::user_file;

/// The most bytes that all files of shards have together: those of 264 plugins have half a megabyte.
const MOST_BYTES: u64 = user_file::DOCUMENT;

/// A shard with the folder in which its outputs are.
pub struct GivenShard {
    /// What it says.
    pub record: ShardRecord,
    /// Where its outputs are.
    pub(super) tree: UntrustedTree,
    /// Its file, for messages.
    pub(super) shown: String,
}

/// Builds leave folders and regular files alone.
const HINT: &str = "`factory build` leaves no such thing there: it was made later, or when the folder was copied; copy the \
                    shard's output directory again, or build the shard again";

const NAMED: &str = "name the output directories of `factory build --shard`, or the `shard-<n>.json` in them";

/// The folder of a shard.
fn open(folder: &Path) -> Result<UntrustedTree> {
    Ok(UntrustedTree::open(folder, format!("shard `{}`", folder.display()))?.with_hint(HINT))
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
    shard: Option<serde::de::IgnoredAny>,
}

impl GivenShard {
    /// Which one it is.
    pub fn shard(&self) -> Shard {
        Shard { number: self.record.shard, count: self.record.shards }
    }

    /// Reads the shards that are named by their files, or by the folders that have them.
    pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let mut left = MOST_BYTES;
        let mut all = Vec::new();
        for path in paths {
            for (folder, name) in files(path)? {
                all.push(Self::read(&folder, &name, &mut left)?);
            }
        }
        Ok(all)
    }

    fn read(folder: &Path, name: &str, left: &mut u64) -> Result<Self> {
        let tree = open(folder)?;
        let path = folder.join(name);
        let bytes = tree.read(Path::new(name), *left)?;
        *left = left.saturating_sub(bytes.len() as u64);
        let broken = |error: &serde_json::Error| {
            Error::config(
                Place::at(&path, error.line(), error.column()),
                error.to_string(),
                "copy the file again, or build the shard again",
            )
        };
        let Versioned { version, shard: is_shard } = serde_json::from_slice(&bytes).map_err(|error| broken(&error))?;
        if is_shard.is_none() {
            return Err(Error::usage(format!("`{}` is not the file of a shard", path.display()), NAMED));
        }
        if version != shard::VERSION {
            return Err(Error::usage(
                format!("{}: its format {version} is not one that this factory reads", path.display()),
                "join with the factory that built the shard",
            ));
        }
        let record: ShardRecord = serde_json::from_slice(&bytes).map_err(|error| broken(&error))?;
        Ok(Self { record, tree, shown: path.display().to_string() })
    }
}

/// The folders and names of the files that are meant with a path.
fn files(path: &Path) -> Result<Vec<(PathBuf, String)>> {
    if !std::fs::metadata(path).map_err(Error::io("read", path))?.is_dir() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return Ok(vec![(folder.to_path_buf(), name)]);
    }
    let tree = open(path)?;
    let names = tree.entries(Path::new(""))?.into_iter().map(|(name, _)| name);
    let found: Vec<_> = names.filter(|name| is_shard(name)).map(|name| (path.to_path_buf(), name)).collect();
    if found.is_empty() {
        return Err(Error::usage(format!("there is no `shard-<n>.json` in `{}`", path.display()), NAMED));
    }
    Ok(found)
}

fn is_shard(name: &str) -> bool {
    let number = name.strip_prefix("shard-").and_then(|rest| rest.strip_suffix(".json"));
    number.and_then(|number| number.parse().ok()).is_some_and(|number: usize| shard::file_name(number) == name)
}
