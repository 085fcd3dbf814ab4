//! Documents attached to an image that is in the registry: each as a manifest whose `subject` is the image.
//!
//! A registry of distribution spec 1.1 replies with `OCI-Subject` when it has added such a manifest to its list of
//! referrers. For others the client that pushes keeps the list under a tag.

use std::fmt::Display;

use tracing::info;

use super::error::PushError;
use super::options::PushOptions;
use super::pushed::{Attached, not_stored};
use super::referrer::{self, Attachment, EMPTY, INDEX_TYPE, Referrer};
use super::registry::OciRegistry;
use super::transfer::{ANY_MANIFEST, Push};
use super::upload::BlobSource;
use crate::image::manifest::{Image, MANIFEST_TYPE};
use crate::lock::Sha256;
use crate::{Error, Result};

pub(super) async fn attach(
    registry: &OciRegistry,
    image: &Image,
    attachments: &[Attachment],
    options: &PushOptions,
) -> Result<Vec<Attached>> {
    let referrers: Vec<Referrer<'_>> =
        attachments.iter().map(|attachment| Referrer::of(attachment, image)).collect::<Result<_>>()?;
    let push = Push::open(registry, image, options).await?;
    let repository = format!("{}/{}", registry.host(), registry.repository(&image.name));
    let attach = Attach { pinned: registry.pinned(&image.name, image.digest), repository, push };
    let (mut attached, mut unlisted) = (Vec::new(), Vec::new());
    for referrer in referrers {
        let outcome = attach.document(&referrer).await?;
        let already_there = matches!(outcome, AttachOutcome::AlreadyThere);
        attached.push(Attached {
            artifact_type: referrer.attachment.media_type,
            digest: referrer.digest,
            already_there,
        });
        if !matches!(outcome, AttachOutcome::Listed) {
            unlisted.push((referrer, already_there));
        }
    }
    // One that was there may have been pushed by a run that was stopped before it was listed.
    let asks = unlisted.iter().all(|(_, already_there)| *already_there);
    let unlisted: Vec<Referrer<'_>> = unlisted.into_iter().map(|(referrer, _)| referrer).collect();
    let listed = unlisted.is_empty() || (asks && attach.registry_lists(&unlisted).await?);
    if !listed {
        attach.list(&unlisted).await?;
    }
    info!("attached {} documents to `{}`", attached.len(), attach.pinned);
    Ok(attached)
}

/// What became of a document's manifest.
enum AttachOutcome {
    /// The registry has it, and has had it before.
    AlreadyThere,
    /// It was pushed, and the registry has entered it into its list.
    Listed,
    /// It was pushed, and the registry keeps no list.
    Unlisted,
}

struct Attach<'a> {
    push: Push<'a>,
    /// The image, by digest.
    pinned: String,
    /// `<host>/<namespace>/<name>`.
    repository: String,
}

impl Attach<'_> {
    /// Pushes a document with its manifest, unless they are there, and reads the manifest back.
    async fn document(&self, referrer: &Referrer<'_>) -> Result<AttachOutcome> {
        let Attachment { title, bytes, .. } = referrer.attachment;
        if self.found(referrer.digest, MANIFEST_TYPE).await?.as_deref() == Some(referrer.manifest.as_slice()) {
            return Ok(AttachOutcome::AlreadyThere);
        }
        self.push.blob("the empty config", Sha256::of(EMPTY), BlobSource::Bytes(EMPTY)).await?;
        self.push.blob(title, Sha256::of(bytes), BlobSource::Bytes(bytes)).await?;
        let listed = self.put(referrer.digest, MANIFEST_TYPE, &referrer.manifest, title).await?;
        self.read_back(referrer).await?;
        Ok(if listed { AttachOutcome::Listed } else { AttachOutcome::Unlisted })
    }

    async fn read_back(&self, referrer: &Referrer<'_>) -> Result<()> {
        let session = &self.push.session;
        let found = session.with_retries("reading back what is attached", || async {
            session.manifest(&referrer.digest, MANIFEST_TYPE).await.map_err(PushError::or_not_yet)
        });
        match found.await {
            Ok(found) if found == referrer.manifest => Ok(()),
            Err(error) if error.status != Some(404) => Err(self.failed(&error)),
            _ => Err(not_stored(&format!("{}@{}", self.repository, referrer.digest), "it is not there")),
        }
    }

    /// Whether the registry's own list has them; no for registries that keep none.
    async fn registry_lists(&self, referrers: &[Referrer<'_>]) -> Result<bool> {
        let session = &self.push.session;
        let answer = session
            .with_retries("asking for the referrers", || session.referrers(self.push.image.digest, INDEX_TYPE))
            .await;
        match answer {
            Ok(bytes) => Ok(referrer::lists(&bytes, referrers)),
            // Registries have more than one way to say that they know no such question.
            Err(error) if error.status.is_some_and(|status| (400..500).contains(&status)) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Enters them into the list under the tag: read, merge, write, and read again, since another push may have written
    /// in between.
    async fn list(&self, referrers: &[Referrer<'_>]) -> Result<()> {
        let tag = referrer::fallback_tag(self.push.image.digest);
        let reference = format!("{}:{tag}", self.repository);
        for _ in 0..=self.push.options.retries.attempts {
            // Any type: a registry replies 404 for a manifest of a type that was not asked for.
            let known = self.found(&tag, ANY_MANIFEST).await?;
            let merged = referrer::merged(known.as_deref(), referrers).map_err(|why| {
                Error::network(
                    format!("`{reference}` should list what is attached, and {why}"),
                    "look what stands under that tag, and remove it if nobody needs it",
                )
            })?;
            match merged {
                None => return Ok(()),
                Some(index) => self.put(&tag, INDEX_TYPE, &index, "the list of referrers").await?,
            };
        }
        Err(not_stored(&reference, "it does not list what was attached"))
    }

    /// A manifest by tag or digest, if there is one; who may not look finds none.
    async fn found(&self, reference: impl Display, accept: &str) -> Result<Option<Vec<u8>>> {
        let session = &self.push.session;
        match session.with_retries("looking for what is attached", || session.manifest(&reference, accept)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.status == Some(404) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Whether the registry says that it has entered the manifest into its list.
    async fn put(&self, reference: impl Display, media_type: &str, bytes: &[u8], what: &str) -> Result<bool> {
        let session = &self.push.session;
        let put =
            session.with_retries("pushing what is attached", || session.put_manifest(&reference, media_type, bytes));
        put.await.map_err(|error| self.failed(&PushError { what: format!("{what}: {}", error.what), ..error }))
    }

    fn failed(&self, error: &PushError) -> Error {
        self.push.session.error("cannot attach to", &self.pinned, error)
    }
}
