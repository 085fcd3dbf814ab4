//! Which packages are in the bundles of a frontend plugin.
//!
//! They are read from the files that are packed, and from nothing else: rhdh-cli's bundlers leave a source map beside
//! each script, `mf-manifest.json` says what of it is exposed and shared, and the map of scalprum's entry has the text of
//! webpack's runtime, which says it as well. So what is said of an archive can be read from it again by anybody, with any
//! other program. Names and versions alone are not in maps: they are those in the `package.json` of the folder that a
//! source lay in, in the tree that was installed.
//!
//! ```text
//! source_map      a map -> the names of its sources
//! source_name     such a name -> a path from the plugin's folder
//! source_owner    a path -> the package that it is of
//! loaded_files    a bundle's documents -> what it exposes and shares, and for what each of its files is loaded
//! chunk           the start of a script of webpack
//! ```

mod chunk;
mod loaded_files;
mod source_map;
mod source_name;
mod source_owner;

use std::collections::{BTreeMap, BTreeSet};

use super::context::PluginTarget;
use super::export_view::ExportView;
use super::prepare::Prepared;
use crate::error::Result;
use crate::image::PackageFiles;
use crate::lock::bundle::{Bundle, BundlePlace, BundledPackage, UnknownPart, UnknownReason};
use loaded_files::LoadedFiles;
use source_name::SourceName;
use source_owner::{BuildFolders, SourceOwner};

/// The largest map that is read, and all maps of a package together, in bytes.
const LARGEST_MAP: u64 = 64 << 20;
const LARGEST_MAPS: u64 = 1 << 30;
/// The largest manifest of a bundle that is read, in bytes.
const LARGEST_MANIFEST: u64 = 16 << 20;
/// The most unknown sources of one file that are named.
const MOST_UNKNOWN: usize = 20;

/// What is in the bundles of a frontend plugin; none of a backend.
pub(super) fn of_frontend(
    target: PluginTarget<'_>,
    (prepared, view): (&Prepared, &ExportView),
    files: &PackageFiles,
) -> Result<Option<Bundle>> {
    if target.plugin.role.is_backend() {
        return Ok(None);
    }
    let folders = BuildFolders::of(target, prepared, view)?;
    BundleReader::new(files, folders).read().map(Some)
}

/// Reads names of a map's sources, for the fuzz target: each is somewhere, or nowhere.
///
/// # Panics
/// If the path of one has parts that lead elsewhere.
#[cfg(any(test, fuzzing))]
pub fn read_map(bytes: &[u8]) {
    let _ = chunk::Chunk::of(bytes);
    let _ = LoadedFiles::of_federation("dist", bytes);
    for (source, text) in source_map::texts(bytes, |_| true) {
        let mut loaded = LoadedFiles::default();
        loaded.add_runtime("dist", &source, &text, &BTreeMap::new());
    }
    for source in source_map::sources(bytes).into_iter().flatten().flatten() {
        let name = SourceName::parse(&source);
        if let SourceName::File(path) = name {
            assert!(path.rest.split('/').all(|part| !matches!(part, "" | "." | "..")), "{source:?}: {path:?}");
        }
    }
}

/// The reading of one package.
struct BundleReader<'a> {
    files: &'a PackageFiles,
    folders: BuildFolders,
    found: Bundle,
    /// Bytes of maps so far.
    read: u64,
}

impl<'a> BundleReader<'a> {
    fn new(files: &'a PackageFiles, folders: BuildFolders) -> Self {
        Self { files, folders, found: Bundle::default(), read: 0 }
    }

    fn read(mut self) -> Result<Bundle> {
        let mut scripts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for entry in self.files.entries() {
            let is_script = [".js", ".mjs", ".cjs", ".css"].iter().any(|end| entry.path.ends_with(end));
            if is_script {
                let folder = entry.path.split_once('/').map_or(".", |(folder, _)| folder);
                scripts.entry(folder).or_default().push(&entry.path);
            }
        }
        if scripts.is_empty() {
            self.is_unknown(".", UnknownReason::NoBundle);
        }
        for (folder, scripts) in scripts {
            self.folder(folder, &scripts)?;
        }
        Ok(self.found)
    }

    fn is_unknown(&mut self, file: &str, why: UnknownReason) {
        self.found.unknown.insert(UnknownPart { file: file.to_owned(), why });
    }

    /// The bytes of a file of the package of up to `limit` bytes; none if it is not there, or larger.
    fn small(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let is_small = |len: Option<u64>| len.is_some_and(|len| len <= limit);
        if !is_small(self.len(path)) {
            return Ok(None);
        }
        Ok(self.files.read(path)?.map(std::borrow::Cow::into_owned))
    }

    fn len(&self, path: &str) -> Option<u64> {
        let entries = self.files.entries();
        let at = entries.binary_search_by(|entry| entry.path.as_bytes().cmp(path.as_bytes())).ok()?;
        Some(entries[at].content.len())
    }

    /// What is in the scripts of one folder.
    fn folder(&mut self, folder: &str, scripts: &[&str]) -> Result<()> {
        let loaded = self.loaded_files(folder, scripts)?;
        self.found.exposes.extend(loaded.exposes.iter().cloned());
        self.found.shares.extend(loaded.shares.iter().cloned());
        for script in scripts {
            let map = format!("{script}.map");
            let len = self.len(&map);
            self.read = self.read.saturating_add(len.unwrap_or(0));
            if len.is_some_and(|len| len > LARGEST_MAP) || self.read > LARGEST_MAPS {
                self.is_unknown(script, UnknownReason::LargeMap);
                continue;
            }
            match self.small(&map, LARGEST_MAP)? {
                Some(bytes) => self.script(folder, script, &bytes, &loaded),
                // What has no code of its own has no map.
                None if self.small(script, LARGEST_MAP)?.is_some_and(|text| chunk::is_empty(&text)) => {}
                None => self.is_unknown(script, UnknownReason::NoMap),
            }
        }
        Ok(())
    }

    fn script(&mut self, folder: &str, script: &str, map: &[u8], loaded: &LoadedFiles) {
        let Some(sources) = source_map::sources(map) else {
            self.is_unknown(script, UnknownReason::BrokenMap);
            return;
        };
        let chunk = [BundlePlace::Chunk].into();
        let places = loaded.places.get(script).unwrap_or(&chunk);
        let mut unknown = BTreeSet::new();
        for source in sources {
            let owner = match source.as_deref().map(SourceName::parse) {
                Some(SourceName::Generated) => continue,
                Some(SourceName::File(path)) => self.folders.owner(&path, script),
                Some(SourceName::Unclear) | None => None,
            };
            match owner {
                Some(SourceOwner::Plugin) => {}
                Some(SourceOwner::Package { name, version, origin }) => {
                    self.found.packages.extend(places.iter().map(|place| BundledPackage {
                        folder: folder.to_owned(),
                        name: name.clone(),
                        version: version.clone(),
                        origin,
                        place: place.clone(),
                    }));
                }
                None => {
                    unknown.insert(source.unwrap_or_default());
                }
            }
        }
        for source in unknown.into_iter().take(MOST_UNKNOWN) {
            self.is_unknown(script, UnknownReason::Source(source));
        }
    }

    /// What the documents of a bundle say about its files.
    fn loaded_files(&self, folder: &str, scripts: &[&str]) -> Result<LoadedFiles> {
        let read = |name: &str| self.small(&format!("{folder}/{name}"), LARGEST_MANIFEST);
        for name in ["mf-manifest.json", "mf-stats.json"] {
            if let Some(loaded) = read(name)?.and_then(|bytes| LoadedFiles::of_federation(folder, &bytes)) {
                return Ok(loaded);
            }
        }
        let Some(manifest) = read("plugin-manifest.json")? else { return Ok(LoadedFiles::default()) };
        let mut loaded = LoadedFiles::of_scalprum(folder, &manifest);
        let entries: Vec<String> = loaded.places.keys().cloned().collect();
        let mut chunks: BTreeMap<String, String> = BTreeMap::new();
        for script in scripts {
            let ids = self.small(script, LARGEST_MAP)?.map(|text| chunk::Chunk::of(&text).ids).unwrap_or_default();
            chunks.extend(ids.into_iter().map(|id| (id, (*script).to_owned())));
        }
        for entry in entries {
            let Some(map) = self.small(&format!("{entry}.map"), LARGEST_MAP)? else { continue };
            for (source, text) in source_map::texts(&map, loaded_files::is_runtime) {
                loaded.add_runtime(folder, &source, &text, &chunks);
            }
        }
        Ok(loaded)
    }
}
