//! The room that a workspace takes: how much it was the last time, and whether that fits before it is built again.
//!
//! It is measured beside the exports of plugins, and kept in the cache: `sizes/<workspace>`.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::task::{JoinHandle, spawn_blocking};

use super::context::{Shared, WorkspaceBuild};
use super::report::{self, Report};
use crate::error::full_disk::{MovableFolder, free, size};
use crate::error::{Error, Result};
use crate::store::{atomic_file, disk_usage};

impl WorkspaceBuild<'_> {
    /// The error of a step; if a disk is full, with which one, what moves the folder, and what the last build took.
    pub(super) fn of_disk(&self, error: Error) -> Error {
        let (cache, outputs) = folders(self.shared);
        let name = &self.workspace.name;
        let may_be_of_it = matches!(error, Error::Build { .. } | Error::Config { .. } | Error::Io { .. });
        if cache.is_full(&error) || may_be_of_it && !outputs.is_full(&error) && cache.has_no_room() {
            let took = self.took().map(|took| format!("; the last build of `{name}` took {} there", size(took)));
            cache.hinted(error, &took.unwrap_or_default())
        } else if outputs.is_full(&error) {
            let had = self.archives().map(|had| format!("; the last archives of `{name}` have {}", size(had)));
            outputs.hinted(error, &had.unwrap_or_default())
        } else {
            error
        }
    }

    /// Says so if the last build of this workspace took more than there is now.
    pub(super) fn warn_of_room(&self, work: &Path) {
        let Some((took, free)) = self.took().zip(free(work)).filter(|(took, free)| took > free) else { return };
        self.shared.ui.warn(format!(
            "workspace `{}` may not fit: its last build took {}, and {} are free in `{}`; free space there, or use another \
             folder with `--cache-dir`",
            self.workspace.name,
            size(took),
            size(free),
            self.shared.store.dir().display(),
        ));
    }

    /// Measures, beside other work, what this build takes, for the next one.
    pub(super) fn measure(&self, work: &Path) -> JoinHandle<Result<()>> {
        let (work, record) = (work.to_path_buf(), self.record());
        spawn_blocking(move || atomic_file(&record, format!("{}\n", disk_usage(&work)).as_bytes()))
    }

    fn record(&self) -> PathBuf {
        self.shared.store.dir().join("sizes").join(&self.workspace.name)
    }

    fn took(&self) -> Option<u64> {
        fs::read_to_string(self.record()).ok()?.trim().parse().ok()
    }

    /// What the archives of this workspace have that an earlier build left.
    fn archives(&self) -> Option<u64> {
        let path = self.shared.options.output_dir.join(report::FILE_NAME);
        let report = Report::read(&path, "").ok()?;
        let workspace = report.workspaces.iter().find(|one| one.name == self.workspace.name)?;
        let outputs = workspace.plugins.iter().filter_map(|plugin| plugin.output.as_ref());
        Some(outputs.fold(0, |sum: u64, output| sum.saturating_add(output.tgz_bytes))).filter(|bytes| *bytes > 0)
    }
}

/// The error of what is written for all workspaces.
pub fn of_outputs(shared: &Shared, error: Error) -> Error {
    let (_, outputs) = folders(shared);
    outputs.explained(error)
}

fn folders(shared: &Shared) -> (MovableFolder<'_>, MovableFolder<'_>) {
    (MovableFolder::cache(shared.store.dir()), MovableFolder::outputs(&shared.options.output_dir))
}
