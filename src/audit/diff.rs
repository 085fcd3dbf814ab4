//! What differs between two releases, as one typed list with counts. All renderers read it, and it is the JSON.
//!
//! `schema/factory.diff.schema.json` is generated from these types.

use schemars::JsonSchema;
use serde::Serialize;

use super::change::Change;
use super::support::SupportGroup;
use crate::lock::Sha256;

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
    /// Plugins that are new, gone or changed, by their level of support, the most supported first.
    pub support: Vec<SupportGroup>,
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

/// The verdicts over sealed outputs, and those that cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Equal inputs, equal output.
    pub same: usize,
    /// Other inputs, other output.
    pub changed: usize,
    /// Other inputs, equal output.
    pub without_effect: usize,
    /// Equal packages whose image says anew where it comes from.
    pub restamped: usize,
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
