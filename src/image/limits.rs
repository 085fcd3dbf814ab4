//! What RHDH's installers refuse or get wrong, checked when a plugin is built and not when it is installed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name::{ImageName, ImageNames, ImagePath, Tag, layout_reference};
use crate::lock::{Plugin, Workspace};
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
/// the installers keep for themselves. `files` are paths from the package's root and sizes in bytes.
/// Returns the files that only the newer ones take.
pub(super) fn check<'a>(files: impl Iterator<Item = (&'a str, u64)>) -> Result<Vec<LargeFile>> {
    let mut has_manifest = false;
    let mut large = Vec::new();
    for (path, size) in files {
        has_manifest |= path == "package.json";
        if INSTALLERS_OWN.contains(&path) {
            return Err(Error::build(
                format!("`{path}` is a file that RHDH's installer writes itself"),
                "the package was packed from an installed plugin: remove the file, or leave it out of `files`",
            ));
        }
        if size > MAX_FILE {
            return Err(Error::build(
                format!("`{path}` is {size} bytes, and RHDH refuses files over {MAX_FILE} bytes"),
                "leave it out of the package's `files`, or split or minify it",
            ));
        }
        if size > LARGE_FILE {
            large.push(LargeFile { path: path.to_owned(), size });
        }
    }
    if has_manifest {
        return Ok(large);
    }
    Err(Error::build("the package has no `package.json`", "RHDH loads a plugin by it"))
}

/// A plugin of a run with the names of its image.
#[derive(Clone, Debug)]
pub struct PlannedImage {
    /// How to call the plugin in a message, e.g. `todo: plugins/todo-backend`.
    pub plugin: String,
    /// Its folder, image and tag.
    pub names: ImageNames,
}

impl PlannedImage {
    /// The image of a plugin; its tag begins with `prefix`.
    pub fn of(workspace: &Workspace, plugin: &Plugin, prefix: &str) -> Result<Self> {
        let names = ImageNames {
            path: ImagePath::of_package(&format!("{}-dynamic", plugin.name))?,
            name: ImageName::of_package(&plugin.name)?,
            tag: Tag::of_version(prefix, &plugin.version)?,
        };
        Ok(Self { plugin: format!("{} {}", workspace.name, plugin.path), names })
    }
}

/// Refuses two plugins of one run that RHDH would install over each other: into one folder, or from images of one name,
/// by which the operator's installer calls the folder. Two images of a layout have different references.
pub fn check_distinct(plugins: &[PlannedImage]) -> Result<()> {
    let mut paths = BTreeMap::new();
    let mut images = BTreeMap::new();
    let mut references = BTreeMap::new();
    for PlannedImage { plugin, names } in plugins {
        if let Some(other) = paths.insert(&names.path, plugin) {
            return Err(Error::usage(
                format!("`{other}` and `{plugin}` both install into `{}`", names.path),
                "RHDH would install one over the other: build them in separate runs, or rename one package",
            ));
        }
        let same_name = images.insert(&names.name, plugin);
        let same_reference = references.insert(layout_reference(&names.name, &names.tag), plugin);
        if let Some(other) = same_name.or(same_reference) {
            return Err(Error::usage(
                format!("`{other}` and `{plugin}` both make the image `{}`", names.name),
                "RHDH's installers know an image by its name, without registry, namespace and tag: build them in separate runs, or rename one package",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, u64)]) -> Result<Vec<LargeFile>> {
        super::check(files.iter().copied())
    }

    #[test]
    fn exactly_the_limits_pass_and_one_byte_more_warns_or_fails() {
        assert_eq!(check(&[("package.json", 1), ("a", LARGE_FILE)]).unwrap(), []);
        let warned = check(&[("package.json", 1), ("a", LARGE_FILE + 1), ("b", MAX_FILE)]).unwrap();
        assert_eq!(warned.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            warned[0].warning(),
            "`a` is 20000001 bytes: RHDH 1.9 and older refuse files over 20000000 bytes, unless their MAX_ENTRY_SIZE is raised"
        );
        let error = check(&[("package.json", 1), ("dist/x.wasm", MAX_FILE + 1)]).unwrap_err();
        assert_eq!(error.to_string(), "`dist/x.wasm` is 40000001 bytes, and RHDH refuses files over 40000000 bytes");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn a_package_without_package_json_is_refused() {
        let error = check(&[("dist/package.json", 1)]).unwrap_err();
        assert_eq!(error.to_string(), "the package has no `package.json`");
    }

    #[test]
    fn the_installers_own_files_are_refused_at_the_root_alone() {
        let error = check(&[("package.json", 1), ("dynamic-plugin-image.hash", 1)]).unwrap_err();
        assert_eq!(error.to_string(), "`dynamic-plugin-image.hash` is a file that RHDH's installer writes itself");
        assert!(check(&[("package.json", 1), ("dist/dynamic-plugin-image.hash", 1)]).is_ok());
    }

    #[test]
    fn two_plugins_of_one_path_or_one_image_are_refused() {
        let planned = |plugin: &str, exported: &str, name: &str, version: &str| PlannedImage {
            plugin: plugin.to_owned(),
            names: ImageNames {
                path: ImagePath::of_package(exported).unwrap(),
                name: ImageName::of_package(name).unwrap(),
                tag: Tag::of_version("", version).unwrap(),
            },
        };
        let a = planned("w: a", "@x/todo-dynamic", "@x/todo", "1.0.0");
        assert!(check_distinct(&[a.clone(), planned("w: b", "@x/todo-b-dynamic", "@x/todo-b", "1.0.0")]).is_ok());
        let path = check_distinct(&[a.clone(), planned("w: b", "x-todo-dynamic", "x-todo", "2.0.0")]).unwrap_err();
        assert_eq!(path.to_string(), "`w: a` and `w: b` both install into `x-todo`");
        assert_eq!(path.exit_code(), 2);
        for version in ["1.0.0", "2.0.0"] {
            let other = planned("w: b", "y-dynamic", "x-todo", version);
            let image = check_distinct(&[a.clone(), other]).unwrap_err();
            assert_eq!(image.to_string(), "`w: a` and `w: b` both make the image `x-todo`");
        }
        let dashes = planned("w: a", "a---b-dynamic", "a---b", "1.0.0");
        let underlines = planned("w: b", "a__b-dynamic", "a__b", "1.0.0");
        let image = check_distinct(&[dashes, underlines]).unwrap_err();
        assert_eq!(image.to_string(), "`w: a` and `w: b` both make the image `a__b`");
    }
}
