//! Where workspaces and plugins are, their sources and the files of their configuration.

use schemars::JsonSchema;
use serde::Serialize;

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

impl FileChange {
    /// What became of a file, to be put after its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Mode => "changed its executable bit",
        }
    }
}
