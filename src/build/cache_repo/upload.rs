//! What was built here on its way into the repository, while other plugins are built.

use std::fs;
use std::sync::{Arc, PoisonError};

use super::claim::Claim;
use super::entry::{
    BuildFacts, BuildStatement, MAX_ARCHIVE, MAX_FACTS, UnsealedOf, sealed_tag, unsealed_inputs, unsealed_tag,
};
use super::keys::SigningKey;
use super::repo::{CacheRepo, TRANSFER, Uploaded};
use crate::answer::duration;
use crate::build::artefact::Artefact;
use crate::build::context::{PluginTarget, Shared};
use crate::build::finished;
use crate::build::packages::unpinned::Unpinned;
use crate::error::{Error, Result};
use crate::image::{BlobRef, RepositoryBlob, RepositoryFailure};
use crate::lock::Sha256;
use crate::lock::recipe::FIRST;
use crate::store::CacheEntry;
use crate::ui::count;

/// A plugin that was built, and is in the local cache.
pub(in crate::build) struct NewBuild<'a> {
    /// As the lock has it.
    pub(in crate::build) locked: PluginTarget<'a>,
    /// As it was built.
    pub(in crate::build) built: PluginTarget<'a>,
    /// What was made.
    pub(in crate::build) artefact: &'a Artefact,
    /// The packages without a checksum that it used.
    pub(in crate::build) packages: Unpinned,
}

/// All that an upload needs, which outlives the build.
struct Upload {
    /// In use until it is stored.
    entry: CacheEntry,
    statement: BuildStatement,
    facts: Vec<u8>,
    tags: Vec<String>,
}

impl NewBuild<'_> {
    fn upload(self, entry: CacheEntry, is_signed: bool) -> Result<Upload> {
        let Self { locked, built, artefact, packages } = self;
        let facts = BuildFacts {
            record: artefact.record.clone(),
            reads: artefact.read.as_ref().map_or_else(|| built.plugin.reads.clone(), |read| read.reads.clone()),
            sources: built.plugin.sources.clone(),
            packages: packages.to_text(),
        };
        let facts = serde_json::to_vec(&facts).map_err(|error| Error::usage(error.to_string(), ""))?;
        let inputs = built.inputs(artefact.sealed.closure);
        // What was built is what is sealed, under whatever root that was.
        let mut seal = artefact.sealed.clone();
        if let Some(sealed) = &locked.plugin.sealed {
            seal.root.clone_from(&sealed.root);
        }
        let root = seal.root.clone();
        // All it read is in the lock.
        let is_known = artefact.read.is_none() && locked.workspace.recipe != FIRST;
        let of = if is_known { UnsealedOf::Content } else { UnsealedOf::Commit };
        let unsealed = unsealed_inputs(locked, of, root.as_deref())?;
        let archive = entry.path().join(finished::ARCHIVE);
        let mut file = fs::File::open(&archive).map_err(Error::io("read", &archive))?;
        let packed = &artefact.record.packed;
        let statement = BuildStatement {
            inputs,
            unsealed,
            seal,
            archive: BlobRef {
                digest: Sha256::of_reader(&mut file).map_err(Error::io("read", &archive))?,
                size: packed.tgz_len,
            },
            layer: BlobRef { digest: packed.layer, size: packed.layer_len },
            facts: BlobRef { digest: Sha256::of(&facts), size: facts.len() as u64 },
        };
        // Without a signature nobody takes what is not sealed.
        let tags = [Some(sealed_tag(inputs, root.as_deref())), is_signed.then(|| unsealed_tag(unsealed))];
        Ok(Upload { entry, statement, facts, tags: tags.into_iter().flatten().collect() })
    }
}

impl CacheRepo {
    /// Begins to store what was built. What is there already stays.
    pub(in crate::build) fn store(self: &Arc<Self>, new: NewBuild<'_>, entry: Option<CacheEntry>) {
        let Some(entry) = entry.filter(|_| self.writes()) else { return };
        let (shared, label) = (new.locked.shared, new.locked.label());
        let upload = match new.upload(entry, self.key.is_some()) {
            Ok(upload) => upload,
            Err(error) => return shared.ui.warn(format!("{label} is not stored in `{}`: {error}", self.address())),
        };
        let repo = Arc::clone(self);
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.spawn(async move { repo.send_unless_others_do(&upload).await });
    }

    /// Stores something that no other machine has stored or is about to.
    async fn send_unless_others_do(&self, upload: &Upload) -> Uploaded {
        let Upload { statement, tags, .. } = upload;
        // Nobody would take it.
        if statement.archive.size.max(statement.layer.size) > MAX_ARCHIVE || statement.facts.size > MAX_FACTS {
            return Ok(false);
        }
        let claim = Claim::of(tags, self.key.as_ref().map(SigningKey::digest));
        let pause = {
            let _slot = self.transfers.acquire().await;
            if !self.writes() || self.missing(tags).await?.is_empty() {
                return Ok(false);
            }
            self.claim(&claim).await?
        };
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
            let _slot = self.transfers.acquire().await;
            if !self.writes() {
                return Ok(false);
            }
            if !self.is_claimed(&claim).await? {
                return self.send(upload).await;
            }
        }
        tracing::debug!("another machine is about to store `{}:{}`", self.address(), tags[0]);
        Ok(false)
    }

    async fn send(&self, upload: &Upload) -> Uploaded {
        let Upload { entry, statement, facts, tags } = upload;
        let bytes = statement.to_bytes();
        let manifest = statement.manifest(self.key.as_ref()).map_err(|error| RepositoryFailure {
            what: error.to_string(),
            status: None,
            is_content: false,
        })?;
        let said = BlobRef { digest: Sha256::of(&bytes), size: bytes.len() as u64 };
        let (archive, layer) = (entry.path().join(finished::ARCHIVE), entry.path().join(finished::LAYER));
        for (blob, bytes) in [
            (said, RepositoryBlob::Bytes(&bytes)),
            (statement.facts, RepositoryBlob::Bytes(facts)),
            (statement.archive, RepositoryBlob::File(&archive)),
            (statement.layer, RepositoryBlob::File(&layer)),
        ] {
            self.repository.put_blob(blob, bytes).await?;
        }
        // Another machine may have been quicker.
        let missing = self.missing(tags).await?;
        for tag in &missing {
            self.repository.put_manifest(tag, &manifest).await?;
        }
        Ok(!missing.is_empty())
    }

    /// Of these tags those that are not there, or were refused.
    async fn missing<'t>(&self, tags: &'t [String]) -> std::result::Result<Vec<&'t String>, RepositoryFailure> {
        let mut missing = Vec::new();
        for tag in tags {
            if self.has_refused(tag) || !self.repository.has(tag).await? {
                missing.push(tag);
            }
        }
        Ok(missing)
    }

    /// Waits for the uploads, as long as it is worth it; what fails is a warning.
    pub async fn finish(&self, shared: &Shared) -> Result<()> {
        let mut uploads = std::mem::take(&mut *self.uploads.lock().unwrap_or_else(PoisonError::into_inner));
        if uploads.is_empty() {
            return Ok(());
        }
        let within = self.patience * TRANSFER;
        let step = shared.ui.step("cache", format!("store builds in {}", self.address()));
        let mut stored = 0;
        let all = async {
            while let Some(joined) = uploads.join_next().await {
                match joined {
                    Ok(Ok(new)) => stored += usize::from(new),
                    Ok(Err(failure)) => self.give_up(&shared.ui, "written to", &failure.what),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                }
            }
        };
        tokio::select! {
            ended = tokio::time::timeout(within, all) => {
                if ended.is_err() {
                    let what = format!("builds were not stored within {}", duration(within));
                    self.give_up(&shared.ui, "written to", &what);
                }
            }
            () = shared.interrupt.wait() => return Err(Error::Interrupted),
        }
        step.done(count(stored, "build"));
        Ok(())
    }
}
