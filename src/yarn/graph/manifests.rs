//! The `package.json` files of a repository at a commit.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use indexmap::IndexMap;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

use crate::error::{Error, Place, Result};
use crate::yarn::lockfile::YarnLock;

/// Folders that hold no package of a workspace, whatever is in them.
const SKIPPED: [&str; 5] = ["node_modules", "dist", "dist-dynamic", ".git", "__fixtures__"];

/// True for a folder that is not searched: packages somebody installed, made or keeps for tests, and dot-folders.
pub fn is_skipped(folder: &str) -> bool {
    folder.starts_with('.') || SKIPPED.contains(&folder)
}

/// True when a package in this folder (from the workspace, `.` for the workspace itself) is looked at.
pub fn is_searched(path: &str) -> bool {
    path == "." || !path.split('/').any(is_skipped)
}

/// What build arguments depend on in a `package.json`. Unknown fields are passed over.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(clippy::struct_excessive_bools, reason = "the file has them")]
pub struct PackageJson {
    /// The name, if any.
    pub name: Option<String>,
    /// The version, if any.
    pub version: Option<String>,
    /// `private: true`: never published.
    #[serde(deserialize_with = "truthy")]
    pub private: bool,
    /// `backstage.role` and what else is there.
    pub backstage: BackstageField,
    /// In the order of the file, which is the order in which rhdh-cli walks.
    #[serde(deserialize_with = "ranges")]
    pub dependencies: IndexMap<String, String>,
    /// In the order of the file.
    #[serde(deserialize_with = "ranges")]
    pub optional_dependencies: IndexMap<String, String>,
    /// In the order of the file.
    #[serde(deserialize_with = "ranges")]
    pub dev_dependencies: IndexMap<String, String>,
    /// In the order of the file.
    #[serde(deserialize_with = "ranges")]
    pub peer_dependencies: IndexMap<String, String>,
    /// Which peers may be absent.
    pub peer_dependencies_meta: IndexMap<String, PeerMeta>,
    /// The root's overrides.
    #[serde(deserialize_with = "ranges")]
    pub resolutions: IndexMap<String, String>,
    /// The globs of a root's workspaces, in either of yarn's two forms.
    pub workspaces: Workspaces,
    /// `bundled: true`: rhdh-cli refuses it.
    #[serde(deserialize_with = "truthy")]
    pub bundled: bool,
    /// Native by npm's flag for a `binding.gyp`.
    #[serde(deserialize_with = "truthy")]
    pub gypfile: bool,
    /// Native by a prebuilt binary's description.
    #[serde(deserialize_with = "truthy")]
    pub binary: bool,
    /// The subpaths it lets out, as far as `./package.json` is concerned.
    pub exports: Exports,
}

/// `backstage` of a `package.json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BackstageField {
    /// `backend-plugin`, `node-library`, ….
    pub role: Option<String>,
}

/// A value of `peerDependenciesMeta`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PeerMeta {
    /// True when the peer may be absent.
    #[serde(deserialize_with = "truthy")]
    pub optional: bool,
}

/// The globs of `workspaces`: a list, or an object with `packages`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workspaces(pub Vec<String>);

/// Whether `exports` hides `package.json`, which rhdh-cli resolves in every package it embeds from the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exports {
    /// True when `require.resolve("name/package.json")` fails.
    pub hide_package_json: bool,
}

impl PackageJson {
    /// Reads a `package.json`; `path` is only for messages.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        serde_json::from_slice(text).map_err(|error| {
            // serde_json says the place once more at the end of its message.
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or_default().to_owned();
            Error::config(
                Place::at(path, error.line(), error.column()),
                what,
                "fix the file in the repository, or pin a commit where it is valid",
            )
        })
    }

    /// `dependencies` and `optionalDependencies`, each name once, with whether it is optional.
    pub fn production(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let required = self
            .dependencies
            .iter()
            .filter(|(name, _)| !self.optional_dependencies.contains_key(*name))
            .map(|(name, range)| (name.as_str(), range.as_str(), false));
        let optional = self.optional_dependencies.iter().map(|(name, range)| (name.as_str(), range.as_str(), true));
        required.chain(optional)
    }
}

/// The manifests of a workspace root and of the workspaces its lock knows, by folder (`.` for the root).
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    by_path: BTreeMap<String, PackageJson>,
}

impl Manifests {
    /// Reads those of `files` (folder → text of its `package.json`) that `lock` is about.
    ///
    /// For Berry these are the workspaces the lock names, each of which must be there; for v1 the folders that the
    /// root's `workspaces` match. Other files, templates and fixtures for instance, may be broken.
    pub fn parse(lock: &YarnLock<'_>, files: &BTreeMap<String, Vec<u8>>) -> Result<Self> {
        let folder = lock.path.parent().unwrap_or(Path::new("")).to_path_buf();
        let file = |path: &str| match path {
            "." => folder.join("package.json"),
            path => folder.join(path).join("package.json"),
        };
        let mut by_path = BTreeMap::new();
        if let Some(text) = files.get(".") {
            by_path.insert(".".to_owned(), PackageJson::parse(text, &file("."))?);
        }
        if let Some(paths) = lock.workspace_paths() {
            for path in paths {
                if by_path.contains_key(path) {
                    continue;
                }
                // Only a lock that starts below its root may lack the root's.
                let Some(text) = files.get(path) else {
                    return Err(Error::config(
                        Place::file(&lock.path),
                        format!("the workspace `{path}` is in the lock, but {} is not there", display(&file(path))),
                        "run `yarn install` in the repository and commit its yarn.lock, or pin another commit",
                    ));
                };
                by_path.insert(path.to_owned(), PackageJson::parse(text, &file(path))?);
            }
        } else {
            let globs = by_path.get(".").map(|root| root.workspaces.0.clone()).unwrap_or_default();
            for (path, text) in files.iter().filter(|(path, _)| *path != "." && is_member(&globs, path)) {
                by_path.insert(path.clone(), PackageJson::parse(text, &file(path))?);
            }
        }
        Ok(Self { by_path })
    }

    /// The manifest of a folder.
    pub fn get(&self, path: &str) -> Option<&PackageJson> {
        self.by_path.get(path)
    }

    /// All of them, sorted by folder.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PackageJson)> {
        self.by_path.iter().map(|(path, manifest)| (path.as_str(), manifest))
    }
}

fn display(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// True when the `workspaces` of a root take a folder in.
pub fn takes_in(root: &PackageJson, path: &str) -> bool {
    is_member(&root.workspaces.0, path)
}

/// True when the globs of `workspaces` take `path` in: the last one that matches decides.
fn is_member(globs: &[String], path: &str) -> bool {
    globs.iter().fold(false, |member, glob| match glob.strip_prefix('!') {
        Some(glob) => member && !matches(glob, path),
        None => member || matches(glob, path),
    })
}

fn matches(glob: &str, path: &str) -> bool {
    let glob = glob.strip_prefix("./").unwrap_or(glob).trim_end_matches('/');
    let glob: Vec<&str> = glob.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    // `ends[i]`: the globs read so far match the first `i` segments.
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    for part in glob {
        let mut next = vec![false; path.len() + 1];
        let mut reached = false;
        for index in 0..=path.len() {
            if part == "**" {
                reached |= ends[index];
                next[index] = reached;
            } else if index > 0 && ends[index - 1] {
                next[index] = segment_matches(part, path[index - 1]);
            }
        }
        ends = next;
    }
    ends[path.len()]
}

fn segment_matches(glob: &str, segment: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|head| segment.strip_prefix(head)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(tail) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(tail)
}

/// JavaScript's idea of true, which is what rhdh-cli goes by.
fn truthy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => false,
        Value::Bool(value) => value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    })
}

/// An object of strings. An empty list, as old npm wrote it, and null are taken as an empty one.
fn ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<String, String>, D::Error> {
    struct Ranges;

    impl<'de> Visitor<'de> for Ranges {
        type Value = IndexMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of package names and ranges")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(IndexMap::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            match seq.next_element::<IgnoredAny>()? {
                None => Ok(IndexMap::new()),
                Some(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &self)),
            }
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out = IndexMap::new();
            while let Some((name, range)) = map.next_entry()? {
                out.insert(name, range);
            }
            Ok(out)
        }
    }

    deserializer.deserialize_any(Ranges)
}

impl<'de> Deserialize<'de> for Workspaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let list = value.as_array().or_else(|| value.get("packages")?.as_array());
        let globs = list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self(globs))
    }
}

impl<'de> Deserialize<'de> for Exports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hide_package_json = match Value::deserialize(deserializer)? {
            Value::Null => false,
            Value::Object(map) if map.keys().any(|key| key.starts_with('.')) => {
                !map.keys().any(|key| key == "./package.json" || key == "./*" || key == "./*.json" || key == "./")
            }
            // A string, a list, or conditions without subpaths let out `.` alone.
            _ => true,
        };
        Ok(Self { hide_package_json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_matters_and_says_where_it_breaks() {
        let text = br#"{
  "name": "@s/x-backend",
  "backstage": { "role": "backend-plugin", "pluginId": "x" },
  "dependencies": { "b": "^1", "a": "workspace:^", "c": "^3" },
  "optionalDependencies": { "c": "^3" },
  "workspaces": { "packages": ["plugins/*"] },
  "binary": { "napi_versions": [3] },
  "exports": { ".": "./index.js", "./package.json": "./package.json" }
}"#;
        let manifest = PackageJson::parse(text, Path::new("package.json")).unwrap();
        assert_eq!(manifest.backstage.role.as_deref(), Some("backend-plugin"));
        let production: Vec<_> = manifest.production().collect();
        assert_eq!(production, [("b", "^1", false), ("a", "workspace:^", false), ("c", "^3", true)]);
        assert_eq!(manifest.workspaces.0, ["plugins/*"]);
        assert!(manifest.binary && !manifest.gypfile && !manifest.exports.hide_package_json);

        let broken = b"{\n  \"dependencies\": { \"a\": 1 }\n}";
        let error = PackageJson::parse(broken, Path::new("plugins/x/package.json")).unwrap_err();
        assert_eq!(error.to_string(), "plugins/x/package.json:2:26: invalid type: integer `1`, expected a string");
    }

    #[test]
    fn knows_when_exports_hide_the_manifest() {
        for (exports, hidden) in [
            ("null", false),
            ("\"./index.js\"", true),
            ("{\"import\": \"./a.mjs\", \"require\": \"./a.js\"}", true),
            ("{\".\": \"./a.js\"}", true),
            ("{\".\": \"./a.js\", \"./*\": \"./*\"}", false),
        ] {
            let text = format!("{{\"exports\": {exports}}}");
            let manifest = PackageJson::parse(text.as_bytes(), Path::new("package.json")).unwrap();
            assert_eq!(manifest.exports.hide_package_json, hidden, "{exports}");
        }
    }

    #[test]
    fn expands_workspace_globs() {
        let globs = ["packages/*", "plugins/**", "!plugins/old", "./tools/x-*"].map(str::to_owned);
        for (path, member) in [
            ("packages/app", true),
            ("packages/app/nested", false),
            ("plugins/ecs/backend", true),
            ("plugins/old", false),
            ("tools/x-1", true),
            ("tools/y-1", false),
        ] {
            assert_eq!(is_member(&globs, path), member, "{path}");
        }
    }
}
