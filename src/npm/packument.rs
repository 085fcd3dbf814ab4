//! What a registry has of a package: its versions and where their bytes are.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::lock::Integrity;

/// The parts of a package's document that resolving needs (npm's abbreviated metadata).
#[derive(Debug, Deserialize)]
pub struct Packument {
    /// `latest` and others.
    #[serde(default, rename = "dist-tags")]
    pub dist_tags: BTreeMap<String, String>,
    /// By version.
    #[serde(default)]
    pub versions: BTreeMap<String, PackageVersion>,
}

/// One version of a package.
#[derive(Debug, Deserialize)]
pub struct PackageVersion {
    /// Where its bytes are.
    pub dist: Dist,
}

/// The bytes of a version.
#[derive(Debug, Deserialize)]
pub struct Dist {
    /// Subresource integrities, separated by blanks.
    #[serde(default)]
    pub integrity: Option<String>,
    /// Where the registry keeps the tarball.
    pub tarball: String,
}

impl Packument {
    /// The integrity of a version, if it has a SHA-512.
    pub fn integrity(&self, version: &str) -> Option<Integrity> {
        let all = self.versions.get(version)?.dist.integrity.as_deref()?;
        all.split_ascii_whitespace().find_map(|one| one.parse().ok())
    }

    /// The newest version that is not a pre-release and that `wanted` accepts.
    pub fn newest(&self, wanted: impl Fn(&semver::Version) -> bool) -> Option<semver::Version> {
        self.versions
            .keys()
            .filter_map(|version| semver::Version::parse(version).ok())
            .filter(|version| version.pre.is_empty() && wanted(version))
            .max()
    }
}

/// A document whose tarballs are elsewhere: those at the usual place below `upstream` are at the same place below the
/// first of `here`, others of its host below the second. None where nothing changes.
pub(super) fn pointed_elsewhere(
    document: &[u8],
    name: &str,
    upstream: &Url,
    here: (&str, Option<&str>),
) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(document).ok()?;
    let base_name = name.rsplit('/').next().unwrap_or(name);
    let root = format!("{}/", upstream.origin().ascii_serialization());
    let mut is_changed = false;
    for (version, package) in document.get_mut("versions")?.as_object_mut()? {
        let Some(tarball) = package.pointer_mut("/dist/tarball") else { continue };
        let found = tarball.as_str().unwrap_or_default();
        let file = format!("/-/{base_name}-{version}.tgz");
        let is_usual = |rest: &&str| {
            rest.strip_suffix(&file).is_some_and(|folder| folder.replace("%2f", "/").replace("%2F", "/") == name)
        };
        let usual = found.strip_prefix(upstream.as_str()).filter(is_usual).map(|rest| format!("{}{rest}", here.0));
        let other = || Some(format!("{}{}", here.1?, found.strip_prefix(&root)?));
        if let Some(new) = usual.or_else(other) {
            *tarball = Value::String(new);
            is_changed = true;
        }
    }
    is_changed.then(|| serde_json::to_vec(&document).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wanted_version_is_no_prerelease() {
        let document = r#"{"versions": {"22.9.0": {"dist": {"tarball": "x"}}, "22.10.0": {"dist": {"tarball": "x"}},
            "22.11.0-rc.1": {"dist": {"tarball": "x"}}, "24.1.0": {"dist": {"tarball": "x"}}}}"#;
        let packument: Packument = serde_json::from_str(document).unwrap();
        assert_eq!(packument.newest(|v| v.major == 22).unwrap().to_string(), "22.10.0");
        assert_eq!(packument.newest(|v| v.major == 23), None);
    }

    #[test]
    fn tarballs_are_elsewhere_where_they_are_usual_or_all_are() {
        let upstream = Url::parse("https://r.example/npm/").unwrap();
        let moved = |tarball: &str, root: Option<&str>| {
            let document = serde_json::json!({"versions": {"1.0.0": {"dist": {"tarball": tarball}}}}).to_string();
            let moved = pointed_elsewhere(document.as_bytes(), "@s/a", &upstream, ("http://here/0/", root))?;
            let moved: Packument = serde_json::from_slice(&moved).unwrap();
            Some(moved.versions["1.0.0"].dist.tarball.clone())
        };
        for path in ["@s/a/-/a-1.0.0.tgz", "@s%2fa/-/a-1.0.0.tgz"] {
            let expected = Some(format!("http://here/0/{path}"));
            assert_eq!(moved(&format!("https://r.example/npm/{path}"), None), expected);
        }
        for other in ["npm/@s/a/-/a-1.0.1.tgz", "npm/@s/a/-/b-1.0.0.tgz", "@s/a/-/a-1.0.0.tgz", "files/1"] {
            assert_eq!(moved(&format!("https://r.example/{other}"), None), None);
            let expected = Some(format!("http://here/0r/{other}"));
            assert_eq!(moved(&format!("https://r.example/{other}"), Some("http://here/0r/")), expected);
        }
        for other in ["http://r.example/npm/@s/a/-/a-1.0.0.tgz", "https://r.example.org/x", "", "x"] {
            assert_eq!(moved(other, Some("http://here/0r/")), None, "{other}");
        }
    }
}
