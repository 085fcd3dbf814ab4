//! Images to a registry: nothing is reported as pushed that was not read back.
//!
//! In the order of the data: [`options`] says how to push, [`registry`] where to; `auth_file` and `helper` find the
//! `credential`, whose `secret` is not shown; `challenge` exchanges it for a token, `http_client` sets up TLS and
//! proxies, and `session` is a repository of the registry with both: it goes where `location` says that answers lead.
//! `transfer` moves the blobs, each by `upload`, and the manifest; `external` leaves that to skopeo or buildah. `referrer`
//! makes documents about an image into manifests and `attach` pushes them. `tagged` compares what a tag names, `response` reads
//! what was answered, `error` says which failures are worth another attempt, [`pushed`] what is reported. [`repository`]
//! is for artefacts that are no images. `fuzzing` gives fuzz targets what reads files and answers.

mod attach;
mod auth_file;
mod challenge;
mod credential;
mod error;
mod external;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod helper;
mod http_client;
mod location;
pub mod options;
pub mod pushed;
mod referrer;
pub mod registry;
pub mod repository;
mod response;
pub mod secret;
mod session;
mod tagged;
mod transfer;
mod upload;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::manifest::Image;
use super::name::ImageName;
use crate::Result;
pub use options::{PushOptions, Pusher, Retries};
pub use pushed::{Attached, Pushed, image_refs};
pub use referrer::Attachment;
pub use registry::{Login, OciRegistry};
pub use repository::{
    BlobRef, MOST_PAGES, MOST_TAGS, OciRepository, RepositoryAccess, RepositoryBlob, RepositoryFailure,
};
pub use secret::Secret;
use session::RegistrySession;

impl OciRegistry {
    /// Checks the login and the permission to push for each image, so that a push that cannot work fails before anything
    /// is built: an upload is started and cancelled. (On quay.io this creates a missing repository, as the push would.)
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
    /// image is an error unless [`PushOptions::overwrite`] says otherwise; one that has the same content, and says that it
    /// comes from another commit, stays where it is, and is what was pushed.
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
