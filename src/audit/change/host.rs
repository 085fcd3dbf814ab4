//! The RHDH release that plugins run in, and which plugins a change of its packages affects.

use schemars::JsonSchema;
use serde::Serialize;

use super::workspace::PluginPlace;
use crate::lock::Sha256;

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
