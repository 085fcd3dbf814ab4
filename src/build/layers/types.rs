//! What `yarn tsc` wrote, kept in the cache as a layer without packages. Its key is all that can be seen by it: the source
//! with every file, and the layer of the packages, whose key has the tools and the variables.

use std::time::Instant;

use tokio::task::block_in_place;

use super::record::LayerRecord;
use super::scan::Unkept;
use super::snapshot::Snapshot;
use crate::build::context::WorkspaceBuild;
use crate::build::held_layer::HeldLayer;
use crate::build::opened_files::{Opened, OpenedFiles, OpenedPaths};
use crate::build::source;
use crate::build::workdir::Workdir;
use crate::error::Result;
use crate::lock::Sha256;
use crate::sandbox::child::Log;
use crate::store::{NewLayer, UntrustedTree};

/// How types are kept; raised when another way would keep something else.
const RECIPE: u32 = 1;

impl WorkspaceBuild<'_> {
    /// Makes the types, or takes them from the cache. Returns what of the source that has opened and lies in no package of
    /// the workspace, where that is looked at.
    pub(in crate::build) async fn make_types(&self, workdir: &Workdir, log: &Log) -> Result<Option<Opened>> {
        let source = &workdir.folders.source;
        let Some(layer) = workdir.layer.as_ref().and_then(|layer| layer.name()) else {
            return self.make_types_anew(workdir, log).await;
        };
        let before = match block_in_place(|| Snapshot::of(source, self.shared.interrupt.flag())) {
            Ok(before) => before,
            Err(Unkept::Failed(error)) => return Err(error),
            Err(_) => return self.make_types_anew(workdir, log).await,
        };
        let key = Sha256::of(format!("types {RECIPE}\n{layer}\n{}\n", before.digest())).hex()[..32].to_owned();
        let tree = source::checked_out(self.workspace, source)?;
        if let Some(opened) = block_in_place(|| self.kept_types(&tree, &key))? {
            return self.outside_of(&workdir.folders, opened);
        }
        let waiting = self.shared.ui.timeline().wait(self.lane(), "wait for who makes the same types");
        let new = self.wait_for_layer(&key).await?;
        waiting.done();
        // Another workspace, or process, may have made them meanwhile.
        if let Some(opened) = block_in_place(|| self.kept_types(&tree, &key))? {
            return self.outside_of(&workdir.folders, opened);
        }
        let is_watched = |path: &str| !path.split('/').any(|name| name == ".git");
        let Ok(watched) = block_in_place(|| OpenedFiles::watch(source, is_watched, &[])) else {
            return self.make_types_anew(workdir, log).await;
        };
        self.compile_types(workdir, log).await?;
        let opened = Opened::since(Ok(watched));
        match block_in_place(|| self.keep_types(workdir, new, (&before, &opened), &tree)) {
            Err(Unkept::Failed(error)) => return Err(error),
            Err(Unkept::Because(why)) => tracing::debug!("{}: its types are not kept: {why}", self.workspace.name),
            Ok(()) | Err(Unkept::Empty) => {}
        }
        self.outside_of(&workdir.folders, opened)
    }

    async fn make_types_anew(&self, workdir: &Workdir, log: &Log) -> Result<Option<Opened>> {
        let watched = block_in_place(|| self.watch_outside(&workdir.folders)).transpose()?;
        self.compile_types(workdir, log).await?;
        Ok(watched.map(Opened::since))
    }

    fn kept_types(&self, tree: &UntrustedTree, key: &str) -> Result<Option<Opened>> {
        let started = Instant::now();
        let damaged = "its types in the cache were damaged and are made again";
        let Some((found, record)) = self.fitting_layer((tree, key), |_| true, damaged)? else { return Ok(None) };
        record.lay(found.path(), tree)?;
        self.shared.ui.note(format!("{}: its types are made already", self.workspace.name));
        self.record_since("types from the cache", started);
        Ok(Some(record.opened()))
    }

    fn keep_types(
        &self,
        workdir: &Workdir,
        new: NewLayer,
        (before, opened): (&Snapshot, &Opened),
        tree: &UntrustedTree,
    ) -> Result<(), Unkept> {
        let Opened::Some(OpenedPaths { files, .. }) = opened else {
            return Err(Unkept::because("what was read to make them could not be watched"));
        };
        let added = before.added(&workdir.folders.source, new.path())?;
        if !added.folders.is_empty() || !workdir.layer.as_ref().is_some_and(HeldLayer::is_untouched) {
            return Err(Unkept::because("it wrote to folders of packages"));
        }
        let opened = before.digests(tree, files.iter().filter(|path| before.has(path)));
        let record = LayerRecord { laid: added.laid, modes: added.modes, opened, ..LayerRecord::default() };
        record.write(new.path())?;
        new.keep(&record.variant(), self.shared.interrupt.flag())?;
        Ok(())
    }
}
