//! What a push reports, and how it fails when the registry has something else.

use serde::Serialize;

use crate::Error;
use crate::image::name::ImagePath;
use crate::lock::Sha256;

/// An image that is in a registry: it was read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pushed {
    /// `<host>/<namespace>/<name>:<tag>`.
    pub reference: String,
    /// `<host>/<namespace>/<name>@sha256:…`.
    pub pinned: String,
    /// The digest of the manifest in the registry; another than the image's after [`Pusher::Buildah`], and where
    /// `same_content` is there.
    pub digest: Sha256,
    /// The tag named this very image already, or one with the same content, and nothing was sent.
    pub already_there: bool,
    /// The manifest of an image that was there with the same content, from another commit.
    #[serde(skip)]
    pub same_content: Option<Vec<u8>>,
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

/// The text of an `--image-refs` file: one digest reference a line, sorted, each once.
pub fn image_refs(pushed: &[Pushed]) -> String {
    let mut lines: Vec<&str> = pushed.iter().map(|pushed| pushed.pinned.as_str()).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().fold(String::new(), |text, line| text + line + "\n")
}

/// The error for a tag that names another image.
/// `origin` is what that image says of where it comes from.
pub(super) fn tag_taken(reference: &str, there: Sha256, origin: &str, ours: Sha256) -> Error {
    let comma = if origin.is_empty() { "," } else { "" };
    Error::build(
        format!("`{reference}` already names another image: {there}{origin}{comma} and this build made {ours}"),
        "released tags stay as they are: raise the plugin's version, give its tag another prefix with `--tag-prefix`, or \
         move the tag with `--overwrite-tags`",
    )
}

/// The error for a registry that reported success and has something else, or nothing.
pub(super) fn not_stored(reference: &str, found: &str) -> Error {
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
            same_content: None,
            bytes_uploaded: 0,
        };
        let text = image_refs(&[pushed("b"), pushed("a"), pushed("b")]);
        assert_eq!(text, format!("h/a@{}\nh/b@{}\n", Sha256::of("a"), Sha256::of("b")));
        assert_eq!(image_refs(&[]), "");
        let path = ImagePath::of_package("@x/a-dynamic").unwrap();
        assert_eq!(pushed("a").package(&path), format!("oci://h/a@{}!x-a", Sha256::of("a")));
    }
}
