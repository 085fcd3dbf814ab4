//! What is known to go wrong, as values; all wording is here.

use std::fmt;

use super::natives::NativeMarker;
use crate::ui::some_names;

/// An error or warning about a plugin's export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the export will fail.
    pub severity: Severity,
    /// What it is about. Its [`Display`](fmt::Display) is the message, [`DiagnosticKind::hint`] the next step.
    pub kind: DiagnosticKind,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look; the export may well work.
    Warning,
    /// The export or the plugin's start will fail.
    Error,
}

/// What a diagnostic is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiagnosticKind {
    /// An embedded package is depended on through `npm:other@…`, which rhdh-cli takes for a range.
    NpmAlias { parent: String, name: String, range: String },
    /// A `patch:` range: rhdh-cli cannot read it, and the patch is not in the exported folder.
    PatchedDependency { parent: String, name: String, range: String, embedded: bool },
    /// An embedded package has a version that its dependent's range does not allow.
    OutsideRange { parent: String, name: String, range: String, version: String },
    /// An embedded package of the registry does not let out its `package.json`.
    HiddenPackageJson { name: String, version: String },
    /// `bundled: true`.
    Bundled { name: String },
    /// Embedded packages want a host package in versions that rhdh-cli takes for incompatible. `least` is that of `other`
    /// where some version is in both, and none where they exclude each other.
    VersionConflict { name: String, one: String, other: String, parent: String, least: Option<String> },
    /// Nothing provides a peer dependency.
    MissingPeer { parent: String, name: String, range: String },
    /// A workspace that rhdh-cli installs from the registry, not from the checkout.
    WorkspaceFromRegistry { name: String, path: String, version: String, is_private: bool },
    /// Packages are not unpacked into `node_modules`.
    NotNodeModules { linker: String },
    /// Packages of one platform are in the export.
    PlatformPackages { names: Vec<String> },
    /// A native package that is not taken care of.
    Native(NativeProblem),
    /// A package to embed is an optional dependency, where rhdh-cli does not look.
    OptionalEmbedded { parent: String, name: String },
    /// A package of the host is an optional dependency, which rhdh-cli does not leave to the host.
    OptionalShared { parent: String, name: String },
    /// A package is embedded in several versions, of which only one counts.
    SeveralVersions { name: String, versions: Vec<String> },

    /// A mistake in listed arguments.
    Listed(ListedProblem),
}

/// What is wrong with a native package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NativeProblem {
    /// A native package that the plugin loads, and the host does not have.
    Mandatory { name: String, marker: NativeMarker, path: Vec<String> },
    /// The plugin itself, or an embedded package, is native.
    Embedded { name: String, marker: NativeMarker },
    /// Only the registry knows whether a package is native, and it was not asked or did not answer.
    Unknown { name: String, version: String },
}

/// What is wrong with arguments that a user listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListedProblem {
    /// A listed flag that rhdh-cli does not know.
    MisspeltFlag { word: String, flag: String },
    /// A listed word that belongs to no flag.
    StrayWord { word: String },
    /// A listed flag without a value.
    NoValue { flag: String },
    /// A listed value that is duplicated.
    Doubled { arg: String },
    /// A computed argument that is not listed.
    Missing { arg: String, reason: String },
    /// A listed argument that does nothing, and why.
    Useless { arg: String, reason: String },
    /// A listed package that is not part of the export.
    NotADependency { arg: String, suggestion: Option<String> },
    /// A listed stub for a package that the plugin loads.
    SuppressedMandatory { name: String, path: Vec<String> },
}

impl Diagnostic {
    /// An error.
    pub(super) fn error(kind: DiagnosticKind) -> Self {
        Self { severity: Severity::Error, kind }
    }

    /// A warning.
    pub(super) fn warning(kind: DiagnosticKind) -> Self {
        Self { severity: Severity::Warning, kind }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for DiagnosticKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NpmAlias { parent, name, range }
            | Self::PatchedDependency { parent, name, range, embedded: true } => {
                let kind = if range.starts_with("patch:") { "`patch:` ranges" } else { "npm aliases" };
                write!(
                    f,
                    "`{name}` must be embedded, but `{parent}` depends on it as `{range}`: rhdh-cli does not support {kind}"
                )
            }
            Self::PatchedDependency { parent, name, range, embedded: false } => {
                write!(
                    f,
                    "`{parent}` depends on `{name}` as `{range}`: the patch is not in the exported folder, whose install will fail"
                )
            }
            Self::OutsideRange { parent, name, range, version } => write!(
                f,
                "`{name}` must be embedded in version {version}, which is outside the range `{range}` of `{parent}`"
            ),
            Self::HiddenPackageJson { name, version } => write!(
                f,
                "`{name}` {version} must be embedded, but its `exports` do not contain `./package.json`, which rhdh-cli reads"
            ),
            Self::Bundled { name } => write!(f, "`{name}` has `bundled: true`, which rhdh-cli refuses"),
            Self::VersionConflict { name, one, other, parent, least: Some(least) } => write!(
                f,
                "the embedded packages require `{name}` as `{one}`, and `{parent}` as `{other}`: versions of it are in both, but rhdh-cli's own rule refuses them, since the least of `{other}`, {least}, is not in `{one}`"
            ),
            Self::VersionConflict { name, one, other, parent, least: None } => write!(
                f,
                "the embedded packages require `{name}` in versions that exclude each other: `{one}`, and `{other}` for `{parent}`"
            ),
            Self::MissingPeer { parent, name, range } => {
                write!(f, "`{parent}` requires `{name}@{range}` from the host, which does not provide it")
            }
            Self::WorkspaceFromRegistry { name, path, is_private: true, .. } => write!(
                f,
                "`{name}` ({path}) is private: rhdh-cli would install it from the registry, where it is not published"
            ),
            Self::WorkspaceFromRegistry { name, path, version, is_private: false } => {
                write!(f, "`{name}` ({path}) comes from the registry in version {version}, not from the checkout")
            }
            Self::NotNodeModules { linker } => {
                write!(f, "`nodeLinker` is `{linker}`: rhdh-cli requires `node-modules`")
            }
            Self::PlatformPackages { names } => {
                write!(f, "the export is for one platform only: it contains {}", some_names(names.iter()))
            }
            Self::Native(problem) => problem.fmt(f),
            Self::OptionalEmbedded { parent, name } => write!(
                f,
                "`{name}` must be embedded, but is an optional dependency of `{parent}`, which rhdh-cli does not embed"
            ),
            Self::OptionalShared { parent, name } => write!(
                f,
                "`{name}` is an optional dependency of `{parent}`: rhdh-cli leaves only required ones to the host, and fails on it"
            ),
            Self::SeveralVersions { name, versions } => write!(
                f,
                "`{name}` is embedded in versions {}, of which the plugin gets only one",
                versions.join(" and ")
            ),
            Self::Listed(problem) => problem.fmt(f),
        }
    }
}

impl fmt::Display for NativeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mandatory { name, marker, path } => write!(
                f,
                "`{name}` is native ({marker}), cannot be left out ({}), and the host does not have it",
                path.join(" → ")
            ),
            Self::Embedded { name, marker } => {
                write!(f, "`{name}` itself is native ({marker}), and is part of the plugin")
            }
            Self::Unknown { name, version } => {
                write!(f, "`{name}` {version} may be native: only its manifest in the registry says so")
            }
        }
    }
}

impl fmt::Display for ListedProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MisspeltFlag { word, flag } => {
                write!(f, "`{word}` is not a flag of rhdh-cli; did you mean `{flag}`?")
            }
            Self::StrayWord { word } => write!(f, "`{word}` does not belong to a flag"),
            Self::NoValue { flag } => write!(f, "`{flag}` has no value"),
            Self::Doubled { arg } => write!(f, "`{arg}` is listed twice"),
            Self::Missing { arg, reason } => write!(f, "`{arg}` is missing: {reason}"),
            Self::Useless { arg, reason } => write!(f, "`{arg}` does nothing: {reason}"),
            Self::NotADependency { arg, suggestion: Some(suggestion) } => {
                write!(f, "`{arg}` is not a package of the export; did you mean `{suggestion}`?")
            }
            Self::NotADependency { arg, suggestion: None } => write!(f, "`{arg}` is not a package of the export"),
            Self::SuppressedMandatory { name, path } => {
                write!(
                    f,
                    "`--suppress-native-package {name}` removes a package that the plugin requires: {}",
                    path.join(" → ")
                )
            }
        }
    }
}

impl DiagnosticKind {
    /// The next step, if there is one worth saying.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NpmAlias { .. } => {
                "depend on the package by its own name; a patch of `package.json` and `yarn.lock` can do it"
            }
            Self::PatchedDependency { .. } => {
                "move the patch to `resolutions` of the root `package.json`, or patch the dependency away"
            }
            Self::OutsideRange { .. } => {
                "make the range and `resolutions` of the root `package.json` agree with a patch"
            }
            Self::HiddenPackageJson { .. } => "patch the dependency away, or depend on a version that exports it",
            Self::Bundled { .. } => "remove the field with a patch",
            Self::VersionConflict { name, .. } => {
                return Some(format!("list the plugin's arguments with `--ignore-version-check {name}` among them"));
            }
            Self::MissingPeer { name, .. } => {
                return Some(format!(
                    "add `{name}` to the plugin's dependencies with a patch, if it is needed at run time"
                ));
            }
            Self::WorkspaceFromRegistry { name, .. } => {
                return Some(format!(
                    "list the plugin's arguments with `--embed-package {name}` among them to build it from the checkout"
                ));
            }
            Self::NotNodeModules { .. } => "set `nodeLinker: node-modules` in `.yarnrc.yml` with a patch",
            Self::Native(NativeProblem::Mandatory { name, .. }) => {
                return Some(format!(
                    "list the plugin's arguments with one of `--allow-native-package {name}` (packs it, for one platform), `--shared-package {name}` (if the host's image has it) or `--suppress-native-package {name}` (if it is never loaded)"
                ));
            }
            Self::Native(NativeProblem::Embedded { name, .. }) => {
                return Some(format!("list the plugin's arguments with `--allow-native-package {name}` among them"));
            }
            Self::Native(NativeProblem::Unknown { .. }) => {
                "run `factory resolve` again when the npm registry can be reached"
            }
            Self::OptionalEmbedded { .. } | Self::OptionalShared { .. } => {
                "move it to `dependencies` with a patch, or patch it away"
            }
            Self::Listed(ListedProblem::Useless { .. } | ListedProblem::NotADependency { suggestion: None, .. }) => {
                "remove it from plugins-list.yaml"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_the_next_step() {
        let [parent, name, range, version] = ["a", "lib", "^1", "1.0.0"].map(str::to_owned);
        let text = String::new;
        for (kind, hint) in [
            (
                DiagnosticKind::NpmAlias { parent: text(), name: text(), range: text() },
                "depend on the package by its own name; a patch of `package.json` and `yarn.lock` can do it",
            ),
            (
                DiagnosticKind::PatchedDependency { parent: text(), name: text(), range: text(), embedded: true },
                "move the patch to `resolutions` of the root `package.json`, or patch the dependency away",
            ),
            (
                DiagnosticKind::OutsideRange { parent: parent.clone(), name: name.clone(), range, version },
                "make the range and `resolutions` of the root `package.json` agree with a patch",
            ),
            (
                DiagnosticKind::HiddenPackageJson { name: text(), version: text() },
                "patch the dependency away, or depend on a version that exports it",
            ),
            (DiagnosticKind::Bundled { name: text() }, "remove the field with a patch"),
            (
                DiagnosticKind::VersionConflict {
                    name: name.clone(),
                    one: text(),
                    other: text(),
                    parent: text(),
                    least: None,
                },
                "list the plugin's arguments with `--ignore-version-check lib` among them",
            ),
            (
                DiagnosticKind::MissingPeer { parent: text(), name: name.clone(), range: text() },
                "add `lib` to the plugin's dependencies with a patch, if it is needed at run time",
            ),
            (
                DiagnosticKind::WorkspaceFromRegistry {
                    name: name.clone(),
                    path: text(),
                    version: text(),
                    is_private: false,
                },
                "list the plugin's arguments with `--embed-package lib` among them to build it from the checkout",
            ),
            (
                DiagnosticKind::NotNodeModules { linker: text() },
                "set `nodeLinker: node-modules` in `.yarnrc.yml` with a patch",
            ),
            (
                DiagnosticKind::OptionalEmbedded { parent: text(), name: text() },
                "move it to `dependencies` with a patch, or patch it away",
            ),
            (
                DiagnosticKind::OptionalShared { parent, name },
                "move it to `dependencies` with a patch, or patch it away",
            ),
        ] {
            assert_eq!(kind.hint().as_deref(), Some(hint));
        }
        assert_eq!(DiagnosticKind::PlatformPackages { names: Vec::new() }.hint(), None);
    }

    #[test]
    fn a_native_package_has_hints_of_its_own() {
        let name = || "lib".to_owned();
        let marker = || NativeMarker::Field("binary");
        for (kind, hint) in [
            (
                DiagnosticKind::Native(NativeProblem::Mandatory { name: name(), marker: marker(), path: Vec::new() }),
                "list the plugin's arguments with one of `--allow-native-package lib` (packs it, for one platform), \
                 `--shared-package lib` (if the host's image has it) or `--suppress-native-package lib` (if it is never \
                 loaded)",
            ),
            (
                DiagnosticKind::Native(NativeProblem::Embedded { name: name(), marker: marker() }),
                "list the plugin's arguments with `--allow-native-package lib` among them",
            ),
            (
                DiagnosticKind::Native(NativeProblem::Unknown { name: name(), version: name() }),
                "run `factory resolve` again when the npm registry can be reached",
            ),
        ] {
            assert_eq!(kind.hint().as_deref(), Some(hint));
        }
    }
}
