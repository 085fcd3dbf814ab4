//! What a bundle exposes and shares, and for what each of its files is loaded: as module federation's manifest says it,
//! and for scalprum its `plugin-manifest.json` and the text of webpack's runtime, which the map of its entry has.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::lock::bundle::{BundlePlace, ExposedModule, SharedPackage};

/// What is said of the files of a bundle.
#[derive(Debug, Default)]
pub(super) struct LoadedFiles {
    pub(super) exposes: BTreeSet<ExposedModule>,
    pub(super) shares: BTreeSet<SharedPackage>,
    /// By the path in the package.
    pub(super) places: BTreeMap<String, BTreeSet<BundlePlace>>,
}

/// `mf-manifest.json`, as far as it is read; `mf-stats.json` has the same.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FederationManifest {
    meta_data: FederationMeta,
    #[serde(default)]
    shared: Vec<FederationShared>,
    #[serde(default)]
    exposes: Vec<FederationExposed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FederationMeta {
    remote_entry: FederationEntry,
}

#[derive(Deserialize)]
struct FederationEntry {
    name: String,
    #[serde(default)]
    path: String,
}

#[derive(Deserialize)]
struct FederationShared {
    name: String,
    version: Option<String>,
    #[serde(default)]
    assets: FederationAssets,
}

#[derive(Deserialize)]
struct FederationExposed {
    name: String,
    path: Option<String>,
    #[serde(default)]
    assets: FederationAssets,
}

#[derive(Default, Deserialize)]
struct FederationAssets {
    #[serde(default)]
    js: FederationFiles,
    #[serde(default)]
    css: FederationFiles,
}

#[derive(Default, Deserialize)]
struct FederationFiles {
    #[serde(default)]
    sync: Vec<String>,
    #[serde(default, rename = "async")]
    later: Vec<String>,
}

/// `plugin-manifest.json` of scalprum.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScalprumManifest {
    #[serde(default)]
    load_scripts: Vec<String>,
}

/// Whether a source is a part of webpack's runtime that says what is exposed, or shared.
pub(super) fn is_runtime(source: &str) -> bool {
    ["/webpack/container-entry", "/webpack/runtime/sharing", "/webpack/runtime/consumes"]
        .iter()
        .any(|end| source.ends_with(end))
}

impl LoadedFiles {
    /// What the manifest of module federation says; none of what is no such manifest.
    pub(super) fn of_federation(folder: &str, manifest: &[u8]) -> Option<Self> {
        let FederationManifest { meta_data, shared, exposes } = serde_json::from_slice(manifest).ok()?;
        let mut loaded = Self::default();
        let FederationEntry { name, path } = meta_data.remote_entry;
        let entry = format!("{}/{name}", path.trim_matches('/'));
        loaded.place(folder, entry.trim_start_matches('/'), BundlePlace::Entry);
        for one in exposes {
            let module = one.path.unwrap_or(one.name);
            for FederationFiles { sync, later } in [one.assets.js, one.assets.css] {
                for file in sync.iter().chain(&later) {
                    loaded.place(folder, file, BundlePlace::Exposed(module.clone()));
                }
            }
            loaded.exposes.insert(ExposedModule { folder: folder.to_owned(), module });
        }
        for one in shared {
            // What it loads later are other packages, which are shared themselves.
            for file in one.assets.js.sync.iter().chain(&one.assets.css.sync) {
                loaded.place(folder, file, BundlePlace::Shared(one.name.clone()));
            }
            let version = one.version.filter(|version| !version.is_empty());
            loaded.shares.insert(SharedPackage { folder: folder.to_owned(), name: one.name, version });
        }
        Some(loaded)
    }

    /// What scalprum's manifest says: which files are loaded first.
    pub(super) fn of_scalprum(folder: &str, manifest: &[u8]) -> Self {
        let mut loaded = Self::default();
        let manifest = serde_json::from_slice::<ScalprumManifest>(manifest);
        for script in manifest.map(|manifest| manifest.load_scripts).unwrap_or_default() {
            loaded.place(folder, &script, BundlePlace::Entry);
        }
        loaded
    }

    /// What a part of webpack's runtime says; `chunks` are the files by what it calls them.
    pub(super) fn add_runtime(&mut self, folder: &str, source: &str, text: &str, chunks: &BTreeMap<String, String>) {
        let mut module: Option<String> = None;
        let is_entry = source.ends_with("/container-entry");
        for line in text.lines().map(str::trim) {
            if is_entry {
                if let Some((name, rest)) = json_string(line).filter(|(_, rest)| rest.starts_with(": () =>")) {
                    self.exposes.insert(ExposedModule { folder: folder.to_owned(), module: name.clone() });
                    self.chunks(rest, chunks, &BundlePlace::Exposed(name.clone()));
                    module = Some(name);
                } else if line.starts_with('}') {
                    module = None;
                } else if let Some(name) = &module {
                    self.chunks(line, chunks, &BundlePlace::Exposed(name.clone()));
                }
            } else if let Some(call) = line.strip_prefix("register(") {
                let Some((name, rest)) = json_string(call) else { continue };
                let Some((version, rest)) = rest.strip_prefix(", ").and_then(json_string) else { continue };
                self.chunks(rest, chunks, &BundlePlace::Shared(name.clone()));
                self.shares(folder, &name, Some(version));
            } else if let Some((_, call)) = line.split_once(": () => (load").and_then(|(_, call)| call.split_once('('))
            {
                let name = json_string(call).and_then(|(_, rest)| json_string(rest.strip_prefix(", ")?));
                let Some((name, _)) = name else { continue };
                self.shares(folder, &name, None);
            }
        }
    }

    fn shares(&mut self, folder: &str, name: &str, version: Option<String>) {
        let of = |version| SharedPackage { folder: folder.to_owned(), name: name.to_owned(), version };
        let is_registered =
            self.shares.iter().any(|one| one.folder == folder && one.name == name && one.version.is_some());
        if version.is_some() {
            self.shares.remove(&of(None));
        } else if is_registered {
            return;
        }
        self.shares.insert(of(version));
    }

    fn place(&mut self, folder: &str, file: &str, place: BundlePlace) {
        self.places.entry(format!("{folder}/{file}")).or_default().insert(place);
    }

    /// The files that are loaded by a piece of webpack's runtime: `__webpack_require__.e(862)`.
    fn chunks(&mut self, text: &str, chunks: &BTreeMap<String, String>, place: &BundlePlace) {
        for call in text.split("__webpack_require__.e(").skip(1) {
            let id = call.split(')').next().unwrap_or_default().trim_matches(['"', '\'', ' ']);
            if let Some(file) = chunks.get(id) {
                self.places.entry(file.clone()).or_default().insert(place.clone());
            }
        }
    }
}

/// The string that a text begins with, and what is behind it.
fn json_string(text: &str) -> Option<(String, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = text.starts_with('"').then(|| values.next())??.ok()?;
    Some((value, text.get(values.byte_offset()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(loaded: &LoadedFiles) -> Vec<String> {
        let exposes = loaded.exposes.iter().map(|one| format!("exposes {}", one.module));
        let shares = loaded.shares.iter().map(|one| format!("shares {} {:?}", one.name, one.version));
        let places = loaded.places.iter().map(|(file, places)| {
            let places: Vec<_> = places.iter().map(ToString::to_string).collect();
            format!("{file} {}", places.join(" "))
        });
        exposes.chain(shares).chain(places).collect()
    }

    #[test]
    fn a_federation_manifest_says_it() {
        let manifest = br#"{"metaData":{"remoteEntry":{"name":"remoteEntry.js","path":""}},
            "shared":[{"name":"react","version":"18.3.1","assets":{"js":{"sync":["static/1.js"],"async":["static/9.js"]}}},
                      {"name":"react-dom"}],
            "exposes":[{"name":"alpha","path":"./alpha","assets":{"js":{"sync":["static/2.js"],"async":["static/1.js"]}}}]}"#;
        let loaded = LoadedFiles::of_federation("dist", manifest).unwrap();
        assert_eq!(
            said(&loaded),
            [
                "exposes ./alpha",
                "shares react Some(\"18.3.1\")",
                "shares react-dom None",
                "dist/remoteEntry.js entry",
                "dist/static/1.js exposes:./alpha shares:react",
                "dist/static/2.js exposes:./alpha",
            ]
        );
        assert!(LoadedFiles::of_federation("dist", b"{}").is_none());
    }

    #[test]
    fn webpacks_runtime_says_it_for_scalprum() {
        let mut loaded = LoadedFiles::of_scalprum("s", br#"{"loadScripts":["main.js"]}"#);
        let chunks = [("41", "s/41.js"), ("801", "s/801.js"), ("879", "s/exposed.js")];
        let chunks = chunks.map(|(id, file)| (id.to_owned(), file.to_owned())).into();
        let entry = "var moduleMap = {\n\t\"PluginRoot\": () => {\n\t\treturn Promise.all(/* exposed */[__webpack_require__.e(801), \
                     __webpack_require__.e(478), __webpack_require__.e(879)]).then(() => (() => ((__webpack_require__(1)))));\n\t}\n};\n\
                     var get = () => {\n\t__webpack_require__.e(41)\n};";
        let sharing = "\tregister(\"react\", \"18.3.1\", () => (__webpack_require__.e(41).then(() => (() => (__webpack_require__(4))))));";
        let consumes = "\t5478: () => (loadSingletonVersion(\"default\", \"react\", false, [0], () => (__webpack_require__.e(41)))),\n\
                        \t7: () => (loadSingleton(\"default\", \"react-dom\", false)),";
        for (source, text) in [("container-entry", entry), ("runtime/consumes", consumes), ("runtime/sharing", sharing)]
        {
            let source = format!("webpack://x/webpack/{source}");
            assert!(is_runtime(&source));
            loaded.add_runtime("s", &source, text, &chunks);
        }
        assert_eq!(
            said(&loaded),
            [
                "exposes PluginRoot",
                "shares react Some(\"18.3.1\")",
                "shares react-dom None",
                "s/41.js shares:react",
                "s/801.js exposes:PluginRoot",
                "s/exposed.js exposes:PluginRoot",
                "s/main.js entry",
            ]
        );
    }
}
