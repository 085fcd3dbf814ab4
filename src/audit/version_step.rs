//! How far a version moved.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::Serialize;

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
}
