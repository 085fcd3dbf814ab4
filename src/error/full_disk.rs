//! Full disks: which folder is full, and which option moves that one.

use std::path::Path;

use super::{Error, is_full};

/// How programs say that a disk is full or a quota used up: libuv's and npm's codes, libc's words.
const SAID: [&str; 4] = ["ENOSPC", "EDQUOT", "No space left on device", "Disk quota exceeded"];

/// Less than this is no room.
const LEAST: u64 = 64 * 1024;

/// A folder of factory's that the user can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovableFolder<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// What moves it.
    pub option: &'static str,
}

impl<'a> MovableFolder<'a> {
    /// The cache. All that children write is in it: trees, their homes and temporary folders.
    pub fn cache(path: &'a Path) -> Self {
        Self { path, option: "--cache-dir" }
    }

    /// The output directory.
    pub fn outputs(path: &'a Path) -> Self {
        Self { path, option: "--output-dir" }
    }

    /// True for an error that says that this folder is on a full disk.
    pub fn is_full(self, error: &Error) -> bool {
        match error {
            Error::Build { tail, .. } => {
                self.option == "--cache-dir" && tail.iter().any(|line| SAID.iter().any(|said| line.contains(said)))
            }
            Error::Io { source, path, .. } => is_full(source) && path.starts_with(self.path),
            _ => false,
        }
    }

    /// True where nothing more fits. Programs that do not look whether they could write end well on a full disk, and
    /// what they leave is the error.
    pub fn has_no_room(self) -> bool {
        free(self.path).is_some_and(|free| free < LEAST)
    }

    /// The same error, with what is full and what moves it if this folder is on a full disk.
    #[must_use]
    pub fn explained(self, error: Error) -> Error {
        if self.is_full(&error) { self.hinted(error, "") } else { error }
    }

    /// The same error with what is full, what moves it, and what is known of it.
    #[must_use]
    pub fn hinted(self, error: Error, known: &str) -> Error {
        let free = free(self.path).map(|free| format!(" ({} free)", size(free))).unwrap_or_default();
        let hint = format!(
            "`{}` is on a disk that is full{free}: free space there, or use another folder with `{}`{known}",
            self.path.display(),
            self.option
        );
        match error {
            Error::Build { what, tail, .. } => Error::Build { what, tail, hint },
            other => Error::build(other.to_string(), hint),
        }
    }
}

/// The bytes that are free on the file system of a folder.
pub fn free(folder: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(folder).ok()?;
    Some(found.blocks_available().saturating_mul(found.fragment_size()))
}

/// `12.3 GB`, `12.3 MB`
pub fn size(bytes: u64) -> String {
    let (unit, name) = if bytes >= 1_000_000_000 { (100_000_000, "GB") } else { (100_000, "MB") };
    let tenths = bytes / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_that_is_full_is_named_with_the_option_that_moves_it() {
        let (cache, outputs) = (MovableFolder::cache(Path::new("/c")), MovableFolder::outputs(Path::new("/o")));
        let child = |line: &str| Error::Build { what: "x".into(), tail: vec![line.into()], hint: "y".into() };
        for line in [
            "YN0001: │ Error: ENOSPC: no space left on device, write",
            "npm error code ENOSPC",
            "cp: error writing 'a': No space left on device",
        ] {
            assert_eq!((cache.is_full(&child(line)), outputs.is_full(&child(line))), (true, false), "{line}");
        }
        assert!(!cache.is_full(&child("npm error code EACCES")));
        let full = |path: &str| Error::io("write", path)(std::io::ErrorKind::StorageFull.into());
        assert!(cache.is_full(&full("/c/work")) && !outputs.is_full(&full("/c/work")));
        assert!(outputs.is_full(&full("/o/a.tgz")) && !cache.is_full(&full("/elsewhere")));
        let hinted = outputs.hinted(full("/o/a.tgz"), "; more");
        assert_eq!(hinted.to_string(), "cannot write `/o/a.tgz`: no storage space");
        let hint = "`/o` is on a disk that is full: free space there, or use another folder with `--output-dir`; more";
        assert_eq!(hinted.hint().unwrap(), hint);
        assert_eq!(outputs.explained(full("/o/a.tgz")).hint().unwrap(), hint.trim_end_matches("; more"));
        assert_eq!(outputs.explained(full("/elsewhere")).to_string(), full("/elsewhere").to_string());
        assert_eq!(size(12_345_678_901), "12.3 GB");
        assert_eq!(size(12_345_678), "12.3 MB");
    }
}
