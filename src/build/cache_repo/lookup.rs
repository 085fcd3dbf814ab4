//! Entries of plugins that the local cache does not have: found, held against the seal or a trusted signature, and laid
//! down as finished builds.

use std::path::Path;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;

use super::entry::{
    BuildFacts, BuildStatement, EntryManifest, MAX_ARCHIVE, MAX_FACTS, MAX_STATEMENT, UnsealedOf, sealed_tag,
    unsealed_inputs, unsealed_tag,
};
use super::proven;
use super::repo::{CacheRepo, TRANSFER};
use crate::answer::{duration, size};
use crate::build::artefact::{self, Artefact};
use crate::build::context::{PluginTarget, Shared};
use crate::build::finished;
use crate::build::packages::unpinned::Unpinned;
use crate::build::read_sources::ReadSources;
use crate::build::workdir::own_root;
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

/// What an entry must be of.
#[derive(Clone, Copy)]
enum Wanted {
    /// The inputs of a sealed plugin.
    Sealed(Sha256),
    /// Those of one that is not sealed, as far as they are known.
    Unsealed(Sha256, UnsealedOf),
}

impl Wanted {
    /// Under which tags a plugin is looked for, one after the other.
    fn of(target: PluginTarget<'_>) -> Result<Vec<(String, Self)>> {
        if let Some(sealed) = &target.plugin.sealed {
            let inputs = target.inputs(sealed.closure);
            return Ok(vec![(sealed_tag(inputs, sealed.root.as_deref()), Self::Sealed(inputs))]);
        }
        let root = own_root(target.shared, target.workspace);
        let look = |of| {
            let inputs = unsealed_inputs(target, of, root.as_deref())?;
            Ok((unsealed_tag(inputs), Self::Unsealed(inputs, of)))
        };
        // Other commits have the same content; another content has no entry of this commit.
        [UnsealedOf::Content, UnsealedOf::Commit].into_iter().map(look).collect()
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
        if plugin.sealed.is_none() && self.trusted.is_empty() {
            if !self.has_said_unsealed.swap(true, Ordering::Relaxed) {
                let what = "plugins that the lock has not sealed are not taken from it without `--cache-trust`";
                shared.ui.note(format!("cache repository `{}`: {what}", self.address()));
            }
            return Ok(None);
        }
        for (tag, wanted) in Wanted::of(target)? {
            let fetched = tokio::select! {
                fetched = self.lay_down(target, &tag, wanted) => fetched,
                () = shared.interrupt.wait() => return Err(Error::Interrupted),
            };
            match fetched {
                Ok((entry, _used)) => return take(target, entry),
                Err(unused) => self.say(target, &tag, unused),
            }
        }
        Ok(None)
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

    /// Lays an entry down in the local cache.
    async fn lay_down(
        &self,
        target: PluginTarget<'_>,
        tag: &str,
        wanted: Wanted,
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
        let step = shared.ui.step(target.lane(), format!("fetch from {}", self.address()));
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
        wanted: Wanted,
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
            Wanted::Sealed(inputs) => statement.inputs == inputs,
            Wanted::Unsealed(..) if !is_signed => return Err(Unused::Untrusted),
            Wanted::Unsealed(unsealed, _) => statement.unsealed == unsealed,
        };
        if !is_of_these {
            return Err(of_other_inputs());
        }
        for (what, blob) in [("archive", statement.archive), ("layer", statement.layer)] {
            within(what, blob, MAX_ARCHIVE)?;
        }
        let facts = self.small("its facts", statement.facts, MAX_FACTS).await?;
        let facts: BuildFacts = serde_json::from_slice(&facts).map_err(|error| unreadable("its facts", error))?;
        let of = match wanted {
            Wanted::Sealed(_) => None,
            Wanted::Unsealed(_, of) => Some(of),
        };
        EntryFound { statement, facts, plugin: target.plugin.clone(), is_signed }.checked(target, of)
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

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn refused(error: Error) -> Unused {
    Unused::Refused(error.to_string())
}

fn of_other_inputs() -> Unused {
    Unused::Refused("it was built from other inputs".to_owned())
}

impl EntryFound {
    /// Checks what can be checked before the archives are fetched. `of` is what an entry of an unsealed plugin must be of.
    fn checked(mut self, target: PluginTarget<'_>, of: Option<UnsealedOf>) -> std::result::Result<Self, Unused> {
        let Self { statement, facts, plugin, .. } = &mut self;
        let mut seal = statement.seal.clone();
        if let Some(of) = of {
            // Of another commit nothing is known but what the lock has of this one.
            if of == UnsealedOf::Content && (&plugin.reads, &plugin.sources) != (&facts.reads, &facts.sources) {
                return Err(of_other_inputs());
            }
            plugin.reads.clone_from(&facts.reads);
            plugin.sources.clone_from(&facts.sources);
            let found = PluginTarget { plugin, ..target };
            if found.inputs(seal.closure) != statement.inputs {
                return Err(of_other_inputs());
            }
            if of == UnsealedOf::Content {
                // Its image names the commit, and with it the time, that it was built at.
                seal.image = artefact::image_digest(found, &facts.record, seal.closure).map_err(refused)?;
            }
            plugin.sealed = Some(seal);
        }
        if facts.record.packed.layer != statement.layer.digest {
            return Err(Unused::Refused("its layer is another one".to_owned()));
        }
        self.check(target, &self.facts.record)?;
        Ok(self)
    }

    fn check(&self, target: PluginTarget<'_>, record: &artefact::PackageRecord) -> std::result::Result<(), Unused> {
        if artefact::is_of_seal(PluginTarget { plugin: &self.plugin, ..target }, record).map_err(refused)? {
            return Ok(());
        }
        let sealed_by = if target.plugin.sealed.is_some() { "the lock has sealed" } else { "its statement says" };
        Err(Unused::Refused(format!("it is not what {sealed_by}")))
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
