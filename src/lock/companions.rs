//! `factory.lock.d`, the folder beside a lock: lockfiles of others and lists of files, whose digests are in the lock.
//!
//! ```text
//! rhdh-cli/<version>/package-lock.json        the dependency tree of rhdh-cli
//! <workspace>/packages.sha512                 packages that the workspace's lockfile has no checksum for
//! <workspace>/<plugin path>/yarn.lock         the private dependencies of a backend plugin
//! <workspace>/<plugin path>/bundle            the packages in the bundles of a frontend plugin
//! <workspace>/<plugin path>/files             the files of a plugin's package
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

/// The folder's name.
pub const FOLDER_NAME: &str = "factory.lock.d";

/// The folder of rhdh-cli's trees in it.
pub const CLI_TREES: &str = "rhdh-cli";

/// A file in `factory.lock.d`, whether that folder lies on a disk or in a commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompanionPath(String);

impl CompanionPath {
    /// The `package-lock.json` of this version of rhdh-cli.
    pub fn cli_tree(version: &str) -> Self {
        Self(format!("{CLI_TREES}/{version}/package-lock.json"))
    }

    /// The packages that a workspace's lockfile has no checksum for.
    pub fn packages(workspace: &str) -> Self {
        Self(format!("{workspace}/packages.sha512"))
    }

    /// The `yarn.lock` of a backend plugin's private dependencies: its closure.
    pub fn closure(workspace: &str, plugin: &str) -> Self {
        Self::of_plugin(workspace, plugin, "yarn.lock")
    }

    /// The packages in the bundles of a frontend plugin.
    pub fn bundle(workspace: &str, plugin: &str) -> Self {
        Self::of_plugin(workspace, plugin, "bundle")
    }

    /// The list of the files of a plugin's package.
    pub fn files(workspace: &str, plugin: &str) -> Self {
        Self::of_plugin(workspace, plugin, "files")
    }

    fn of_plugin(workspace: &str, plugin: &str, file: &str) -> Self {
        match plugin {
            "." => Self(format!("{workspace}/{file}")),
            plugin => Self(format!("{workspace}/{plugin}/{file}")),
        }
    }

    /// The path from `factory.lock.d`, with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file beside a lock in the folder `lock_dir`.
    pub fn below(&self, lock_dir: &Path) -> PathBuf {
        lock_dir.join(FOLDER_NAME).join(&self.0)
    }
}

/// `factory.lock.d/…`, relative to the lock's folder.
impl fmt::Display for CompanionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FOLDER_NAME}/{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_companion_has_one_place() {
        let paths = [
            CompanionPath::cli_tree("1.9.1"),
            CompanionPath::packages("todo"),
            CompanionPath::closure("todo", "plugins/a"),
            CompanionPath::bundle("todo", "plugins/b"),
            CompanionPath::files("todo", "."),
        ];
        assert_eq!(
            paths.each_ref().map(ToString::to_string),
            [
                "factory.lock.d/rhdh-cli/1.9.1/package-lock.json",
                "factory.lock.d/todo/packages.sha512",
                "factory.lock.d/todo/plugins/a/yarn.lock",
                "factory.lock.d/todo/plugins/b/bundle",
                "factory.lock.d/todo/files",
            ]
        );
        assert_eq!(paths[1].as_str(), "todo/packages.sha512");
        assert_eq!(paths[1].below(Path::new("/x")), Path::new("/x/factory.lock.d/todo/packages.sha512"));
    }
}
