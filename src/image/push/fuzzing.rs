//! What reads the answers of registries and token servers, and the files of logins, for fuzz targets.

use std::path::Path;

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use super::{auth_file, challenge, error, referrer, tagged};

/// An `auth.json` or a docker `config.json`.
pub fn auth_file(bytes: &[u8]) {
    let path = Path::new("auth.json");
    if let Ok(file) = auth_file::parse(bytes, path) {
        let _ = file.written(path, "quay.io", "a/b");
        let _ = file.written(path, "docker.io", "library/x");
    }
}

/// The answer of a token server; the header that names one, and what else a refusal says.
pub fn token(bytes: &[u8]) {
    let _ = challenge::token(bytes);
    let _ = error::said(&String::from_utf8_lossy(bytes));
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value.clone()), (RETRY_AFTER, value)]);
        let _ = challenge::of(&headers);
        let _ = error::retry_after(&headers);
    }
}

/// The manifest of a tag, and a list of referrers.
///
/// # Panics
/// If what is no list would be overwritten.
pub fn manifest(bytes: &[u8]) {
    let image = tagged::TaggedImage::of(bytes);
    let _ = (image.config(), image.origin());
    assert!(!image.same_content_as(tagged::TaggedImage::of(b"{}")));
    // What is no list is not overwritten.
    let merged = referrer::merged(Some(bytes), &[]);
    assert_ne!(referrer::lists(bytes, &[]), merged.is_err());
}
