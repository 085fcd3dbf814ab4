//! What a package says of itself besides its dependencies: its licence, its install scripts, and when it was published.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::packument::raw_map;
use crate::ui::cut;

/// The most characters of a licence; it is text from outside.
const MOST_CHARACTERS: usize = 200;
/// The scripts that npm and yarn run when a package is installed.
const INSTALL_SCRIPTS: [&str; 3] = ["preinstall", "install", "postinstall"];

/// What a registry says of the versions of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageFacts {
    /// By version.
    pub versions: BTreeMap<String, VersionFacts>,
    /// When versions were published.
    pub published: BTreeMap<String, OffsetDateTime>,
}

/// What the manifest of a version says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionFacts {
    /// `license`, or what older ones have in its place; none where it says none.
    pub licence: Option<String>,
    /// True if something of it runs when it is installed.
    pub has_install_script: bool,
}

impl PackageFacts {
    /// Reads the facts of `wanted` versions from a registry's whole document of a package.
    pub fn of_document(document: &[u8], wanted: &BTreeSet<String>) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow, deserialize_with = "raw_map")]
            versions: Vec<(std::borrow::Cow<'a, str>, &'a RawValue)>,
            #[serde(borrow, default, deserialize_with = "raw_map")]
            time: Vec<(std::borrow::Cow<'a, str>, &'a RawValue)>,
        }
        let document: Document<'_> = serde_json::from_slice(document)?;
        let mut facts = Self::default();
        for (version, raw) in document.versions.iter().filter(|(version, _)| wanted.contains(version.as_ref())) {
            if let Some(found) = VersionFacts::of_manifest(raw.get().as_bytes()) {
                facts.versions.insert(version.to_string(), found);
            }
        }
        for (version, raw) in document.time.iter().filter(|(version, _)| wanted.contains(version.as_ref())) {
            let text: Option<String> = serde_json::from_str(raw.get()).ok();
            if let Some(time) = text.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok()) {
                facts.published.insert(version.to_string(), time);
            }
        }
        Ok(facts)
    }
}

impl VersionFacts {
    /// Reads a `package.json`, or a registry's form of one; none where it is no JSON.
    pub fn of_manifest(manifest: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Manifest {
            #[serde(default)]
            license: Value,
            #[serde(default)]
            licenses: Value,
            #[serde(default)]
            scripts: Value,
            #[serde(default)]
            has_install_script: Value,
        }
        let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
        let several = manifest.licenses.as_array().map(|all| all.iter().filter_map(licence).collect::<Vec<_>>());
        let several = several.filter(|all| !all.is_empty()).map(|all| all.join(" OR "));
        let is_script =
            |name: &&str| manifest.scripts.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        Some(Self {
            licence: licence(&manifest.license)
                .or(several)
                .or_else(|| licence(&manifest.licenses))
                .map(|text| cut(&text, MOST_CHARACTERS)),
            has_install_script: manifest.has_install_script == Value::Bool(true)
                || INSTALL_SCRIPTS.iter().any(is_script),
        })
    }
}

/// `"MIT"`, or `{ "type": "MIT" }` as it once was.
fn licence(value: &Value) -> Option<String> {
    let text = value.as_str().or_else(|| value.get("type")?.as_str())?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_its_licence_in_several_ways() {
        let of = |text: &str| VersionFacts::of_manifest(text.as_bytes()).unwrap();
        for (text, licence) in [
            (r#"{"license": "MIT"}"#, Some("MIT")),
            (r#"{"license": {"type": "BSD", "url": "x"}}"#, Some("BSD")),
            (r#"{"licenses": [{"type": "MIT"}, {"type": "Apache-2.0"}]}"#, Some("MIT OR Apache-2.0")),
            (r#"{"license": 1, "licenses": []}"#, None),
            ("{}", None),
        ] {
            assert_eq!(of(text).licence.as_deref(), licence, "{text}");
        }
        assert_eq!(VersionFacts::of_manifest(b"x"), None);
    }

    #[test]
    fn install_scripts_are_those_that_run_by_themselves() {
        let has = |text: &str| VersionFacts::of_manifest(text.as_bytes()).unwrap().has_install_script;
        assert!(has(r#"{"hasInstallScript": true}"#));
        assert!(has(r#"{"scripts": {"postinstall": "node x"}}"#));
        assert!(!has(r#"{"scripts": {"build": "x", "install": "", "prepare": "x"}, "hasInstallScript": "yes"}"#));
    }

    #[test]
    fn a_document_has_times_and_only_what_is_wanted_is_read() {
        let document = r#"{"time": {"created": "x", "1.0.0": "2026-11-20T10:00:00.000Z", "2.0.0": "soon"},
            "versions": {"1.0.0": {"license": "MIT"}, "2.0.0": {"license": "ISC"}, "3.0.0": {"license": "X"}}}"#;
        let wanted = ["1.0.0", "2.0.0"].map(str::to_owned).into();
        let facts = PackageFacts::of_document(document.as_bytes(), &wanted).unwrap();
        assert_eq!(facts.versions.keys().collect::<Vec<_>>(), ["1.0.0", "2.0.0"]);
        assert_eq!(facts.published["1.0.0"].unix_timestamp(), 1_795_168_800);
        assert_eq!(facts.published.len(), 1);
    }
}
