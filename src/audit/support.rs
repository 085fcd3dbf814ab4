//! Which plugins of each level of support are new, gone or changed.

use schemars::JsonSchema;
use serde::Serialize;

use super::change::PackageMove;
use super::version_step::VersionStep;

/// Plugins of one level of support.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SupportGroup {
    /// `generally-available`, `tech-preview`, …, as the metadata of the plugins has it; absent where none says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// How many have the version and the metadata that they had; absent where only some workspaces were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<usize>,
    /// Those that did: new ones, those that are gone, then the others, majors first.
    pub plugins: Vec<PluginRow>,
}

/// A plugin that is new, gone or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PluginRow {
    /// What became of it.
    pub change: PackageMove,
    /// Its workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Its path; only a lock says which it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Its package.
    pub package: String,
    /// Its title in the metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its version, of a lock that of the lock.
    pub version: FromTo,
    /// How far the version moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<VersionStep>,
    /// The version that the new metadata says, where the lock has another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_version: Option<String>,
    /// `spec.support`.
    #[serde(skip_serializing_if = "FromTo::is_none")]
    pub support: FromTo,
    /// `spec.lifecycle`.
    #[serde(skip_serializing_if = "FromTo::is_none")]
    pub lifecycle: FromTo,
    /// `spec.backstage.supportedVersions`.
    #[serde(skip_serializing_if = "FromTo::is_none")]
    pub supported_versions: FromTo,
    /// `spec.dynamicArtifact`.
    #[serde(skip_serializing_if = "FromTo::is_none")]
    pub dynamic_artifact: FromTo,
    /// The commits between, where the repository's host shows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// What something was and is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FromTo {
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl FromTo {
    /// True where neither is known.
    pub fn is_none(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// True where it is another one than before; of two that are known.
    pub fn is_moved(&self) -> bool {
        self.from.is_some() && self.to.is_some() && self.from != self.to
    }

    /// What it is, or was.
    pub fn last(&self) -> Option<&str> {
        self.to.as_deref().or(self.from.as_deref())
    }
}

impl PluginRow {
    /// True where anything that is shown differs: from the old release, or in the metadata from the lock.
    pub fn is_changed(&self) -> bool {
        let moved = [&self.version, &self.support, &self.lifecycle, &self.supported_versions, &self.dynamic_artifact];
        let is_moved = moved.into_iter().any(FromTo::is_moved) || self.metadata_version.is_some();
        self.change != PackageMove::Changed || is_moved
    }
}

/// Where a level stands among the others: the most is promised of the first.
pub fn rank(level: Option<&str>) -> usize {
    const KNOWN: [&str; 5] = ["generally-available", "production", "tech-preview", "dev-preview", "community"];
    match level {
        Some(level) => KNOWN.iter().position(|known| *known == level).unwrap_or(KNOWN.len()),
        None => KNOWN.len() + 1,
    }
}
