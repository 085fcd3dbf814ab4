//! What RHDH's installers refuse or get wrong, checked when a plugin is built and not when it is installed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::PackageFiles;
use super::layout;
use super::name::{ImageName, ImagePath, Tag};
use crate::{Error, Result};

/// The greatest file, in bytes, that RHDH 1.9 and older installs (`MAX_ENTRY_SIZE` of its installer).
pub const LARGE_FILE: u64 = 20_000_000;
/// The greatest file, in bytes, that RHDH 1.10 and newer installs.
pub const MAX_FILE: u64 = 40_000_000;

/// What the installers write beside a plugin's `package.json`, to know later what they have installed.
const INSTALLERS_OWN: [&str; 2] = ["dynamic-plugin-config.hash", "dynamic-plugin-image.hash"];

/// A file that RHDH 1.9 and older refuse as a zip bomb, and 1.10 takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeFile {
    /// From the package's root.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
}

impl LargeFile {
    /// The sentence to warn with.
    pub fn warning(&self) -> String {
        format!(
            "`{}` is {} bytes: RHDH 1.9 and older refuse files over {LARGE_FILE} bytes, unless their MAX_ENTRY_SIZE is raised",
            self.path, self.size
        )
    }
}

/// Refuses a package no RHDH can install: without `package.json`, with a file over [`MAX_FILE`], or with one that
/// the installers keep for themselves.
/// Returns the files that only the newer ones take.
pub fn check(entries: &PackageFiles) -> Result<Vec<LargeFile>> {
    let has_manifest = entries.entries().iter().any(|entry| entry.path == "package.json");
    if !has_manifest {
        return Err(refused("the package has no `package.json`".to_owned(), "RHDH loads a plugin by it"));
    }
    let mut large = Vec::new();
    for entry in entries.entries() {
        let size = entry.content.len();
        if INSTALLERS_OWN.contains(&entry.path.as_str()) {
            return Err(refused(
                format!("`{}` is a file that RHDH's installer writes itself", entry.path),
                "the package was packed from an installed plugin: remove the file, or leave it out of `files`",
            ));
        }
        if size > MAX_FILE {
            return Err(refused(
                format!("`{}` is {size} bytes, and RHDH refuses files over {MAX_FILE} bytes", entry.path),
                "leave it out of the package's `files`, or split or minify it",
            ));
        }
        if size > LARGE_FILE {
            large.push(LargeFile { path: entry.path.clone(), size });
        }
    }
    Ok(large)
}

/// A plugin of a run with the names of its image.
#[derive(Clone, Debug)]
pub struct PlannedImage {
    /// How to call the plugin in a message, e.g. `todo: plugins/todo-backend`.
    pub plugin: String,
    /// Its folder in RHDH.
    pub path: ImagePath,
    /// Its image.
    pub name: ImageName,
    /// Its tag.
    pub tag: Tag,
}

/// Refuses two plugins of one run that RHDH would install over each other, or whose images have one name and tag.
pub fn check_distinct(plugins: &[PlannedImage]) -> Result<()> {
    let mut paths = BTreeMap::new();
    let mut images = BTreeMap::new();
    for planned in plugins {
        if let Some(other) = paths.insert(&planned.path, &planned.plugin) {
            return Err(Error::usage(
                format!("`{other}` and `{}` both install into `{}`", planned.plugin, planned.path),
                "RHDH would install one over the other: build them in separate runs, or rename one package",
            ));
        }
        if let Some(other) = images.insert(layout::reference(&planned.name, &planned.tag), &planned.plugin) {
            return Err(Error::usage(
                format!("`{other}` and `{}` both make the image `{}:{}`", planned.plugin, planned.name, planned.tag),
                "build them in separate runs, or rename one package",
            ));
        }
    }
    Ok(())
}

pub(super) fn refused(what: String, hint: &str) -> Error {
    Error::Build { what, tail: Vec::new(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::image::{Content, PackageFile};

    fn set(files: &[(&str, u64)]) -> PackageFiles {
        let entries = files.iter().map(|(path, len)| PackageFile {
            path: (*path).to_owned(),
            executable: false,
            content: Content::File(PathBuf::from("unread"), *len),
        });
        PackageFiles::new(entries.collect()).unwrap()
    }

    #[test]
    fn exactly_the_limits_pass_and_one_byte_more_warns_or_fails() {
        assert_eq!(check(&set(&[("package.json", 1), ("a", LARGE_FILE)])).unwrap(), []);
        let warned = check(&set(&[("package.json", 1), ("a", LARGE_FILE + 1), ("b", MAX_FILE)])).unwrap();
        assert_eq!(warned.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            warned[0].warning(),
            "`a` is 20000001 bytes: RHDH 1.9 and older refuse files over 20000000 bytes, unless their MAX_ENTRY_SIZE is raised"
        );
        let error = check(&set(&[("package.json", 1), ("dist/x.wasm", MAX_FILE + 1)])).unwrap_err();
        assert_eq!(error.to_string(), "`dist/x.wasm` is 40000001 bytes, and RHDH refuses files over 40000000 bytes");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn a_package_without_package_json_is_refused() {
        let error = check(&set(&[("dist/package.json", 1)])).unwrap_err();
        assert_eq!(error.to_string(), "the package has no `package.json`");
    }

    #[test]
    fn the_installers_own_files_are_refused_at_the_root_alone() {
        let error = check(&set(&[("package.json", 1), ("dynamic-plugin-image.hash", 1)])).unwrap_err();
        assert_eq!(error.to_string(), "`dynamic-plugin-image.hash` is a file that RHDH's installer writes itself");
        assert!(check(&set(&[("package.json", 1), ("dist/dynamic-plugin-image.hash", 1)])).is_ok());
    }

    #[test]
    fn two_plugins_of_one_path_or_one_image_are_refused() {
        let planned = |plugin: &str, exported: &str, name: &str, version: &str| PlannedImage {
            plugin: plugin.to_owned(),
            path: ImagePath::of_package(exported).unwrap(),
            name: ImageName::of_package(name).unwrap(),
            tag: Tag::of_version("", version).unwrap(),
        };
        let a = planned("w: a", "@x/todo-dynamic", "@x/todo", "1.0.0");
        assert!(check_distinct(&[a.clone(), planned("w: b", "@x/todo-b-dynamic", "@x/todo-b", "1.0.0")]).is_ok());
        let path = check_distinct(&[a.clone(), planned("w: b", "x-todo-dynamic", "x-todo", "2.0.0")]).unwrap_err();
        assert_eq!(path.to_string(), "`w: a` and `w: b` both install into `x-todo`");
        assert_eq!(path.exit_code(), 2);
        let image = check_distinct(&[a, planned("w: b", "y-dynamic", "x-todo", "1.0.0")]).unwrap_err();
        assert_eq!(image.to_string(), "`w: a` and `w: b` both make the image `x-todo:1.0.0`");
    }
}
