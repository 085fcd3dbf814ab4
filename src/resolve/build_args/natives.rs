//! Native packages: rhdh-cli fails on them, and a stub that throws takes the place of a suppressed one.

use std::fmt;

use crate::yarn::graph::{PackageJson, PackageNode};
use crate::yarn::lockfile::YarnEntry;

/// What says that a package is native: the rules of `is-native-module`, which rhdh-cli goes by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NativeMarker {
    /// A dependency that only native packages have.
    Dependency(&'static str),
    /// A field of its `package.json`.
    Field(&'static str),
}

impl fmt::Display for NativeMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency(name) => write!(f, "marker `{name}`"),
            Self::Field(name) => write!(f, "field `{name}`"),
        }
    }
}

const MARKERS: [&str; 5] = ["bindings", "prebuild", "nan", "node-pre-gyp", "node-gyp-build"];

/// Dependencies of packages that may be native by a field: 0 or 1 a workspace in real repositories. `node-gyp` is
/// there as well because yarn adds it to what has an install script that calls it.
const SIGNS: [&str; 9] = [
    "prebuild-install",
    "node-addon-api",
    "napi-macros",
    "node-gyp",
    "node-gyp-build-optional-packages",
    "@mapbox/node-pre-gyp",
    "cmake-js",
    "install-artifact-from-github",
    "detect-libc",
];

/// Packages with such a field and no such dependency.
const NAMES: [&str; 2] = ["napi-build-utils", "isolated-vm"];

/// Header files only: never native, though yarn sees a script that calls `node-gyp`.
const HEADERS: &str = "nan";

/// Whether a package is native, as far as is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Native {
    Yes(NativeMarker),
    No,
    /// The registry's manifest would tell.
    Unknown,
}

impl Native {
    /// Judges a package; `answer` is its manifest from the registry, if that was asked.
    pub fn of(node: &PackageNode<'_>, answer: Option<&PackageJson>) -> Self {
        // A marker counts among `dependencies` only, not among the optional ones.
        let required = || node.edges.iter().filter(|edge| !edge.optional).map(|edge| edge.name);
        if let Some(marker) = MARKERS.into_iter().find(|marker| required().any(|name| name == *marker)) {
            return Self::Yes(NativeMarker::Dependency(marker));
        }
        match answer.or(node.workspace.map(|(_, manifest)| manifest)) {
            Some(manifest) if manifest.gypfile => Self::Yes(NativeMarker::Field("gypfile")),
            Some(manifest) if manifest.binary => Self::Yes(NativeMarker::Field("binary")),
            Some(_) => Self::No,
            None => {
                let has_sign = || node.edges.iter().any(|edge| SIGNS.contains(&edge.name));
                let is_candidate = node.name != HEADERS && (NAMES.contains(&node.name) || has_sign());
                let is_known = node.entry.is_some_and(YarnEntry::is_from_registry);
                if is_candidate && is_known { Self::Unknown } else { Self::No }
            }
        }
    }
}
