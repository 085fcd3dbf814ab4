//! A repository of artefacts that are no images: each is asked for, fetched, stored, listed and removed by its tag.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use futures_util::future::FutureExt as _;
use reqwest::header::{ACCEPT, LINK};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;

use super::error::PushError;
use super::options::Retries;
use super::registry::OciRegistry;
use super::response::{body, refused};
use super::session::RegistrySession;
use super::transfer::ANY_MANIFEST;
use super::upload::{BlobSource, upload};
use crate::answer::{AnswerFailure, AnswerLimits, BoundedAnswer};
use crate::image::manifest::MANIFEST_TYPE;
use crate::image::name::ImageName;
use crate::lock::Sha256;
use crate::{Error, Result};

/// The most bytes of one page of tags.
const MAX_TAGS: usize = 4 << 20;
/// The most pages of tags that are read, of a thousand tags each where the registry has its way.
pub const MOST_PAGES: usize = 500;
/// The most tags that are kept of a repository: with those of the cache, 12 MB.
pub const MOST_TAGS: usize = 100_000;

/// What is done in a repository: a token is asked for that and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepositoryAccess {
    /// Nothing is changed there.
    Read,
    /// Artefacts are added.
    Write,
    /// Artefacts are removed.
    Delete,
}

/// A blob as a manifest names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// Of its bytes.
    pub digest: Sha256,
    /// How many there are.
    pub size: u64,
}

/// Why a repository did not do what it was asked; nothing secret is in it.
#[derive(Clone, Debug)]
pub struct RepositoryFailure {
    /// The end of a sentence: `the registry answered 503 Service Unavailable`.
    pub what: String,
    /// The status that it answered, if it did.
    pub status: Option<u16>,
    /// The repository can be used, and what it has there is not what it is called.
    pub is_content: bool,
}

impl fmt::Display for RepositoryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// A repository, whose login and token are found at its first use and kept.
pub struct OciRepository {
    registry: OciRegistry,
    name: ImageName,
    access: RepositoryAccess,
    retries: Retries,
    session: OnceCell<RegistrySession>,
}

impl OciRepository {
    /// No network access yet.
    pub fn new(registry: OciRegistry, name: ImageName, access: RepositoryAccess, retries: Retries) -> Self {
        Self { registry, name, access, retries, session: OnceCell::new() }
    }

    /// `<host>/<namespace>/<name>`.
    pub fn address(&self) -> String {
        format!("{}/{}", self.registry.host(), self.registry.repository(&self.name))
    }

    /// Whether there is anything under a tag.
    pub async fn has(&self, tag: &str) -> Result<bool, RepositoryFailure> {
        let session = self.session().await?;
        let has = session.with_retries("looking for a tag", || async {
            let url = session.url(&format!("manifests/{tag}"))?;
            let ask = |request: RequestBuilder| session.ask(request.header(ACCEPT, MANIFEST_TYPE)).boxed();
            let response = session.follow(&Method::HEAD, url, ask).await?;
            match response.status() {
                StatusCode::OK => Ok(true),
                StatusCode::NOT_FOUND => Ok(false),
                _ => Err(refused(response, self.retries.pace).await),
            }
        });
        has.await.map_err(|error| failure(session, &error))
    }

    /// The manifest under a tag; none where there is nothing.
    pub async fn manifest(&self, tag: &str) -> Result<Option<Vec<u8>>, RepositoryFailure> {
        let session = self.session().await?;
        let got = session.with_retries("looking for a tag", || session.manifest(&tag, MANIFEST_TYPE)).await;
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.status == Some(404) => Ok(None),
            Err(error) => Err(failure(session, &error)),
        }
    }

    /// The manifest of an image, an index or what else is under a tag or digest; none where there is nothing.
    pub async fn any_manifest(&self, reference: &str) -> Result<Option<Vec<u8>>, RepositoryFailure> {
        let session = self.session().await?;
        let got = session.with_retries("looking for an image", || session.manifest(&reference, ANY_MANIFEST)).await;
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            // There is another hint where the address is no registry's.
            Err(error) if error.status == Some(404) && error.hint.is_none() => Ok(None),
            Err(error) => Err(failure(session, &error)),
        }
    }

    /// A small blob.
    pub async fn blob(&self, blob: BlobRef) -> Result<Vec<u8>, RepositoryFailure> {
        let session = self.session().await?;
        let get = || self.fetch(session, blob, None);
        session.with_retries("fetching a blob", get).await.map_err(|error| failure(session, &error))
    }

    /// Writes a blob into a file, which is whole and of that digest when there is no error.
    pub async fn blob_to(&self, blob: BlobRef, file: &Path) -> Result<(), RepositoryFailure> {
        let session = self.session().await?;
        let get = || self.fetch(session, blob, Some(file));
        let got = session.with_retries("fetching a blob", get).await;
        got.map(drop).map_err(|error| failure(session, &error))
    }

    /// Reads a blob to its end and not beyond, into a file if there is one; else it is returned.
    async fn fetch(&self, session: &RegistrySession, blob: BlobRef, file: Option<&Path>) -> Result<Vec<u8>, PushError> {
        let url = session.url(&format!("blobs/{}", blob.digest))?;
        let response = session.follow(&Method::GET, url, |request| session.ask(request).boxed()).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(response, self.retries.pace).await);
        }
        let limits = AnswerLimits { bytes: blob.size, pace: self.retries.pace };
        let (mut answer, mut hasher) = (BoundedAnswer::new(response, limits), sha2::Sha256::new());
        let mut out = match file {
            Some(file) => Some(tokio::fs::File::create(file).await.map_err(|error| unwritable(&error))?),
            None => None,
        };
        let (mut taken, mut kept) = (0, Vec::new());
        while let Some(bytes) = answer.chunk().await.map_err(of_answer)? {
            hasher.update(&bytes);
            taken += bytes.len() as u64;
            match &mut out {
                Some(out) => out.write_all(&bytes).await.map_err(|error| unwritable(&error))?,
                None => kept.extend_from_slice(&bytes),
            }
        }
        if let Some(out) = &mut out {
            out.flush().await.map_err(|error| unwritable(&error))?;
        }
        let found = Sha256::from_bytes(hasher.finalize().into());
        match taken == blob.size && found == blob.digest {
            true => Ok(kept),
            false if taken < blob.size => {
                Err(wrong(format!("the registry sent {taken} bytes of the {} of {}", blob.size, blob.digest)))
            }
            false => Err(wrong(format!("the registry sent {found} and called it {}", blob.digest))),
        }
    }

    /// Stores a blob that it does not have.
    pub async fn put_blob(&self, blob: BlobRef, bytes: RepositoryBlob<'_>) -> Result<(), RepositoryFailure> {
        let session = self.session().await?;
        let source = match bytes {
            RepositoryBlob::Bytes(bytes) => BlobSource::Bytes(bytes),
            RepositoryBlob::File(path) => BlobSource::File(path, blob.size),
        };
        let put = || async {
            if session.has_blob(blob.digest).await? { Ok(()) } else { upload(session, blob.digest, &source).await }
        };
        session.with_retries("storing a blob", put).await.map_err(|error| failure(session, &error))
    }

    /// Stores a manifest, whose blobs are there, under a tag.
    pub async fn put_manifest(&self, tag: &str, bytes: &[u8]) -> Result<(), RepositoryFailure> {
        let session = self.session().await?;
        let put = || session.put_manifest(&tag, MANIFEST_TYPE, bytes);
        let put = session.with_retries("storing a manifest", put).await;
        put.map(drop).map_err(|error| failure(session, &error))
    }

    /// The tags that are wanted, page by page; none in a repository that is not there.
    pub async fn tags(&self, is_wanted: impl Fn(&str) -> bool) -> Result<TagList, RepositoryFailure> {
        let session = self.session().await?;
        let failed = |error: PushError| failure(session, &error);
        let mut next = Some(session.url("tags/list?n=1000").map_err(failed)?);
        let mut found = TagList::default();
        for _ in 0..MOST_PAGES {
            let Some(url) = next else { break };
            let page = session.with_retries("listing tags", || async {
                let response =
                    session.follow(&Method::GET, url.clone(), |request| session.ask(request).boxed()).await?;
                match response.status() {
                    StatusCode::OK => {}
                    StatusCode::NOT_FOUND => return Ok((vec![], None)),
                    _ => return Err(refused(response, self.retries.pace).await),
                }
                let next = following(&response).filter(|next| session.is_own(next));
                let bytes = body(response, MAX_TAGS, self.retries.pace).await?;
                let page: TagPage = serde_json::from_slice(&bytes)
                    .map_err(|error| PushError::permanent(format!("the list of tags cannot be read: {error}")))?;
                Ok((page.tags.unwrap_or_default(), next))
            });
            let (tags, following) = page.await.map_err(failed)?;
            next = following.filter(|_| !tags.is_empty());
            for tag in tags.into_iter().filter(|tag| is_wanted(tag)) {
                if found.tags.len() == MOST_TAGS && !found.tags.contains(&tag) {
                    return Ok(TagList { is_cut: true, ..found });
                }
                found.tags.insert(tag);
            }
        }
        Ok(TagList { is_cut: next.is_some(), ..found })
    }

    /// Removes a manifest and with it its tags. What is gone already is no error.
    pub async fn delete(&self, manifest: Sha256) -> Result<(), RepositoryFailure> {
        let session = self.session().await?;
        let delete = session.with_retries("removing a manifest", || async {
            let url = session.url(&format!("manifests/{manifest}"))?;
            let response = session.follow(&Method::DELETE, url, |request| session.ask(request).boxed()).await?;
            let status = response.status();
            if status.is_success() || status == StatusCode::NOT_FOUND {
                return Ok(());
            }
            Err(refused(response, self.retries.pace).await)
        });
        delete.await.map_err(|error| failure(session, &error))
    }

    async fn session(&self) -> Result<&RegistrySession, RepositoryFailure> {
        let open = || async {
            let mut session = RegistrySession::open(&self.registry, &self.name, &self.retries).await?;
            session.actions = match self.access {
                RepositoryAccess::Read => "pull",
                RepositoryAccess::Write => "pull,push",
                RepositoryAccess::Delete => "pull,push,delete",
            };
            Ok(session)
        };
        self.session.get_or_try_init(open).await.map_err(|error: Error| RepositoryFailure {
            what: error.to_string(),
            status: None,
            is_content: false,
        })
    }
}

/// The tags of a repository, as far as they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagList {
    /// At most [`MOST_TAGS`].
    pub tags: BTreeSet<String>,
    /// There are more, or there may be: the registry has more pages than are read.
    pub is_cut: bool,
}

/// The bytes of a blob that is stored.
#[derive(Clone, Copy, Debug)]
pub enum RepositoryBlob<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file.
    File(&'a Path),
}

#[derive(Deserialize)]
struct TagPage {
    /// Null where there are none.
    tags: Option<Vec<String>>,
}

/// The next page (RFC 8288).
fn following(response: &Response) -> Option<url::Url> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| response.url().join(target).ok())?
}

fn unwritable(error: &std::io::Error) -> PushError {
    PushError::permanent(format!("what it sent cannot be written: {error}"))
}

/// It has what it should not have.
fn wrong(what: String) -> PushError {
    PushError { status: Some(CONTENT), ..PushError::permanent(what) }
}

/// No status of HTTP: marks errors about what was sent.
const CONTENT: u16 = 0;

fn of_answer(failure: AnswerFailure) -> PushError {
    match failure {
        AnswerFailure::Torn(error) => error.into(),
        AnswerFailure::TooLarge(_) => wrong(format!("the registry {failure}")),
        AnswerFailure::TooSlow(_) => PushError::permanent(format!("the registry {failure}")),
    }
}

fn failure(session: &RegistrySession, error: &PushError) -> RepositoryFailure {
    // A blob that its manifest names, and is not there.
    let is_content = matches!(error.status, Some(CONTENT | 404));
    let status = error.status.filter(|status| *status != CONTENT);
    RepositoryFailure { what: session.redact(&error.said_alone()), status, is_content }
}
