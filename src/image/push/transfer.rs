//! The push itself: the blobs that the registry lacks, the manifest as the bytes that were hashed, and a look whether all
//! of it is there.

use tracing::{debug, info};

use super::error::PushError;
use super::options::PushOptions;
use super::pushed::{Pushed, not_stored, tag_taken};
use super::registry::OciRegistry;
use super::session::RegistrySession;
use super::tagged::TaggedImage;
use super::upload::{BlobSource, upload};
use crate::image::manifest::{Image, MANIFEST_TYPE};
use crate::lock::Sha256;
use crate::{Error, Result};

/// Whatever stands under a tag.
pub(super) const ANY_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                            application/vnd.docker.distribution.manifest.v2+json, \
                            application/vnd.docker.distribution.manifest.list.v2+json";

pub(super) async fn push(registry: &OciRegistry, image: &Image, options: &PushOptions) -> Result<Pushed> {
    let push = Push::open(registry, image, options).await?;
    let (there, bytes_uploaded) = push.run().await?;
    match there {
        There::Nothing => info!("pushed `{}` ({bytes_uploaded} bytes)", push.reference),
        There::Ours | There::SameContent(_) => info!("`{}` is in the registry already", push.reference),
    }
    let already_there = there != There::Nothing;
    let same_content = if let There::SameContent(manifest) = there { Some(manifest) } else { None };
    let digest = same_content.as_ref().map_or(image.digest, Sha256::of);
    Ok(Pushed {
        pinned: registry.pinned(&image.name, digest),
        reference: push.reference,
        digest,
        already_there,
        same_content,
        bytes_uploaded,
    })
}

/// An image on its way to a registry.
pub(super) struct Push<'a> {
    pub(super) session: RegistrySession,
    pub(super) image: &'a Image,
    pub(super) options: &'a PushOptions,
    reference: String,
}

/// What a tag names.
enum Tagged {
    Nothing,
    Manifest(Vec<u8>),
    /// We may not know: it may be a repository that does not exist yet.
    Denied(PushError),
}

/// What need not be pushed.
#[derive(Debug, PartialEq, Eq)]
enum There {
    /// The tag may be set.
    Nothing,
    /// It names this very image.
    Ours,
    /// It names an image, with this manifest, that differs only in where it says that it comes from.
    SameContent(Vec<u8>),
}

impl<'a> Push<'a> {
    /// Finds the login; no token is requested yet.
    pub(super) async fn open(registry: &'a OciRegistry, image: &'a Image, options: &'a PushOptions) -> Result<Self> {
        Ok(Self {
            session: RegistrySession::open(registry, &image.name, &options.retries).await?,
            image,
            options,
            reference: registry.reference(&image.name, &image.tag),
        })
    }

    /// What was there already, and the bytes that were sent.
    async fn run(&self) -> Result<(There, u64)> {
        let found = self.tagged().await.map_err(|error| self.failed(&error))?;
        let there = self.there(&found).await?;
        if there != There::Nothing {
            return Ok((there, 0));
        }
        let mut sent = self.blob("the config", self.image.config_digest, BlobSource::Bytes(&self.image.config)).await?;
        let layer = BlobSource::File(&self.image.layer_file, self.image.layer_len);
        sent += self.blob("the layer", self.image.layer, layer).await?;
        if let Tagged::Denied(_) = found {
            // Now that something was pushed, the repository is there and can be looked into.
            let found = self.tagged().await.map_err(|error| self.failed(&error))?;
            if let Tagged::Denied(error) = found {
                return Err(self.failed(&error));
            }
            let there = self.there(&found).await?;
            if there != There::Nothing {
                return Ok((there, sent));
            }
        }
        self.put_manifest().await.map_err(|error| self.failed(&error))?;
        self.read_back().await?;
        Ok((There::Nothing, sent + self.image.manifest.len() as u64))
    }

    /// An error if the tag names another image and must not move.
    async fn there(&self, found: &Tagged) -> Result<There> {
        match found {
            Tagged::Manifest(bytes) if *bytes == self.image.manifest => Ok(There::Ours),
            Tagged::Manifest(bytes) if !self.options.overwrite => {
                let other = TaggedImage::of(bytes);
                let (origin, config) = (other.origin(), other.config());
                let is_same = other.same_content_as(TaggedImage::of(&self.image.manifest));
                // It is of use where all of it is there.
                if let Some(config) = config.filter(|_| is_same)
                    && self.is_there(config).await?
                    && self.is_there(self.image.layer).await?
                {
                    return Ok(There::SameContent(bytes.clone()));
                }
                Err(tag_taken(&self.reference, Sha256::of(bytes), &origin, self.image.digest))
            }
            _ => Ok(There::Nothing),
        }
    }

    async fn is_there(&self, blob: Sha256) -> Result<bool> {
        let found = self.session.with_retries("looking for the blobs", || self.session.has_blob(blob)).await;
        found.map_err(|error| self.failed(&error))
    }

    async fn tagged(&self) -> Result<Tagged, PushError> {
        let result = self.session.with_retries("looking for the tag", || self.get_manifest()).await;
        match result {
            Ok(bytes) => Ok(Tagged::Manifest(bytes)),
            Err(error) if error.status == Some(404) => Ok(Tagged::Nothing),
            Err(error) if error.is_denied() => Ok(Tagged::Denied(error)),
            Err(error) => Err(error),
        }
    }

    async fn get_manifest(&self) -> Result<Vec<u8>, PushError> {
        self.session.manifest(&self.image.tag, ANY_MANIFEST).await
    }

    /// Uploads a blob the registry does not have; the bytes that took.
    pub(super) async fn blob(&self, what: &str, digest: Sha256, blob: BlobSource<'_>) -> Result<u64> {
        let doing = format!("pushing {what}");
        let uploaded = self.session.with_retries(&doing, || async {
            if self.has_blob(digest).await? {
                debug!("{what} of `{}` is in the registry already", self.reference);
                return Ok(0);
            }
            upload(&self.session, digest, &blob).await?;
            Ok(blob.len())
        });
        uploaded.await.map_err(|error| self.failed(&PushError { what: format!("{what}: {}", error.what), ..error }))
    }

    async fn has_blob(&self, digest: Sha256) -> Result<bool, PushError> {
        match self.session.has_blob(digest).await {
            // Who may push may not always ask: then it is sent.
            Err(error) if error.is_denied() => Ok(false),
            result => result,
        }
    }

    async fn put_manifest(&self) -> Result<(), PushError> {
        let put = || self.session.put_manifest(&self.image.tag, MANIFEST_TYPE, &self.image.manifest);
        self.session.with_retries("pushing the manifest", put).await.map(drop)
    }

    /// Looks whether all of it is there.
    async fn read_back(&self) -> Result<()> {
        let found = self.session.with_retries("reading the image back", || async {
            self.get_manifest().await.map_err(PushError::or_not_yet)
        });
        let found = match found.await {
            Err(error) if error.status == Some(404) => {
                return Err(not_stored(&self.reference, "there is nothing under that tag"));
            }
            found => found.map_err(|error| self.failed(&error))?,
        };
        if found != self.image.manifest {
            let other = format!("the tag names {} instead of {}", Sha256::of(&found), self.image.digest);
            return Err(not_stored(&self.reference, &other));
        }
        for (what, digest) in [("config", self.image.config_digest), ("layer", self.image.layer)] {
            let found = self.session.with_retries("looking for the blobs", || async {
                if self.session.has_blob(digest).await? { Ok(()) } else { Err(PushError::not_yet()) }
            });
            match found.await {
                Err(error) if error.status == Some(404) => {
                    return Err(not_stored(&self.reference, &format!("it does not have the {what} {digest}")));
                }
                found => found.map_err(|error| self.failed(&error))?,
            }
        }
        Ok(())
    }

    fn failed(&self, error: &PushError) -> Error {
        self.session.error("cannot push", &self.reference, error)
    }
}
