//! What rhdh-cli would fail on after minutes of install and build, found in the graph.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use indexmap::IndexMap;
use serde::Deserialize;

use super::args::ManifestPurpose;
use super::diagnostic::{Diagnostic, DiagnosticKind, NativeProblem};
use super::natives::Native;
use super::walk::{DependencyClass, Embedded, ExportWalk};
use crate::error::{Error, Place, Result};
use crate::npm::range::{NpmRange, satisfies};
use crate::yarn::graph::{Edge, EdgeTarget};
use crate::yarn::lockfile::LockKind;

impl ExportWalk<'_, '_> {
    /// Everything that is wrong with the export, the plugin's own faults first.
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut out = Vec::new();
        let nodes = self.embedded.iter().map(|embedded| embedded.node).chain(self.private.iter().copied());
        let names: HashSet<&str> = nodes.map(|node| self.node(node).name).collect();
        for embedded in &self.embedded {
            self.check_package(embedded, &mut out);
            self.check_dependencies(embedded, &mut out);
            self.check_peers(embedded.node, &names, &mut out);
        }
        self.check_versions(&mut out);
        self.check_conflicts(&mut out);
        self.check_private(&mut out);
        out
    }

    fn name(&self, node: usize) -> String {
        self.node(node).name.to_owned()
    }

    /// The plugin or an embedded package as such.
    fn check_package(&self, embedded: &Embedded<'_>, out: &mut Vec<Diagnostic>) {
        let node = self.node(embedded.node);
        let name = || node.name.to_owned();
        if let Some((parent, edge)) = &embedded.from {
            self.check_range(*parent, edge, embedded.node, out);
        }
        if self.manifest(embedded.node).is_some_and(|manifest| manifest.bundled) {
            out.push(Diagnostic::error(DiagnosticKind::Bundled { name: name() }));
        }
        let is_hidden = || self.answer(embedded.node).is_some_and(|manifest| manifest.exports.hide_package_json);
        if node.workspace.is_none() && is_hidden() {
            out.push(Diagnostic::error(DiagnosticKind::HiddenPackageJson {
                name: name(),
                version: node.version.to_owned(),
            }));
        }
        if let Native::Yes(marker) = Native::of(node, self.answer(embedded.node)) {
            out.push(Diagnostic::error(DiagnosticKind::Native(NativeProblem::Embedded { name: name(), marker })));
        }
    }

    /// rhdh-cli's own check of what it embeds: `semver.satisfies` of the version and the range as written.
    fn check_range(&self, parent: usize, edge: &Edge<'_>, target: usize, out: &mut Vec<Diagnostic>) {
        let (name, range) = (edge.name.to_owned(), edge.range.to_owned());
        if edge.optional {
            out.push(Diagnostic::error(DiagnosticKind::OptionalEmbedded {
                parent: self.name(parent),
                name: name.clone(),
            }));
        }
        if range.starts_with("patch:") {
            let parent = self.name(parent);
            out.push(Diagnostic::error(DiagnosticKind::PatchedDependency { parent, name, range, embedded: true }));
            return;
        }
        // A lock writes `npm:` before the ranges of registry packages, whose own manifests do not have it.
        let is_written = self.node(parent).workspace.is_some();
        let plain = range.strip_prefix("npm:").unwrap_or(&range);
        if range.starts_with("npm:") && (is_written || plain.get(1..).is_some_and(|rest| rest.contains('@'))) {
            out.push(Diagnostic::error(DiagnosticKind::NpmAlias { parent: self.name(parent), name, range }));
            return;
        }
        // By name a workspace comes first, whatever the lock resolves to.
        let own = self.graph.workspaces().map(|(_, node)| node).find(|node| self.node(*node).name == edge.name);
        let version = self.node(own.unwrap_or(target)).version;
        let is_inside = match plain.strip_prefix("workspace:") {
            Some("*" | "^" | "~") => true,
            Some(range) => satisfies(version, range),
            None => plain.starts_with("backstage:") || satisfies(version, plain),
        };
        if !is_inside {
            let (parent, version) = (self.name(parent), version.to_owned());
            out.push(Diagnostic::error(DiagnosticKind::OutsideRange { parent, name, range, version }));
        }
    }

    /// The dependencies that are not embedded.
    fn check_dependencies(&self, embedded: &Embedded<'_>, out: &mut Vec<Diagnostic>) {
        let parent = || self.name(embedded.node);
        for (edge, class) in self.node(embedded.node).edges.iter().zip(&embedded.classes) {
            let name = edge.name.to_owned();
            match class {
                DependencyClass::Shared if edge.optional => {
                    out.push(Diagnostic::error(DiagnosticKind::OptionalShared { parent: parent(), name }));
                }
                DependencyClass::Private(_) if edge.range.starts_with("patch:") => {
                    let range = edge.range.to_owned();
                    out.push(Diagnostic::warning(DiagnosticKind::PatchedDependency {
                        parent: parent(),
                        name,
                        range,
                        embedded: false,
                    }));
                }
                DependencyClass::Private(target) => {
                    let Some((path, manifest)) = self.node(*target).workspace else { continue };
                    let kind = DiagnosticKind::WorkspaceFromRegistry {
                        name,
                        path: path.to_owned(),
                        version: self.node(*target).version.to_owned(),
                        is_private: manifest.private,
                    };
                    out.push(if manifest.private { Diagnostic::error(kind) } else { Diagnostic::warning(kind) });
                }
                _ => {}
            }
        }
    }

    /// Peers that neither the host has nor the export, by the names in it.
    fn check_peers(&self, node: usize, names: &HashSet<&str>, out: &mut Vec<Diagnostic>) {
        for peer in self.node(node).peers.iter().filter(|peer| !peer.optional && !peer.name.starts_with("@types/")) {
            if !self.host.has(peer.name) && !names.contains(peer.name) {
                let (name, range) = (peer.name.to_owned(), peer.range.to_owned());
                out.push(Diagnostic::warning(DiagnosticKind::MissingPeer { parent: self.name(node), name, range }));
            }
        }
    }

    /// Embedded packages go by name into one `resolutions` entry each.
    fn check_versions(&self, out: &mut Vec<Diagnostic>) {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for embedded in self.embedded.iter().skip(1) {
            let node = self.node(embedded.node);
            versions.entry(node.name).or_default().insert(node.version);
        }
        for (name, versions) in versions.into_iter().filter(|(_, versions)| versions.len() > 1) {
            let versions = versions.into_iter().map(str::to_owned).collect();
            out.push(Diagnostic::warning(DiagnosticKind::SeveralVersions { name: name.to_owned(), versions }));
        }
    }

    /// rhdh-cli's merge of the peer dependencies of everything embedded, and of the plugin's own.
    fn check_conflicts(&self, out: &mut Vec<Diagnostic>) {
        let mut merged: IndexMap<&str, String> = IndexMap::new();
        let mut reported = BTreeSet::new();
        let mut report = |name: &str, one: &str, other: &str, parent: usize| {
            if reported.insert(name.to_owned()) {
                out.push(Diagnostic::error(DiagnosticKind::VersionConflict {
                    name: name.to_owned(),
                    one: one.to_owned(),
                    other: other.to_owned(),
                    parent: self.name(parent),
                    least: least_of_overlapping(one, other),
                }));
            }
        };
        for embedded in self.embedded.iter().skip(1) {
            for (name, range) in self.host_ranges(embedded) {
                match merged.get(name) {
                    None => _ = merged.insert(name, range),
                    Some(known) if allows_least_of(&range, known) => {}
                    Some(known) if allows_least_of(known, &range) => _ = merged.insert(name, range),
                    Some(known) => report(name, known, &range, embedded.node),
                }
            }
        }
        for (name, range) in self.embedded.first().map(|plugin| self.host_ranges(plugin)).unwrap_or_default() {
            if let Some(wanted) = merged.get(name)
                && !allows_least_of(wanted, &range)
            {
                report(name, wanted, &range, self.plugin);
            }
        }
    }

    /// What an embedded package leaves to the host: its peers, and the dependencies that become peers.
    fn host_ranges(&self, embedded: &Embedded<'_>) -> IndexMap<&str, String> {
        let node = self.node(embedded.node);
        let shared = node
            .edges
            .iter()
            .zip(&embedded.classes)
            .filter(|(edge, class)| **class == DependencyClass::Shared && !edge.optional)
            .map(|(edge, _)| edge);
        node.peers.iter().chain(shared).filter_map(|edge| Some((edge.name, self.plain_range(edge)?))).collect()
    }

    /// A range after rhdh-cli has replaced `workspace:` and `backstage:` by versions.
    fn plain_range(&self, edge: &Edge<'_>) -> Option<String> {
        let version = || match edge.target {
            EdgeTarget::Package(target) => Some(self.node(target).version),
            _ => self
                .graph
                .workspaces()
                .map(|(_, node)| self.node(node))
                .find(|node| node.name == edge.name)
                .map(|node| node.version),
        };
        match edge.range.strip_prefix("workspace:").or(edge.range.strip_prefix("backstage:")) {
            Some(prefix @ ("^" | "~")) => Some(format!("{prefix}{}", version()?)),
            Some(_) => Some(version()?.to_owned()),
            None => Some(edge.range.strip_prefix("npm:").unwrap_or(edge.range).to_owned()),
        }
    }

    /// The private closure: natives and platforms.
    fn check_private(&self, out: &mut Vec<Diagnostic>) {
        for (name, native) in self.natives.iter().filter(|(_, native)| native.mandatory) {
            out.push(Diagnostic::warning(DiagnosticKind::Native(NativeProblem::Mandatory {
                name: (*name).to_owned(),
                marker: native.marker.clone(),
                path: native.path.clone(),
            })));
        }
        for request in self.manifest_requests.iter().filter(|request| request.purpose == ManifestPurpose::Native) {
            let (name, version) = (request.name.clone(), request.version.clone());
            out.push(Diagnostic::warning(DiagnosticKind::Native(NativeProblem::Unknown { name, version })));
        }
        let has_platform = |node: &&usize| self.node(**node).entry.is_some_and(|entry| entry.conditions.is_some());
        let names: BTreeSet<String> = self.private.iter().filter(has_platform).map(|node| self.name(*node)).collect();
        if !names.is_empty() {
            out.push(Diagnostic::warning(DiagnosticKind::PlatformPackages { names: names.into_iter().collect() }));
        }
    }
}

/// rhdh-cli's test for compatible ranges: the least version of one is in the other. Texts that are no ranges are
/// compatible if equal, or cannot be judged.
fn allows_least_of(range: &str, least_of: &str) -> bool {
    if range == least_of {
        return true;
    }
    match (NpmRange::parse(range), NpmRange::parse(least_of)) {
        (Some(range), Some(least_of)) => least_of.min_version().is_some_and(|least| range.allows(&least)),
        _ => true,
    }
}

/// The least version of `other`, if some version is in both ranges.
fn least_of_overlapping(one: &str, other: &str) -> Option<String> {
    let (one, other) = (NpmRange::parse(one)?, NpmRange::parse(other)?);
    if !one.intersects(&other) {
        return None;
    }
    other.min_version().map(|least| least.to_string())
}

/// The diagnostic for a linker that leaves no `node_modules`.
///
/// `yarnrc`: the `.yarnrc.yml` files that count for a workspace root, the nearest first, each with its path for
/// messages. Without a `nodeLinker` Berry's is `pnp`; v1 has only `node_modules`.
pub fn check_linker(kind: LockKind, yarnrc: &[(&std::path::Path, &[u8])]) -> Result<Option<Diagnostic>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Yarnrc {
        node_linker: Option<String>,
    }

    if kind == LockKind::V1 {
        return Ok(None);
    }
    let mut linker = "pnp".to_owned();
    for (path, text) in yarnrc {
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let parsed: Option<Yarnrc> = yaml_serde::from_slice(text).map_err(|error| {
            let place = error
                .location()
                .map_or_else(|| Place::file(*path), |location| Place::at(*path, location.line(), location.column()));
            // The parser says the place once more at the end of its message.
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or_default();
            Error::config(place, what, "fix the file in the repository, or pin another commit")
        })?;
        if let Some(found) = parsed.and_then(|yarnrc| yarnrc.node_linker) {
            linker = found;
            break;
        }
    }
    Ok((linker == "pnp").then(|| Diagnostic::error(DiagnosticKind::NotNodeModules { linker })))
}
