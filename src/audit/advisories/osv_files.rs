//! OSV records in files: one, a folder of them, or a zip as OSV exports one for each ecosystem. One after the other, so that
//! their number does not matter.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::advisory::Advisory;
use super::osv;
use crate::error::{Error, Place, Result};
use crate::user_file;

/// The most bytes of one record in a folder or zip.
const LARGEST: u64 = 16 << 20;
/// The most records of a folder or zip; npm's have a quarter of a million.
const MOST: usize = 4_000_000;
/// The deepest folder.
const DEEPEST: usize = 16;

const HINT: &str = "name a JSON file of OSV records, a folder of them, or a zip as OSV exports it for npm";

/// The advisories about some packages, and how many records there are.
#[derive(Debug, Default)]
pub struct OsvRecords {
    /// The advisories.
    pub advisories: Vec<Advisory>,
    /// How many records were read.
    pub count: usize,
    /// Links to folders elsewhere, which are not followed.
    pub not_followed: Vec<PathBuf>,
}

impl OsvRecords {
    /// Reads what is at `path`, as far as it is about the packages `wanted`.
    pub fn read(path: &Path, wanted: &BTreeSet<String>) -> Result<Self> {
        let mut records = Self::default();
        if path.is_dir() {
            let root = path.canonicalize().map_err(Error::io("read", path))?;
            records.add_folder((path, &root), wanted, 0)?;
            return Ok(records);
        }
        let mut file = user_file::open(path).map_err(Error::io("read", path))?;
        let mut start = [0; 4];
        let got = file.read(&mut start).map_err(Error::io("read", path))?;
        if &start[..got] == b"PK\x03\x04" {
            drop(file);
            records.add_zip(path, wanted)?;
        } else {
            let bytes = bounded(start[..got].chain(file), user_file::DOCUMENT, path)?;
            records.add(&bytes, path, wanted)?;
        }
        Ok(records)
    }

    fn add(&mut self, bytes: &[u8], path: &Path, wanted: &BTreeSet<String>) -> Result<()> {
        let (found, count) = osv::parse(bytes, wanted).map_err(|what| broken(path, what))?;
        self.advisories.extend(found);
        self.count += count;
        if self.count > MOST {
            return Err(broken(path, format!("is more than {MOST} records")));
        }
        Ok(())
    }

    /// Of links, those to files are followed. What a link to a folder has is read where it is in `root`.
    fn add_folder(&mut self, folder: (&Path, &Path), wanted: &BTreeSet<String>, depth: usize) -> Result<()> {
        let (folder, root) = folder;
        if depth > DEEPEST {
            return Err(broken(folder, "lies too deep".into()));
        }
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(Error::io("read", folder))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type().map_err(Error::io("read", folder))?);
            let is_folder_elsewhere =
                || path.is_dir() && !path.canonicalize().is_ok_and(|target| target.starts_with(root));
            if kind.is_dir() {
                self.add_folder((&path, root), wanted, depth + 1)?;
            } else if is_json(&path) && (kind.is_file() || kind.is_symlink() && !path.is_dir()) {
                let file = user_file::open(&path).map_err(Error::io("read", &path))?;
                self.add(&bounded(file, LARGEST, &path)?, &path, wanted)?;
            } else if kind.is_symlink() && is_folder_elsewhere() {
                self.not_followed.push(path);
            }
        }
        Ok(())
    }

    fn add_zip(&mut self, path: &Path, wanted: &BTreeSet<String>) -> Result<()> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let unreadable = |error: zip::result::ZipError| broken(path, format!("is not a zip that can be read: {error}"));
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(unreadable)?;
        if zip.len() > MOST {
            return Err(broken(path, format!("has more than {MOST} files")));
        }
        for index in 0..zip.len() {
            let entry = zip.by_index(index).map_err(unreadable)?;
            let name = entry.name().map_err(unreadable)?.into_owned();
            if entry.is_file() && is_json(Path::new(&name)) {
                let place = path.join(&name);
                let bytes = bounded(entry, LARGEST, &place)?;
                self.add(&bytes, &place, wanted)?;
            }
        }
        Ok(())
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn bounded(reader: impl Read, limit: u64, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(broken(path, format!("is larger than {limit} bytes")));
    }
    Ok(bytes)
}

fn broken(path: &Path, what: String) -> Error {
    Error::config(Place::file(path), what, HINT)
}
