//! What the checks look at, from one pass over the files of a package; the bytes of all others are not read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use super::javascript;
use super::library::NativeLibrary;
use super::platforms::PackagePlatforms;
use crate::error::Result;
use crate::image::limits::MAX_FILE;

/// The exported manifest.
pub(super) const PACKAGE_JSON: &str = "package.json";
/// What module federation writes.
pub(super) const FEDERATION: &str = "dist/mf-manifest.json";
/// What `@openshift/dynamic-plugin-sdk-webpack` writes.
pub(super) const SCALPRUM: &str = "dist-scalprum/plugin-manifest.json";
/// Files whose whole text is kept.
const KEPT: [&str; 3] = [PACKAGE_JSON, FEDERATION, SCALPRUM];

/// Who requires a module.
#[derive(Debug)]
pub(super) struct Requirement {
    /// The first file.
    pub(super) file: String,
    pub(super) more_files: usize,
}

/// What is known of a package's files.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// A backend's JavaScript and libraries are loaded by Node.js.
    pub(super) is_backend: bool,
    texts: BTreeMap<String, Option<Vec<u8>>>,
    /// Modules that a backend's own JavaScript requires.
    pub(super) required: BTreeMap<String, Requirement>,
    /// Native libraries of a backend, by path.
    pub(super) natives: BTreeMap<String, NativeLibrary>,
    /// Packages in `node_modules` that are for some platforms only, by folder.
    pub(super) platforms: BTreeMap<String, PackagePlatforms>,
}

impl Contents {
    pub(super) fn new(is_backend: bool) -> Self {
        Self { is_backend, ..Self::default() }
    }

    /// Takes note of a file of `length` bytes; it is read if a check looks into it. One that is too large for a package is
    /// not read: packing refuses it.
    pub(super) fn add<'b>(
        &mut self,
        path: &str,
        length: u64,
        read: impl FnOnce() -> Result<Cow<'b, [u8]>>,
    ) -> Result<()> {
        let mut text = None;
        let is_code = self.is_backend && is_own_code(path);
        let is_native = self.is_backend && has_extension(path, &["node"]);
        let folder = path.strip_suffix("/package.json").filter(|folder| self.is_backend && is_dependency(folder));
        let is_kept = KEPT.contains(&path);
        if length <= MAX_FILE && (is_kept || is_code || is_native || folder.is_some()) {
            let bytes = read()?;
            if is_code {
                self.require(path, &bytes);
            } else if is_native {
                self.natives.insert(path.to_owned(), NativeLibrary::read(&bytes));
            } else if let Some(folder) = folder {
                let some = PackagePlatforms::of_manifest(&bytes);
                self.platforms.extend(some.map(|platforms| (folder.to_owned(), platforms)));
            } else {
                text = Some(bytes.into_owned());
            }
        }
        self.texts.insert(path.to_owned(), text);
        Ok(())
    }

    fn require(&mut self, path: &str, code: &[u8]) {
        for module in javascript::required_modules(code) {
            match self.required.entry(module) {
                Entry::Vacant(vacant) => drop(vacant.insert(Requirement { file: path.to_owned(), more_files: 0 })),
                Entry::Occupied(mut known) => known.get_mut().more_files += 1,
            }
        }
    }

    /// Whether the package has this file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.texts.contains_key(path)
    }

    /// Whether the package has a file below this folder, which ends with `/`.
    pub(super) fn has_below(&self, folder: &str) -> bool {
        let next = self.texts.range::<str, _>((Bound::Excluded(folder), Bound::Unbounded)).next();
        next.is_some_and(|(path, _)| path.starts_with(folder))
    }

    /// The bytes of a file that is kept.
    pub(super) fn text(&self, path: &str) -> Option<&[u8]> {
        self.texts.get(path)?.as_deref()
    }
}

/// JavaScript of the package itself.
fn is_own_code(path: &str) -> bool {
    path.starts_with("dist/") && has_extension(path, &["js", "cjs", "mjs"])
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// Whether this is the folder of a package in `node_modules`.
fn is_dependency(folder: &str) -> bool {
    let Some((_, name)) = folder.rsplit_once("node_modules/") else { return false };
    name.matches('/').count() == usize::from(name.starts_with('@'))
}
