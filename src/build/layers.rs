//! Installed packages, kept in the cache as layers: what `yarn install` made of a source, under a key of all that it
//! depends on. A later build of the same key installs nothing: it sees the folders of the layer below one that takes what
//! it writes ([`HeldOverlay`]), or where that cannot be had, copies that share their bytes with it ([`clone_tree`]). The
//! first build has them so as well.
//!
//! ```text
//! key        the files, tools and variables that an installation depends on
//! snapshot   the source before, and what was added to it
//! scan       whether that can be kept: scripts have written there
//! record     what else is known of a layer, and whether it fits a source
//! types      what `yarn tsc` wrote, kept in the same way
//! ```

mod key;
mod record;
mod scan;
mod snapshot;
mod types;

use std::path::Path;
use std::time::Instant;

use super::context::WorkspaceBuild;
use super::held_layer::{HeldLayer, LayerUse};
use super::opened_files::{Opened, OpenedFiles, OpenedPaths};
use super::packages::PackageCache;
use super::packages::lockfile::LockfilePackages;
use super::packages::unpinned::Unpinned;
use super::report::InstallScripts;
use super::source;
use super::workdir::{Folders, Workdir};
use crate::error::{Error, Result};
use crate::sandbox::child::Log;
use crate::sandbox::held_overlay::HeldOverlay;
use crate::store::{CacheEntry, CacheKind, CheckedEntry, NewLayer, Reading, UntrustedTree, can_clone, clone_tree};
use record::{LayerRecord, TREE};
use scan::Unkept;
use snapshot::{Added, Snapshot, lies_in_any};

/// A path of a source, `.` for the source itself, as it is opened.
fn place(path: &str) -> &Path {
    Path::new(if path == "." { "" } else { path })
}

/// The packages of a workspace, installed.
pub(super) struct Installed {
    pub(super) install_scripts: InstallScripts,
    /// Those that no lockfile has a checksum for.
    pub(super) used: Unpinned,
    /// What of the source the installation opened that lies in no package of the workspace, where that is looked at.
    pub(super) outside: Option<Opened>,
}

/// What a workspace's packages must be.
pub(super) struct WantedPackages<'a> {
    /// What its lockfile names.
    pub(super) listed: &'a LockfilePackages,
    /// What the lock has sealed of those without a checksum.
    pub(super) sealed: &'a Unpinned,
    pub(super) cache: &'a PackageCache<'a>,
}

impl WorkspaceBuild<'_> {
    /// Installs the packages, or takes them from the cache.
    pub(super) async fn install_packages(
        &self,
        workdir: &mut Workdir,
        wanted: &WantedPackages<'_>,
        log: &Log,
        exports: bool,
    ) -> Result<Installed> {
        let looking = self.phase("look for kept packages");
        if !exports || self.layer_use(workdir).is_none() {
            looking.done();
            return self.install_apart(workdir, wanted, log, exports).await;
        }
        let tree = source::checked_out(self.workspace, &workdir.folders.source)?;
        let key = tokio::task::block_in_place(|| key::of(self, workdir, &tree))?;
        looking.done();
        let kept = |workdir: &mut Workdir| {
            let Some(installed) = tokio::task::block_in_place(|| self.kept(workdir, wanted, &tree, &key))? else {
                return Ok(None);
            };
            // Exports install closures that are not known yet, mostly of the same packages.
            if self.lacks_closures(wanted.cache)? {
                self.fill_cache(wanted.listed, wanted.cache)?;
            }
            Ok(Some(installed))
        };
        if let Some(installed) = kept(workdir)? {
            return Ok(installed);
        }
        self.shared.ui.timeline().explain(self.lane(), "not in the cache".into());
        let waiting = self.shared.ui.timeline().wait(self.lane(), "wait for who installs the same");
        let new = self.wait_for_layer(&key).await?;
        waiting.done();
        // Another workspace, or process, may have made it meanwhile.
        if let Some(installed) = kept(workdir)? {
            return Ok(installed);
        }
        self.install_and_keep(workdir, wanted, log, new).await
    }

    /// How this machine can use layers, which is tried once for all workspaces.
    pub(super) fn layer_use(&self, workdir: &Workdir) -> Option<LayerUse> {
        let (shared, work) = (self.shared, &workdir.folders.work);
        let probe = || {
            let Err(why) = HeldOverlay::probe(shared.options.isolation, &work.join("probe")) else {
                return Ok(LayerUse::Shown);
            };
            let cloned = can_clone(&shared.store.kind_dir(CacheKind::Layers), work);
            cloned.map(|()| LayerUse::Cloned).map_err(|other| format!("{why}; nor can files be cloned: {other}"))
        };
        let probed = shared.layers.get_or_init(|| tokio::task::block_in_place(probe));
        if let Err(why) = probed {
            let what = format!("this machine does not allow that packages are kept: {why}");
            shared.ui.timeline().explain(self.lane(), what);
            tracing::debug!("{}: installed packages are not kept: {why}", self.workspace.name);
        }
        probed.as_ref().ok().copied()
    }

    /// The installation as it is where no layer can be had.
    async fn install_apart(
        &self,
        workdir: &Workdir,
        wanted: &WantedPackages<'_>,
        log: &Log,
        exports: bool,
    ) -> Result<Installed> {
        let watched = tokio::task::block_in_place(|| self.watch_outside(&workdir.folders)).transpose()?;
        let install_scripts = self.install(workdir, wanted, log, exports).await?;
        let used = tokio::task::block_in_place(|| self.taken_back(wanted))?;
        Ok(Installed { install_scripts, used, outside: watched.map(Opened::since) })
    }

    async fn wait_for_layer(&self, key: &str) -> Result<NewLayer> {
        let (store, interrupt) = (self.shared.store.clone(), self.shared.interrupt.clone());
        let key = key.to_owned();
        let taken = tokio::task::spawn_blocking(move || store.new_layer(&key, interrupt.flag()));
        taken.await.map_err(|_| Error::Interrupted)?
    }

    /// Shares what yarn fetched with other builds; returns what of it has no checksum in a lockfile.
    fn taken_back(&self, wanted: &WantedPackages<'_>) -> Result<Unpinned> {
        wanted.listed.take_back(wanted.cache)?;
        self.check_packages(wanted.listed, wanted.sealed, wanted.cache)
    }

    async fn install_and_keep(
        &self,
        workdir: &mut Workdir,
        wanted: &WantedPackages<'_>,
        log: &Log,
        new: NewLayer,
    ) -> Result<Installed> {
        let source = workdir.folders.source.clone();
        let before = tokio::task::block_in_place(|| Snapshot::of(&source, self.shared.interrupt.flag()));
        let is_watched = |path: &str| !path.split('/').any(|name| name == ".git");
        let watched = tokio::task::block_in_place(|| OpenedFiles::watch(&source, is_watched, &[]));
        let install_scripts = self.install(workdir, wanted, log, true).await?;
        let opened = Opened::since(watched);
        let used = tokio::task::block_in_place(|| self.taken_back(wanted))?;
        let started = Instant::now();
        let record = LayerRecord {
            unpinned: used.to_text(),
            install_scripts: install_scripts.clone(),
            ..LayerRecord::default()
        };
        let kept = tokio::task::block_in_place(|| self.keep(&workdir.folders, new, record, (before, &opened)));
        match kept {
            Ok((entry, record)) => self.show(workdir, entry, &record.folders)?,
            Err(Unkept::Empty) => {}
            Err(Unkept::Because(why)) => {
                self.shared.ui.note(format!("{}: its installed packages are not kept: {why}", self.workspace.name));
            }
            Err(Unkept::Failed(error)) => return Err(error),
        }
        self.record_since("keep packages", started);
        let outside = self.outside_of(&workdir.folders, opened)?;
        Ok(Installed { install_scripts, used, outside })
    }

    /// Makes a layer of what was added to the source.
    fn keep(
        &self,
        folders: &Folders,
        new: NewLayer,
        record: LayerRecord,
        (before, opened): (Result<Snapshot, Unkept>, &Opened),
    ) -> Result<(CacheEntry, LayerRecord), Unkept> {
        let (source, interrupt) = (&folders.source, self.shared.interrupt.flag());
        let before = before?;
        let Opened::Some(OpenedPaths { files: opened, .. }) = opened else {
            return Err(Unkept::because("what was read to install them could not be watched"));
        };
        let Added { folders, laid, modes, .. } = before.added(source, new.path())?;
        if folders.is_empty() {
            return Err(Unkept::Empty);
        }
        let tree = source::checked_out(self.workspace, source)?;
        let is_source = |path: &&String| before.has(path) && !lies_in_any(path, &folders);
        let opened = before.digests(&tree, opened.iter().filter(is_source));
        let record = LayerRecord { folders, laid, modes, opened, ..record };
        scan::move_into(new.path(), source, &record.folders, interrupt)?;
        record.write(new.path())?;
        let entry = new.keep(&record.variant(), interrupt).map_err(Unkept::Failed)?;
        Ok((entry, record))
    }

    /// The packages from the cache, if they are there for this source.
    fn kept(
        &self,
        workdir: &mut Workdir,
        wanted: &WantedPackages<'_>,
        tree: &UntrustedTree,
        key: &str,
    ) -> Result<Option<Installed>> {
        let (shared, name) = (self.shared, &self.workspace.name);
        let options = &shared.options;
        let is_allowed = |record: &LayerRecord| {
            let used = record.unpinned();
            wanted.sealed.check_sealed(&used, name, &options.lock_dir, options.must_be_sealed()).is_ok()
        };
        let damaged = "its installed packages in the cache were damaged and are installed again";
        let started = Instant::now();
        let Some((found, record)) = self.fitting_layer((tree, key), is_allowed, damaged)? else { return Ok(None) };
        record.lay(found.path(), tree)?;
        let outside = self.outside_of(&workdir.folders, record.opened())?;
        self.show(workdir, found, &record.folders)?;
        shared.ui.note(format!("{name}: its packages are installed already"));
        shared.ui.timeline().taken_from(self.lane(), "this machine's cache");
        self.record_since("packages from the cache", started);
        Ok(Some(Installed { used: record.unpinned(), install_scripts: record.install_scripts, outside }))
    }

    /// The layer of a key that would be made of this source as well, if there is one that is as it was.
    fn fitting_layer(
        &self,
        (tree, key): (&UntrustedTree, &str),
        is_allowed: impl Fn(&LayerRecord) -> bool,
        damaged: &str,
    ) -> Result<Option<(CacheEntry, LayerRecord)>> {
        let shared = self.shared;
        let reading = if shared.options.frozen { Reading::All } else { Reading::Changed };
        for layer in shared.store.layers_of(key) {
            let record = LayerRecord::read(&shared.store.layer_path(&layer));
            if record.is_some_and(|record| !record.fits(tree)) {
                continue;
            }
            let found = match shared.store.sound_layer(&layer, reading, shared.interrupt.flag())? {
                CheckedEntry::Sound(entry) => entry,
                CheckedEntry::Missing => continue,
                CheckedEntry::Damaged(damage) => {
                    shared.ui.warn(format!("{}: {damaged}: {damage}", self.workspace.name));
                    continue;
                }
            };
            // Now that it is known to be what was written.
            let record = LayerRecord::read(found.path()).filter(|record| record.fits(tree) && is_allowed(record));
            if let Some(record) = record {
                return Ok(Some((found, record)));
            }
        }
        Ok(None)
    }

    fn show(&self, workdir: &mut Workdir, entry: CacheEntry, folders: &[String]) -> Result<()> {
        let (tree, work) = (entry.path().join(TREE), &workdir.folders.work);
        if self.layer_use(workdir) == Some(LayerUse::Cloned) {
            let source = &workdir.folders.source;
            let clone =
                |folder: &String| clone_tree(&tree.join(folder), &source.join(folder), self.shared.interrupt.flag());
            return folders.iter().try_for_each(clone);
        }
        let layer = HeldLayer::mount(self.shared.options.isolation, tree, work, entry).map_err(|why| {
            let what = format!("cannot show the installed packages of workspace `{}`: {why}", self.workspace.name);
            Error::build(what, "run `factory doctor`, which says what this machine allows")
        })?;
        workdir.show_layer(layer, folders);
        Ok(())
    }
}
