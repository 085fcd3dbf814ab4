//! What a patch does to the lockfile of its workspace: which versions move, where yarn would refuse the outcome, and
//! whether anything of it is shipped.

mod lifecycle;
mod provenance;
mod render;
mod shipped;

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::change::PackageChange;
use super::closure::{PackageVersions, changes, versions};
use super::shipped::ShippedPlugin;
use crate::error::Result;
use crate::resolve::patched::{PatchSides, PatchedFiles, broken};
use crate::yarn::graph::immutable::{LockMismatch, OutOfRange, mismatches, out_of_range};
use crate::yarn::graph::{DependencyGraph, Manifests};
use crate::yarn::lockfile::YarnLock;
use crate::yarn::platform::Platform;
pub use lifecycle::LifecycleScript;
pub use provenance::{ChecksumChange, ChecksumFault, SourceMove};
pub use shipped::ShippedChange;

/// The format of the JSON.
pub const FORMAT: u32 = 1;

/// What a patch does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PatchAudit {
    /// Format version.
    pub version: u32,
    /// The patch, as it was given.
    pub patch: String,
    /// Its workspace.
    pub workspace: String,
    /// The commit that it is applied to; absent for a local tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The files that it changes, makes or removes, from the workspace's folder.
    pub files: Vec<String>,
    /// The packages of the lockfile of which versions come or go: majors first.
    pub packages: Vec<PackageChange>,
    /// Packages that come from elsewhere than before, whether they are shipped or not.
    pub sources: Vec<SourceMove>,
    /// Checksums that change otherwise than with a new archive. yarn refuses some of them (YN0018).
    pub checksums: Vec<ChecksumChange>,
    /// Scripts of package.json files that run by themselves, and are new or others.
    pub scripts: Vec<LifecycleScript>,
    /// Where the lockfile is no longer what the package.json files ask for: yarn refuses to install it (YN0028).
    pub refused: Vec<String>,
    /// Keys that are locked to a version which their range does not allow. yarn takes them, unless it checks resolutions.
    pub out_of_range: Vec<String>,
    /// What of the packages is shipped.
    pub shipped: Vec<ShippedChange>,
    /// Plugins of which it is not known which packages are in them.
    pub unknown: Vec<UnknownPlugin>,
    /// True if nothing that is shipped changes, false if something does; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_shipped: Option<bool>,
}

impl PatchAudit {
    /// The number of places where yarn refuses the patched lockfile.
    pub fn refusals(&self) -> usize {
        self.refused.len() + self.checksums.iter().filter(|one| one.what.is_refused()).count()
    }
}

/// A plugin of which it is not known which packages are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct UnknownPlugin {
    /// Its folder from the workspace.
    pub plugin: String,
    /// Why.
    pub why: String,
}

/// What is audited.
pub struct AuditedPatch<'a> {
    /// The patch, as it was given.
    pub patch: &'a str,
    /// Its workspace.
    pub workspace: &'a str,
    /// The commit that it is applied to.
    pub commit: Option<&'a str>,
    /// The folders of the plugins.
    pub plugins: &'a [&'a str],
    /// What is in them by the lock; empty without one.
    pub shipped: &'a [ShippedPlugin<'a>],
}

/// One side, read.
pub(super) struct LockedSide<'t> {
    pub(super) lock: YarnLock<'t>,
    pub(super) manifests: Manifests,
}

impl<'t> LockedSide<'t> {
    fn read(files: &'t PatchedFiles) -> Result<Self> {
        let lock = YarnLock::parse(&files.lockfile, Path::new("yarn.lock"))?;
        let manifests = Manifests::parse(&lock, &files.manifests)?;
        Ok(Self { lock, manifests })
    }

    fn packages(&self) -> PackageVersions {
        let others = self.lock.entries.iter().filter(|entry| entry.workspace_path().is_none());
        versions(others.map(|entry| (entry.name(), &*entry.version)))
    }

    fn mismatches(&self, files: &PatchedFiles) -> BTreeSet<LockMismatch> {
        mismatches(&self.lock, &self.manifests, files.manifests.keys().map(String::as_str))
    }

    /// What plugins need in production, and all that packages of the workspace depend on.
    pub(super) fn graphs(&self) -> [DependencyGraph<'_>; 2] {
        let production = DependencyGraph::new(&self.lock, &self.manifests, &Platform::of_machine());
        [production, DependencyGraph::complete(&self.lock, &self.manifests)]
    }
}

/// Compares the two sides. What is wrong with both of them is no fault of the patch.
pub fn audit(sides: &PatchSides, audited: &AuditedPatch<'_>) -> Result<PatchAudit> {
    let before = LockedSide::read(&sides.before)?;
    let after = LockedSide::read(&sides.after).map_err(|error| broken(audited.patch, error))?;
    let known = before.mismatches(&sides.before);
    let refused = after.mismatches(&sides.after).into_iter().filter(|one| !known.contains(one));
    let known = out_of_range(&before.lock, &before.manifests);
    let beyond = out_of_range(&after.lock, &after.manifests).into_iter().filter(|one| !known.contains(one));
    let packages = changes(&before.packages(), &after.packages());
    let (shipped, unknown) = shipped::of(&before, &after, audited);
    // What another file does to the plugins is not known here, a package.json (its scripts, `main`, `files`) no more.
    let is_source = sides.changed.iter().any(|file| file != "yarn.lock");
    let changes_shipped = match (shipped.is_empty(), unknown.is_empty() && !is_source) {
        (false, _) => Some(true),
        (true, true) => Some(false),
        (true, false) => None,
    };
    Ok(PatchAudit {
        version: FORMAT,
        patch: audited.patch.to_owned(),
        workspace: audited.workspace.to_owned(),
        commit: audited.commit.map(str::to_owned),
        files: sides.changed.clone(),
        packages,
        sources: provenance::sources(&before.lock, &after.lock),
        checksums: provenance::checksums(&before.lock, &after.lock),
        scripts: lifecycle::added(&sides.before.manifests, &sides.after.manifests),
        refused: refused.map(|one| one.to_string()).collect(),
        out_of_range: beyond.map(|OutOfRange { key, version }| format!("`{key}` is locked to {version}")).collect(),
        shipped,
        unknown,
        changes_shipped,
    })
}
