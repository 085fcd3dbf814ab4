//! The size of a pack while it is written, whoever receives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::GitFailure;
use super::look::LookPause;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);

/// Watches the folder that a pack is written to.
pub(super) struct PackWatch {
    folder: PathBuf,
    /// What was there before.
    before: u64,
    limit: u64,
    pause: LookPause,
}

impl PackWatch {
    /// For the bare repository at `dir`.
    pub(super) fn new(dir: &Path, limit: u64) -> Self {
        let folder = dir.join("objects/pack");
        Self { before: bytes_in(&folder), folder, limit, pause: LookPause::new(LOOK) }
    }

    /// Err once more has come than may.
    pub(super) fn look(&mut self) -> Result<(), GitFailure> {
        if self.pause.is_over() { self.check() } else { Ok(()) }
    }

    fn check(&self) -> Result<(), GitFailure> {
        let come = bytes_in(&self.folder).saturating_sub(self.before);
        if come > self.limit { Err(GitFailure::too_large("the commit", self.limit)) } else { Ok(()) }
    }
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_has_a_limit_and_what_was_there_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("objects/pack");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("pack-1.pack"), [0; 5000]).unwrap();
        let watch = PackWatch::new(dir.path(), 2048);
        fs::write(folder.join("tmp_pack_2"), [0; 2048]).unwrap();
        assert!(watch.check().is_ok());
        fs::write(folder.join("tmp_pack_3"), [0; 1]).unwrap();
        let GitFailure::Refused(why) = watch.check().unwrap_err() else { panic!("another failure") };
        assert_eq!(why, "the commit has more than 2 KiB, the limit");
    }
}
