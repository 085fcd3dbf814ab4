//! Packages that are shipped in versions that were not shipped before, and what is to be known of them: licences that
//! appeared, install scripts that appeared, and what was published lately.
//!
//! A lock seals which packages are shipped, not what they say of themselves. That is in their manifests, which the
//! archives of backends have (`archives`), and which a registry has; `judge` compares what is known of both sides and
//! names what is not.

pub mod archives;
mod judge;

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::build_only;
use super::change::PluginPlace;
use super::closure::{PackageVersions, versions};
use super::companions::read_bundle;
use super::release::{Release, ReleasePlugin, ReleaseWorkspace};
use crate::error::{Error, Result};
use crate::lock::bundle::PackageOrigin;
use crate::lock::companions::CompanionPath;
use crate::npm::package_facts::VersionFacts;

/// Packages in versions that are new, and what was shipped before.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Sorted by package and version.
    pub arrived: Vec<Arrival>,
    /// What was shipped.
    pub old: PackageVersions,
    /// What could not be looked at.
    pub notes: Vec<String>,
}

/// A version of a package that is shipped, and was not.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The versions of it that were shipped.
    pub before: BTreeSet<String>,
    /// Who ships it.
    pub plugins: Vec<PluginPlace>,
}

/// What is known of packages.
#[derive(Debug, Default)]
pub struct KnownFacts {
    /// What manifests say, by package and version.
    pub manifests: BTreeMap<(String, String), VersionFacts>,
    /// When versions were published.
    pub published: BTreeMap<(String, String), OffsetDateTime>,
    /// Packages of which the registry gave nothing, and why.
    pub refused: BTreeMap<String, String>,
    /// Whether the registry was asked.
    pub asked: bool,
}

/// What is to be said.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArrivalRules {
    /// Licences and install scripts that appeared.
    pub facts: bool,
    /// What was published after this.
    pub since: Option<OffsetDateTime>,
}

impl Arrivals {
    /// Finds what arrived, in the named workspaces or in all. Only what comes from a registry is looked at.
    pub fn find(old: &Release, new: &Release, workspaces: &[String]) -> Result<Self> {
        if old.lock.is_none() || new.lock.is_none() {
            return Err(Error::usage(
                "configurations do not say which packages are shipped",
                "compare two locks, or leave out `--package-facts` and `--newer-than`",
            ));
        }
        let mut found = Self::default();
        let mut shipped = BTreeSet::new();
        found.read(old, |_, name, version| {
            shipped.insert((name, version));
        })?;
        found.old = versions(shipped.iter().map(|(name, version)| (name.as_str(), version.as_str())));
        let mut ships: BTreeMap<(String, String), Vec<PluginPlace>> = BTreeMap::new();
        found.read(new, |place, name, version| {
            if workspaces.is_empty() || workspaces.contains(&place.workspace) {
                ships.entry((name, version)).or_default().push(place.clone());
            }
        })?;
        for ((package, version), plugins) in ships {
            let before = found.old.get(&package).cloned().unwrap_or_default();
            if !before.contains(&version) {
                found.arrived.push(Arrival { package, version, before, plugins });
            }
        }
        Ok(found)
    }

    /// The versions to ask for, by package: those that arrived, and those that they took the place of.
    pub fn wanted(&self) -> PackageVersions {
        let mut wanted = PackageVersions::new();
        for Arrival { package, version, before, .. } in &self.arrived {
            let versions = wanted.entry(package.clone()).or_default();
            versions.insert(version.clone());
            versions.extend(before.iter().cloned());
        }
        wanted
    }

    /// Gives each package of a release to `take`, with the plugin that ships it.
    fn read(&mut self, release: &Release, mut take: impl FnMut(&PluginPlace, String, String)) -> Result<()> {
        let mut unknown = 0;
        for workspace in &release.workspaces {
            for plugin in &workspace.plugins {
                let place = workspace.place(plugin);
                match shipped(release, workspace, plugin)? {
                    Some(packages) => packages.into_iter().for_each(|(name, version)| take(&place, name, version)),
                    None => unknown += 1,
                }
            }
        }
        if unknown > 0 {
            self.notes.push(format!(
                "`{}` does not say which packages are in {} of {}: of these no licence, install script or time is known",
                release.name,
                unknown,
                crate::ui::count(release.plugins(), "plugin")
            ));
        }
        Ok(())
    }
}

/// The packages in a plugin that come from a registry; none where it is not known what is in it.
fn shipped(
    release: &Release,
    workspace: &ReleaseWorkspace,
    plugin: &ReleasePlugin,
) -> Result<Option<BTreeSet<(String, String)>>> {
    let Some(sealed) = &plugin.sealed else { return Ok(None) };
    if let Some(digest) = sealed.bundle {
        let path = CompanionPath::bundle(&workspace.name, &plugin.path);
        let Ok(bytes) = release.companions.verified(&path, digest)? else { return Ok(None) };
        let bundle = read_bundle(&bytes, &path)?;
        let of_registry = bundle.packages.iter().filter(|package| package.origin != PackageOrigin::Workspace);
        return Ok(Some(of_registry.map(|package| (package.name.clone(), package.version.clone())).collect()));
    }
    let Some(digest) = sealed.closure else { return Ok(None) };
    let path = CompanionPath::closure(&workspace.name, &plugin.path);
    let Ok(bytes) = release.companions.verified(&path, digest)? else { return Ok(None) };
    let closure = build_only::closure(&bytes, &release.companions, (&workspace.name, &plugin.path))?;
    let of_registry = closure.entries.iter().filter(|entry| entry.is_from_registry());
    Ok(Some(of_registry.map(|entry| (entry.name().to_owned(), entry.version.to_string())).collect()))
}
