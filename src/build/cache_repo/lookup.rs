//! Entries of plugins that the local cache does not have: found, held against the seal or a trusted signature, and laid
//! down as finished builds.

use std::path::Path;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;

use super::entry::{
    BuildFacts, BuildStatement, EntryManifest, MAX_ARCHIVE, MAX_FACTS, MAX_STATEMENT, sealed_tag, unsealed_inputs,
    unsealed_tag,
};
use super::proven;
use super::repo::{CacheRepo, TRANSFER};
use crate::answer::{duration, size};
use crate::build::artefact::{self, Artefact};
use crate::build::context::{PluginTarget, Shared};
use crate::build::finished;
use crate::build::packages::unpinned::Unpinned;
use crate::build::read_sources::ReadSources;
use crate::error::{Error, Result};
use crate::image::{BlobRef, RepositoryFailure};
use crate::lock::{Plugin, Sha256, Workspace};
use crate::store::CacheEntry;
use crate::ui::megabytes;

/// A plugin that is not built, since the repository has it.
pub(in crate::build) struct FoundBuild {
    /// What was made, or what its checks refuse.
    pub(in crate::build) made: Result<Artefact>,
    /// The packages without a checksum that it used, where the lock has not sealed it.
    pub(in crate::build) packages: Unpinned,
}

/// Why an entry is not used.
enum Unused {
    /// The repository has none.
    Missing,
    /// The repository does not answer as it should, for this entry or any.
    Unusable(String),
    /// It is not what it should be.
    Refused(String),
    /// It may be what it should be, and nobody who is trusted says so.
    Untrusted,
    /// The local cache cannot take it.
    Local(Error),
}

impl From<RepositoryFailure> for Unused {
    fn from(failure: RepositoryFailure) -> Self {
        if failure.is_content { Self::Refused(failure.what) } else { Self::Unusable(failure.what) }
    }
}

/// An entry whose statement and facts are what is looked for.
struct EntryFound {
    statement: BuildStatement,
    facts: BuildFacts,
    /// The plugin as the lock will have it.
    plugin: Plugin,
    is_signed: bool,
}

/// The builds of those plugins of a workspace that are missing, by their places in the lock, as far as the repository
/// has them.
pub(in crate::build) async fn find_all(
    shared: &Shared,
    workspace: &Workspace,
    missing: &[usize],
) -> Result<Vec<(usize, FoundBuild)>> {
    let Some(repo) = shared.cache_repo.as_ref().filter(|repo| repo.reads()) else { return Ok(vec![]) };
    if !finished::are_wanted(shared, workspace) {
        return Ok(vec![]);
    }
    let mut looks = Vec::new();
    for place in missing {
        let plugin = &workspace.plugin[*place];
        if shared.options.chooses(plugin) {
            looks.push(look(repo, PluginTarget { shared, workspace, plugin }, *place));
        }
    }
    let mut all = Vec::new();
    for found in join_all(looks).await {
        all.extend(found?);
    }
    Ok(all)
}

async fn look(repo: &CacheRepo, target: PluginTarget<'_>, place: usize) -> Result<Option<(usize, FoundBuild)>> {
    Ok(repo.find(target).await?.map(|found| (place, found)))
}

impl CacheRepo {
    /// A plugin from the repository. Whatever is wrong there is said, and is no error.
    async fn find(&self, target: PluginTarget<'_>) -> Result<Option<FoundBuild>> {
        let PluginTarget { shared, plugin, .. } = target;
        let unsealed = unsealed_inputs(target)?;
        let inputs = plugin.sealed.as_ref().map(|sealed| target.inputs(sealed.closure));
        if inputs.is_none() && self.trusted.is_empty() {
            if !self.has_said_unsealed.swap(true, Ordering::Relaxed) {
                let what = "plugins that the lock has not sealed are not taken from it without `--cache-trust`";
                shared.ui.note(format!("cache repository `{}`: {what}", self.address()));
            }
            return Ok(None);
        }
        let tag = inputs.map_or_else(|| unsealed_tag(unsealed), sealed_tag);
        let fetched = tokio::select! {
            fetched = self.lay_down(target, &tag, inputs.ok_or(unsealed)) => fetched,
            () = shared.interrupt.wait() => return Err(Error::Interrupted),
        };
        match fetched {
            Ok((entry, _used)) => take(target, entry),
            Err(unused) => {
                self.say(target, &tag, unused);
                Ok(None)
            }
        }
    }

    fn say(&self, target: PluginTarget<'_>, tag: &str, unused: Unused) {
        let ui = &target.shared.ui;
        let (entry, plugin) = (format!("{}:{tag}", self.address()), format!("`{}`", target.plugin.path));
        match unused {
            Unused::Missing => tracing::debug!("`{entry}` is not there"),
            Unused::Unusable(what) => self.give_up(ui, "read", &what),
            Unused::Refused(what) => {
                self.refuse(tag);
                ui.warn(format!("`{entry}` is refused, and {plugin} is built: {what}"));
            }
            Unused::Untrusted => {
                // It would be in the way of every build to come, as after a change of keys.
                self.refuse(tag);
                ui.note(format!("`{entry}` is ignored: no key of `--cache-trust` has signed it"));
            }
            Unused::Local(error) => ui.warn(format!("{plugin} cannot be stored in the cache: {error}")),
        }
    }

    /// Lays an entry down in the local cache. `wanted` are the inputs of a sealed plugin, or those of an unsealed one.
    async fn lay_down(
        &self,
        target: PluginTarget<'_>,
        tag: &str,
        wanted: std::result::Result<Sha256, Sha256>,
    ) -> std::result::Result<(EntryFound, CacheEntry), Unused> {
        let entry = {
            let _slot = self.lookups.acquire().await;
            self.in_time(1, self.entry(target, tag, wanted)).await?
        };
        let shared = target.shared;
        let scratch = shared.store.scratch().map_err(Unused::Local)?;
        let (archive, layer) = (scratch.path().join(finished::ARCHIVE), scratch.path().join(finished::LAYER));
        let _slot = self.transfers.acquire().await;
        if self.is_given_up() {
            return Err(Unused::Missing);
        }
        let bytes = entry.statement.archive.size + entry.statement.layer.size;
        let step = shared.ui.step(target.label(), format!("fetch from {}", self.address()));
        let fetch = async {
            self.repository.blob_to(entry.statement.archive, &archive).await?;
            Ok(self.repository.blob_to(entry.statement.layer, &layer).await?)
        };
        self.in_time(TRANSFER, fetch).await?;
        let laid = tokio::task::block_in_place(|| entry.store(target, &archive, &layer))?;
        step.done(megabytes(bytes));
        Ok((entry, laid))
    }

    async fn in_time<T>(
        &self,
        times: u32,
        work: impl Future<Output = std::result::Result<T, Unused>>,
    ) -> std::result::Result<T, Unused> {
        let within = self.patience * times;
        let late = |_| Unused::Unusable(format!("it did not answer within {}", duration(within)));
        tokio::time::timeout(within, work).await.map_err(late)?
    }

    async fn entry(
        &self,
        target: PluginTarget<'_>,
        tag: &str,
        wanted: std::result::Result<Sha256, Sha256>,
    ) -> std::result::Result<EntryFound, Unused> {
        if self.is_given_up() {
            return Err(Unused::Missing);
        }
        let manifest = self.repository.manifest(tag).await?.ok_or(Unused::Missing)?;
        let unreadable =
            |what: &str, error: serde_json::Error| Unused::Refused(format!("{what} cannot be read: {error}"));
        let manifest: EntryManifest =
            serde_json::from_slice(&manifest).map_err(|error| unreadable("its manifest", error))?;
        let statement = self.small("its statement", manifest.config.blob, MAX_STATEMENT).await?;
        let is_signed = manifest.is_signed(&statement, &self.trusted);
        let statement: BuildStatement =
            serde_json::from_slice(&statement).map_err(|error| unreadable("its statement", error))?;
        let is_of_these = match wanted {
            Ok(inputs) => statement.inputs == inputs,
            Err(unsealed) => statement.unsealed == unsealed,
        };
        if wanted.is_err() && !is_signed {
            return Err(Unused::Untrusted);
        }
        if !is_of_these {
            return Err(Unused::Refused("it was built from other inputs".to_owned()));
        }
        for (what, blob) in [("archive", statement.archive), ("layer", statement.layer)] {
            within(what, blob, MAX_ARCHIVE)?;
        }
        let facts = self.small("its facts", statement.facts, MAX_FACTS).await?;
        let facts: BuildFacts = serde_json::from_slice(&facts).map_err(|error| unreadable("its facts", error))?;
        EntryFound::of(target, statement, facts, is_signed)
    }

    async fn small(&self, what: &str, blob: BlobRef, most: u64) -> std::result::Result<Vec<u8>, Unused> {
        within(what, blob, most)?;
        Ok(self.repository.blob(blob).await?)
    }
}

fn within(what: &str, blob: BlobRef, most: u64) -> std::result::Result<(), Unused> {
    if blob.size <= most {
        return Ok(());
    }
    Err(Unused::Refused(format!("{what} has {} bytes, and {} is the limit", blob.size, size(most))))
}

impl EntryFound {
    /// Checks what can be checked before the archives are fetched.
    fn of(
        target: PluginTarget<'_>,
        statement: BuildStatement,
        facts: BuildFacts,
        is_signed: bool,
    ) -> std::result::Result<Self, Unused> {
        let mut plugin = target.plugin.clone();
        if plugin.sealed.is_none() {
            plugin.sealed = Some(statement.seal.clone());
            plugin.reads.clone_from(&facts.reads);
            plugin.sources.clone_from(&facts.sources);
            let inputs = PluginTarget { plugin: &plugin, ..target }.inputs(statement.seal.closure);
            if inputs != statement.inputs {
                return Err(Unused::Refused("it was built from other inputs".to_owned()));
            }
        }
        if facts.record.packed.layer != statement.layer.digest {
            return Err(Unused::Refused("its layer is another one".to_owned()));
        }
        let found = Self { statement, facts, plugin, is_signed };
        found.check(target, &found.facts.record)?;
        Ok(found)
    }

    fn check(&self, target: PluginTarget<'_>, record: &artefact::PackageRecord) -> std::result::Result<(), Unused> {
        let target = PluginTarget { plugin: &self.plugin, ..target };
        match artefact::is_of_seal(target, record) {
            Ok(true) => Ok(()),
            Ok(false) if target.plugin.sealed.is_some() => {
                Err(Unused::Refused("it is not what the lock has sealed".to_owned()))
            }
            Ok(false) => Err(Unused::Refused("it is not what its statement says".to_owned())),
            Err(error) => Err(Unused::Refused(error.to_string())),
        }
    }

    /// Stores what was fetched, after a look at all of it.
    fn store(&self, target: PluginTarget<'_>, archive: &Path, layer: &Path) -> std::result::Result<CacheEntry, Unused> {
        let record = proven::record(&self.facts.record, archive, self.plugin.sealed.as_ref(), self.is_signed);
        let record = record.map_err(Unused::Refused)?;
        self.check(target, &record)?;
        finished::store(target.shared, &self.statement.inputs.hex(), &record, [archive, layer]).map_err(Unused::Local)
    }
}

/// Takes what was laid down from the local cache.
fn take(target: PluginTarget<'_>, entry: EntryFound) -> Result<Option<FoundBuild>> {
    let is_new = target.plugin.sealed.is_none();
    let found = PluginTarget { plugin: &entry.plugin, ..target };
    let Some(mut made) = tokio::task::block_in_place(|| finished::find(found, !is_new))? else { return Ok(None) };
    let mut packages = Unpinned::default();
    if is_new {
        packages = Unpinned::parse(&entry.facts.packages);
        if let Ok(artefact) = &mut made {
            let BuildFacts { reads, sources, .. } = entry.facts;
            artefact.read = Some(ReadSources { reads, sources });
        }
    }
    Ok(Some(FoundBuild { made, packages }))
}
