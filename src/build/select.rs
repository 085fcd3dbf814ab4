//! The files of an exported package: what `npm pack` takes of it, with what carries time or order made constant.

use std::path::Path;

use serde::Deserialize;

use super::export::Export;
use super::npm_masked::unmask;
use crate::error::{Error, Result};
use crate::image::{Content, PackageFiles, mf_types};

impl Export<'_> {
    /// Selects what belongs to the package.
    pub(super) async fn select(&self) -> Result<PackageFiles> {
        let files = self.listed_files().await?;
        normalised(&self.view.seen().join(self.made_path()), files)
    }

    /// The files that `npm pack` takes, with their executable bit.
    async fn listed_files(&self) -> Result<Vec<(String, bool)>> {
        let args = [&self.workdir.programs.npm.to_string_lossy(), "pack", "--dry-run", "--json", "--ignore-scripts"]
            .map(str::to_owned);
        let what = format!("`npm pack` of {} failed", self.target);
        let said = self.node(&args, &self.view.outside(&self.made_path()), &what, "").await?;
        let start = said.find('[').unwrap_or(0);
        let packs: Vec<Pack> = serde_json::from_str(&said[start..]).map_err(|e| Error::Build {
            what: format!("{what}: cannot parse its output: {e}"),
            tail: vec![],
            hint: format!("see `{}`", self.log.path().display()),
        })?;
        let files = packs.into_iter().next().map(|pack| pack.files).unwrap_or_default();
        let files = files.into_iter().map(|file| (file.path, file.mode & 0o100 != 0)).collect();
        unmask(&self.made()?, files).map_err(|why| Error::Build {
            what: format!("{what}: {why}"),
            tail: vec![],
            hint: "leave files with such names out of the package (`files` in its package.json)".into(),
        })
    }
}

/// The selected files, with what carries time or order made constant (docs/reproducible.md).
fn normalised(out: &Path, files: Vec<(String, bool)>) -> Result<PackageFiles> {
    let selected = PackageFiles::select(out, files)?;
    let mut entries = selected.entries().to_vec();
    for entry in &mut entries {
        if mf_types::is_named(&entry.path)
            && let Some(bytes) = selected.read(&entry.path)?
        {
            entry.content = Content::Bytes(mf_types::normalise(bytes.into_owned()));
        }
    }
    PackageFiles::new(entries)
}

#[derive(Deserialize)]
struct Pack {
    files: Vec<PackFile>,
}

#[derive(Deserialize)]
struct PackFile {
    path: String,
    #[serde(default)]
    mode: u32,
}
