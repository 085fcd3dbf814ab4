//! An image from a layout that others wrote.

use std::path::Path;

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

impl Layout {
    /// Adds an image of the layout in the folder `from` of a tree that nobody vouches for: what is there is held to the
    /// digests, and one layer is all that an image has.
    pub fn adopt(&self, tree: &UntrustedTree, from: &Path, image: &AdoptedImage<'_>) -> Result<()> {
        let other = |what: &str| {
            Error::build(
                format!("{}: the image `{}` {what}", image.of, image.reference.escape_debug()),
                "copy the shard's output directory again, or build the shard again",
            )
        };
        let blob = |digest: Sha256| from.join("blobs/sha256").join(digest.hex());
        let document = |digest: Sha256| {
            let bytes = tree.read(&blob(digest), LARGEST_DOCUMENT)?;
            if Sha256::of(&bytes) == digest { Ok(bytes) } else { Err(other("is not the one that its shard names")) }
        };
        let manifest = document(image.manifest)?;
        let unreadable = |_| other("has a manifest that cannot be read");
        let blobs: NamedBlobs = serde_json::from_slice(&manifest).map_err(unreadable)?;
        let LayerSizes { layers: sizes } = serde_json::from_slice(&manifest).map_err(unreadable)?;
        let ([layer], [size]) = (&blobs.layers[..], &sizes[..]) else { return Err(other("has not one layer")) };
        if layer.digest != image.layer || size.size > image.most {
            return Err(other("has another layer than its shard names"));
        }
        let config = document(blobs.config.digest)?;
        let _turn = self.turn()?;
        let index = self.read_index()?;
        if !holds(&self.blob(image.layer), image.layer) {
            let source = blob(image.layer);
            let mut file = tree.open_file(&source)?;
            if file.metadata().map_err(Error::io("read", &source))?.len() != size.size {
                return Err(other("has a layer that is not whole"));
            }
            self.copy_layer(&mut file, &source, image.layer)?;
        }
        self.put(blobs.config.digest, &config)?;
        self.put(image.manifest, &manifest)?;
        self.name(index, image.reference.to_owned(), image.manifest, manifest.len() as u64)
    }
}
