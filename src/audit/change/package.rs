//! Versions: those that are pinned, and how those of a package moved between two lockfiles.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::version_step::{VersionStep, order};

/// A version that was pinned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Pin {
    /// What was asked for; absent when nothing says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// The version.
    pub version: String,
}

/// A package whose versions changed. Versions on both sides stand in neither list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PackageChange {
    /// Its name.
    pub package: String,
    /// Versions that are gone, lowest first.
    pub from: Vec<String>,
    /// Versions that are new, lowest first.
    pub to: Vec<String>,
    /// What became of it.
    pub change: PackageMove,
    /// How far its newest version moved, or the one that the plugin itself depends on, whichever is more; absent when
    /// neither did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<VersionStep>,
    /// The version that the plugin itself depends on, where it moved and that does not follow from `from` and `to`:
    /// another package depends on one of the two as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnMove>,
}

/// The version that a plugin itself depends on, before and now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OwnMove {
    /// Before.
    pub from: String,
    /// Now.
    pub to: String,
}

impl PackageChange {
    /// Compares all versions of a package on both sides; none when they are the same.
    pub fn between(package: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) -> Option<Self> {
        if old == new {
            return None;
        }
        let newest = |versions: &BTreeSet<String>| versions.iter().max_by(|a, b| order(a, b)).cloned();
        let step = match (newest(old), newest(new)) {
            (Some(old), Some(new)) if old != new => Some(VersionStep::between(&old, &new)),
            _ => None,
        };
        let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| {
            let mut only: Vec<String> = these.difference(those).cloned().collect();
            only.sort_by(|a, b| order(a, b));
            only
        };
        let change = match (old.is_empty(), new.is_empty()) {
            (false, true) => PackageMove::Removed,
            (true, false) => PackageMove::Added,
            _ => PackageMove::Changed,
        };
        Some(Self { package: package.to_owned(), from: only(old, new), to: only(new, old), change, step, own: None })
    }

    /// With the versions that the plugin itself depends on.
    #[must_use]
    pub fn with_own(self, from: Option<&String>, to: Option<&String>) -> Self {
        let (Some(from), Some(to)) = (from, to) else { return self };
        if from == to || (!self.from.is_empty() && !self.to.is_empty()) {
            return self;
        }
        let step = self.step.into_iter().chain([VersionStep::between(from, to)]).min();
        Self { step, own: Some(OwnMove { from: from.clone(), to: to.clone() }), ..self }
    }
}

/// What became of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackageMove {
    /// In no version any more.
    Removed,
    /// It was there in no version.
    Added,
    /// In other versions.
    Changed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_in_several_versions_moves_as_its_newest_does() {
        let set = |versions: &[&str]| versions.iter().map(|v| (*v).to_owned()).collect::<BTreeSet<_>>();
        let change = |old: &[&str], new: &[&str]| PackageChange::between("x", &set(old), &set(new));
        assert_eq!(change(&["1.0.0"], &["1.0.0"]), None);
        let moved = change(&["9.1.0", "10.0.0"], &["10.0.0", "11.0.0"]).unwrap();
        assert_eq!((moved.from, moved.to), (vec!["9.1.0".to_owned()], vec!["11.0.0".to_owned()]));
        assert_eq!(moved.step, Some(VersionStep::Major));
        // Another copy of an older version is no step of the package.
        assert_eq!(change(&["2.0.0"], &["1.0.0", "2.0.0"]).unwrap().step, None);
        assert_eq!(change(&["2.0.0"], &[]).unwrap().change, PackageMove::Removed);
        assert_eq!(change(&[], &["2.0.0"]).unwrap().change, PackageMove::Added);
    }
}
