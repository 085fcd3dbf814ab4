//! What a registry has of a package: its versions and where their bytes are.

use std::collections::BTreeMap;

use serde::Deserialize;

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
}
