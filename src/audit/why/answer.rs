//! The answer to `factory why`, and its JSON: `schema/factory.why.schema.json` is generated from these types.

use schemars::JsonSchema;
use serde::Serialize;

use crate::audit::json;

/// The format of the JSON.
pub(super) const FORMAT: u32 = 1;

/// Where a package is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Why {
    /// Format version.
    pub version: u32,
    /// The lock's path, as it was given.
    pub lock: String,
    /// The package that was asked for.
    pub package: String,
    /// The range that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// The answer of each plugin.
    pub plugins: Vec<WhyPlugin>,
    /// What RHDH has of it; absent for a lock without an RHDH release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<WhyHost>,
    /// What the `yarn.lock` of each workspace has of it.
    pub workspaces: Vec<WhyWorkspace>,
    /// The build tools that have it. They are not shipped.
    pub tools: Vec<WhyTool>,
}

/// The answer of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WhyPlugin {
    /// Its workspace.
    pub workspace: String,
    /// Its folder from the workspace.
    pub plugin: String,
    /// Where the package is, seen from the plugin.
    pub answer: WhyAnswer,
    /// The versions that are in its archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipped: Vec<ShippedVersion>,
    /// Whether it takes the package from RHDH; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<bool>,
    /// Why it is not known what is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// Where a package is, seen from a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhyAnswer {
    /// In its archive.
    Shipped,
    /// Not in its archive: RHDH provides it.
    Host,
    /// Not in its archive.
    Absent,
    /// It is not known.
    Unknown,
}

/// A version in the archive of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ShippedVersion {
    /// The version.
    pub version: String,
    /// Whether it is in the range; absent without a range, and for what is no version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<bool>,
    /// What it is to the plugin.
    pub kind: ShippedKind,
    /// Installed on some platforms only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// The shortest way through each package that depends on it, as `name@version`; the shortest of all first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Vec<String>>,
    /// Where in the bundle it is: `exposes:<module>`, `shares:<package>`, `entry` or `chunk`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

/// What a package is to the plugin that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShippedKind {
    /// The plugin itself.
    Plugin,
    /// A package of its workspace, embedded.
    Embedded,
    /// Installed beside it.
    Dependency,
    /// In its bundle.
    Bundled,
    /// In its bundle, for an RHDH that has none: what RHDH has is used in its place.
    Fallback,
    /// In its bundle, where rhdh-cli's bundler puts it.
    Bundler,
}

/// What RHDH has of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WhyHost {
    /// The release.
    pub release: String,
    /// The versions in its `yarn.lock`, its development tools too.
    pub versions: Vec<FoundVersion>,
    /// Why it is not known what it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A version that is somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FoundVersion {
    /// The version.
    pub version: String,
    /// Whether it is in the range; absent without a range, and for what is no version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<bool>,
}

/// What the `yarn.lock` of a workspace has of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WhyWorkspace {
    /// The workspace.
    pub workspace: String,
    /// The versions in it, each with what becomes of it.
    pub versions: Vec<ScaffoldVersion>,
    /// Why its `yarn.lock` cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A version in the `yarn.lock` of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ScaffoldVersion {
    /// The version.
    pub version: String,
    /// Whether it is in the range; absent without a range, and for what is no version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<bool>,
    /// What becomes of it.
    pub state: ScaffoldState,
}

/// What becomes of a package of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScaffoldState {
    /// It is in the archive of a plugin of the workspace.
    Shipped,
    /// It is in none of them: development, tests, what RHDH provides.
    ScaffoldOnly,
    /// It is not known what is in all plugins of the workspace.
    Unknown,
}

/// A build tool that has a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WhyTool {
    /// The tool with its version: `rhdh-cli 1.10.8`.
    pub tool: String,
    /// The versions in it.
    pub versions: Vec<FoundVersion>,
}

impl Why {
    /// The JSON, with a final newline.
    pub fn to_json(&self) -> String {
        json::render(self)
    }

    /// How many plugins ship a version that is asked for; all versions are where no range was given.
    pub fn shipping(&self) -> usize {
        let is_asked = |version: &ShippedVersion| self.range.is_none() || version.matches != Some(false);
        self.plugins.iter().filter(|plugin| plugin.shipped.iter().any(is_asked)).count()
    }

    /// Whether it is nowhere, and nothing is unknown.
    pub fn is_nowhere(&self) -> bool {
        let of_plugins = self.plugins.iter().all(|plugin| plugin.answer == WhyAnswer::Absent);
        let host = self.host.as_ref().is_none_or(|host| host.versions.is_empty() && host.unknown.is_none());
        let workspaces = self.workspaces.iter().all(|one| one.versions.is_empty() && one.unknown.is_none());
        of_plugins && host && workspaces && self.tools.is_empty()
    }
}
