//! What registries have of the images that are referred to: each is asked for once, several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::error::{Error, Result};
use crate::image::found::{FoundImage, diff_ids, layer_folders};
use crate::image::{ImageName, ImagePin, ImageReference, OciRegistry, OciRepository, RepositoryAccess, Retries};
use crate::lock::Sha256;
use crate::user_file;

/// Images that are asked for at once.
const AT_ONCE: usize = 8;
/// The largest config that is read, in bytes.
const LARGEST_CONFIG: u64 = 4 << 20;
/// The largest layer that is downloaded, in bytes.
const LARGEST_LAYER: u64 = 2 << 30;

/// One image of a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageKey {
    host: String,
    repository: String,
    pin: ImagePin,
}

impl ImageKey {
    /// That of a reference which picks one.
    pub fn of(reference: &ImageReference) -> Option<Self> {
        let (host, repository) = (reference.host.clone(), reference.repository.clone());
        (reference.pin != ImagePin::Inherited).then(|| Self { host, repository, pin: reference.pin.clone() })
    }

    fn name(&self) -> &str {
        self.repository.rsplit_once('/').map_or(&self.repository, |(_, name)| name)
    }
}

/// What a registry has of an image.
#[derive(Debug)]
pub enum ImageAnswer {
    /// The image.
    Found {
        /// What its manifest says.
        image: FoundImage,
        /// Its uncompressed layers, where it is another than the lock has sealed.
        content: Vec<Sha256>,
        /// The folders of its layer, where they were looked at; or why it cannot be read.
        folders: Option<Result<BTreeSet<String>, String>>,
    },
    /// There is no such image.
    Missing,
    /// What is there is no image that RHDH installs.
    Unreadable(String),
    /// It could not be asked.
    Unanswered(String),
}

/// What is asked, and of whom.
pub struct ImageQuestions<'a> {
    /// The registry of a host, and the repository above an image's name.
    pub registry: &'a (dyn Fn(&str, &str) -> Result<OciRegistry> + Sync),
    /// The digests that the lock has sealed, by the names of images.
    pub sealed: &'a BTreeMap<String, Sha256>,
    /// Where layers are downloaded to; none if they are not looked at.
    pub layers: Option<&'a Path>,
}

/// The answers.
#[derive(Debug, Default)]
pub struct AskedImages(BTreeMap<ImageKey, ImageAnswer>);

impl AskedImages {
    /// Asks for each image. What fails is an answer too.
    pub async fn ask(keys: BTreeSet<ImageKey>, questions: &ImageQuestions<'_>) -> Self {
        let mut repositories: BTreeMap<(String, String), Result<OciRepository>> = BTreeMap::new();
        for key in &keys {
            let place = (key.host.clone(), key.repository.clone());
            repositories.entry(place).or_insert_with(|| repository(key, questions));
        }
        let repositories = &repositories;
        let ask = async |(number, key): (usize, ImageKey)| {
            let answer = match repositories.get(&(key.host.clone(), key.repository.clone())) {
                Some(Ok(repository)) => questions.answer(repository, &key, number).await,
                Some(Err(error)) => Err(ImageAnswer::Unanswered(error.to_string())),
                None => Err(ImageAnswer::Missing),
            };
            let (Ok(answer) | Err(answer)) = answer;
            (key, answer)
        };
        Self(stream::iter(keys.into_iter().enumerate().map(ask)).buffer_unordered(AT_ONCE).collect().await)
    }

    /// The answer about an image.
    pub fn get(&self, key: &ImageKey) -> Option<&ImageAnswer> {
        self.0.get(key)
    }

    /// True where images were asked for and no registry answered.
    pub fn none_answered(&self) -> bool {
        !self.0.is_empty() && self.0.values().all(|answer| matches!(answer, ImageAnswer::Unanswered(_)))
    }
}

fn repository(key: &ImageKey, questions: &ImageQuestions<'_>) -> Result<OciRepository> {
    let (above, name) = key.repository.rsplit_once('/').unwrap_or(("", &key.repository));
    let registry = (questions.registry)(&key.host, above)?;
    let retries = Retries { attempts: 3, ..Retries::default() };
    Ok(OciRepository::new(registry, ImageName::of_package(name)?, RepositoryAccess::Read, retries))
}

impl ImageQuestions<'_> {
    /// `number` is of this image alone.
    async fn answer(
        &self,
        repository: &OciRepository,
        key: &ImageKey,
        number: usize,
    ) -> Result<ImageAnswer, ImageAnswer> {
        let unanswered = |failure: crate::image::RepositoryFailure| ImageAnswer::Unanswered(failure.what);
        let manifest = repository.any_manifest(&key.pin.to_string()).await.map_err(unanswered)?;
        let manifest = manifest.ok_or(ImageAnswer::Missing)?;
        let image = FoundImage::read(&manifest).map_err(ImageAnswer::Unreadable)?;
        let mut content = Vec::new();
        let sealed = self.sealed.get(key.name());
        if sealed.is_some_and(|sealed| *sealed != image.digest) && image.config.size <= LARGEST_CONFIG {
            content = match repository.blob(image.config).await {
                Ok(config) => diff_ids(&config),
                // The image is another one, whatever is in it.
                Err(failure) if failure.is_content => Vec::new(),
                Err(failure) => return Err(unanswered(failure)),
            };
        }
        let folders = match self.layers {
            Some(scratch) => Some(folders(repository, &image, &scratch.join(format!("layer-{number}"))).await),
            None => None,
        };
        Ok(ImageAnswer::Found { image, content, folders })
    }
}

/// The folders of the layer that installers read: the first one.
async fn folders(repository: &OciRepository, image: &FoundImage, file: &Path) -> Result<BTreeSet<String>, String> {
    let Some((media_type, blob)) = image.layers.first() else { return Ok(BTreeSet::new()) };
    if blob.size > LARGEST_LAYER {
        return Err(format!("has a layer of {} bytes, which is not downloaded", blob.size));
    }
    let got = repository.blob_to(*blob, file).await;
    got.map_err(|failure| format!("has a layer that cannot be downloaded: {failure}"))?;
    let (kind, path) = (media_type.clone(), file.to_path_buf());
    let read = tokio::task::spawn_blocking(move || {
        let opened = user_file::open(&path).map_err(Error::io("read", &path)).map_err(|error| error.to_string());
        let found = opened.and_then(|blob| layer_folders(&kind, blob));
        let _ = std::fs::remove_file(&path);
        found
    });
    read.await.unwrap_or_else(|error| Err(format!("has a layer that cannot be read: {error}")))
}
