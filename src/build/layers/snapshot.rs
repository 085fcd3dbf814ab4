//! A source before and after an installation or `yarn tsc`: what was added, and whether that is all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::record::{FILES, LaidContent, LaidPath, digest_at, digest_of_names};
use super::scan::Unkept;
use crate::error::{Error, Result};
use crate::lock::{Sha256, lies_in};
use crate::parallel::Workers;
use crate::store::{UntrustedTree, open_unlinked};

/// More than this, beside packages, is not copied.
const MOST_LAID: usize = 2_000;
const MOST_BYTES: u64 = 64 << 20;
/// The most folders that are shown one by one.
const MOST_FOLDERS: usize = 64;

/// A source, by path.
pub(super) struct Snapshot(BTreeMap<String, Before>);

/// What lay at a path.
struct Before {
    is_folder: bool,
    /// Inode, size, and seconds and nanoseconds of the last change, of a mode as well: only the kernel sets that.
    stat: (u64, u64, i64, i64),
    mode: u32,
    /// None of a folder.
    content: Option<Sha256>,
}

/// What an installation added.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// Folders of packages.
    pub(super) folders: Vec<String>,
    pub(super) laid: Vec<LaidPath>,
    pub(super) modes: BTreeMap<String, u32>,
    bytes: u64,
}

impl Before {
    fn of(place: &Path, meta: &Metadata) -> Result<Self> {
        let content = if meta.is_dir() { None } else { Some(content(place, meta)?) };
        Ok(Self { is_folder: meta.is_dir(), stat: stat(meta), mode: meta.mode(), content })
    }

    /// Whether it has the same content now; what was not touched is not read again.
    fn is_still(&self, place: &Path, meta: &Metadata) -> Result<bool> {
        let kind = |mode: u32| mode & 0o170_000;
        let is_alike = kind(self.mode) == kind(meta.mode());
        let is_same = || Ok(stat(meta) == self.stat || Some(content(place, meta)?) == self.content);
        if self.is_folder || !is_alike { Ok(is_alike) } else { is_same() }
    }
}

fn stat(meta: &Metadata) -> (u64, u64, i64, i64) {
    (meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec())
}

/// A digest of a file's bytes, or of what a link leads to.
fn content(place: &Path, meta: &Metadata) -> Result<Sha256> {
    if meta.is_symlink() {
        let target = fs::read_link(place).map_err(Error::io("read", place))?;
        return Ok(Sha256::of(target.as_os_str().as_encoded_bytes()));
    }
    let mut file = open_unlinked(place).map_err(Error::io("read", place))?;
    Sha256::of_reader(&mut file).map_err(Error::io("read", place))
}

impl Snapshot {
    /// Of a source that has nothing but folders, plain files and links: no script has run in it, or what scripts left was
    /// looked at ([`Snapshot::added`]).
    pub(super) fn of(source: &Path, interrupt: &AtomicBool) -> Result<Self, Unkept> {
        let mut found = Vec::new();
        let mut pending = vec![String::new()];
        while let Some(folder) = pending.pop() {
            for (path, meta) in entries(source, &folder)? {
                if meta.is_dir() {
                    pending.push(path.clone());
                }
                found.push((path, meta));
            }
        }
        let workers = Workers::of_disk(interrupt);
        let read =
            |(path, meta): (String, Metadata)| Before::of(&source.join(&path), &meta).map(|before| (path, before));
        Ok(Self(workers.try_map(found, read)?.into_iter().collect()))
    }

    /// Whether something lay there.
    pub(super) fn has(&self, path: &str) -> bool {
        path == "." || self.0.contains_key(path)
    }

    /// A digest of all that lies there: paths, modes and content.
    pub(super) fn digest(&self) -> Sha256 {
        let mut text = String::new();
        for (path, before) in &self.0 {
            let content = before.content.map(|content| content.to_string()).unwrap_or_default();
            let _ = writeln!(text, "{:o} {content} {path}", before.mode);
        }
        Sha256::of(text)
    }

    /// Digests of these paths, as they were.
    pub(super) fn digests<'p>(
        &self,
        source: &UntrustedTree,
        paths: impl Iterator<Item = &'p String>,
    ) -> BTreeMap<String, String> {
        let digest = |path: &String| self.folder_digest(path).unwrap_or_else(|| digest_at(source, path));
        paths.map(|path| (path.clone(), digest(path))).collect()
    }

    /// A digest of the names in a folder; none of what is no folder.
    fn folder_digest(&self, path: &str) -> Option<String> {
        let prefix = if path == "." { String::new() } else { format!("{path}/") };
        if path != "." && !self.0.get(path)?.is_folder {
            return None;
        }
        let below = self.0.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        let mut names: Vec<&str> =
            below.filter_map(|(path, _)| path.strip_prefix(&prefix)).filter(|name| !name.contains('/')).collect();
        names.sort_unstable();
        Some(digest_of_names(names.into_iter()))
    }

    /// What was added to the source since, copied into `layer` where it is no folder of packages.
    pub(super) fn added(&self, source: &Path, layer: &Path) -> Result<Added, Unkept> {
        let mut added = Added::default();
        let (mut pending, mut met) = (vec![String::new()], 0);
        while let Some(folder) = pending.pop() {
            for (path, meta) in entries(source, &folder)? {
                let Some(before) = self.0.get(&path) else {
                    added.add(source, layer, path, &meta)?;
                    continue;
                };
                met += 1;
                if !before.is_still(&source.join(&path), &meta)? {
                    return Err(Unkept::because(format!("`{path}` was changed")));
                }
                if meta.is_dir() {
                    pending.push(path);
                } else if before.mode != meta.mode() {
                    added.modes.insert(path, meta.mode() & 0o777);
                }
            }
        }
        if met < self.0.len() {
            return Err(Unkept::because("files of the source were removed"));
        }
        added.folders.sort_unstable();
        Ok(added)
    }
}

impl Added {
    fn add(&mut self, source: &Path, layer: &Path, path: String, meta: &Metadata) -> Result<(), Unkept> {
        if meta.is_dir() && is_of_packages(&path) {
            self.folders.push(path);
            let is_many = self.folders.len() > MOST_FOLDERS;
            return if is_many { Err(Unkept::because("it has too many folders of packages")) } else { Ok(()) };
        }
        let place = source.join(&path);
        let content = if meta.is_dir() {
            LaidContent::Folder
        } else if meta.is_symlink() {
            let target = fs::read_link(&place).map_err(Error::io("read", &place))?;
            let target = target.to_str().ok_or_else(|| Unkept::because(format!("`{path}` leads to no text")))?;
            LaidContent::Link { target: target.to_owned() }
        } else if meta.is_file() && meta.mode() & 0o7000 == 0 {
            self.bytes += meta.size();
            let name = self.laid.len().to_string();
            LaidContent::File { name, mode: meta.mode() & 0o777 }
        } else {
            return Err(Unkept::because(format!("`{path}` is no plain file")));
        };
        if self.laid.len() >= MOST_LAID || self.bytes > MOST_BYTES {
            return Err(Unkept::because("it wrote too much beside packages"));
        }
        if let LaidContent::File { name, .. } = &content {
            let to = layer.join(FILES).join(name);
            let copied = fs::create_dir_all(layer.join(FILES)).and_then(|()| fs::copy(&place, &to));
            copied.map_err(Error::io("copy", &place))?;
        }
        let is_folder = content == LaidContent::Folder;
        self.laid.push(LaidPath { path: path.clone(), content });
        if is_folder {
            for (path, meta) in entries(source, &path)? {
                self.add(source, layer, path, &meta)?;
            }
        }
        Ok(())
    }
}

/// Whether a folder holds packages: it is shown as it is. Others are copied, since a build may want to remove them.
fn is_of_packages(path: &str) -> bool {
    let is_kept = path.split_once(".yarn/").is_some_and(|(before, _)| before.is_empty() || before.ends_with('/'));
    is_kept || path.split('/').any(|name| name == "node_modules")
}

/// What lies in a folder, from the source, with the folder's path before each name.
fn entries(source: &Path, folder: &str) -> Result<Vec<(String, Metadata)>, Unkept> {
    let place = source.join(folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(&place).map_err(Error::io("read", &place))? {
        let entry = entry.map_err(Error::io("read", &place))?;
        let name = entry.file_name();
        let name = name.to_str().filter(|name| !name.contains('\n'));
        let name = name.ok_or_else(|| Unkept::because(format!("a name in `{folder}` is no line of text")))?;
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        found.push((path, entry.metadata().map_err(Error::io("read", &place))?));
    }
    Ok(found)
}

/// Whether a path lies in one of these folders.
pub(super) fn lies_in_any(path: &str, folders: &[String]) -> bool {
    folders.iter().any(|folder| lies_in(path, folder))
}
