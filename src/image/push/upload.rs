//! One blob on its way into a registry, streamed from disk.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::FutureExt as _;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method, RequestBuilder, Response};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::error::PushError;
use super::response::refused;
use super::session::{RegistrySession, stalled};
use crate::lock::Sha256;

/// Bytes that are read and sent at once.
const CHUNK: usize = 1024 * 1024;
/// How much longer than other requests the end of an upload may take: the registry may hash and move all of it.
const STORING: u32 = 10;
const REBUILD: &str = "the layer was changed or removed after it was built: build the plugin again";

/// The bytes of a blob.
pub(super) enum BlobSource<'a> {
    Bytes(&'a [u8]),
    /// A file and its length.
    File(&'a Path, u64),
}

/// Uploads a blob as one request. Where that is redirected, the blob is sent again from its beginning. Any 2xx says that
/// it is stored; whether it is there is asked later.
pub(super) async fn upload(session: &RegistrySession, digest: Sha256, blob: &BlobSource<'_>) -> Result<(), PushError> {
    let mut url = session.begin_upload().await?;
    url.query_pairs_mut().append_pair("digest", &digest.to_string());
    let put = |request: RequestBuilder| send(session, request, blob).boxed();
    let response = session.follow(&Method::PUT, url, put).await?;
    if response.status().is_success() { Ok(()) } else { Err(refused(response, session.retries().pace).await) }
}

async fn send(
    session: &RegistrySession,
    request: RequestBuilder,
    blob: &BlobSource<'_>,
) -> Result<Response, PushError> {
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let stream = ReaderStream::with_capacity(blob.open().await?, CHUNK).inspect_ok(move |bytes| {
        count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    });
    let request = request
        .header(CONTENT_LENGTH, blob.len())
        .header(CONTENT_TYPE, "application/octet-stream")
        .body(Body::wrap_stream(stream));
    tokio::select! {
        response = request.send() => Ok(response?),
        error = watch(&sent, blob.len(), session.retries().stall) => Err(error),
    }
}

/// Ends when an upload makes no progress: no further chunk taken within `stall`, which is the slowest that it may be, or
/// all taken and no response.
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

impl BlobSource<'_> {
    pub(super) fn len(&self) -> u64 {
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn watched(sent: u64, all: u64, stall: Duration) -> (String, Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Instant::now();
        let error = runtime.block_on(watch(&AtomicU64::new(sent), all, stall));
        assert!(error.retryable);
        (error.what, start.elapsed())
    }

    #[test]
    fn an_upload_without_progress_ends_and_the_registry_has_longer_to_store_it() {
        let stall = Duration::from_millis(20);
        let (what, took) = watched(5, 10, stall);
        assert_eq!(what, "no progress for 0 seconds");
        assert!(took >= stall, "{took:?}");
        let (_, took) = watched(10, 10, stall);
        assert!(took >= stall * STORING, "{took:?}");
        // Without a byte, it does not wait for what is stored.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (sent, hour) = (AtomicU64::new(1), Duration::from_secs(3600));
        let ended = runtime.block_on(async { tokio::time::timeout(stall, watch(&sent, 2, hour)).await });
        assert!(ended.is_err(), "it has an hour");
    }

    #[test]
    fn a_blob_is_as_long_as_its_bytes() {
        assert_eq!(BlobSource::Bytes(b"abc").len(), 3);
        assert_eq!(BlobSource::File(Path::new("a"), 7).len(), 7);
    }
}
