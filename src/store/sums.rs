//! What an entry was filled with: a list of its files with their SHA-256, held against the disk before each use.
//!
//! A tarball is held to its integrity when it is downloaded; once unpacked, nothing but this list knows what its files
//! were. All bytes are read: a bit that the disk lost changes no time and no size. It finds damage, not malice by the
//! owner of the cache, who could write a new list.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

/// The list, in the entry's folder.
pub const LIST: &str = ".factory-files";
/// More threads than this only wait for the disk.
const MOST_THREADS: usize = 4;

/// Writes the list of `folder` into it.
pub fn write(folder: &Path, interrupt: &AtomicBool) -> Result<()> {
    let mut text = String::new();
    for (path, sum) in sums(folder, interrupt)? {
        let _ = writeln!(text, "{sum} {path}");
    }
    let list = folder.join(LIST);
    // The list names itself by the digest of its own lines, so that a list cut short is noticed.
    let own = hex::encode(Sha256::digest(text.as_bytes()));
    fs::write(&list, format!("{own}\n{text}")).map_err(Error::io("write", &list))
}

/// The first file of `folder` that is not what it was, in words; `None` when all is as it was.
pub fn damage(folder: &Path, interrupt: &AtomicBool) -> Result<Option<String>> {
    let list = folder.join(LIST);
    let Ok(text) = fs::read_to_string(&list) else {
        return Ok(Some(format!("`{}` cannot be read", list.display())));
    };
    let (own, lines) = text.split_once('\n').unwrap_or_default();
    if hex::encode(Sha256::digest(lines.as_bytes())) != own {
        return Ok(Some(format!("`{}` is not what was written", list.display())));
    }
    let mut expected: BTreeMap<&str, &str> =
        lines.lines().filter_map(|line| line.split_once(' ')).map(|(sum, path)| (path, sum)).collect();
    for (path, sum) in sums(folder, interrupt)? {
        let what = match expected.remove(path.as_str()) {
            Some(known) if known == sum => continue,
            Some(_) => "is not what was written",
            None => "was not there",
        };
        return Ok(Some(format!("`{}` {what}", folder.join(path).display())));
    }
    Ok(expected.keys().next().map(|path| format!("`{}` is gone", folder.join(path).display())))
}

/// The digest of each file and link below `folder`, sorted by path; the executable bit is part of it.
fn sums(folder: &Path, interrupt: &AtomicBool) -> Result<Vec<(String, String)>> {
    let mut paths = Vec::new();
    walk(folder, "", &mut paths)?;
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(paths.len()));
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let work = || -> Result<()> {
        let mut own = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            own.push((path.clone(), sum(&folder.join(path), &mut buffer)?));
        }
        found.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
        Ok(())
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Err(error) = work() {
                    next.store(usize::MAX / 2, Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_unstable();
    Ok(found)
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
        } else if path != LIST {
            paths.push(path);
        }
    }
    Ok(())
}

/// `l`, `x` or `-` for link, executable and plain, then the SHA-256 of the content.
fn sum(path: &Path, buffer: &mut [u8]) -> Result<String> {
    let meta = path.symlink_metadata().map_err(Error::io("read", path))?;
    if meta.is_symlink() {
        let target = fs::read_link(path).map_err(Error::io("read", path))?;
        return Ok(format!("l{}", hex::encode(Sha256::digest(target.as_os_str().as_encoded_bytes()))));
    }
    let mut file = File::open(path).map_err(Error::io("read", path))?;
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

    #[test]
    fn every_change_of_a_file_is_found_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let folder = dir.path().join(name);
            fs::create_dir_all(folder.join("bin")).unwrap();
            fs::write(folder.join("bin/node"), "binary").unwrap();
            fs::write(folder.join("a.js"), "1").unwrap();
            std::os::unix::fs::symlink("a.js", folder.join("link")).unwrap();
            write(&folder, &GO).unwrap();
            assert_eq!(damage(&folder, &GO).unwrap(), None);
            folder
        };
        let said = |folder: &Path| {
            let text = damage(folder, &GO).unwrap().unwrap();
            text.replace(&format!("{}/", folder.display()), "")
        };
        // A flipped bit that leaves size and times as they were.
        let folder = make("bit");
        let file = folder.join("bin/node");
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "binary".replace('b', "c")).unwrap();
        File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        assert_eq!(said(&folder), "`bin/node` is not what was written");

        let folder = make("gone");
        fs::remove_file(folder.join("a.js")).unwrap();
        assert_eq!(said(&folder), "`a.js` is gone");

        let folder = make("more");
        fs::write(folder.join("bin/x"), "").unwrap();
        assert_eq!(said(&folder), "`bin/x` was not there");

        let folder = make("mode");
        fs::set_permissions(folder.join("a.js"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(said(&folder), "`a.js` is not what was written");

        let folder = make("link");
        fs::remove_file(folder.join("link")).unwrap();
        std::os::unix::fs::symlink("bin/node", folder.join("link")).unwrap();
        assert_eq!(said(&folder), "`link` is not what was written");

        let folder = make("list");
        let list = fs::read_to_string(folder.join(LIST)).unwrap();
        fs::write(folder.join(LIST), list.replace("a.js", "b.js")).unwrap();
        assert_eq!(said(&folder), "`.factory-files` is not what was written");
        fs::remove_file(folder.join(LIST)).unwrap();
        assert_eq!(said(&folder), "`.factory-files` cannot be read");
    }
}
