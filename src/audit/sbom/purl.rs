//! Package URLs (purl specification, type `npm`).

use std::fmt::Write as _;

/// `pkg:npm/%40scope/name@1.2.3`
pub fn npm(name: &str, version: &str) -> String {
    match name.split_once('/') {
        Some((scope, name)) => format!("pkg:npm/{}/{}@{}", encoded(scope), encoded(name), encoded(version)),
        None => format!("pkg:npm/{}@{}", encoded(name), encoded(version)),
    }
}

/// Percent-encoded but for what purl leaves as it is.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_encoded() {
        assert_eq!(npm("lodash", "4.17.21"), "pkg:npm/lodash@4.17.21");
        assert_eq!(npm("@x/common", "0.1.0+embedded"), "pkg:npm/%40x/common@0.1.0%2Bembedded");
        assert_eq!(npm("a b?c", "1#2"), "pkg:npm/a%20b%3Fc@1%232");
    }
}
