//! The arguments as values: what is computed, why, and what only the registry can tell.

use std::collections::BTreeMap;
use std::fmt;

use super::diagnostic::Diagnostic;
use super::natives::NativeMarker;
use crate::lock::{Argument, CliBehaviour};
use crate::yarn::graph::PackageJson;

/// What the registry said of packages, by name and version.
#[derive(Clone, Debug, Default)]
pub struct RegistryManifests {
    manifests: BTreeMap<(String, String), PackageJson>,
    published: BTreeMap<(String, String), bool>,
}

impl RegistryManifests {
    /// No answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A manifest: of natives from their tarball, since the registry adds `gypfile` to its own documents.
    pub fn insert(&mut self, name: &str, version: &str, manifest: PackageJson) {
        self.manifests.insert((name.to_owned(), version.to_owned()), manifest);
    }

    /// Whether the registry has a package of a workspace in this version.
    pub fn insert_published(&mut self, name: &str, version: &str, is_published: bool) {
        self.published.insert((name.to_owned(), version.to_owned()), is_published);
    }

    pub(super) fn get(&self, name: &str, version: &str) -> Option<&PackageJson> {
        if self.manifests.is_empty() {
            return None;
        }
        self.manifests.get(&(name.to_owned(), version.to_owned()))
    }

    pub(super) fn is_published(&self, name: &str, version: &str) -> Option<bool> {
        self.published.get(&(name.to_owned(), version.to_owned())).copied()
    }
}

/// What a plugin's export needs, and what will go wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComputedArgs {
    /// The arguments: embedded, shared, suppressed packages, each group sorted.
    pub args: Vec<Arg>,
    /// Errors and warnings, in the order they were found.
    pub diagnostics: Vec<Diagnostic>,
    /// What depends on the version of rhdh-cli.
    pub cli_needs: Vec<CliNeed>,
    /// Manifests that would say more and are not among the answers, sorted.
    pub manifest_requests: Vec<ManifestRequest>,
    /// Every package of the export by name, the shared ones included.
    pub packages: BTreeMap<String, Fate>,
    /// True for a role whose dependencies rhdh-cli packs itself.
    pub is_backend: bool,
}

/// An argument of `rhdh-cli plugin export`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// The flag.
    pub flag: Flag,
    /// A package, with a leading `!` when it is not to be shared.
    pub value: String,
    /// Why it is needed; its text names the package.
    pub reason: ArgReason,
}

/// The flags that are computed, in the order they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    /// `--embed-package`: packed into the plugin.
    Embed,
    /// `--shared-package`: taken from the host, or with `!` not.
    Share,
    /// `--suppress-native-package`: replaced by a stub that throws.
    Suppress,
}

/// Why an argument is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgReason {
    /// An `@backstage` package the host does not have.
    NotInHost {
        /// The package.
        name: String,
        /// How the host is called.
        host: String,
    },
    /// It depends on an `@backstage` package, which only an embedded package can share with the host.
    ReachesBackstage {
        /// From the package to the `@backstage` one.
        path: Vec<String>,
    },
    /// It depends on a native package that is to be taken from the host.
    NeedsHostNative {
        /// The package.
        name: String,
        /// The native one.
        native: String,
        /// How the host is called.
        host: String,
    },
    /// A native package the plugin can do without.
    OptionalNative {
        /// What says that it is native.
        marker: NativeMarker,
        /// From the plugin's dependency to the native package.
        path: Vec<String>,
    },
    /// A native package the plugin cannot do without, and the host does not have: a stub that throws takes its place.
    MissingNative {
        /// What says that it is native.
        marker: NativeMarker,
        /// From the plugin's dependency to the native package.
        path: Vec<String>,
        /// How the host is called.
        host: String,
    },
    /// An `@backstage` package the host does not have, and an optional dependency, which rhdh-cli does not embed: it is
    /// installed below the plugin.
    OptionalNotInHost {
        /// The package.
        name: String,
        /// How the host is called.
        host: String,
    },
    /// A package of the workspace that is on no registry: only the checkout has it.
    NotPublished {
        /// The package.
        name: String,
        /// Its folder in the workspace.
        path: String,
        /// The version that the registry does not have; absent for a private package.
        version: Option<String>,
    },
    /// A native package the plugin cannot do without, and the host has.
    HostNative {
        /// What says that it is native.
        marker: NativeMarker,
        /// From the plugin's dependency to the native package.
        path: Vec<String>,
        /// How the host is called.
        host: String,
    },
}

/// Something in an export that goes otherwise with another version of rhdh-cli.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliNeed {
    /// What rhdh-cli does or does not do.
    pub behaviour: CliBehaviour,
    /// What of the export it is about.
    pub what: String,
}

impl CliNeed {
    /// What a version of rhdh-cli does wrong with it; none if it does not.
    pub fn warning(&self, version: &str) -> Option<String> {
        let Self { behaviour, what } = self;
        let since = behaviour.since();
        let is_in = behaviour.is_in(version);
        if *behaviour == CliBehaviour::MissingVersionFails {
            return is_in.then(|| format!("{what}: since {since}, rhdh-cli {behaviour}, and the lock has {version}"));
        }
        (!is_in).then(|| format!("{what}: rhdh-cli {version} is too old for it, {since} {behaviour}"))
    }
}

/// A manifest to be fetched from the registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestRequest {
    /// The package.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// What hangs on the answer.
    pub purpose: ManifestPurpose,
    /// The tarball's integrity, when the lock says it (v1).
    pub integrity: Option<String>,
}

/// What hangs on a manifest of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManifestPurpose {
    /// Whether it is native: the arguments. The registry's document is enough if it has neither `gypfile` nor
    /// `binary`; else the tarball's own `package.json` decides.
    Native,
    /// Whether a package of the workspace is on the registry.
    Published,
    /// Whether it can be embedded (`exports`, `bundled`): diagnostics only. The registry's document is enough.
    Embedded,
}

/// What becomes of a package in an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Embedded by rhdh-cli on its own, as the `-common` or `-node` beside a plugin.
    Sibling,
    /// Embedded by an argument.
    Embedded,
    /// Taken from the host.
    Shared,
    /// Native: replaced by a stub, unless the plugin cannot do without it.
    Native,
    /// Installed below the plugin.
    Private {
        /// True when the plugin or an embedded package depends on it.
        direct: bool,
    },
}

impl Flag {
    /// The flag as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embed => "--embed-package",
            Self::Share => "--shared-package",
            Self::Suppress => "--suppress-native-package",
        }
    }
}

impl Arg {
    /// As the lock has it.
    pub fn argument(&self) -> Argument {
        Argument::new(self.flag.as_str(), &self.value)
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.flag.as_str(), self.value)
    }
}

impl fmt::Display for ArgReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrows = |path: &[String]| path.join(" → ");
        let last = |path: &[String]| path.last().cloned().unwrap_or_default();
        match self {
            Self::NotInHost { name, host } => write!(f, "{name} is not in {host}"),
            Self::ReachesBackstage { path } => match path.as_slice() {
                [name, backstage] => write!(f, "{name} depends on {backstage}"),
                path => write!(
                    f,
                    "{} depends on {} through {}",
                    path.first().map_or("", String::as_str),
                    last(path),
                    arrows(path.get(1..path.len().saturating_sub(1)).unwrap_or_default())
                ),
            },
            Self::NeedsHostNative { name, native, host } => {
                write!(f, "{name} depends on the native package {native}, which is in {host}")
            }
            Self::OptionalNative { marker, path } => {
                write!(f, "{} has the {marker}, reached by {}, optional", last(path), arrows(path))
            }
            Self::MissingNative { marker, path, host } => {
                write!(f, "{} has the {marker}, reached by {}, and is not in {host}", last(path), arrows(path))
            }
            Self::OptionalNotInHost { name, host } => {
                write!(f, "{name} is not in {host}, and is an optional dependency")
            }
            Self::NotPublished { name, path, version: None } => {
                write!(f, "{name} ({path}) is a private package of the workspace, which no registry has")
            }
            Self::NotPublished { name, path, version: Some(version) } => {
                write!(
                    f,
                    "{name} ({path}) is a package of the workspace, and the npm registry has no version {version}"
                )
            }
            Self::HostNative { marker, path, host } => {
                write!(f, "{} has the {marker}, reached by {}, and is in {host}", last(path), arrows(path))
            }
        }
    }
}
