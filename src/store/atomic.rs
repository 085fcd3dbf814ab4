//! Files and folders that appear whole or not at all: a temporary name in the same folder, fsync, rename.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// What temporary names end in.
const SUFFIX: &str = ".tmp";

/// A file that is written beside its target and takes the target's name when it is complete. Removed when dropped.
#[derive(Debug)]
pub struct AtomicFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl AtomicFile {
    /// A new file, mode 0644 under the umask, that will replace what is at `target`, a symlink too. The folder must exist.
    pub fn new(target: &Path) -> Result<Self> {
        Self::with_mode(target, 0o644).map_err(Error::io("create", target))
    }

    /// The same with the mode 0666 under the umask.
    pub(super) fn open_to_all(target: &Path) -> Result<Self> {
        Self::with_mode(target, 0o666).map_err(Error::io("write", target))
    }

    /// Writes `bytes` to disk and gives the file its name.
    pub fn replace(target: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = Self::new(target)?;
        file.write_all(bytes).map_err(Error::io("write", target))?;
        file.commit()
    }

    /// Flushes the content to disk, after which little can go wrong in [`AtomicFile::commit`].
    pub fn sync(&self) -> Result<()> {
        self.file.as_file().sync_all().map_err(Error::io("write", &self.target))
    }

    /// Flushes the content to disk and gives the file its name.
    pub fn commit(self) -> Result<()> {
        let target = self.target.clone();
        self.persist().map_err(Error::io("write", &target))
    }

    fn with_mode(target: &Path, mode: u32) -> io::Result<Self> {
        loop {
            let file = tempfile::Builder::new()
                .prefix(&temporary_prefix(target))
                .suffix(SUFFIX)
                .permissions(fs::Permissions::from_mode(mode))
                .tempfile_in(parent(target))
                .map_err(without_path)?;
            // Held while it is written, for [`discard_unfinished`], which may have taken it away before that.
            let _ = file.as_file().lock();
            if file.as_file().metadata()?.nlink() > 0 {
                return Ok(Self { file, target: target.to_owned() });
            }
        }
    }

    fn persist(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.target).map_err(|error| error.error)?;
        sync_dir(parent(&self.target))
    }
}

impl Write for AtomicFile {
    // Not through the temporary file's own `Write`: its errors name the temporary file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

/// Writes `bytes` to `path`, replacing what is there. A reader, or a run after a crash, sees the old bytes or the new
/// ones. Missing folders are created. The mode is 0666 under the umask; a symlink at `path` is followed.
pub fn atomic_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        let target = match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => fs::canonicalize(path)?,
            _ => path.to_path_buf(),
        };
        fs::create_dir_all(parent(&target))?;
        let mut file = AtomicFile::with_mode(&target, 0o666)?;
        file.write_all(bytes)?;
        file.persist()
    };
    write().map_err(Error::io("write", path))
}

/// The same of a file that a user wrote: its permissions stay.
pub fn atomic_edit(path: &Path, bytes: &[u8]) -> Result<()> {
    let Ok(meta) = fs::metadata(path) else { return atomic_file(path, bytes) };
    let permissions = fs::Permissions::from_mode(meta.permissions().mode() & 0o777);
    let write = || -> io::Result<()> {
        let target = fs::canonicalize(path)?;
        let mut file = AtomicFile::with_mode(&target, permissions.mode())?;
        file.write_all(bytes)?;
        // The umask is for new files.
        file.file.as_file().set_permissions(permissions)?;
        file.persist()
    };
    write().map_err(Error::io("write", path))
}

/// Writes a file as [`atomic_file`] does, where there is none; false where there is something, which stays as it is.
pub fn new_file(path: &Path, bytes: &[u8]) -> Result<bool> {
    let write = || -> io::Result<bool> {
        fs::create_dir_all(parent(path))?;
        let mut file = AtomicFile::with_mode(path, 0o666)?;
        file.write_all(bytes)?;
        file.file.as_file().sync_all()?;
        match file.file.persist_noclobber(path) {
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(refused) => Err(refused.error),
            Ok(_) => sync_dir(parent(path)).map(|()| true),
        }
    };
    write().map_err(Error::io("write", path))
}

/// Copies a file to `path`, as [`atomic_file`] writes one, except that a symlink at `path` is replaced.
pub fn atomic_copy(from: &Path, path: &Path) -> Result<()> {
    let mut source = File::open(from).map_err(Error::io("read", from))?;
    fs::create_dir_all(parent(path)).map_err(Error::io("create", path))?;
    let mut copy = AtomicFile::open_to_all(path)?;
    io::copy(&mut source, &mut copy).map_err(Error::io("write", path))?;
    copy.commit()
}

/// Removes the files that runs which were killed began to write in a folder. Never fails: a later run tries again.
pub fn discard_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_str().is_some_and(is_temporary);
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            // One that is being written is locked. Where nothing can be locked, nothing is removed.
            let file = File::open(&path).ok().filter(|file| file.try_lock().is_ok());
            if file.is_some() {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// True for a name as [`AtomicFile`] gives it: `.<name>.<six letters or digits>.tmp`.
fn is_temporary(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(SUFFIX));
    let random = inner.and_then(|inner| inner.rsplit_once('.')).map(|(_, random)| random);
    random.is_some_and(|random| random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Renames the folder `from` to `to`; false when `to` is there already.
pub(super) fn rename_dir(from: &Path, to: &Path) -> Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
            Ok(false)
        }
        Err(error) => Err(Error::io("create", to)(error)),
    }
}

/// Makes the name of the folder `path` durable.
pub(super) fn flush_name(path: &Path) -> Result<()> {
    sync_dir(parent(path)).map_err(Error::io("write", path))
}

/// Flushes a folder and all in it to disk: file by file when they are few, else the whole file system, since
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

/// Makes a rename in `dir` durable, where the file system and the folder's mode allow it.
fn sync_dir(dir: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => Ok(()),
        result => result,
    }
}

/// tempfile's errors name the temporary file: keeps only the cause.
fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path \"") {
        Some((cause, _)) => io::Error::new(error.kind(), cause),
        None => error,
    }
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
    fn what_a_user_wrote_keeps_its_permissions_and_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join(".env"), dir.path().join("link"));
        for mode in [0o600, 0o666] {
            fs::write(&path, b"old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let _ = symlink(&path, &link);
            atomic_edit(&link, b"new").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
        assert_eq!(names(dir.path()), [".env", "link"]);
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
    fn a_file_gets_its_name_when_it_is_whole_and_a_dropped_one_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("blob");
        fs::write(dir.path().join("real"), "old").unwrap();
        symlink("real", &target).unwrap();
        let mut file = AtomicFile::new(&target).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(names(dir.path()), ["blob", "real"]);
        let mut file = AtomicFile::new(&target).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        file.commit().unwrap();
        // The link is replaced, not what it leads to.
        assert!(!target.is_symlink());
        assert_eq!(
            (fs::read(&target).unwrap(), fs::read(dir.path().join("real")).unwrap()),
            (b"new".to_vec(), b"old".to_vec())
        );
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7133, 0);
        assert_eq!(names(dir.path()), ["blob", "real"]);

        let nowhere = dir.path().join("none/blob");
        let error = AtomicFile::new(&nowhere).unwrap_err().to_string();
        assert_eq!(error, format!("cannot create `{}`: No such file or directory (os error 2)", nowhere.display()));
    }
}
