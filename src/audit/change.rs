//! One change between two releases: where it is, what changed, and how it is marked.

mod arrival;
mod host;
mod package;
mod plugin;
mod workspace;

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::version_step::VersionStep;
use crate::lock::{Integrity, Role, Sha256};
pub use arrival::ArrivedPackage;
pub use host::{Affected, RhdhRelease, Tie};
pub use package::{OwnMove, PackageChange, PackageMove, Pin};
pub use plugin::{
    ArgumentsOrigin, ExplainedArgument, FirstDifference, InputClass, OutputClass, OutputVerdict, SourceChange,
};
pub use workspace::{Evidence, FileChange, InputKind, PluginPlace, ReleaseSource, WorkspacePlace};

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
    /// A licence of packages that arrived.
    Licence {
        /// As their manifests have it; absent where they state none.
        #[serde(skip_serializing_if = "Option::is_none")]
        licence: Option<String>,
        /// No package known of the old release has it; otherwise these packages had another one.
        appeared: bool,
        /// How many packages of the old release are known.
        known: usize,
        /// The packages.
        packages: Vec<ArrivedPackage>,
    },
    /// Packages that arrived with install scripts, and that had none as far as is known.
    InstallScripts {
        /// The packages.
        packages: Vec<ArrivedPackage>,
    },
    /// Packages that arrived and were published lately.
    Published {
        /// After this time.
        since: String,
        /// The packages, the newest first.
        packages: Vec<ArrivedPackage>,
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
    /// The `yarn.lock` that patches and overlays make of the workspace's; none where they leave it as it is.
    EffectiveYarnLock {
        /// Before.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<Sha256>,
        /// Now.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<Sha256>,
    },
    /// Why a plugin cannot be exported.
    Problem {
        /// What is wrong.
        what: String,
        /// It was so before, and is no longer.
        solved: bool,
    },
    /// Plugins of the source that the list does not have, and that were not there or were listed before.
    Unlisted {
        /// Their folders.
        plugins: Vec<String>,
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
        /// What of the repository changed that the plugin is built from, where both locks say it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        sources: Vec<SourceChange>,
        /// Which outputs changed.
        outputs: Vec<OutputClass>,
        /// Where the two packages differ first, when their lists of files are there.
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<FirstDifference>,
        /// The version that both packages have, when their bytes differ: the two releases have another package under one
        /// version.
        #[serde(skip_serializing_if = "Option::is_none")]
        same_version: Option<String>,
        /// The `.tgz` before and now, when it changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        tgz: Option<[Integrity; 2]>,
        /// The image before and now, when it changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        image: Option<[Sha256; 2]>,
    },
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
