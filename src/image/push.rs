//! Images to a registry: nothing is reported as pushed that was not read back.
//!
//! [`registry`] says where to and by whose leave, `credentials` finds the login, `session` talks the registry
//! into accepting it, `transfer` moves blobs and manifests, `error` tells what is worth a second try, and
//! `handover` hands an image to skopeo or buildah where our own client does not get through. `referrer` makes
//! documents about an image into manifests, `attach` pushes them.

mod attach;
mod challenge;
mod credentials;
mod error;
mod external;
mod helper;
mod referrer;
pub mod registry;
pub mod secret;
mod session;
mod transfer;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Serialize;

use super::manifest::Image;
use super::name::{ImageName, ImagePath};
use crate::lock::Sha256;
use crate::{Error, Result};
pub use referrer::Attachment;
pub use registry::{Login, OciRegistry};
pub use secret::Secret;
use session::RegistrySession;

/// How to push.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// Move a tag that names another image. Without it such a push fails: releases do not change.
    pub overwrite: bool,
    /// Who does the work.
    pub pusher: Pusher,
    /// How often and how long to try again.
    pub retries: Retries,
    /// Counts the bytes that were sent, for a progress display; repeated ones count again.
    pub progress: Option<Arc<AtomicU64>>,
}

/// Who does the work of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pusher {
    /// This program.
    #[default]
    Builtin,
    /// `skopeo copy`: the same bytes, for registries that want something we cannot do.
    Skopeo,
    /// `buildah push`, which compresses the layer anew: the same content under another digest.
    Buildah,
}

/// What is done about 429, 5xx and torn connections, for each request of a push.
#[derive(Clone, Debug)]
pub struct Retries {
    /// The most tries of one request, the first included.
    pub tries: usize,
    /// The pause before the second try; it doubles from there, with some jitter.
    pub first_pause: Duration,
    /// The longest pause. A registry that asks for a longer one (`Retry-After`) is given up.
    pub longest_pause: Duration,
    /// How long a connection may stand still.
    pub stall: Duration,
}

impl Default for Retries {
    /// Six tries within about a minute, or as long as the registry asks for up to five minutes each.
    fn default() -> Self {
        Self {
            tries: 6,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
            stall: Duration::from_secs(60),
        }
    }
}

/// An image that is in a registry: it was read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pushed {
    /// `<host>/<namespace>/<name>:<tag>`.
    pub reference: String,
    /// `<host>/<namespace>/<name>@sha256:…`.
    pub pinned: String,
    /// The digest of the manifest in the registry; another than the image's only after [`Pusher::Buildah`].
    pub digest: Sha256,
    /// The tag named this very image already, and nothing was sent.
    pub already_there: bool,
    /// Bytes of the blobs and the manifest the registry did not have.
    pub bytes_uploaded: u64,
}

/// A document that is attached to an image: its manifest was read back, and it is in the list of the image's referrers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// What it is: `application/spdx+json`, ….
    pub artifact_type: &'static str,
    /// The digest of its manifest.
    pub digest: Sha256,
    /// The registry had it already.
    pub already_there: bool,
}

impl Pushed {
    /// What RHDH's `dynamic-plugins.yaml` names the plugin by: `oci://<host>/…@sha256:…!<path>`. Its installers take a
    /// tag or a digest, and refuse both at once.
    pub fn package(&self, path: &ImagePath) -> String {
        format!("oci://{}!{path}", self.pinned)
    }
}

impl OciRegistry {
    /// Tries the login and the right to push for each image, so that a push that cannot work fails before anything
    /// is built: an upload is begun and given up. (On quay.io this creates a missing repository, as the push would.)
    pub async fn check_access(&self, names: &[ImageName], options: &PushOptions) -> Result<()> {
        let checks = names.iter().map(|name| async move {
            match options.pusher {
                Pusher::Builtin => RegistrySession::open(self, name, &options.retries).await?.check().await,
                Pusher::Skopeo | Pusher::Buildah => external::check(self, name, options.pusher).await,
            }
        });
        let mut checks = stream::iter(checks).buffered(4);
        while let Some(result) = checks.next().await {
            result?;
        }
        Ok(())
    }

    /// Pushes one image under its tag, and reads it back.
    ///
    /// Blobs the registry has are not sent again, and an image it has is not sent at all. A tag that names another
    /// image is an error unless [`PushOptions::overwrite`] says otherwise.
    pub async fn push(&self, image: &Image, options: &PushOptions) -> Result<Pushed> {
        match options.pusher {
            Pusher::Builtin => transfer::push(self, image, options).await,
            Pusher::Skopeo | Pusher::Buildah => external::push(self, image, options).await,
        }
    }

    /// Attaches documents to an image that is in the registry, as referrers. It is always this program that does it,
    /// whatever [`PushOptions::pusher`] says. What is attached already is not sent again.
    pub async fn attach(
        &self,
        image: &Image,
        attachments: &[Attachment],
        options: &PushOptions,
    ) -> Result<Vec<Attached>> {
        attach::attach(self, image, attachments, options).await
    }

    /// Pushes several images, up to `at_once` at a time; one that fails does not stop the others.
    /// The results are in the order of the images.
    pub async fn push_all(&self, images: &[Image], options: &PushOptions, at_once: usize) -> Vec<Result<Pushed>> {
        let pushes = images.iter().map(|image| self.push(image, options));
        stream::iter(pushes).buffered(at_once.max(1)).collect().await
    }
}

/// The text of an `--image-refs` file: one digest reference a line, sorted, each once.
pub fn image_refs(pushed: &[Pushed]) -> String {
    let mut lines: Vec<&str> = pushed.iter().map(|pushed| pushed.pinned.as_str()).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().fold(String::new(), |text, line| text + line + "\n")
}

/// A tag that names another image.
fn taken(reference: &str, there: Sha256, ours: Sha256) -> Error {
    Error::Build {
        what: format!("`{reference}` names another image already: {there}, and this build made {ours}"),
        tail: Vec::new(),
        hint: "released tags stay as they are: raise the plugin's version, or move the tag with `--overwrite-tags`"
            .to_owned(),
    }
}

/// A registry that said yes and has something else, or nothing.
fn not_stored(reference: &str, found: &str) -> Error {
    Error::network(
        format!("the registry reported success for `{reference}`, but {found}"),
        "quay.io does this when the account may not have another private repository: create the repository beforehand \
         (public, or within the quota), then push again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_refs_are_one_digest_reference_a_line() {
        let pushed = |name: &str| Pushed {
            reference: format!("h/{name}:1"),
            pinned: format!("h/{name}@{}", Sha256::of(name)),
            digest: Sha256::of(name),
            already_there: false,
            bytes_uploaded: 0,
        };
        let text = image_refs(&[pushed("b"), pushed("a"), pushed("b")]);
        assert_eq!(text, format!("h/a@{}\nh/b@{}\n", Sha256::of("a"), Sha256::of("b")));
        assert_eq!(image_refs(&[]), "");
        let path = ImagePath::of_package("@x/a-dynamic").unwrap();
        assert_eq!(pushed("a").package(&path), format!("oci://h/a@{}!x-a", Sha256::of("a")));
    }
}
