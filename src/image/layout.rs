//! An OCI image layout: a folder of blobs and an index, which skopeo, umoci and podman read.

mod adopt;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

pub use adopt::AdoptedImage;

use super::manifest::{Image, MANIFEST_TYPE};
use super::pack::read_some;
use crate::lock::Sha256;
use crate::store::AtomicFile;
use crate::user_file;
use crate::{Error, Result};

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const LAYOUT_FILE: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The images of a layout, by their names.
type Index = BTreeMap<String, IndexEntry>;

/// Serialises access to an index within this process; between processes a lock on the folder does.
static TURN: Mutex<()> = Mutex::new(());

/// A layout's folder. Images can be added from several threads, and from several processes.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Opens the layout in `folder`, and creates it where there is none. Images in it stay.
    pub fn open(folder: &Path) -> Result<Self> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(Error::io("create", &blobs))?;
        let layout = Self { folder: folder.to_owned() };
        let turn = layout.turn()?;
        let index = layout.read_index()?;
        if !layout.index_file().exists() {
            layout.write_index(&index)?;
        }
        // Last: a folder with this file is a layout.
        let version = folder.join("oci-layout");
        if !version.exists() {
            AtomicFile::replace(&version, LAYOUT_FILE)?;
        }
        drop(turn);
        Ok(layout)
    }

    /// Adds an image under its [`Image::reference`], replacing an image of that name. The layer is copied and its
    /// digest checked; existing blobs are kept, and those that no image names any more are removed.
    pub fn add(&self, image: &Image) -> Result<()> {
        let _turn = self.turn()?;
        let index = self.read_index()?;
        self.put_layer(image)?;
        self.put(image.config_digest, &image.config)?;
        self.put(image.digest, &image.manifest)?;
        self.name(index, image.reference(), image.digest, image.manifest.len() as u64)
    }

    /// Names a manifest of this many bytes in the index, whose blobs are there.
    fn name(&self, mut index: Index, reference: String, digest: Sha256, size: u64) -> Result<()> {
        let annotations = BTreeMap::from([(REF_NAME.to_owned(), reference.clone())]);
        let before =
            index.insert(reference, IndexEntry { media_type: MANIFEST_TYPE.to_owned(), digest, size, annotations });
        if before.as_ref().is_some_and(|before| before.digest == digest) {
            return Ok(());
        }
        self.write_index(&index)?;
        if before.is_some() { self.sweep(&index) } else { Ok(()) }
    }

    /// Whether the layout in `folder` has this image under this name, with all its blobs. Nothing is written.
    pub fn holds(folder: &Path, reference: &str, digest: Sha256) -> bool {
        let layout = Self { folder: folder.to_owned() };
        let named = layout.read_index().is_ok_and(|index| index.get(reference).is_some_and(|it| it.digest == digest));
        if !named || !holds(&layout.blob(digest), digest) {
            return false;
        }
        let manifest = user_file::read(&layout.blob(digest), user_file::DOCUMENT).ok();
        let manifest = manifest.and_then(|bytes| serde_json::from_slice::<NamedBlobs>(&bytes).ok());
        manifest.is_some_and(|manifest| {
            let mut blobs = manifest.layers.iter().chain([&manifest.config]);
            blobs.all(|blob| holds(&layout.blob(blob.digest), blob.digest))
        })
    }

    /// The file of a blob.
    pub fn blob(&self, digest: Sha256) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }

    /// The layout's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn put(&self, digest: Sha256, bytes: &[u8]) -> Result<()> {
        let blob = self.blob(digest);
        if holds(&blob, digest) { Ok(()) } else { AtomicFile::replace(&blob, bytes) }
    }

    /// Removes the blobs that no image names.
    fn sweep(&self, index: &Index) -> Result<()> {
        let mut named = BTreeSet::new();
        for image in index.values() {
            let file = self.blob(image.digest);
            let bytes = user_file::read(&file, user_file::DOCUMENT).map_err(Error::io("read", &file))?;
            // A manifest that cannot be read may name any blob: nothing is removed.
            let Ok(manifest) = serde_json::from_slice::<NamedBlobs>(&bytes) else { return Ok(()) };
            named.extend(manifest.layers.iter().map(|blob| blob.digest));
            named.extend([image.digest, manifest.config.digest]);
        }
        let folder = self.folder.join("blobs/sha256");
        for blob in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let blob = blob.map_err(Error::io("read", &folder))?;
            let digest = blob.file_name().to_str().and_then(|name| format!("sha256:{name}").parse().ok());
            if digest.is_some_and(|digest| !named.contains(&digest)) {
                fs::remove_file(blob.path()).map_err(Error::io("remove", &blob.path()))?;
            }
        }
        Ok(())
    }

    fn put_layer(&self, image: &Image) -> Result<()> {
        let blob = self.blob(image.layer);
        if holds(&blob, image.layer) {
            return Ok(());
        }
        let mut from = File::open(&image.layer_file).map_err(Error::io("read", &image.layer_file))?;
        self.copy_layer(&mut from, &image.layer_file, image.layer)
    }

    /// Copies a layer from a file, which is held to the digest; `path` is its path, for messages.
    fn copy_layer(&self, from: &mut File, path: &Path, digest: Sha256) -> Result<()> {
        let blob = self.blob(digest);
        let mut copy = AtomicFile::new(&blob)?;
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let got = read_some(from, &mut buffer).map_err(Error::io("read", path))?;
            if got == 0 {
                break;
            }
            hasher.update(&buffer[..got]);
            copy.write_all(&buffer[..got]).map_err(Error::io("write", &blob))?;
        }
        let found = Sha256::from_bytes(hasher.finalize().into());
        if found != digest {
            return Err(Error::Integrity {
                what: format!("layer `{}`", path.display()),
                expected: digest.to_string(),
                found: found.to_string(),
                hint: "something changed the file after it was packed: build the plugin again".to_owned(),
            });
        }
        copy.commit()
    }

    fn index_file(&self) -> PathBuf {
        self.folder.join("index.json")
    }

    fn read_index(&self) -> Result<Index> {
        let file = self.index_file();
        let bytes = match user_file::read(&file, user_file::DOCUMENT) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Index::new()),
            Err(error) => return Err(Error::io("read", &file)(error)),
        };
        let foreign = |what: String| {
            Error::build(
                format!("`{}` is not an index that factory wrote: {what}", file.display()),
                "give another output directory, or remove this one",
            )
        };
        let index: LayoutIndex = serde_json::from_slice(&bytes).map_err(|error| foreign(error.to_string()))?;
        let named = index.manifests.into_iter().map(|descriptor| {
            let name = descriptor.annotations.get(REF_NAME).cloned();
            name.map(|name| (name, descriptor)).ok_or_else(|| foreign(format!("an image has no `{REF_NAME}`")))
        });
        named.collect()
    }

    fn write_index(&self, images: &Index) -> Result<()> {
        let index = LayoutIndex {
            schema_version: 2,
            media_type: INDEX_TYPE.to_owned(),
            manifests: images.values().cloned().collect(),
        };
        let bytes = serde_json::to_vec(&index).expect("structs and maps of text and numbers");
        AtomicFile::replace(&self.index_file(), &bytes)
    }

    fn turn(&self) -> Result<Turn> {
        let guard = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = File::open(&self.folder).map_err(Error::io("read", &self.folder))?;
        // Some network file systems cannot lock folders; two runs into one output directory are rare enough there.
        let _ = folder.lock();
        Ok(Turn { _folder: folder, _guard: guard })
    }
}

/// Held while the index is read and written; closing the folder ends the lock on it.
struct Turn {
    _folder: File,
    _guard: MutexGuard<'static, ()>,
}

fn holds(file: &Path, digest: Sha256) -> bool {
    let regular = fs::symlink_metadata(file).is_ok_and(|meta| meta.is_file());
    regular && File::open(file).and_then(|mut file| Sha256::of_reader(&mut file)).is_ok_and(|found| found == digest)
}

/// The blobs of a manifest.
#[derive(Deserialize)]
struct NamedBlobs {
    config: NamedBlob,
    layers: Vec<NamedBlob>,
}

#[derive(Deserialize)]
struct NamedBlob {
    digest: Sha256,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutIndex {
    schema_version: u8,
    media_type: String,
    manifests: Vec<IndexEntry>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IndexEntry {
    media_type: String,
    digest: Sha256,
    size: u64,
    annotations: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests;
