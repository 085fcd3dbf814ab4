//! A list of an entry's files with their SHA-256, compared with the disk before each use.
//!
//! A tarball's integrity is checked when it is downloaded; once unpacked, nothing but this list knows what its files
//! were. Files that were not touched since they were last read are not read again, unless it is asked for
//! ([`stat_cache`](super::stat_cache)). It finds damage, not malice by the owner of the cache, who could write a new list.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::parallel::Workers;
use crate::store::stat_cache::{self, Reading, Stat, StatCache};
use crate::{Error, Result};

/// The list, in the entry's folder.
pub const LIST: &str = ".factory-files";

/// The sums of files that were hashed while they were written, by path in the entry: they are not read again.
#[derive(Debug, Default)]
pub struct KnownSums(HashMap<String, String>);

impl KnownSums {
    /// Adds a file: `-`, `x` or `l` for a plain one, an executable or a link, and the SHA-256 of its content in hex.
    pub fn add(&mut self, path: String, kind: char, sha256: &str) {
        self.0.insert(path, format!("{kind}{sha256}"));
    }
}

/// Writes the list of `folder`, which nobody else has yet, and the record of what was seen into it.
pub fn write(folder: &Path, known: &KnownSums, interrupt: &AtomicBool) -> Result<()> {
    let known = |path: &str, _: &Stat| known.0.get(path).map(|sum| Some(sum.clone()));
    let found = files(folder, known, interrupt)?;
    let own = write_list(folder, &found)?;
    write_fresh(folder, &own, &found)
}

/// Writes the record of what is in `folder`, which nobody else has yet, for the list that names itself `list`.
pub(super) fn write_record(folder: &Path, list: &str, interrupt: &AtomicBool) -> Result<()> {
    write_fresh(folder, list, &files(folder, |_, _| Some(None), interrupt)?)
}

/// Nobody has written to the files since they were read: those count as well which changed shortly before.
fn write_fresh(folder: &Path, list: &str, found: &[ListedFile]) -> Result<()> {
    let path = folder.join(stat_cache::RECORD);
    let text = record(list, found, SystemTime::now(), stat_cache::KERNEL_TICK);
    fs::write(&path, text).map_err(Error::io("write", &path))
}

/// Writes the list of these files, and returns by what it names itself.
pub(super) fn write_list(folder: &Path, found: &[ListedFile]) -> Result<String> {
    let mut text = String::new();
    for ListedFile { path, sum, .. } in found {
        let _ = writeln!(text, "{} {path}", sum.as_deref().unwrap_or_default());
    }
    // The list names itself by the digest of its own lines, so that a list cut short is noticed.
    let own = hex::encode(Sha256::digest(text.as_bytes()));
    let path = folder.join(LIST);
    fs::write(&path, format!("{own}\n{text}")).map_err(Error::io("write", &path))?;
    Ok(own)
}

fn record(list: &str, found: &[ListedFile], before: SystemTime, tick: Duration) -> String {
    stat_cache::record(list, found.iter().map(|file| (file.path.as_str(), &file.stat)), before, tick)
}

/// What [`check`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum FileCheck {
    /// All is as it was; this is the text of the record of what was seen.
    Sound(String),
    /// The first file that is not what it was, in words.
    Damaged(String),
}

/// Compares the files of `folder` with its list.
pub fn check(folder: &Path, reading: Reading, interrupt: &AtomicBool) -> Result<FileCheck> {
    let damaged = |path: &Path, what: &str| Ok(FileCheck::Damaged(format!("`{}` {what}", path.display())));
    let list = folder.join(LIST);
    let Ok(text) = fs::read_to_string(&list) else { return damaged(&list, "cannot be read") };
    let (own, lines) = text.split_once('\n').unwrap_or_default();
    if hex::encode(Sha256::digest(lines.as_bytes())) != own {
        return damaged(&list, "was changed");
    }
    let before = SystemTime::now();
    let seen = match reading {
        Reading::All => StatCache::default(),
        Reading::Changed => StatCache::read(folder, own),
    };
    let mut expected: BTreeMap<&str, &str> =
        lines.lines().filter_map(|line| line.split_once(' ')).map(|(sum, path)| (path, sum)).collect();
    let known = |path: &str, stat: &Stat| seen.knows(path, stat).then_some(None);
    let found = files(folder, known, interrupt)?;
    for ListedFile { path, sum, .. } in &found {
        let what = match (expected.remove(path.as_str()), sum) {
            (Some(_), None) => continue,
            (Some(known), Some(sum)) if known == sum => continue,
            (Some(_), Some(_)) => "was changed",
            (None, _) => "was added",
        };
        return damaged(&folder.join(path), what);
    }
    match expected.keys().next() {
        Some(path) => damaged(&folder.join(path), "is missing"),
        None => Ok(FileCheck::Sound(record(own, &found, before, stat_cache::TICK))),
    }
}

/// A file or link of an entry.
pub(super) struct ListedFile {
    pub(super) path: String,
    /// None when it was not read, since it is as it was.
    pub(super) sum: Option<String>,
    stat: Stat,
}

/// All files and links below `folder`, read and sorted by path.
pub(super) fn read_all(folder: &Path, interrupt: &AtomicBool) -> Result<Vec<ListedFile>> {
    files(folder, |_, _| None, interrupt)
}

/// The files and links below `folder`, sorted by path; those that are not known are read.
fn files(
    folder: &Path,
    known: impl Fn(&str, &Stat) -> Option<Option<String>> + Sync,
    interrupt: &AtomicBool,
) -> Result<Vec<ListedFile>> {
    let mut paths = Vec::new();
    walk(folder, "", &mut paths)?;
    paths.sort_unstable();
    let buffer = || vec![0; 64 * 1024];
    Workers::of_disk(interrupt).try_map_with(paths, buffer, |buffer, path| {
        let place = folder.join(&path);
        // FileCheck at before it is read: what is written to it meanwhile gives it another ctime.
        let meta = place.symlink_metadata().map_err(Error::io("read", &place))?;
        let stat = Stat::of(&meta);
        let sum = match known(&path, &stat) {
            Some(known) => known,
            None => Some(sum(&place, &meta, buffer)?),
        };
        Ok(ListedFile { path, sum, stat })
    })
}

fn walk(folder: &Path, prefix: &str, paths: &mut Vec<String>) -> Result<()> {
    let here = folder.join(prefix);
    for entry in fs::read_dir(&here).map_err(Error::io("read", &here))? {
        let entry = entry.map_err(Error::io("read", &here))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.contains('\n')) else {
            return Err(Error::io("read", &entry.path())(std::io::ErrorKind::InvalidFilename.into()));
        };
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        if entry.file_type().map_err(Error::io("read", &here))?.is_dir() {
            walk(folder, &path, paths)?;
        } else if path != LIST && path != stat_cache::RECORD {
            paths.push(path);
        }
    }
    Ok(())
}

/// `l`, `x` or `-` for link, executable and plain, then the SHA-256 of the content.
pub(super) fn sum(path: &Path, meta: &Metadata, buffer: &mut [u8]) -> Result<String> {
    if meta.is_symlink() {
        let target = fs::read_link(path).map_err(Error::io("read", path))?;
        return Ok(format!("l{}", hex::encode(Sha256::digest(target.as_os_str().as_encoded_bytes()))));
    }
    // A pipe in its place would never end.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut file = opened.map_err(Error::io("read", path))?;
    if !file.metadata().map_err(Error::io("read", path))?.is_file() {
        return Ok("neither a file nor a link".to_owned());
    }
    let mut hasher = Sha256::new();
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => hasher.update(&buffer[..read]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read", path)(e)),
        }
    }
    let kind = if meta.permissions().mode() & 0o100 == 0 { '-' } else { 'x' };
    Ok(format!("{kind}{}", hex::encode(hasher.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    static GO: AtomicBool = AtomicBool::new(false);

    fn sound(folder: &Path, reading: Reading) -> String {
        match check(folder, reading, &GO).unwrap() {
            FileCheck::Sound(record) => record,
            FileCheck::Damaged(what) => panic!("{what}"),
        }
    }

    /// The record of all files of a folder, as if they had been there for long.
    fn settled(folder: &Path) {
        let text = fs::read_to_string(folder.join(LIST)).unwrap();
        let own = text.split_once('\n').unwrap().0;
        let files = files(folder, |_, _| None, &GO).unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        fs::write(folder.join(stat_cache::RECORD), record(own, &files, later, stat_cache::TICK)).unwrap();
    }

    #[test]
    fn what_was_seen_is_not_read_again_unless_all_is() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        fs::write(folder.join("a.js"), "1").unwrap();
        write(folder, &KnownSums::default(), &GO).unwrap();
        // Just written: another write may leave the same time.
        assert_eq!(sound(folder, Reading::All).lines().count(), 2);
        settled(folder);
        let read = |seen: &StatCache| {
            let known = |path: &str, stat: &Stat| seen.knows(path, stat).then_some(None);
            files(folder, known, &GO).unwrap()[0].sum.is_some()
        };
        let list = fs::read_to_string(folder.join(LIST)).unwrap();
        let own = list.split_once('\n').unwrap().0;
        assert!(!read(&StatCache::read(folder, own)));
        // A record of another list, a damaged one, none.
        assert!(read(&StatCache::read(folder, "another")));
        let record = fs::read_to_string(folder.join(stat_cache::RECORD)).unwrap();
        fs::write(folder.join(stat_cache::RECORD), record.replace(" a.js", " b.js")).unwrap();
        assert!(read(&StatCache::read(folder, own)));
        fs::remove_file(folder.join(stat_cache::RECORD)).unwrap();
        assert!(read(&StatCache::read(folder, own)));
        // A copy is another file, whatever its times say.
        settled(folder);
        let time = fs::metadata(folder.join("a.js")).unwrap().modified().unwrap();
        fs::copy(folder.join("a.js"), folder.join("copy")).unwrap();
        fs::File::options().write(true).open(folder.join("copy")).unwrap().set_modified(time).unwrap();
        fs::rename(folder.join("copy"), folder.join("a.js")).unwrap();
        assert!(read(&StatCache::read(folder, own)));
    }

    #[test]
    fn what_was_just_written_is_known_unless_the_clock_stood_still() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.js"), "1").unwrap();
        let written = fs::metadata(dir.path().join("a.js")).unwrap().modified().unwrap();
        while SystemTime::now() < written + 2 * stat_cache::KERNEL_TICK {}
        write(dir.path(), &KnownSums::default(), &GO).unwrap();
        let seen = || fs::read_to_string(dir.path().join(stat_cache::RECORD)).unwrap();
        assert!(seen().ends_with(" a.js\n"), "{}", seen());
        let own = seen().lines().nth(1).unwrap().to_owned();
        let found = files(dir.path(), |_, _| None, &GO).unwrap();
        fs::write(dir.path().join("a.js"), "2").unwrap();
        let changed = files(dir.path(), |_, _| None, &GO).unwrap();
        let known = StatCache::read(dir.path(), &own);
        assert!(known.knows("a.js", &found[0].stat) && !known.knows("a.js", &changed[0].stat));
    }

    #[test]
    fn every_change_of_a_file_is_found_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let folder = dir.path().join(name);
            fs::create_dir_all(folder.join("bin")).unwrap();
            fs::write(folder.join("bin/node"), "binary").unwrap();
            fs::write(folder.join("a.js"), "1").unwrap();
            std::os::unix::fs::symlink("a.js", folder.join("link")).unwrap();
            write(&folder, &KnownSums::default(), &GO).unwrap();
            settled(&folder);
            sound(&folder, Reading::Changed);
            folder
        };
        let said = |folder: &Path| {
            let look = |reading| match check(folder, reading, &GO).unwrap() {
                FileCheck::Damaged(text) => text.replace(&format!("{}/", folder.display()), ""),
                FileCheck::Sound(_) => panic!("not noticed"),
            };
            assert_eq!(look(Reading::All), look(Reading::Changed));
            look(Reading::Changed)
        };
        // A flipped bit that leaves size and times as they were.
        let folder = make("bit");
        let file = folder.join("bin/node");
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "binary".replace('b', "c")).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        assert_eq!(said(&folder), "`bin/node` was changed");

        let folder = make("gone");
        fs::remove_file(folder.join("a.js")).unwrap();
        assert_eq!(said(&folder), "`a.js` is missing");

        let folder = make("more");
        fs::write(folder.join("bin/x"), "").unwrap();
        assert_eq!(said(&folder), "`bin/x` was added");

        let folder = make("mode");
        fs::set_permissions(folder.join("a.js"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(said(&folder), "`a.js` was changed");

        let folder = make("link");
        fs::remove_file(folder.join("link")).unwrap();
        std::os::unix::fs::symlink("bin/node", folder.join("link")).unwrap();
        assert_eq!(said(&folder), "`link` was changed");

        let folder = make("list");
        let list = fs::read_to_string(folder.join(LIST)).unwrap();
        fs::write(folder.join(LIST), list.replace("a.js", "b.js")).unwrap();
        assert_eq!(said(&folder), "`.factory-files` was changed");
        fs::remove_file(folder.join(LIST)).unwrap();
        assert_eq!(said(&folder), "`.factory-files` cannot be read");
    }
}
