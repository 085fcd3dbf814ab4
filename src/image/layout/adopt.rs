//! An image from a layout that others wrote.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Layout, NamedBlobs, holds};
use crate::lock::Sha256;
use crate::store::UntrustedTree;
use crate::{Error, Result};

/// The largest manifest and config that are read, in bytes: registries take no larger ones.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// An image to be taken from another layout.
pub struct AdoptedImage<'a> {
    /// What it is called in a layout.
    pub reference: &'a str,
    /// Its manifest.
    pub manifest: Sha256,
    /// Its compressed layer.
    pub layer: Sha256,
    /// The most bytes that the layer may have.
    pub most: u64,
    /// What it is of, for messages.
    pub of: &'a str,
}

/// What is read of a manifest besides the digests of its blobs.
#[derive(Deserialize)]
struct LayerSizes {
    layers: Vec<LayerSize>,
}

#[derive(Deserialize)]
struct LayerSize {
    size: u64,
}

/// The documents of an image, which are those of their digests.
struct ImageDocuments {
    manifest: Vec<u8>,
    config: Vec<u8>,
    config_digest: Sha256,
    layer_size: u64,
}

impl AdoptedImage<'_> {
    fn other(&self, what: &str) -> Error {
        Error::build(
            format!("{}: the image `{}` {what}", self.of, self.reference.escape_debug()),
            "copy the shard's output directory again, or build the shard again",
        )
    }

    fn missing(&self, error: Error) -> Error {
        if error.is_missing_file() { self.other("is not in the shard's folder, or not all of it") } else { error }
    }

    fn documents(&self, tree: &UntrustedTree, from: &Path) -> Result<ImageDocuments> {
        let other = |what: &str| self.other(what);
        let document = |digest: Sha256| {
            let bytes = tree.read(&blob(from, digest), LARGEST_DOCUMENT).map_err(|error| self.missing(error))?;
            if Sha256::of(&bytes) == digest { Ok(bytes) } else { Err(other("is not the one that its shard names")) }
        };
        let manifest = document(self.manifest)?;
        let unreadable = |_| other("has a manifest that cannot be read");
        let blobs: NamedBlobs = serde_json::from_slice(&manifest).map_err(unreadable)?;
        let LayerSizes { layers: sizes } = serde_json::from_slice(&manifest).map_err(unreadable)?;
        let ([layer], [size]) = (&blobs.layers[..], &sizes[..]) else { return Err(other("has not one layer")) };
        if layer.digest != self.layer || size.size > self.most {
            return Err(other("has another layer than its shard names"));
        }
        let config = document(blobs.config.digest)?;
        Ok(ImageDocuments { manifest, config, config_digest: blobs.config.digest, layer_size: size.size })
    }

    /// The layer, which has as many bytes as the manifest says.
    fn layer_file(&self, tree: &UntrustedTree, from: &Path, size: u64) -> Result<File> {
        let source = blob(from, self.layer);
        let file = tree.open_file(&source).map_err(|error| self.missing(error))?;
        let is_whole = file.metadata().map_err(Error::io("read", &source))?.len() == size;
        is_whole.then_some(file).ok_or_else(|| self.other("has a layer that is not whole"))
    }

    /// Whether all of it is in the layout in the folder `from` of a tree that nobody vouches for.
    pub fn check(&self, tree: &UntrustedTree, from: &Path) -> Result<()> {
        let documents = self.documents(tree, from)?;
        let file = self.layer_file(tree, from, documents.layer_size)?;
        let found = Sha256::of_reader(&mut file.take(documents.layer_size));
        if found.map_err(Error::io("read", &blob(from, self.layer)))? == self.layer {
            return Ok(());
        }
        Err(self.other("has a layer with other bytes than its digest says"))
    }
}

impl Layout {
    /// Adds an image of the layout in the folder `from` of a tree that nobody vouches for: what is there is held to the
    /// digests, and one layer is all that an image has.
    pub fn adopt(&self, tree: &UntrustedTree, from: &Path, image: &AdoptedImage<'_>) -> Result<()> {
        let ImageDocuments { manifest, config, config_digest, layer_size } = image.documents(tree, from)?;
        let _turn = self.turn()?;
        let index = self.read_index()?;
        if !holds(&self.blob(image.layer), image.layer) {
            let mut file = image.layer_file(tree, from, layer_size)?;
            self.copy_layer(&mut file, &blob(from, image.layer), image.layer)?;
        }
        self.put(config_digest, &config)?;
        self.put(image.manifest, &manifest)?;
        self.name(index, image.reference.to_owned(), image.manifest, manifest.len() as u64)
    }
}

fn blob(layout: &Path, digest: Sha256) -> PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}
