//! References to images as RHDH's lists of plugins have them: `oci://host/path:tag!plugin`.

use std::fmt;

use super::name::{Tag, is_repository_segment};
use super::push::registry::is_host;
use crate::lock::Sha256;

/// What such a reference starts with.
pub const SCHEME: &str = "oci://";
/// The tag of an entry that takes the version of an included list's.
const INHERITED: &str = "{{inherit}}";

/// An image, and the plugin that is meant in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    /// The registry's host, with its port if one is given.
    pub host: String,
    /// The whole path in the registry.
    pub repository: String,
    /// What picks one image of the repository.
    pub pin: ImagePin,
    /// The plugin's folder in the image, where it is given.
    pub path: Option<String>,
}

/// What picks one image of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImagePin {
    /// A tag, which can be moved.
    Tag(String),
    /// A digest.
    Digest(Sha256),
    /// Whatever an included list says of the same image.
    Inherited,
}

impl fmt::Display for ImagePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
            Self::Inherited => f.write_str(INHERITED),
        }
    }
}

impl ImageReference {
    /// Reads a reference with its scheme. The error is the end of a sentence that begins with the reference.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix(SCHEME).ok_or("does not start with `oci://`")?;
        if has_userinfo(text) {
            return Err("has a user name in front of its host, which no reference to an image has".to_owned());
        }
        if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("has a blank in it".to_owned());
        }
        let (image, path) = match rest.split_once('!') {
            Some((image, path)) => (image, Some(path)),
            None => (rest, None),
        };
        let path = path.map(plugin_path).transpose()?;
        let (image, digest) = match image.split_once('@') {
            Some((image, digest)) => (image, Some(digest)),
            None => (image, None),
        };
        let (host, rest) = image.split_once('/').ok_or("has no path behind its host")?;
        if !is_host(host) {
            return Err(format!("has the host `{}`, which is not valid", host.escape_debug()));
        }
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if let Some(segment) = repository.split('/').find(|segment| !is_repository_segment(segment)) {
            return Err(format!("has the path segment `{}`, which is not valid", segment.escape_debug()));
        }
        let pin = match (tag, digest) {
            (None, None) => return Err("has neither a tag nor a digest".to_owned()),
            (Some(_), Some(_)) => {
                return Err("has a tag and a digest, of which RHDH's installers take only one".to_owned());
            }
            (Some(INHERITED), None) => ImagePin::Inherited,
            (Some(tag), None) if !tag.contains('+') && Tag::of_version("", tag).is_ok() => {
                ImagePin::Tag(tag.to_owned())
            }
            (Some(tag), None) => return Err(format!("has the tag `{}`, which is not valid", tag.escape_debug())),
            (None, Some(digest)) => ImagePin::Digest(digest.parse().map_err(|_| {
                format!("has the digest `{}`, which is not `sha256:` and 64 hex digits", digest.escape_debug())
            })?),
        };
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), pin, path })
    }

    /// `<host>/<path>`: the image, whichever of its versions.
    pub fn image(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// The last segment of its path.
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }
}

/// Whether a user name, and perhaps a password, stands in front of the host: behind the `@` of a digest there is no path.
pub fn has_userinfo(text: &str) -> bool {
    let rest = text.strip_prefix(SCHEME).and_then(|rest| rest.rsplit_once('@'));
    rest.is_some_and(|(_, behind)| behind.split('!').next().unwrap_or_default().contains('/'))
}

/// What stands behind `!`: a folder below RHDH's.
fn plugin_path(path: &str) -> Result<String, String> {
    let is_folder = |segment: &str| !matches!(segment, "" | "." | "..");
    if path.split('/').all(is_folder) && !path.contains(['!', '\\']) {
        return Ok(path.to_owned());
    }
    Err(format!("has the plugin path `{}`, which is not a folder of an image", path.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        ImageReference::parse(text).unwrap_err()
    }

    #[test]
    fn what_installers_take_is_read() {
        let digest = Sha256::of("x");
        let parse = |text: &str| ImageReference::parse(text).unwrap();
        let full = parse("oci://quay.io/rhdh/my-plugin:1.10--0.8.2!my-plugin");
        assert_eq!(
            (full.host.as_str(), full.repository.as_str(), full.name()),
            ("quay.io", "rhdh/my-plugin", "my-plugin")
        );
        assert_eq!((full.pin, full.path.as_deref()), (ImagePin::Tag("1.10--0.8.2".into()), Some("my-plugin")));
        let pinned = parse(&format!("oci://localhost:5000/a@{digest}"));
        assert_eq!(
            (pinned.image().as_str(), pinned.pin, pinned.path),
            ("localhost:5000/a", ImagePin::Digest(digest), None)
        );
        assert_eq!(parse("oci://[::1]:5000/a/b:{{inherit}}!x").pin, ImagePin::Inherited);
    }

    #[test]
    fn what_they_do_not_take_is_named() {
        let digest = Sha256::of("x");
        assert_eq!(said("docker://h/a:1"), "does not start with `oci://`");
        assert_eq!(said("oci://h"), "has no path behind its host");
        assert_eq!(said("oci://h/a"), "has neither a tag nor a digest");
        assert_eq!(said("oci://h/a !x"), "has a blank in it");
        assert_eq!(said("oci://h..x/a:1"), "has the host `h..x`, which is not valid");
        assert_eq!(said("oci://h/A:1"), "has the path segment `A`, which is not valid");
        assert_eq!(said("oci://h/a//b:1"), "has the path segment ``, which is not valid");
        assert_eq!(said("oci://h/a:-1"), "has the tag `-1`, which is not valid");
        assert_eq!(said("oci://h/a:1+2"), "has the tag `1+2`, which is not valid");
        assert_eq!(said("oci://h/a@sha256:1"), "has the digest `sha256:1`, which is not `sha256:` and 64 hex digits");
        assert_eq!(
            said(&format!("oci://h/a:1@{digest}")),
            "has a tag and a digest, of which RHDH's installers take only one"
        );
        for path in ["", "../x", "/x", "a//b", "a!b"] {
            let what = format!("has the plugin path `{path}`, which is not a folder of an image");
            assert_eq!(said(&format!("oci://h/a:1!{path}")), what);
        }
    }
}
