//! What a registry has of a package: its versions and where their bytes are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use url::Url;

use crate::lock::Integrity;

/// The most versions, and tags, of a package; the largest have some 10,000.
const MOST_VERSIONS: usize = 100_000;

/// The parts of a package's document that resolving needs (npm's abbreviated metadata).
#[derive(Debug, Deserialize)]
pub struct Packument {
    /// `latest` and others.
    #[serde(default, rename = "dist-tags", deserialize_with = "map")]
    pub dist_tags: BTreeMap<String, String>,
    /// By version.
    #[serde(default, deserialize_with = "map")]
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

/// A map of strings with at most [`MOST_VERSIONS`] entries.
fn map<'de, D: Deserializer<'de>, V: Deserialize<'de>>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error> {
    deserializer.deserialize_map(Entries(PhantomData)).map(|entries| entries.into_iter().collect())
}

/// Reads the entries of a map, up to [`MOST_VERSIONS`].
struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
    type Value = Vec<(K, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            if entries.len() == MOST_VERSIONS {
                return Err(A::Error::custom(format!("more than {MOST_VERSIONS} versions, the limit")));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// What is written in place of a part of a document.
pub(super) type Edit = (Range<usize>, String);

/// What to change in a document so that its tarballs are elsewhere: those at the usual place below `upstream` are at the
/// same place below the first of `here`, others of its host below the second. In the order of the document.
pub(super) fn pointed_elsewhere(
    document: &[u8],
    name: &str,
    upstream: &Url,
    here: (&str, Option<&str>),
) -> Vec<(Range<usize>, String)> {
    let base_name = name.rsplit('/').next().unwrap_or(name);
    let root = format!("{}/", upstream.origin().ascii_serialization());
    let mut edits = Vec::new();
    for (version, raw) in tarballs(document) {
        let found: Cow<'_, str> = serde_json::from_str(raw.get()).unwrap_or_default();
        let file = format!("/-/{base_name}-{version}.tgz");
        let is_usual = |rest: &&str| {
            rest.strip_suffix(&file).is_some_and(|folder| folder.replace("%2f", "/").replace("%2F", "/") == name)
        };
        let usual = found.strip_prefix(upstream.as_str()).filter(is_usual).map(|rest| format!("{}{rest}", here.0));
        let other = || Some(format!("{}{}", here.1?, found.strip_prefix(&root)?));
        if let Some(new) = usual.or_else(other) {
            let start = raw.get().as_ptr().addr() - document.as_ptr().addr();
            edits.push((start..start + raw.get().len(), new));
        }
    }
    edits
}

/// The versions of a document and, as they are written there, where their tarballs are.
fn tarballs(document: &[u8]) -> Vec<(Cow<'_, str>, &RawValue)> {
    #[derive(Deserialize)]
    struct Versions<'a> {
        #[serde(borrow, deserialize_with = "raw_map")]
        versions: Vec<(Cow<'a, str>, &'a RawValue)>,
    }
    #[derive(Deserialize)]
    struct VersionDist<'a> {
        #[serde(borrow)]
        dist: DistTarball<'a>,
    }
    #[derive(Deserialize)]
    struct DistTarball<'a> {
        #[serde(borrow)]
        tarball: &'a RawValue,
    }
    let Ok(Versions { versions }) = serde_json::from_slice(document) else { return Vec::new() };
    let dist = |raw| serde_json::from_str::<VersionDist<'_>>(RawValue::get(raw)).ok();
    versions.into_iter().filter_map(|(version, raw)| Some((version, dist(raw)?.dist.tarball))).collect()
}

pub(super) type RawEntries<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The entries of a map as they are written, up to [`MOST_VERSIONS`].
pub(super) fn raw_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RawEntries<'de>, D::Error> {
    deserializer.deserialize_map(Entries(PhantomData))
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
            let mut moved = document.clone();
            let edits = pointed_elsewhere(document.as_bytes(), "@s/a", &upstream, ("http://here/0/", root));
            let (range, new) = edits.into_iter().next()?;
            moved.replace_range(range, &serde_json::to_string(&new).unwrap());
            let moved: Packument = serde_json::from_str(&moved).unwrap();
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
