//! Copies of trees that share their bytes with the original until one of them is written to, on file systems that can
//! (`FICLONE`: XFS, Btrfs, bcachefs, ZFS).

use std::fs::{self, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, ioctl_ficlone, utimensat};

use crate::parallel::Workers;
use crate::{Error, Result};

/// Whether files in the folder `from` can be cloned into `to`: tried with one. The reason why not is the system's.
pub fn can_clone(from: &Path, to: &Path) -> std::result::Result<(), String> {
    let tried = || {
        let original = tempfile::Builder::new().prefix(".clone-").tempfile_in(from)?;
        fs::write(original.path(), "x")?;
        let copy = tempfile::tempfile_in(to)?;
        ioctl_ficlone(&copy, original.as_file()).map_err(io::Error::from)
    };
    tried().map_err(|error: io::Error| error.to_string())
}

/// Clones all that is in the folder `from` into the empty folder `to`, with modes and times. Nobody else may write to
/// either meanwhile.
///
/// # Errors
/// What cannot be read or written, and what is no file, folder or link.
pub fn clone_tree(from: &Path, to: &Path, interrupt: &AtomicBool) -> Result<()> {
    let mut folders = vec![PathBuf::new()];
    let mut others = Vec::new();
    let mut next = 0;
    while let Some(folder) = folders.get(next).cloned() {
        next += 1;
        let place = from.join(&folder);
        for entry in fs::read_dir(&place).map_err(Error::io("read", &place))? {
            let entry = entry.map_err(Error::io("read", &place))?;
            let path = folder.join(entry.file_name());
            if entry.file_type().map_err(Error::io("read", &place))?.is_dir() {
                let new = to.join(&path);
                fs::create_dir(&new).map_err(Error::io("create", &new))?;
                folders.push(path);
            } else {
                others.push(path);
            }
        }
    }
    Workers::of_disk(interrupt).try_map(others, |path| {
        let new = to.join(&path);
        clone_one(&from.join(&path), &new).map_err(Error::io("write", &new))
    })?;
    // Inner ones first: what is made in a folder changes its time, and one may be read-only.
    for folder in folders.iter().rev() {
        let (original, new) = (from.join(folder), to.join(folder));
        let meta = original.symlink_metadata().map_err(Error::io("read", &original))?;
        File::open(&new).and_then(|new| take_over(&new, &meta)).map_err(Error::io("write", &new))?;
    }
    Ok(())
}

/// One file or link.
fn clone_one(from: &Path, to: &Path) -> io::Result<()> {
    let meta = from.symlink_metadata()?;
    if meta.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
        let times = Timestamps {
            last_access: time(meta.atime(), meta.atime_nsec()),
            last_modification: time(meta.mtime(), meta.mtime_nsec()),
        };
        return utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from);
    }
    if !meta.is_file() {
        return Err(io::Error::other(format!("`{}` is no file, folder or link", from.display())));
    }
    let original = super::open_unlinked(from)?;
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    ioctl_ficlone(&new, &original)?;
    take_over(&new, &meta)
}

/// Gives a copy the times and the mode of its original.
fn take_over(new: &File, meta: &Metadata) -> io::Result<()> {
    new.set_times(FileTimes::new().set_accessed(meta.accessed()?).set_modified(meta.modified()?))?;
    new.set_permissions(Permissions::from_mode(meta.permissions().mode() & 0o7777))
}
