//! What `factory audit` finds, and its JSON: `schema/factory.audit.schema.json` is generated from these types.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::severity::AdvisorySeverity;
use crate::audit::json;

/// The format of the JSON.
pub(super) const FORMAT: u32 = 1;

/// The advisories about a release.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AuditReport {
    /// Format version.
    pub version: u32,
    /// The lock's path, as it was given.
    pub lock: String,
    /// Where the advisories are from.
    pub source: String,
    /// How many packages are shipped: names and versions.
    pub packages: usize,
    /// The advisories about what is shipped, the most severe first.
    pub findings: Vec<AuditFinding>,
    /// The advisories about what plugins take from RHDH: RHDH's own, not this release's.
    pub host: Vec<HostFinding>,
    /// The advisories that are ignored, with the reason.
    pub ignored: Vec<IgnoredFinding>,
    /// Advisories about packages that are only in the workspaces: no plugin ships them.
    pub scaffold: Vec<ScaffoldFinding>,
    /// What is not known, and why: plugins, and the `yarn.lock` of workspaces.
    pub unknown: Vec<UnknownContent>,
}

/// An advisory about a package that is shipped.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AuditFinding {
    /// Its identifier.
    pub id: String,
    /// Other identifiers of the same.
    pub aliases: BTreeSet<String>,
    /// How severe it is.
    pub severity: AdvisorySeverity,
    /// Its CVSS score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The vector of the score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
    /// One line for people.
    pub summary: String,
    /// Where to read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The package.
    pub package: String,
    /// The versions that are shipped, lowest first.
    pub versions: Vec<AffectedVersion>,
    /// Ranges of the advisory that cannot be read; where there are some, every version counts as affected.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unreadable: BTreeSet<String>,
    /// The day on which an entry of the list of ignored advisories ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired: Option<String>,
}

/// A version with an advisory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AffectedVersion {
    /// The version.
    pub version: String,
    /// The lowest version above it in which it is fixed; absent where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// The plugins that ship it.
    pub plugins: Vec<AffectedPlugin>,
    /// The smallest change of each workspace that helps.
    pub changes: Vec<AdvisedChange>,
}

/// A plugin that ships a version with an advisory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AffectedPlugin {
    /// Its workspace.
    pub workspace: String,
    /// Its folder from the workspace.
    pub plugin: String,
    /// The shortest way to the package, as `name@version`; empty for what is in a bundle.
    pub path: Vec<String>,
}

/// What helps in a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AdvisedChange {
    /// The workspace.
    pub workspace: String,
    /// What kind of change it is.
    pub kind: ChangeAdvice,
    /// What to do.
    pub what: String,
}

/// The kinds of changes that help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeAdvice {
    /// All ranges have the fixed version: resolve the package again.
    Resolve,
    /// A package of the workspace asks for it: move that range.
    Range,
    /// Another package asks for what is affected: override it.
    Resolution,
    /// No fixed version is named.
    None,
    /// Who asks for it is not known.
    Unknown,
}

/// An advisory about a package that RHDH provides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HostFinding {
    /// Its identifier.
    pub id: String,
    /// How severe it is.
    pub severity: AdvisorySeverity,
    /// The package.
    pub package: String,
    /// The versions in RHDH.
    pub versions: Vec<String>,
}

/// An advisory that is ignored.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct IgnoredFinding {
    /// What is ignored.
    pub finding: AuditFinding,
    /// Why.
    pub reason: String,
}

/// An advisory about a package that is only in workspaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ScaffoldFinding {
    /// Its identifier.
    pub id: String,
    /// The package.
    pub package: String,
    /// The versions.
    pub versions: Vec<String>,
    /// Whether it is proven that no plugin ships it; false where the content of a plugin is not known.
    pub proven: bool,
}

/// Something of which the content is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct UnknownContent {
    /// What: `todo plugins/todo`, `yarn.lock of todo`.
    pub what: String,
    /// Why.
    pub why: String,
}

impl AuditReport {
    /// The JSON, with a final newline.
    pub fn to_json(&self) -> String {
        json::render(self)
    }

    /// How many findings are at least so severe. One of which that is not known is.
    pub fn at_least(&self, least: AdvisorySeverity) -> usize {
        self.findings.iter().filter(|finding| finding.severity >= least).count()
    }

    /// How many advisories are only of what no plugin ships, and how many may be of what one ships.
    pub fn scaffold_counts(&self) -> (usize, usize) {
        let proven = self.scaffold.iter().filter(|finding| finding.proven).count();
        (proven, self.scaffold.len() - proven)
    }
}

impl AuditFinding {
    /// The identifier, with that of CVE where it is another.
    pub fn name(&self) -> String {
        let cve = self.aliases.iter().find(|alias| alias.starts_with("CVE-"));
        cve.map_or_else(|| self.id.clone(), |cve| format!("{} ({cve})", self.id))
    }
}
