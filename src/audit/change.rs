//! What differs between two releases, as one typed list. All renderers read it, and it is the JSON.
//!
//! `schema/factory.diff.schema.json` is generated from these types.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::release::Release;
use super::step::VersionStep;
use crate::lock::{ArgsFrom, Argument, Integrity, Role, Sha256};

/// The format of the JSON.
pub const VERSION: u32 = 1;

/// What differs between two releases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Diff {
    /// Format version.
    pub version: u32,
    /// The release that was.
    pub old: Side,
    /// The release that is.
    pub new: Side,
    /// Everything counted, what did not change too.
    pub summary: Summary,
    /// The changes: causes of all workspaces first, then by workspace and plugin.
    pub changes: Vec<Change>,
    /// What could not be compared, and why.
    pub notes: Vec<String>,
}

/// One of the two releases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Side {
    /// As it was named on the command line.
    pub name: String,
    /// What was read.
    pub form: Form,
    /// The identity of the release: the digest of its pins. A configuration has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Sha256>,
}

/// What a release was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A `factory.lock`.
    Lock,
    /// A configuration directory: refs, versions, arguments and lists, but no pins.
    Configuration,
}

/// Counts. Workspaces are told apart by name, plugins by workspace and path: what moved is among both the removed and
/// the added ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// Workspaces.
    pub workspaces: Counts,
    /// Of the kept workspaces, those at another commit; in configurations, those that ask for another ref.
    pub other_commit: usize,
    /// Plugins.
    pub plugins: Counts,
    /// The verdicts over plugins sealed on both sides.
    pub outputs: Outputs,
    /// Host packages that are in both lockfiles in other versions, in one only, or equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostCounts>,
}

/// What became of workspaces or plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    /// Only in the old release.
    pub removed: usize,
    /// Only in the new release.
    pub added: usize,
    /// In both.
    pub kept: usize,
    /// Of the kept ones, those without any change.
    pub unchanged: usize,
    /// Of the removed, those that are among the added under another name or path.
    pub moved: usize,
}

/// The four verdicts over sealed outputs, and those that cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Equal inputs, equal output.
    pub same: usize,
    /// Other inputs, other output.
    pub changed: usize,
    /// Other inputs, equal output.
    pub without_effect: usize,
    /// Equal inputs, other output.
    pub unreproducible: usize,
    /// Not sealed on both sides.
    pub unknown: usize,
}

/// Packages of the two host lockfiles. Shared are those that plugins take from the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HostCounts {
    /// Shared packages.
    pub shared: HostMoves,
    /// All others, development tools of the host too: they reach no plugin.
    pub others: HostMoves,
}

/// What became of host packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HostMoves {
    /// Only in the old lockfile.
    pub dropped: usize,
    /// Only in the new one.
    pub added: usize,
    /// The newest version moved by a major.
    pub major: usize,
    /// The newest version moved by a minor of 0.x, which may break as a major does.
    pub zero_minor: usize,
    /// Other versions by less.
    pub less: usize,
    /// The same versions.
    pub same: usize,
}

/// One change, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// `+` added, `-` removed, `~` changed, `=` moved or of no effect, `!` to be looked at.
    pub mark: Mark,
    /// The workspace, by its new name where it has one; absent for what concerns all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The plugin's path, by its new one where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// What changed.
    #[serde(flatten)]
    pub what: ChangeKind,
}

/// How a change is marked, readable without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub enum Mark {
    /// To be looked at.
    #[serde(rename = "!")]
    Review,
    /// Added.
    #[serde(rename = "+")]
    Added,
    /// Removed.
    #[serde(rename = "-")]
    Removed,
    /// Changed.
    #[serde(rename = "~")]
    Changed,
    /// Moved, or of no effect.
    #[serde(rename = "=")]
    Same,
}

impl Mark {
    /// The sign.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Review => "!",
            Self::Added => "+",
            Self::Removed => "-",
            Self::Changed => "~",
            Self::Same => "=",
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum ChangeKind {
    /// The RHDH release that plugins are computed against.
    Host {
        /// Before.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<RhdhRelease>,
        /// Now.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<RhdhRelease>,
    },
    /// The Backstage version: of the release, or the one a workspace's code says it is for.
    Backstage {
        /// Before.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Now.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// How far.
        #[serde(skip_serializing_if = "Option::is_none")]
        step: Option<VersionStep>,
    },
    /// A package that plugins take from the host.
    HostPackage {
        /// Its versions in the two lockfiles.
        #[serde(flatten)]
        package: PackageChange,
        /// The plugins that are known to be affected.
        affects: Vec<Affected>,
    },
    /// A program that builds.
    Tool {
        /// `node`, `npm`, `rhdh-cli` or `yarn`.
        tool: String,
        /// Before.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<Pin>,
        /// Now.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<Pin>,
        /// How far.
        #[serde(skip_serializing_if = "Option::is_none")]
        step: Option<VersionStep>,
    },
    /// Packages in rhdh-cli's own tree.
    ToolPackages {
        /// `rhdh-cli`.
        tool: String,
        /// The packages.
        packages: Vec<PackageChange>,
    },
    /// A workspace is new.
    WorkspaceAdded {
        /// Its source.
        source: ReleaseSource,
        /// How many plugins it has.
        plugins: usize,
        /// Of them, those that came from elsewhere.
        moved: usize,
    },
    /// A workspace is gone.
    WorkspaceRemoved {
        /// Its source.
        source: ReleaseSource,
        /// How many plugins it had.
        plugins: usize,
        /// Of them, those that went elsewhere.
        moved: Vec<PluginPlace>,
    },
    /// A workspace has another name, repository or folder.
    WorkspaceMoved {
        /// Before.
        from: WorkspacePlace,
        /// Now.
        to: WorkspacePlace,
        /// What shows it.
        evidence: Evidence,
    },
    /// Another commit, or another ref is asked for.
    Commit {
        /// Before.
        from: ReleaseSource,
        /// Now.
        to: ReleaseSource,
        /// The commits between, where the repository's host shows them.
        #[serde(skip_serializing_if = "Option::is_none")]
        link: Option<String>,
        /// The command that lists the commits between, for a repository on this machine. A relative path starts at the
        /// workspace's configuration.
        #[serde(skip_serializing_if = "Option::is_none")]
        command: Option<String>,
        /// The new commit is older than the old one.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        back: bool,
    },
    /// The workspace's `yarn.lock` is another one at the same commit.
    YarnLock {
        /// Before.
        from: Sha256,
        /// Now.
        to: Sha256,
    },
    /// A file of the configuration.
    Input {
        /// From the workspace's configuration.
        path: String,
        /// What it does.
        input: InputKind,
        /// What became of it.
        change: FileChange,
    },
    /// A plugin is new.
    PluginAdded {
        /// Its package.
        #[serde(skip_serializing_if = "Option::is_none")]
        package: Option<String>,
        /// Its version.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// Its arguments.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<ExplainedArgument>,
    },
    /// A plugin is gone.
    PluginRemoved {
        /// Its package.
        #[serde(skip_serializing_if = "Option::is_none")]
        package: Option<String>,
        /// Its version.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// A plugin is in another workspace or folder.
    PluginMoved {
        /// Before.
        from: PluginPlace,
        /// Now.
        to: PluginPlace,
        /// What shows it.
        evidence: Evidence,
    },
    /// The plugin's own version.
    PluginVersion {
        /// Before.
        from: String,
        /// Now.
        to: String,
        /// How far.
        step: VersionStep,
    },
    /// The package in the plugin's folder has another name.
    PluginPackage {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// The plugin's role.
    PluginRole {
        /// Before.
        from: Role,
        /// Now.
        to: Role,
    },
    /// The arguments of the plugin's export.
    Arguments {
        /// New ones.
        added: Vec<ExplainedArgument>,
        /// Those that are gone.
        removed: Vec<ExplainedArgument>,
        /// The same ones in another order.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        reordered: bool,
        /// Where they come from.
        origin: ArgumentsOrigin,
    },
    /// The plugin's private dependencies.
    Dependencies {
        /// The packages.
        packages: Vec<PackageChange>,
    },
    /// What was made of the plugin.
    Output {
        /// The verdict.
        verdict: OutputVerdict,
        /// Which inputs changed.
        inputs: Vec<InputClass>,
        /// Which outputs changed.
        outputs: Vec<OutputClass>,
        /// Where the two packages differ first, when their lists of files are there.
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<FirstDifference>,
        /// The `.tgz` before and now, when it changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        tgz: Option<[Integrity; 2]>,
        /// The image before and now, when it changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        image: Option<[Sha256; 2]>,
    },
}

/// An RHDH release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RhdhRelease {
    /// What was asked for.
    pub requested: String,
    /// RHDH's own version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its `yarn.lock`.
    pub lockfile: Sha256,
}

/// A version that was pinned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Pin {
    /// What was asked for; absent when nothing says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// The version.
    pub version: String,
}

/// A package whose versions changed. Versions on both sides stand in neither list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PackageChange {
    /// Its name.
    pub package: String,
    /// Versions that are gone, lowest first.
    pub from: Vec<String>,
    /// Versions that are new, lowest first.
    pub to: Vec<String>,
    /// What became of it.
    pub change: PackageMove,
    /// How far its newest version moved; absent when it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<VersionStep>,
}

/// What became of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackageMove {
    /// In no version any more.
    Removed,
    /// It was there in no version.
    Added,
    /// In other versions.
    Changed,
}

/// A plugin that a change of the host reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Affected {
    /// The plugin.
    #[serde(flatten)]
    pub place: PluginPlace,
    /// How.
    pub how: Tie,
}

/// How a plugin is tied to a package of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tie {
    /// It takes the package from the host.
    Shares,
    /// It brings the package with it.
    Embeds,
}

/// Where a workspace is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WorkspacePlace {
    /// Its name.
    pub name: String,
    /// Its repository.
    pub repo: String,
    /// Its folder in the repository.
    pub path: String,
}

/// Where a plugin is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PluginPlace {
    /// Its workspace.
    pub workspace: String,
    /// Its folder in the workspace.
    pub plugin: String,
}

/// What shows that two workspaces or plugins are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The name of the workspace.
    SameName,
    /// The name of the package.
    SamePackage,
    /// The repository, and the folder in it.
    SameFolder,
    /// Most plugins of the one are in the other.
    SamePlugins,
}

/// The source of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ReleaseSource {
    /// The repository.
    pub repo: String,
    /// The branch, tag or commit asked for; empty for the default branch.
    pub requested: String,
    /// The commit, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The day of the commit in UTC, `2025-11-13`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

/// What a file of the configuration does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// `patches/*.patch`
    Patch,
    /// A file copied over a plugin.
    Overlay,
    /// `scalprum-config.json`
    Scalprum,
    /// `app-config.dynamic.yaml`
    AppConfig,
    /// `backstage.json`
    Backstage,
    /// Anything else.
    Other,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its bytes.
    Changed,
    /// Whether it can be executed.
    Mode,
}

/// An argument, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ExplainedArgument {
    /// `--flag value`
    pub argument: Argument,
    /// Why it was there, or is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What caused the change, as far as the two releases show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// Where arguments came from, before and now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ArgumentsOrigin {
    /// Before.
    pub from: ArgsFrom,
    /// Now.
    pub to: ArgsFrom,
}

/// The verdict over a sealed output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputVerdict {
    /// Other inputs, other output: as it should be.
    Changed,
    /// Equal inputs, other output: the build is not reproducible.
    Unreproducible,
    /// Other inputs, equal output: the change has no effect.
    WithoutEffect,
}

/// A kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputClass {
    /// Node.js, npm or rhdh-cli.
    Tools,
    /// Repository, commit or folder.
    Source,
    /// The workspace's yarn.
    Yarn,
    /// Patches, overlays and other files.
    Files,
    /// The plugin's folder.
    Path,
    /// The arguments.
    Arguments,
    /// The private dependencies.
    Dependencies,
    /// Something else that the digest of inputs holds.
    Other,
}

impl InputClass {
    /// A noun.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Source => "source",
            Self::Yarn => "yarn",
            Self::Files => "files",
            Self::Path => "path",
            Self::Arguments => "arguments",
            Self::Dependencies => "dependencies",
            Self::Other => "other inputs",
        }
    }
}

/// A kind of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputClass {
    /// The `.tgz`.
    Tgz,
    /// The image's layer.
    Layer,
    /// The image's manifest.
    Image,
}

impl OutputClass {
    /// A noun.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tgz => "tgz",
            Self::Layer => "layer",
            Self::Image => "image",
        }
    }
}

/// Where two packages differ first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FirstDifference {
    /// The file, or the package in `node_modules`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What kind of file it is.
    pub class: String,
    /// How many differ.
    pub count: usize,
}

impl Diff {
    /// Adds the identities of the two locks, which take as long to find as all else: not every reader asks for them.
    pub fn identify(&mut self, old: &Release, new: &Release) {
        self.old.identity = old.identity();
        self.new.identity = new.identity();
    }
}

impl Change {
    /// True when something moved by a major: a tool, a host package (or one that is gone), a plugin, a dependency.
    pub fn is_major(&self) -> bool {
        let major = |step: &Option<VersionStep>| *step == Some(VersionStep::Major);
        match &self.what {
            ChangeKind::Backstage { step, .. } | ChangeKind::Tool { step, .. } => major(step),
            ChangeKind::HostPackage { package, .. } => major(&package.step) || package.change == PackageMove::Removed,
            ChangeKind::PluginVersion { step, .. } => *step == VersionStep::Major,
            ChangeKind::ToolPackages { packages, .. } | ChangeKind::Dependencies { packages } => {
                packages.iter().any(|package| major(&package.step))
            }
            _ => false,
        }
    }

    /// The workspace that what moved was in, when it has another name now.
    pub fn came_from(&self) -> Option<&str> {
        match &self.what {
            ChangeKind::WorkspaceMoved { from, .. } => Some(&from.name),
            ChangeKind::PluginMoved { from, .. } => Some(&from.workspace),
            _ => None,
        }
    }

    /// True when equal inputs gave another output.
    pub fn is_unreproducible(&self) -> bool {
        matches!(self.what, ChangeKind::Output { verdict: OutputVerdict::Unreproducible, .. })
    }
}
