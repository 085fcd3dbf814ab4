//! What stands under a tag: whether it is the same content as an image of ours, and where it says that it comes from.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::image::manifest::INPUTS;
use crate::lock::Sha256;

const CREATED: &str = "org.opencontainers.image.created";
const REVISION: &str = "org.opencontainers.image.revision";
const SOURCE: &str = "org.opencontainers.image.source";
/// What says where an image comes from, and nothing of what is in it.
const ORIGIN: [&str; 4] = [CREATED, REVISION, SOURCE, INPUTS];
/// Characters that are shown of what a registry says.
const MOST_SHOWN: usize = 200;

/// The part of a manifest that is compared; that of another kind of image may have none of it.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TaggedImage {
    config: Option<TaggedConfig>,
    layers: Vec<TaggedLayer>,
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaggedLayer {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct TaggedConfig {
    digest: String,
}

impl TaggedImage {
    /// Reads a manifest; what is none of an image is an image of nothing.
    pub(super) fn of(manifest: &[u8]) -> Self {
        serde_json::from_slice(manifest).unwrap_or_default()
    }

    /// True if two images differ in nothing but where they say that they come from.
    pub(super) fn same_content_as(self, other: Self) -> bool {
        let content = |mut image: Self| {
            // It holds the time of the commit.
            image.config = None;
            image.annotations.retain(|name, _| !ORIGIN.contains(&name.as_str()));
            image
        };
        !self.layers.is_empty() && content(self) == content(other)
    }

    /// The digest of its config, where it has one.
    pub(super) fn config(&self) -> Option<Sha256> {
        self.config.as_ref()?.digest.parse().ok()
    }

    /// `, of https://example.com/x at 3fadf6b0595d`, as far as the image says it.
    pub(super) fn origin(&self) -> String {
        let said = |name: &str| {
            let text = self.annotations.get(name)?;
            Some(text.chars().take(MOST_SHOWN).collect::<String>().escape_debug().to_string())
        };
        let source = said(SOURCE).map(|source| format!(" of {source}")).unwrap_or_default();
        let revision = said(REVISION).map(|id| format!(" at {}", id.chars().take(12).collect::<String>()));
        let revision = revision.unwrap_or_default();
        if source.is_empty() && revision.is_empty() { String::new() } else { format!(",{source}{revision},") }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn image(change: impl FnOnce(&mut Value)) -> TaggedImage {
        let mut manifest = json!({
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:a", "size": 1 }],
            "annotations": {
                "io.factory.inputs": "sha256:b", CREATED: "2026-01-01T00:00:00Z", REVISION: "3fadf6b0595d1d18",
                SOURCE: "https://example.com/x", "org.opencontainers.image.version": "1.0.0",
            },
        });
        change(&mut manifest);
        TaggedImage::of(&serde_json::to_vec(&manifest).unwrap())
    }

    #[test]
    fn only_where_it_comes_from_may_differ() {
        for name in ORIGIN {
            assert!(image(|it| it["annotations"][name] = "other".into()).same_content_as(image(|_| {})), "{name}");
            let without = image(|it| drop(it["annotations"].as_object_mut().unwrap().remove(name)));
            assert!(without.same_content_as(image(|_| {})), "{name}");
        }
        let version = |it: &mut Value| it["annotations"]["org.opencontainers.image.version"] = "1.0.1".into();
        assert!(!image(version).same_content_as(image(|_| {})));
        assert!(!image(|it| it["layers"][0]["size"] = 2.into()).same_content_as(image(|_| {})));
        assert!(!image(|it| it["layers"][0]["digest"] = "sha256:c".into()).same_content_as(image(|_| {})));
        let nothing = || TaggedImage::of(b"{}");
        assert!(!nothing().same_content_as(nothing()) && TaggedImage::of(b"\xff") == nothing());
    }

    #[test]
    fn it_says_where_it_comes_from() {
        assert_eq!(image(|_| {}).origin(), ", of https://example.com/x at 3fadf6b0595d,");
        assert_eq!(image(|it| it["annotations"][SOURCE] = "a\nb".into()).origin(), ", of a\\nb at 3fadf6b0595d,");
        assert_eq!(image(|it| drop(it.as_object_mut().unwrap().remove("annotations"))).origin(), "");
    }
}
