//! Files and folders that appear whole or not at all: temporary name beside the target, fsync, rename.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Writes `bytes` to `path`, replacing what is there. A reader, or a run after a crash, sees the old bytes or the new
/// ones. Its folder is made first where it is missing. The mode is 0666 under the umask; a symlink at `path` is followed, so that it stays one.
pub fn atomic_file(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic(path, |file| file.write_all(bytes))
}

/// Copies a file to `path`, as [`atomic_file`] writes one.
pub fn atomic_copy(from: &Path, path: &Path) -> Result<()> {
    let mut source = File::open(from).map_err(Error::io("read", from))?;
    atomic(path, |file| io::copy(&mut source, file).map(drop))
}

/// A file at `path` with what `write_all` writes into it.
fn atomic(path: &Path, write_all: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let target = match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => fs::canonicalize(path).map_err(Error::io("write", path))?,
        _ => path.to_path_buf(),
    };
    let write = || -> io::Result<()> {
        let parent = parent(&target);
        fs::create_dir_all(parent)?;
        let mut file = tempfile::Builder::new()
            .prefix(&temporary_prefix(&target))
            .suffix(".tmp")
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(parent)?;
        // Not through the temporary file's wrapper: its errors name a path that is nobody's.
        write_all(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|error| error.error)?;
        sync_dir(parent)
    };
    write().map_err(Error::io("write", path))
}

/// Lets `fill` fill an empty folder beside `path`, then renames it to `path`. Returns false, and discards the new
/// folder, when another was faster: the callers' contents are equal.
pub fn atomic_dir(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<bool> {
    let parent = parent(path);
    let folder = tempfile::Builder::new()
        .prefix(&temporary_prefix(path))
        .suffix(".tmp")
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir_in(parent)
        .map_err(Error::io("create", path))?;
    fill(folder.path())?;
    flush(folder.path())?;
    let placed = rename_dir(folder.path(), path)?;
    if placed {
        // It lies elsewhere now: nothing is left to remove.
        let _ = folder.keep();
    }
    Ok(placed)
}

/// Renames the folder `from` to `to`; false when `to` is there already.
pub(super) fn rename_dir(from: &Path, to: &Path) -> Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => {
            sync_dir(parent(to)).map_err(Error::io("write", to))?;
            Ok(true)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
            Ok(false)
        }
        Err(error) => Err(Error::io("create", to)(error)),
    }
}

/// Brings a folder and all in it to disk: file by file when they are few, else by flushing the whole file system, since
/// a call per file takes minutes for an npm tree.
pub(super) fn flush(dir: &Path) -> Result<()> {
    const FEW: usize = 100;
    let collect = || -> io::Result<Vec<PathBuf>> {
        let mut paths = vec![dir.to_path_buf()];
        let mut next = 0;
        while next < paths.len() && paths.len() <= FEW {
            if paths[next].is_dir() {
                for entry in fs::read_dir(&paths[next])? {
                    let entry = entry?;
                    if !entry.file_type()?.is_symlink() {
                        paths.push(entry.path());
                    }
                }
            }
            next += 1;
        }
        Ok(paths)
    };
    let flush = || -> io::Result<()> {
        let paths = collect()?;
        #[cfg(target_os = "linux")]
        if paths.len() > FEW {
            return Ok(nix::unistd::syncfs(File::open(dir)?)?);
        }
        paths.iter().try_for_each(|path| File::open(path)?.sync_all())
    };
    flush().map_err(Error::io("write", dir))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary_prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().map_or_else(PathBuf::new, PathBuf::from));
    prefix.push(".");
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_a_file_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("factory.lock");
        atomic_file(&path, b"old").unwrap();
        atomic_file(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["factory.lock"]);
    }

    #[test]
    fn a_symlink_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("real"), "old").unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        atomic_file(&dir.path().join("link"), b"new").unwrap();
        assert_eq!(fs::read(dir.path().join("real")).unwrap(), b"new");
        assert!(dir.path().join("link").is_symlink());
    }

    #[test]
    fn a_missing_folder_is_made_and_one_that_cannot_be_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/factory.lock");
        atomic_file(&path, b"x").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        let path = path.join("factory.lock");
        let error = atomic_file(&path, b"").unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write `{}`", path.display())), "{error}");
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let failed = atomic_dir(&path, |tmp| {
            fs::write(tmp.join("half"), "").unwrap();
            Err(Error::Interrupted)
        });
        assert!(matches!(failed, Err(Error::Interrupted)));
        assert_eq!(names(dir.path()), [""; 0]);

        assert!(atomic_dir(&path, |tmp| fs::write(tmp.join("a"), "1").map_err(Error::io("write", tmp))).unwrap());
        let second = atomic_dir(&path, |tmp| fs::write(tmp.join("b"), "2").map_err(Error::io("write", tmp)));
        assert!(!second.unwrap(), "the first one stays");
        assert_eq!(names(&path), ["a"]);
        assert_eq!(names(dir.path()), ["out"]);
    }
}
