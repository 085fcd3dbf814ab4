//! What a registry has under a reference, as RHDH's installers read it.

use std::collections::BTreeSet;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::manifest::PACKAGES;
use super::push::BlobRef;
use crate::lock::Sha256;

/// The most bytes of a layer that are unpacked to see its folders.
const LARGEST_LAYER: u64 = 8 << 30;
/// The most files of a layer.
const MOST_FILES: usize = 1_000_000;
/// The most folders at the top of a layer that are looked at.
const MOST_FOLDERS: usize = 10_000;

/// An image of a registry, as far as its manifest tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundImage {
    /// The digest of the manifest's bytes.
    pub digest: Sha256,
    /// The folders of the plugins in it by its annotation; none without one.
    pub packages: Option<Vec<String>>,
    /// Its config.
    pub config: BlobRef,
    /// Its layers: how each is compressed, and the blob.
    pub layers: Vec<(String, BlobRef)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundManifest {
    config: Option<FoundDescriptor>,
    #[serde(default)]
    layers: Vec<FoundDescriptor>,
    manifests: Option<Vec<serde::de::IgnoredAny>>,
    annotations: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundDescriptor {
    #[serde(default)]
    media_type: String,
    digest: Sha256,
    size: u64,
}

impl FoundDescriptor {
    fn blob(&self) -> BlobRef {
        BlobRef { digest: self.digest, size: self.size }
    }
}

impl FoundImage {
    /// Reads a manifest. The error is the end of a sentence that begins with the image.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let manifest: FoundManifest =
            serde_json::from_slice(bytes).map_err(|error| format!("has a manifest that cannot be read: {error}"))?;
        if manifest.manifests.is_some() {
            return Err("is an index of several images, which RHDH's installers do not take".to_owned());
        }
        let config = manifest.config.ok_or("has a manifest without a config")?.blob();
        if manifest.layers.is_empty() {
            return Err("has no layer".to_owned());
        }
        let value = manifest.annotations.as_ref().and_then(|all| all.get(PACKAGES));
        let packages = value.map(packages).transpose()?;
        let layers = manifest.layers.iter().map(|layer| (layer.media_type.clone(), layer.blob()));
        Ok(Self { digest: Sha256::of(bytes), packages, config, layers: layers.collect() })
    }
}

/// The folders that the annotation names.
fn packages(value: &Value) -> Result<Vec<String>, String> {
    let wrong = || format!("has an annotation `{PACKAGES}` that cannot be read");
    let bytes = BASE64.decode(value.as_str().ok_or_else(wrong)?).map_err(|_| wrong())?;
    let list: Vec<Map<String, Value>> = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    Ok(list.into_iter().flat_map(|one| one.into_iter().map(|(path, _)| path)).collect())
}

/// The digests of the uncompressed layers that an image's config names; none where it names none.
pub fn diff_ids(config: &[u8]) -> Vec<Sha256> {
    let value: Value = serde_json::from_slice(config).unwrap_or_default();
    let ids = value["rootfs"]["diff_ids"].as_array();
    ids.into_iter().flatten().filter_map(|id| id.as_str()?.parse().ok()).collect()
}

/// The folders at the top of a layer.
pub fn layer_folders(media_type: &str, blob: impl Read) -> Result<BTreeSet<String>, String> {
    let unreadable = |error: std::io::Error| format!("has a layer that cannot be read: {error}");
    let reader: Box<dyn Read + '_> = if media_type.ends_with("+zstd") {
        Box::new(zstd::Decoder::new(blob).map_err(unreadable)?)
    } else if media_type.ends_with("gzip") {
        Box::new(GzDecoder::new(blob))
    } else {
        Box::new(blob)
    };
    let mut archive = tar::Archive::new(reader.take(LARGEST_LAYER));
    let mut folders = BTreeSet::new();
    for (n, entry) in archive.entries().map_err(unreadable)?.enumerate() {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path_bytes();
        let text = String::from_utf8_lossy(&path).into_owned();
        // A file beside the folders, such as the plugin registry's `index.json`, is no plugin.
        if let Some((folder, _)) = text.split_once('/') {
            folders.insert(folder.to_owned());
        }
        if n >= MOST_FILES || folders.len() > MOST_FOLDERS {
            return Err(format!("has a layer of more than {MOST_FILES} files or {MOST_FOLDERS} folders"));
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(annotations: &str) -> String {
        let blob = format!(r#"{{"mediaType":"x","digest":"{}","size":1}}"#, Sha256::of("x"));
        format!(r#"{{"schemaVersion":2,"config":{blob},"layers":[{blob}],"annotations":{annotations}}}"#)
    }

    #[test]
    fn the_folders_of_the_annotation_are_read() {
        let list = BASE64.encode(r#"[{"x-a":{"name":"@x/a"}},{"x-b":{}}]"#);
        let text = manifest(&format!(r#"{{"{PACKAGES}":"{list}"}}"#));
        let found = FoundImage::read(text.as_bytes()).unwrap();
        assert_eq!(
            (found.digest, found.packages.unwrap()),
            (Sha256::of(&text), vec!["x-a".to_owned(), "x-b".to_owned()])
        );
        assert_eq!(FoundImage::read(manifest("null").as_bytes()).unwrap().packages, None);
    }

    #[test]
    fn what_installers_cannot_read_is_named() {
        let said = |text: &str| FoundImage::read(text.as_bytes()).unwrap_err();
        assert_eq!(said(r#"{"manifests":[]}"#), "is an index of several images, which RHDH's installers do not take");
        assert_eq!(said(r#"{"layers":[]}"#), "has a manifest without a config");
        let unreadable = "has an annotation `io.backstage.dynamic-packages` that cannot be read";
        for value in ["1", "\"!\"", "\"e30=\""] {
            assert_eq!(said(&manifest(&format!(r#"{{"{PACKAGES}":{value}}}"#))), unreadable);
        }
    }
}
