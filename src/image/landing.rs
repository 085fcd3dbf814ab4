//! Files that land whole: written under a temporary name in the same folder, synced, renamed.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// A file that does not have its name yet. Dropped, it is gone.
pub(super) struct Landing {
    file: NamedTempFile,
    target: PathBuf,
}

impl Landing {
    /// A new file beside `target`, readable as any other file (0644 less the umask).
    pub(super) fn new(target: &Path) -> Result<Self> {
        let folder = folder(target);
        let file = tempfile::Builder::new()
            .prefix(".factory-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(Error::io("create", target))?;
        Ok(Self { file, target: target.to_owned() })
    }

    pub(super) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Puts the bytes on disk, so that little can go wrong when the file gets its name.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.as_file().sync_all().map_err(Error::io("write", &self.target))
    }

    /// Gives the file its name.
    pub(super) fn land(self) -> Result<()> {
        self.sync()?;
        self.file.persist(&self.target).map_err(|error| error.error).map_err(Error::io("write", &self.target))?;
        let folder = folder(&self.target);
        // The rename is durable once the folder is; a file system that cannot sync folders has none to lose.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Write for Landing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

/// Writes a whole file atomically.
pub(super) fn write(target: &Path, bytes: &[u8]) -> Result<()> {
    let mut landing = Landing::new(target)?;
    landing.file().write_all(bytes).map_err(Error::io("write", target))?;
    landing.land()
}

/// Creates a folder and those above it.
pub(super) fn folder_at(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::io("create", path))
}

fn folder(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
