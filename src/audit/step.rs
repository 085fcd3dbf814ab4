//! How far a version moved.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::change::{PackageChange, PackageMove};
use crate::npm::range::npm_version;

/// How far a version moved, up or down (semantic versioning 2.0.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VersionStep {
    /// Another major.
    Major,
    /// Another minor of 0.x, which may break as a major does.
    ZeroMinor,
    /// Another minor.
    Minor,
    /// Another patch.
    Patch,
    /// Only what stands behind `-` or `+`, or a text that is no version.
    Other,
}

impl VersionStep {
    /// The step from one version to another.
    pub fn between(from: &str, to: &str) -> Self {
        let (Some(from), Some(to)) = (npm_version(from), npm_version(to)) else { return Self::Other };
        if from.major != to.major {
            Self::Major
        } else if from.minor != to.minor {
            if from.major == 0 { Self::ZeroMinor } else { Self::Minor }
        } else if from.patch != to.patch {
            Self::Patch
        } else {
            Self::Other
        }
    }

    /// A word for those that deserve one.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Major => Some("major"),
            Self::ZeroMinor => Some("0.x minor"),
            _ => None,
        }
    }
}

/// Versions in their order; texts that are no versions come first, in theirs.
pub fn order(one: &str, other: &str) -> Ordering {
    npm_version(one).cmp(&npm_version(other)).then_with(|| one.cmp(other))
}

/// True when `to` is lower than `from`.
pub fn is_back(from: &str, to: &str) -> bool {
    matches!((npm_version(from), npm_version(to)), (Some(from), Some(to)) if to < from)
}

/// What became of a package, from all its versions on both sides; none when they are the same.
pub fn package_change(package: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) -> Option<PackageChange> {
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
    Some(PackageChange { package: package.to_owned(), from: only(old, new), to: only(new, old), change, step })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_semver() {
        for (from, to, step) in [
            ("1.2.3", "2.0.0", VersionStep::Major),
            ("2.0.0", "1.9.0", VersionStep::Major),
            ("0.9.1", "0.13.2", VersionStep::ZeroMinor),
            ("0.9.1", "1.0.0", VersionStep::Major),
            ("1.2.3", "1.3.0", VersionStep::Minor),
            ("1.2.3", "1.2.4", VersionStep::Patch),
            ("1.2.3-rc.1", "1.2.3", VersionStep::Other),
            ("main", "next", VersionStep::Other),
        ] {
            assert_eq!(VersionStep::between(from, to), step, "{from} → {to}");
        }
        assert!(is_back("1.10.0", "1.9.0"));
        assert!(!is_back("1.9.0", "1.10.0"));
    }

    #[test]
    fn a_package_in_several_versions_moves_as_its_newest_does() {
        let set = |versions: &[&str]| versions.iter().map(|v| (*v).to_owned()).collect::<BTreeSet<_>>();
        let change = |old: &[&str], new: &[&str]| package_change("x", &set(old), &set(new));
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
