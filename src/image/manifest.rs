//! The image config and manifest: JSON from structs of fixed order, serialised once, hashed as those bytes.
//!
//! oci-spec's own types keep annotations in a `HashMap`, whose order changes from run to run; the tests parse our
//! bytes with them instead.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::name::{ImageName, ImageNames, ImagePath, Tag, layout_reference};
use super::pack::Packed;
use crate::lock::Sha256;
use crate::{Error, Result};

/// The media type of an image manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an image config.
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// The annotation that tells RHDH which plugins an image holds.
pub const PACKAGES: &str = "io.backstage.dynamic-packages";
/// The annotation with the digest of everything a plugin was built from.
pub const INPUTS: &str = "io.factory.inputs";

/// What [`PACKAGES`] says of a plugin, in this order.
const PACKAGE_KEYS: [&str; 11] = [
    "name",
    "version",
    "description",
    "backstage",
    "homepage",
    "repository",
    "license",
    "maintainers",
    "author",
    "bugs",
    "keywords",
];

/// Where an image comes from. Nothing in it may change between two builds of one lock.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The source's repository, without userinfo; none for a path that means nothing elsewhere.
    pub source: Option<&'a str>,
    /// The source's commit; none for a local tree.
    pub revision: Option<&'a str>,
    /// The plugin's version in its source `package.json`.
    pub version: &'a str,
    /// The time of the commit in seconds since 1970: the image's `created`.
    pub epoch: u64,
    /// The digest of everything the plugin was built from.
    pub inputs: Option<Sha256>,
}

/// An image: its names, its JSON as bytes, and the file that is its one layer.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name in a registry's namespace.
    pub name: ImageName,
    /// Its tag.
    pub tag: Tag,
    /// The manifest: these very bytes are stored and pushed.
    pub manifest: Vec<u8>,
    /// The manifest's digest, which is the image's.
    pub digest: Sha256,
    /// The config.
    pub config: Vec<u8>,
    /// The config's digest.
    pub config_digest: Sha256,
    /// The compressed layer on disk.
    pub layer_file: PathBuf,
    /// Its digest.
    pub layer: Sha256,
    /// Its bytes.
    pub layer_len: u64,
    /// The digest of the uncompressed layer.
    pub diff_id: Sha256,
}

impl Image {
    /// The image of one plugin. `package_json` are the bytes of the *exported* `package.json`, `layer_file` is what
    /// [`pack`](super::pack()) wrote.
    pub fn assemble(
        names: ImageNames,
        package_json: &[u8],
        packed: &Packed,
        layer_file: PathBuf,
        facts: &Facts<'_>,
    ) -> Result<Self> {
        let ImageNames { path, name, tag } = names;
        let annotations = annotations(&path, package_json, facts)?;
        let created = created(facts.epoch)?;
        let config = json(&ImageConfig {
            created: &created,
            architecture: "amd64",
            os: "linux",
            config: Empty {},
            rootfs: RootFs { kind: "layers", diff_ids: [packed.diff_id] },
            history: [History { created: &created, created_by: "factory" }],
        });
        let config_digest = Sha256::of(&config);
        let manifest = json(&ImageManifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            config: Descriptor { media_type: CONFIG_TYPE, digest: config_digest, size: config.len() as u64 },
            layers: [Descriptor {
                media_type: packed.compression.media_type(),
                digest: packed.layer,
                size: packed.layer_len,
            }],
            annotations,
        });
        let digest = Sha256::of(&manifest);
        let Packed { layer, layer_len, diff_id, .. } = *packed;
        Ok(Self { name, tag, manifest, digest, config, config_digest, layer_file, layer, layer_len, diff_id })
    }

    /// The same content with a manifest that a registry has for it.
    #[must_use]
    pub fn with_manifest(&self, manifest: Vec<u8>) -> Self {
        Self { digest: Sha256::of(&manifest), manifest, ..self.clone() }
    }

    /// What the image is called in an OCI layout: [`layout_reference`].
    pub fn reference(&self) -> String {
        layout_reference(&self.name, &self.tag)
    }
}

/// The value of [`PACKAGES`]: standard, padded base64 of `[{"<path>": {…}}]`.
pub fn dynamic_packages(path: &ImagePath, package: &Map<String, Value>) -> String {
    let known = PACKAGE_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), package.get(*key)?.clone())));
    let fields: Map<String, Value> = known.collect();
    let list = Value::Array(vec![Value::Object(Map::from_iter([(path.to_string(), Value::Object(fields))]))]);
    BASE64.encode(list.to_string())
}

/// The annotations of a manifest, from the bytes of the exported `package.json` and the facts.
pub(super) fn annotations(
    path: &ImagePath,
    package_json: &[u8],
    facts: &Facts<'_>,
) -> Result<BTreeMap<String, String>> {
    let package = parse_package(package_json)?;
    let text = |key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    let known = [
        (PACKAGES, Some(dynamic_packages(path, &package))),
        (INPUTS, facts.inputs.map(|digest| digest.to_string())),
        ("org.opencontainers.image.created", Some(created(facts.epoch)?)),
        ("org.opencontainers.image.description", text("description")),
        ("org.opencontainers.image.licenses", text("license")),
        ("org.opencontainers.image.revision", facts.revision.map(str::to_owned)),
        ("org.opencontainers.image.source", facts.source.map(str::to_owned)),
        ("org.opencontainers.image.title", text("name")),
        ("org.opencontainers.image.version", Some(facts.version.to_owned())),
    ];
    Ok(known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
}

fn parse_package(bytes: &[u8]) -> Result<Map<String, Value>> {
    // npm accepts a byte order mark here, and so do we.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| {
        Error::build(
            format!("the exported `package.json` cannot be read: {error}"),
            "it must be a JSON object: look at what the export wrote",
        )
    })
}

/// RFC 3339 of seconds since 1970, in UTC: `2025-11-13T02:13:20Z`.
pub(super) fn created(epoch: u64) -> Result<String> {
    let time = i64::try_from(epoch).ok().and_then(|epoch| OffsetDateTime::from_unix_timestamp(epoch).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).ok_or_else(|| {
        Error::usage(
            format!("{epoch} is not a valid time"),
            "SOURCE_DATE_EPOCH and commit times are seconds since 1970",
        )
    })
}

pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("structs and maps of text and numbers")
}

#[derive(Serialize)]
struct ImageConfig<'a> {
    created: &'a str,
    architecture: &'a str,
    os: &'a str,
    config: Empty,
    rootfs: RootFs<'a>,
    history: [History<'a>; 1],
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    diff_ids: [Sha256; 1],
}

#[derive(Serialize)]
struct History<'a> {
    created: &'a str,
    created_by: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageManifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
    annotations: BTreeMap<String, String>,
}

/// The descriptor of a blob or of another manifest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor<'a> {
    pub(super) media_type: &'a str,
    pub(super) digest: Sha256,
    pub(super) size: u64,
}

#[cfg(test)]
mod tests;
