//! Package URLs (purl specification, type `npm`).

use super::super::percent_encoding::percent_encoded;

/// `pkg:npm/%40scope/name@1.2.3`
pub fn npm(name: &str, version: &str) -> String {
    match name.split_once('/') {
        Some((scope, name)) => format!("pkg:npm/{}/{}@{}", encoded(scope), encoded(name), encoded(version)),
        None => format!("pkg:npm/{}@{}", encoded(name), encoded(version)),
    }
}

/// `pkg:oci/x-plugin-todo@sha256%3A…?tag=1.2.3`: an image by the digest of its manifest, in whatever registry it is.
pub fn oci(image: &str, digest: &str, tag: &str) -> String {
    format!("pkg:oci/{}@{}?tag={}", encoded(image), encoded(digest), encoded(tag))
}

fn encoded(text: &str) -> String {
    percent_encoded(text, b"-._~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_encoded() {
        assert_eq!(npm("lodash", "4.17.21"), "pkg:npm/lodash@4.17.21");
        assert_eq!(npm("@x/common", "0.1.0+embedded"), "pkg:npm/%40x/common@0.1.0%2Bembedded");
        assert_eq!(npm("a b?c", "1#2"), "pkg:npm/a%20b%3Fc@1%232");
        assert_eq!(oci("x-plugin", "sha256:12", "1.0.0"), "pkg:oci/x-plugin@sha256%3A12?tag=1.0.0");
    }
}
