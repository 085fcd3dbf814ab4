//! What a lockfile beside the lock holds: packages by name and version, and what a plugin takes from its host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::change::{PackageChange, PackageMove};
use super::version_step::VersionStep;
use crate::error::{Error, Place, Result};
use crate::lock::bundle::Bundle;
use crate::yarn::lockfile::YarnLock;

/// The versions of each package.
pub type PackageVersions = BTreeMap<String, BTreeSet<String>>;

/// The versions of each package, of names and versions.
pub fn versions<'v>(all: impl IntoIterator<Item = (&'v str, &'v str)>) -> PackageVersions {
    let mut packages = PackageVersions::new();
    for (name, version) in all {
        packages.entry(name.to_owned()).or_default().insert(version.to_owned());
    }
    packages
}

/// A plugin's private dependencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginClosure {
    /// The packages, the plugin itself left out.
    pub packages: PackageVersions,
    /// Packages the plugin, or one embedded in it, expects the host to have (`peerDependencies`); empty in a v1 lock,
    /// which does not say.
    pub shares: BTreeSet<String>,
    /// The versions that the plugin, or what is embedded in it, itself depends on; empty in a v1 lock.
    pub own: PackageVersions,
}

impl PluginClosure {
    /// Of a `yarn.lock`, Berry or v1.
    pub fn of(lock: &YarnLock<'_>) -> Self {
        let mut closure = Self::default();
        for entry in &lock.entries {
            // The plugin itself, and what is embedded in it.
            if entry.is_own() {
                closure.shares.extend(entry.peers.iter().map(|peer| peer.name.to_string()));
                for dependency in &entry.dependencies {
                    if let Some(met) = lock.entries.iter().find(|other| other.meets(dependency)) {
                        closure.own.entry(met.name().to_owned()).or_default().insert(met.version.to_string());
                    }
                }
            }
            if entry.workspace_path().is_none() {
                closure.packages.entry(entry.name().to_owned()).or_default().insert(entry.version.to_string());
            }
        }
        closure
    }
}

/// The packages in the bundles of a frontend, and what it shares with its host.
impl From<&Bundle> for PluginClosure {
    fn from(bundle: &Bundle) -> Self {
        let packages = versions(bundle.by_package().into_keys());
        let shares = bundle.shares.iter().map(|shared| shared.name.clone()).collect();
        // It does not say who asked for them.
        Self { packages, shares, own: PackageVersions::new() }
    }
}

/// The packages of an npm `package-lock.json` (lockfile version 2 or 3), the root left out.
pub fn of_package_lock(bytes: &[u8], path: &Path) -> Result<PackageVersions> {
    #[derive(Deserialize)]
    struct PackageLock {
        packages: BTreeMap<String, Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: Option<String>,
        version: Option<String>,
    }
    let lock: PackageLock = serde_json::from_slice(bytes).map_err(|error| Error::Lock {
        place: Place::at(path, error.line(), error.column()),
        what: format!("is not a package-lock.json of npm: {error}"),
        hint: "restore it from version control, or run `factory resolve --renew-tools`".into(),
    })?;
    let mut packages = PackageVersions::new();
    for (place, package) in lock.packages {
        let Some(folder) = place.rsplit("node_modules/").next().filter(|_| place.contains("node_modules/")) else {
            continue;
        };
        let name = package.name.unwrap_or_else(|| folder.to_owned());
        packages.entry(name).or_default().extend(package.version);
    }
    Ok(packages)
}

/// What moved between the private dependencies of two builds of a plugin.
pub fn moves(old: &PluginClosure, new: &PluginClosure) -> Vec<PackageChange> {
    fn own<'c>(closure: &'c PluginClosure, name: &str) -> Option<&'c String> {
        let versions = closure.own.get(name)?;
        versions.first().filter(|_| versions.len() == 1)
    }
    let with_own = |change: PackageChange| {
        let (from, to) = (own(old, &change.package), own(new, &change.package));
        change.with_own(from, to)
    };
    sorted(changes(&old.packages, &new.packages).into_iter().map(with_own).collect())
}

/// What moved between two sets of packages: majors first, then what is gone, new and moved by less, each by name.
pub fn changes(old: &PackageVersions, new: &PackageVersions) -> Vec<PackageChange> {
    let none = BTreeSet::new();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    sorted(
        names
            .into_iter()
            .filter_map(|name| {
                PackageChange::between(name, old.get(name).unwrap_or(&none), new.get(name).unwrap_or(&none))
            })
            .collect(),
    )
}

fn sorted(mut changes: Vec<PackageChange>) -> Vec<PackageChange> {
    changes.sort_by_key(|change| (change.step != Some(VersionStep::Major), rank(change.change)));
    changes
}

fn rank(change: PackageMove) -> u8 {
    match change {
        PackageMove::Removed => 0,
        PackageMove::Added => 1,
        PackageMove::Changed => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERRY: &str = r#"__metadata:
  version: 8

"@x/plugin-dynamic@workspace:.":
  version: 0.0.0-use.local
  resolution: "@x/plugin-dynamic@workspace:."
  dependencies:
    "@x/common": "npm:0.1.0"
  peerDependencies:
    "@backstage/backend-plugin-api": ^1.4.3

"@x/common@file:./embedded/x-common::locator=%40x%2Fplugin-dynamic%40workspace%3A.":
  version: 0.1.0+embedded
  resolution: "@x/common@file:./embedded/x-common#./embedded/x-common::hash=4dc97f&locator=x"
  peerDependencies:
    "@backstage/config": ^1.0.0

"lodash@npm:^3.0.0":
  version: 3.10.1
  resolution: "lodash@npm:3.10.1"

"lodash@npm:^4.0.0":
  version: 4.17.21
  resolution: "lodash@npm:4.17.21"
  peerDependencies:
    react: ^18
"#;

    fn read(text: &str) -> PluginClosure {
        PluginClosure::of(&YarnLock::parse(text.as_bytes(), Path::new("yarn.lock")).unwrap())
    }

    #[test]
    fn a_closure_has_its_packages_and_what_it_shares() {
        let closure = read(BERRY);
        let packages: Vec<_> = closure.packages.iter().map(|(name, v)| (name.as_str(), v.len())).collect();
        assert_eq!(packages, [("@x/common", 1), ("lodash", 2)]);
        // A private dependency's peers are met inside the closure.
        let shares: Vec<_> = closure.shares.iter().map(String::as_str).collect();
        assert_eq!(shares, ["@backstage/backend-plugin-api", "@backstage/config"]);
    }

    #[test]
    fn the_version_that_the_plugin_itself_depends_on_moves_though_another_package_has_one_of_the_two() {
        let closure = |own: &str, has: &[&str]| {
            let mut text = vec![format!(
                "__metadata:\n  version: 8\n\n\"p@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"p@workspace:.\"\n  \
                 dependencies:\n    ms: \"npm:{own}\"\n"
            )];
            text.extend(has.iter().map(|version| {
                let also = if *version == own { "" } else { ", ms@npm:^2.0.0" };
                format!("\n\"ms@npm:{version}{also}\":\n  version: {version}\n  resolution: \"ms@npm:{version}\"\n")
            }));
            read(&text.concat())
        };
        let own = |old: &PluginClosure, new: &PluginClosure| {
            let change = moves(old, new).pop().unwrap();
            (change.own.map(|own| (own.from, own.to)), change.step)
        };
        let moved = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
        let (both, new) = (closure("2.1.2", &["2.1.2", "2.1.3"]), closure("2.1.3", &["2.1.3"]));
        assert_eq!(own(&both, &new), (moved("2.1.2", "2.1.3"), Some(VersionStep::Patch)));
        let (old, both) = (closure("1.0.0", &["1.0.0"]), closure("2.1.3", &["1.0.0", "2.1.3"]));
        assert_eq!(own(&old, &both), (moved("1.0.0", "2.1.3"), Some(VersionStep::Major)));
        // Both lists say it, or the plugin's own stays.
        assert_eq!(own(&closure("2.1.2", &["2.1.2"]), &new).0, None);
        assert_eq!(own(&closure("2.1.2", &["2.1.2", "2.1.3"]), &closure("2.1.2", &["2.1.2"])).0, None);
    }

    #[test]
    fn a_package_lock_names_packages_by_their_folders() {
        let text = br#"{"packages": {"": {"name": "root", "version": "1.0.0"},
            "node_modules/@a/b": {"version": "1.0.0"},
            "node_modules/c/node_modules/@a/b": {"version": "2.0.0"},
            "node_modules/alias": {"name": "real", "version": "3.0.0"},
            "local": {"version": "0.0.0"}}}"#;
        let packages = of_package_lock(text, Path::new("package-lock.json")).unwrap();
        let found: Vec<String> = packages.iter().map(|(name, versions)| format!("{name} {versions:?}")).collect();
        assert_eq!(found, [r#"@a/b {"1.0.0", "2.0.0"}"#, r#"real {"3.0.0"}"#]);
    }

    #[test]
    fn majors_come_first() {
        let packages = |list: &[(&str, &str)]| {
            let mut packages = PackageVersions::new();
            for (name, version) in list {
                packages.entry((*name).into()).or_default().insert((*version).into());
            }
            packages
        };
        let old = packages(&[("a", "1.0.0"), ("b", "1.0.0"), ("c", "1.0.0"), ("same", "1.0.0")]);
        let new = packages(&[("a", "1.0.1"), ("c", "2.0.0"), ("d", "1.0.0"), ("same", "1.0.0")]);
        let names: Vec<_> = changes(&old, &new).into_iter().map(|change| change.package).collect();
        assert_eq!(names, ["c", "b", "d", "a"]);
    }
}
