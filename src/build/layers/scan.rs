//! The folders of packages that scripts of an installation have written to, before they become a layer.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rustix::fs::llistxattr;
use rustix::io::Errno;

use super::record::TREE;
use crate::error::{Error, Result};
use crate::parallel::Workers;

/// More than any installation has.
const MOST_PATHS: usize = 3_000_000;
/// Extended attributes that overlayfs takes for its own, as root and in a user namespace.
const OF_OVERLAYFS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// Why an installed tree is not kept.
#[derive(Debug)]
pub(super) enum Unkept {
    /// It cannot be: something in it would not be the same as a layer.
    Because(String),
    /// No packages were installed.
    Empty,
    Failed(Error),
}

impl Unkept {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self::Because(why.into())
    }
}

impl From<Error> for Unkept {
    fn from(error: Error) -> Self {
        // Scripts may leave folders that cannot be read, or paths that are too long.
        match error {
            Error::Io { ref source, .. } if source.kind() != ErrorKind::StorageFull => Self::Because(error.to_string()),
            other => Self::Failed(other),
        }
    }
}

/// Looks at all that lies in `folders` of a source, and moves them below `layer`. On an error they are where they were.
pub(super) fn move_into(layer: &Path, source: &Path, folders: &[String], interrupt: &AtomicBool) -> Result<(), Unkept> {
    let mut linked = Vec::new();
    for folder in folders {
        linked.extend(look_at(source, folder, interrupt)?);
    }
    let tree = layer.join(TREE);
    fs::create_dir_all(&tree).map_err(Error::io("create", &tree))?;
    let mut moved: Vec<(PathBuf, PathBuf)> = Vec::new();
    for folder in folders {
        let (from, to) = (source.join(folder), tree.join(folder));
        let parent = to.parent().unwrap_or(&tree);
        let done = fs::create_dir_all(parent).and_then(|()| fs::rename(&from, &to));
        if let Err(error) = done {
            for (from, to) in moved.iter().rev() {
                fs::rename(to, from).map_err(Error::io("move back", to))?;
            }
            return Err(Error::io("move", &from)(error).into());
        }
        moved.push((from, to));
    }
    for (from, _) in &moved {
        fs::create_dir(from).map_err(Error::io("create", from)).map_err(Unkept::Failed)?;
    }
    let buffer = layer.join("copy");
    let own = linked.iter().try_for_each(|path| make_own(&tree.join(path), &buffer));
    own.map_err(Unkept::Failed)
}

/// The files with several links in a folder, after a look at all that it has: nothing but folders, links and plain files
/// without rights of their own, and nothing that overlayfs reads its own meaning into.
fn look_at(source: &Path, folder: &str, interrupt: &AtomicBool) -> Result<Vec<PathBuf>, Unkept> {
    let mut paths = vec![PathBuf::from(folder)];
    let mut pending = vec![PathBuf::from(folder)];
    while let Some(folder) = pending.pop() {
        let place = source.join(&folder);
        for entry in fs::read_dir(&place).map_err(Error::io("read", &place))? {
            let entry = entry.map_err(Error::io("read", &place))?;
            let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
            if name.to_str().is_none_or(|name| name.contains('\n')) {
                return Err(Unkept::because(format!("a name in `{}` is no line of text", folder.display())));
            }
            let kind = entry.file_type().map_err(Error::io("read", &place))?;
            if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
                return Err(Unkept::because(format!("`{}` is no file, folder or link", path.display())));
            }
            if kind.is_dir() {
                pending.push(path.clone());
            }
            paths.push(path);
        }
        if paths.len() > MOST_PATHS {
            return Err(Unkept::because("it has too many files"));
        }
    }
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let workers = Workers::of_disk(interrupt);
    let seen = workers.try_map(paths, |path| {
        let place = source.join(&path);
        let meta = place.symlink_metadata().map_err(Error::io("read", &place))?;
        let mut names = [0; 4096];
        let has_meaning = match llistxattr(&place, &mut names[..]) {
            Ok(length) => {
                names[..length].split(|byte| *byte == 0).any(|name| OF_OVERLAYFS.iter().any(|it| name.starts_with(it)))
            }
            Err(Errno::NOTSUP) => false,
            Err(_) => true,
        };
        // In a user namespace nobody else's file can be copied when it is written to.
        let is_own = (meta.uid(), meta.gid()) == own;
        let is_odd = !is_own || has_meaning || meta.is_file() && meta.mode() & 0o6000 != 0;
        let is_linked = meta.is_file() && meta.nlink() > 1;
        Ok((path, is_odd, is_linked))
    })?;
    if let Some((path, _, _)) = seen.iter().find(|(_, is_odd, _)| *is_odd) {
        return Err(Unkept::because(format!(
            "`{}` has an owner, a mode or attributes that a layer cannot have",
            path.display()
        )));
    }
    Ok(seen.into_iter().filter(|(_, _, is_linked)| *is_linked).map(|(path, _, _)| path).collect())
}

/// Makes a file one that has no other name: another may lie in the source, where scripts write.
fn make_own(path: &Path, new: &Path) -> Result<()> {
    let copy = || {
        let meta = path.symlink_metadata()?;
        fs::copy(path, new)?;
        let file = fs::File::open(new)?;
        file.set_modified(meta.modified()?)?;
        file.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))?;
        fs::rename(new, path)
    };
    copy().map_err(Error::io("copy", path))
}
