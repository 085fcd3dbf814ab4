//! Documents about an image as OCI referrers (image spec 1.1, "Guidelines for Artifact Usage"), and the list of them
//! that is kept under a tag where the registry has none (distribution spec 1.1, "Referrers Tag Schema").
//!
//! Pure functions: equal documents about one image give equal bytes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Result;
use crate::image::manifest::{self, Descriptor, Image, MANIFEST_TYPE, json as bytes_of};
use crate::lock::Sha256;

/// The media type of an image index.
pub(super) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// The config of a manifest that needs none: its media type and its bytes (image spec, "Guidance for an Empty
/// Descriptor").
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
pub(super) const EMPTY: &[u8] = b"{}";
/// The annotation with a layer's file name.
const TITLE: &str = "org.opencontainers.image.title";
const CREATED: &str = "org.opencontainers.image.created";

/// A document to attach to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What it is: the `artifactType` of its manifest and the media type of its layer.
    pub media_type: &'static str,
    /// The file name that clients use when they fetch it.
    pub title: String,
    /// The time in seconds since 1970 that it is about: the commit's. No clock is read, so it stays the same document.
    pub epoch: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An attachment's manifest.
pub(super) struct Referrer<'a> {
    pub(super) attachment: &'a Attachment,
    /// These very bytes are pushed.
    pub(super) manifest: Vec<u8>,
    pub(super) digest: Sha256,
    annotations: BTreeMap<&'static str, String>,
}

impl<'a> Referrer<'a> {
    /// The manifest with `image` as the subject of `attachment`.
    pub(super) fn of(attachment: &'a Attachment, image: &Image) -> Result<Self> {
        let Attachment { media_type, title, epoch, bytes } = attachment;
        let annotations = BTreeMap::from([(CREATED, manifest::created(*epoch)?)]);
        let document = Descriptor { media_type, digest: Sha256::of(bytes), size: bytes.len() as u64 };
        let manifest = bytes_of(&ReferrerManifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            artifact_type: media_type,
            config: Descriptor { media_type: EMPTY_TYPE, digest: Sha256::of(EMPTY), size: EMPTY.len() as u64 },
            layers: [Layer { document, annotations: BTreeMap::from([(TITLE, title)]) }],
            subject: Descriptor { media_type: MANIFEST_TYPE, digest: image.digest, size: image.manifest.len() as u64 },
            annotations: &annotations,
        });
        Ok(Self { attachment, digest: Sha256::of(&manifest), manifest, annotations })
    }

    /// Its entry in a list of referrers: with the type and the annotations of the manifest.
    fn entry(&self) -> Value {
        json!({
            "mediaType": MANIFEST_TYPE,
            "digest": self.digest,
            "size": self.manifest.len(),
            "artifactType": self.attachment.media_type,
            "annotations": self.annotations,
        })
    }
}

/// The tag under which an image's referrers are listed where the registry does not do it: `sha256-<hex>`.
pub(super) fn fallback_tag(subject: Sha256) -> String {
    format!("sha256-{}", subject.hex())
}

/// The list under that tag with `ours` in it; none when all of them are there. Entries of others stay as they are.
/// The error is what is wrong with the manifest of the tag.
pub(super) fn merged(known: Option<&[u8]>, ours: &[Referrer<'_>]) -> Result<Option<Vec<u8>>, &'static str> {
    let mut index = match known {
        Some(bytes) => index(bytes).ok_or("it is not an image index")?,
        None => Map::from_iter([
            ("schemaVersion".to_owned(), json!(2)),
            ("mediaType".to_owned(), json!(INDEX_TYPE)),
            ("manifests".to_owned(), json!([])),
        ]),
    };
    let Some(Value::Array(entries)) = index.get_mut("manifests") else { return Err("it lists no manifests") };
    let before = entries.len();
    for referrer in ours {
        if !is_listed(entries, referrer.digest) {
            entries.push(referrer.entry());
        }
    }
    let changed = entries.len() != before;
    Ok(changed.then(|| bytes_of(&index)))
}

/// True when a registry's own list of referrers has all of `ours`; false for a response that is not such a list.
pub(super) fn lists(answer: &[u8], ours: &[Referrer<'_>]) -> bool {
    let index = index(answer);
    let entries = index.as_ref().and_then(|index| index.get("manifests")?.as_array());
    entries.is_some_and(|entries| ours.iter().all(|referrer| is_listed(entries, referrer.digest)))
}

fn is_listed(entries: &[Value], digest: Sha256) -> bool {
    let digest = digest.to_string();
    entries.iter().any(|entry| entry.get("digest").and_then(Value::as_str) == Some(&digest))
}

fn index(bytes: &[u8]) -> Option<Map<String, Value>> {
    let index: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    let kind = index.get("mediaType").and_then(Value::as_str);
    // The field is optional in an index.
    (kind.is_none_or(|kind| kind == INDEX_TYPE) && !index.contains_key("layers")).then_some(index)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferrerManifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    artifact_type: &'a str,
    config: Descriptor<'a>,
    layers: [Layer<'a>; 1],
    subject: Descriptor<'a>,
    annotations: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Layer<'a> {
    #[serde(flatten)]
    document: Descriptor<'a>,
    annotations: BTreeMap<&'static str, &'a String>,
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::image::{ImageName, Tag};

    fn image() -> Image {
        let manifest = b"{}\n".to_vec();
        Image {
            name: ImageName::of_package("@x/todo").unwrap(),
            tag: Tag::of_version("", "1.0.0").unwrap(),
            digest: Sha256::of(&manifest),
            manifest,
            config: Vec::new(),
            config_digest: Sha256::of(""),
            layer_file: PathBuf::new(),
            layer: Sha256::of(""),
            layer_len: 0,
            diff_id: Sha256::of(""),
        }
    }

    fn attachment() -> Attachment {
        Attachment {
            media_type: "application/spdx+json",
            title: "x-todo.spdx.json".into(),
            epoch: 1_763_000_000,
            bytes: b"{\"a\":1}\n".to_vec(),
        }
    }

    #[test]
    fn the_manifest_is_this() {
        let attachment = attachment();
        let referrer = Referrer::of(&attachment, &image()).unwrap();
        let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(
            String::from_utf8(referrer.manifest.clone()).unwrap(),
            format!(
                concat!(
                    r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                    r#""artifactType":"application/spdx+json","#,
                    r#""config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{empty}","size":2}},"#,
                    r#""layers":[{{"mediaType":"application/spdx+json","digest":"{document}","size":8,"#,
                    r#""annotations":{{"org.opencontainers.image.title":"x-todo.spdx.json"}}}}],"#,
                    r#""subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{subject}","size":3}},"#,
                    r#""annotations":{{"org.opencontainers.image.created":"2025-11-13T02:13:20Z"}}}}"#
                ),
                empty = empty,
                document = Sha256::of("{\"a\":1}\n"),
                subject = Sha256::of("{}\n"),
            )
        );
        // As the specification's own types read it.
        let read: oci_spec::image::ImageManifest = serde_json::from_slice(&referrer.manifest).unwrap();
        assert_eq!(read.artifact_type().as_ref().unwrap().to_string(), "application/spdx+json");
        assert_eq!(read.subject().as_ref().unwrap().digest().to_string(), image().digest.to_string());
    }

    #[test]
    fn a_list_keeps_what_others_wrote_and_has_nothing_twice() {
        let attachment = attachment();
        let ours = [Referrer::of(&attachment, &image()).unwrap()];
        let first = merged(None, &ours).unwrap().unwrap();
        let read: oci_spec::image::ImageIndex = serde_json::from_slice(&first).unwrap();
        assert_eq!(read.manifests()[0].artifact_type().as_ref().unwrap().to_string(), "application/spdx+json");
        assert_eq!(merged(Some(&first), &ours), Ok(None));
        assert!(lists(&first, &ours));

        let foreign = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"m","digest":"sha256:0","size":1,"own":[1]}],"annotations":{"of":"others"}}"#;
        assert!(!lists(foreign.as_bytes(), &ours));
        let both = String::from_utf8(merged(Some(foreign.as_bytes()), &ours).unwrap().unwrap()).unwrap();
        let entry = ours[0].entry().to_string();
        assert_eq!(both, foreign.replace(r#""own":[1]}"#, &format!(r#""own":[1]}},{entry}"#)));
    }

    #[test]
    fn what_is_no_list_is_not_overwritten() {
        let attachment = attachment();
        let ours = [Referrer::of(&attachment, &image()).unwrap()];
        for (text, why) in [
            ("not JSON", "it is not an image index"),
            (
                r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
                "it is not an image index",
            ),
            (r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#, "it is not an image index"),
            (r#"{"schemaVersion":2}"#, "it lists no manifests"),
        ] {
            assert_eq!(merged(Some(text.as_bytes()), &ours), Err(why), "{text}");
            assert!(!lists(text.as_bytes(), &ours), "{text}");
        }
    }
}
