//! A package that is shipped in a version that was not shipped before.

use schemars::JsonSchema;
use serde::Serialize;

use super::workspace::PluginPlace;

/// A package that is shipped in a version that was not shipped before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ArrivedPackage {
    /// Its name.
    pub package: String,
    /// The version.
    pub version: String,
    /// The versions of it that were shipped before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The licences that those have; `none` where one states none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licences_before: Vec<String>,
    /// When it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// Who ships it.
    pub plugins: Vec<PluginPlace>,
}
