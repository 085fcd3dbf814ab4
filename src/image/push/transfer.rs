//! The push itself, with oci-client: blobs streamed from disk, the manifest as the bytes that were hashed.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use oci_client::Reference;
use oci_client::errors::OciDistributionError;
use reqwest::header::HeaderValue;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;
use tracing::{debug, info};

use super::error::PushError;
use super::options::PushOptions;
use super::pushed::{Pushed, not_stored, tag_taken};
use super::registry::OciRegistry;
use super::session::{RegistrySession, stalled};
use crate::image::manifest::{Image, MANIFEST_TYPE};
use crate::lock::Sha256;
use crate::{Error, Result};

/// Bytes that are read and sent at once.
const CHUNK: usize = 1024 * 1024;
/// How much longer than other requests the end of an upload may take: the registry may hash and move all of it.
const STORING: u32 = 10;
/// Whatever stands under a tag.
pub(super) const ANY_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                            application/vnd.docker.distribution.manifest.v2+json, \
                            application/vnd.docker.distribution.manifest.list.v2+json";

pub(super) async fn push(registry: &OciRegistry, image: &Image, options: &PushOptions) -> Result<Pushed> {
    let push = Push::open(registry, image, options).await?;
    let (already_there, bytes_uploaded) = push.run().await?;
    if already_there {
        info!("`{}` is in the registry already", push.reference);
    } else {
        info!("pushed `{}` ({bytes_uploaded} bytes)", push.reference);
    }
    Ok(Pushed {
        pinned: registry.pinned(&image.name, image.digest),
        reference: push.reference,
        digest: image.digest,
        already_there,
        bytes_uploaded,
    })
}

/// An image on its way to a registry.
pub(super) struct Push<'a> {
    pub(super) session: RegistrySession<'a>,
    pub(super) image: &'a Image,
    pub(super) options: &'a PushOptions,
    oci: Reference,
    reference: String,
}

/// What a tag names.
enum Tagged {
    Nothing,
    Manifest(Vec<u8>),
    /// We may not know: it may be a repository that does not exist yet.
    Denied(PushError),
}

impl<'a> Push<'a> {
    /// Finds the login; no token is requested yet.
    pub(super) async fn open(registry: &'a OciRegistry, image: &'a Image, options: &'a PushOptions) -> Result<Self> {
        Ok(Self {
            session: RegistrySession::open(registry, &image.name, &options.retries).await?,
            image,
            options,
            oci: registry.oci_reference(&image.name, &image.tag),
            reference: registry.reference(&image.name, &image.tag),
        })
    }

    /// Whether the image was there already, and the bytes that were sent otherwise.
    async fn run(&self) -> Result<(bool, u64)> {
        let found = self.tagged().await.map_err(|error| self.failed(&error))?;
        if self.may_tag(&found)? {
            return Ok((true, 0));
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
            if self.may_tag(&found)? {
                return Ok((true, sent));
            }
        }
        self.put_manifest().await.map_err(|error| self.failed(&error))?;
        self.read_back().await?;
        Ok((false, sent + self.image.manifest.len() as u64))
    }

    /// True if the tag names this image; an error if it names another and must not move.
    fn may_tag(&self, found: &Tagged) -> Result<bool> {
        match found {
            Tagged::Manifest(bytes) if *bytes == self.image.manifest => Ok(true),
            Tagged::Manifest(bytes) if !self.options.overwrite => {
                Err(tag_taken(&self.reference, Sha256::of(bytes), self.image.digest))
            }
            _ => Ok(false),
        }
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
            self.upload(digest, &blob).await?;
            Ok(blob.len())
        });
        uploaded.await.map_err(|error| self.failed(&PushError { what: format!("{what}: {}", error.what), ..error }))
    }

    async fn has_blob(&self, digest: Sha256) -> Result<bool, PushError> {
        let client = self.session.client().await?;
        match self.session.in_time(client.blob_exists(&self.oci, &digest.to_string())).await {
            // Who may push may not always ask: then it is sent.
            Err(error) if error.is_denied() => Ok(false),
            result => result,
        }
    }

    async fn upload(&self, digest: Sha256, blob: &BlobSource<'_>) -> Result<(), PushError> {
        let client = self.session.client().await?;
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        let stream = ReaderStream::with_capacity(blob.open().await?, CHUNK)
            .inspect_ok(move |bytes| {
                count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            })
            .map_err(OciDistributionError::from);
        let digest = digest.to_string();
        let push = client.push_blob_stream(&self.oci, stream, &digest, Some(blob.len()));
        tokio::select! {
            result = push => { result?; }
            error = watch(&sent, blob.len(), self.session.stall()) => return Err(error),
        }
        Ok(())
    }

    async fn put_manifest(&self) -> Result<(), PushError> {
        let ours = self.image.digest.to_string();
        let location = self
            .session
            .with_retries("pushing the manifest", || async {
                let client = self.session.client().await?;
                let media_type = HeaderValue::from_static(MANIFEST_TYPE);
                self.session.in_time(client.push_manifest_raw(&self.oci, self.image.manifest.clone(), media_type)).await
            })
            .await?;
        // Most registries return a location that ends in the digest.
        match location.rsplit('/').next().filter(|last| last.starts_with("sha256:")) {
            Some(theirs) if theirs != ours => {
                Err(PushError::permanent(format!("the registry has stored the manifest as {theirs}, and it is {ours}")))
            }
            _ => Ok(()),
        }
    }

    /// Looks whether all of it is there.
    async fn read_back(&self) -> Result<()> {
        let found = self.session.with_retries("reading the image back", || async {
            match self.get_manifest().await {
                // Some take a moment until all their servers know.
                Err(error) if error.status == Some(404) => Err(PushError { retryable: true, ..error }),
                result => result,
            }
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
            let there = self.session.with_retries("looking for the blobs", || async {
                let client = self.session.client().await?;
                self.session.in_time(client.blob_exists(&self.oci, &digest.to_string())).await
            });
            if !there.await.map_err(|error| self.failed(&error))? {
                return Err(not_stored(&self.reference, &format!("it does not have the {what} {digest}")));
            }
        }
        Ok(())
    }

    fn failed(&self, error: &PushError) -> Error {
        self.session.error("cannot push", &self.reference, error)
    }
}

/// Ends when an upload makes no progress: no more bytes taken within `stall`, or all taken and no response.
async fn watch(sent: &AtomicU64, all: u64, stall: Duration) -> PushError {
    let mut before = None;
    loop {
        let now = sent.load(Ordering::Relaxed);
        if before == Some(now) {
            return stalled(stall);
        }
        before = Some(now);
        tokio::time::sleep(if now == all { stall * STORING } else { stall }).await;
    }
}

/// The bytes of a blob.
pub(super) enum BlobSource<'a> {
    Bytes(&'a [u8]),
    /// A file and its length.
    File(&'a Path, u64),
}

impl BlobSource<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, len) => *len,
        }
    }

    /// From the beginning, at every try.
    async fn open(&self) -> Result<Box<dyn AsyncRead + Send + Unpin>, PushError> {
        match self {
            Self::Bytes(bytes) => Ok(Box::new(Cursor::new(bytes.to_vec()))),
            Self::File(path, len) => {
                let unreadable =
                    |what: String| PushError::permanent(format!("`{}` {what}", path.display())).hint(REBUILD);
                let file = tokio::fs::File::open(path)
                    .await
                    .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
                let found =
                    file.metadata().await.map_err(|error| unreadable(format!("cannot be read: {error}")))?.len();
                if found != *len {
                    return Err(unreadable(format!("has {found} bytes instead of {len}")));
                }
                Ok(Box::new(file))
            }
        }
    }
}

const REBUILD: &str = "the layer was changed or removed after it was built: build the plugin again";
