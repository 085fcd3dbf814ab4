//! `versions.json`: what RHDH's export repository builds a release with.
//!
//! It lies at that repository's root, beside the `workspaces` folder that is the configuration directory.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::text;
use super::warning::Warning;
use crate::Result;
use crate::error::Place;
use crate::tools::provide::CLI_PACKAGE;

/// The name of the file.
pub const FILE_NAME: &str = "versions.json";

/// The versions of a release. Each is absent when the file does not say it; other fields are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// Backstage's version in this RHDH, such as `1.49.4`.
    pub backstage: Option<String>,
    /// Node.js, such as `24.14.0`.
    pub node: Option<String>,
    /// The exporting program's version, such as `1.10.8`.
    pub cli: Option<String>,
    /// The exporting program's npm package.
    pub cli_package: Option<String>,
}

impl Versions {
    /// Finds and reads the `versions.json` that belongs to a configuration directory, if there is one.
    ///
    /// It is looked for in the directory itself, and beside a folder named `workspaces` that is the directory or
    /// holds it: a `versions.json` in any other parent is somebody else's.
    pub fn find(config_dir: &Path) -> Result<Option<Self>> {
        let mut places = vec![config_dir.to_path_buf()];
        places.extend(overlays_root(config_dir));
        for place in places {
            let path = place.join(FILE_NAME);
            if let Some(text) = text::read(&path)? {
                return Self::parse(&text, &path).map(Some);
            }
        }
        Ok(None)
    }

    /// Forgets the CLI's version when it is one of another program than factory exports with.
    pub(super) fn refuse_other_cli(&mut self) -> Option<Warning> {
        let package = self.cli_package.as_deref().filter(|package| *package != CLI_PACKAGE)?;
        let what =
            format!("`cliPackage` is `{package}`, but plugins are exported with `{CLI_PACKAGE}`: `cli` is not used");
        self.cli = None;
        Some(Warning::new(Place::file(&self.path), what))
    }

    /// Reads the text of a `versions.json`; `path` is for errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let versions: Self =
            text::json(path, text, r#"write `{ "backstage": "1.49.4", "node": "24.14.0", "cli": "1.10.8" }`"#)?;
        Ok(Self { path: path.to_path_buf(), ..versions })
    }
}

/// The root of RHDH's export repository that a configuration directory belongs to: the parent of a folder named
/// `workspaces` that is the directory or holds it.
pub(super) fn overlays_root(config_dir: &Path) -> Option<PathBuf> {
    let dir = config_dir.canonicalize().ok()?;
    let workspaces = dir.ancestors().take(2).find(|dir| dir.file_name().is_some_and(|name| name == "workspaces"))?;
    workspaces.parent().map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_in_the_folder_or_beside_workspaces() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir_all(root.join("workspaces/todo")).unwrap();
        std::fs::create_dir_all(root.join("config")).unwrap();
        std::fs::write(root.join("versions.json"), r#"{"backstage":"1.49.4","cliPackage":"@a/cli","more":1}"#).unwrap();
        for dir in ["workspaces", "workspaces/todo", "."] {
            let found = Versions::find(&root.join(dir)).unwrap().unwrap();
            assert_eq!(found.backstage.as_deref(), Some("1.49.4"), "{dir}");
            assert_eq!(found.cli_package.as_deref(), Some("@a/cli"));
            assert_eq!(found.node, None);
        }
        assert_eq!(Versions::find(&root.join("config")).unwrap(), None);
        std::fs::write(root.join("workspaces/versions.json"), r#"{"node":"24.14.0"}"#).unwrap();
        assert_eq!(Versions::find(&root.join("workspaces")).unwrap().unwrap().node.as_deref(), Some("24.14.0"));
    }

    #[test]
    fn a_wrong_type_has_a_place() {
        let error = Versions::parse("{\n  \"node\": 24\n}", Path::new("versions.json")).unwrap_err();
        insta::assert_snapshot!(error, @"versions.json:2:12: invalid type: integer `24`, expected a string");
    }
}
