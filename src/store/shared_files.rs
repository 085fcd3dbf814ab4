//! `files/`: the files of layers by content. A layer's file is a hard link to the one here, so that what layers have in
//! common is stored once; one that no layer has any more has a single link, and goes with the next `factory cache prune`.
//!
//! Mode and times are those of the file, whoever links to it: only files of the two usual modes are shared, and with those
//! of the same time.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::checksums::{self, ListedFile};
use super::{CacheKind, Store};
use crate::parallel::Workers;
use crate::{Error, Result};

impl Store {
    /// Makes the files of `folder`, as they are listed, those of other layers where their content is. Within the folder no
    /// two are made one.
    pub(super) fn share_files(&self, folder: &Path, files: &[ListedFile], interrupt: &AtomicBool) -> Result<()> {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let listed = files.iter().filter_map(|file| {
            let sum = file.sum.as_deref().filter(|sum| !sum.starts_with('l'))?;
            let before = seen.entry(sum).or_default();
            *before += 1;
            Some((file, sum, *before))
        });
        let listed: Vec<(&ListedFile, &str, usize)> = listed.collect();
        let (scratch, serial) = (self.scratch()?, AtomicUsize::new(0));
        let workers = Workers::of_disk(interrupt);
        let buffer = || vec![0; 64 * 1024];
        workers
            .try_map_with(listed, buffer, |buffer, (file, sum, number)| {
                let own = folder.join(&file.path);
                let new = scratch.path().join(serial.fetch_add(1, Ordering::Relaxed).to_string());
                self.share_file(&own, sum, number, &mut Sharing { new: &new, buffer })
            })
            .map(drop)
    }

    /// One file, the `number`th of its content in a layer.
    fn share_file(&self, own: &Path, sum: &str, number: usize, sharing: &mut Sharing<'_>) -> Result<()> {
        let meta = own.symlink_metadata().map_err(Error::io("read", own))?;
        if meta.len() == 0 || !matches!(meta.mode() & 0o7777, 0o644 | 0o755) {
            return Ok(());
        }
        let shared = self.shared_file(sum, number);
        let linked = match shared.symlink_metadata() {
            Ok(there) if is_alike(&there, &meta) => {
                if checksums::sum(&shared, &there, sharing.buffer).is_ok_and(|found| found == sum) {
                    link_over(&shared, own, sharing.new)
                } else {
                    link_over(own, &shared, sharing.new)
                }
            }
            // Of another time: this one is not shared.
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let parent = shared.parent().unwrap_or(Path::new("/"));
                fs::create_dir_all(parent).and_then(|()| fs::hard_link(own, &shared))
            }
            Err(error) => Err(error),
        };
        match linked {
            // Another process was quicker, or removed what it found unused.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => Ok(()),
            // The most links that the file system allows: from now on they lead to this one.
            Err(error) if error.kind() == ErrorKind::TooManyLinks => {
                link_over(own, &shared, sharing.new).map_err(Error::io("share", own))
            }
            other => other.map_err(Error::io("share", own)),
        }
    }

    /// Removes what no layer has any more; how many bytes became free.
    pub(super) fn prune_shared_files(&self) -> u64 {
        let folders = fs::read_dir(self.kind_dir(CacheKind::Files)).into_iter().flatten().flatten();
        let mut bytes = 0;
        for file in folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten()) {
            let Ok(meta) = file.metadata() else { continue };
            if meta.nlink() == 1 && fs::remove_file(file.path()).is_ok() {
                bytes += meta.blocks() * 512;
            }
        }
        bytes
    }

    fn shared_file(&self, sum: &str, number: usize) -> PathBuf {
        let shard = sum.get(1..3).unwrap_or_default();
        self.kind_dir(CacheKind::Files).join(shard).join(format!("{sum}.{number}"))
    }
}

/// What a thread that shares files needs.
struct Sharing<'a> {
    /// A path in a scratch folder, where nothing lies yet.
    new: &'a Path,
    buffer: &'a mut [u8],
}

fn is_alike(a: &Metadata, b: &Metadata) -> bool {
    let of = |meta: &Metadata| (meta.len(), meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec());
    of(a) == of(b) && a.ino() != b.ino()
}

/// Makes `to` another name of `from`.
fn link_over(from: &Path, to: &Path, new: &Path) -> std::io::Result<()> {
    fs::hard_link(from, new)?;
    fs::rename(new, to)
}
