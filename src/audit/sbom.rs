//! What is in a release: bills of materials (`CycloneDX` 1.6, SPDX 2.3) and provenance (SLSA v1), from the lock and the
//! closures beside it.
//!
//! Documents are reproducible: their times are those of commits, their identifiers are made of their content.

pub mod cyclonedx;
pub mod provenance;
pub mod purl;
pub mod spdx;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::companions::{Companions, Unusable, closure_path};
use crate::error::{Error, Place, Result};
use crate::lock::{self, Lock, Sha256};
use crate::yarn::lockfile::{YarnEntry, YarnLock};

/// A kind of document.
#[allow(clippy::doc_markdown, reason = "the comments are shown as help")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DocumentFormat {
    /// CycloneDX 1.6, JSON
    #[value(alias = "cdx")]
    Cyclonedx,
    /// SPDX 2.3, JSON
    Spdx,
    /// SLSA v1 provenance in an in-toto statement
    Provenance,
}

impl DocumentFormat {
    /// The media type of its documents: the `artifactType` of an OCI referrer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Cyclonedx => "application/vnd.cyclonedx+json",
            Self::Spdx => "application/spdx+json",
            Self::Provenance => "application/vnd.in-toto+json",
        }
    }

    /// The end of its files' names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Cyclonedx => "cdx.json",
            Self::Spdx => "spdx.json",
            Self::Provenance => "intoto.json",
        }
    }
}

/// A document, for a file or to be attached to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its kind.
    pub format: DocumentFormat,
    /// Its bytes: JSON with a final newline.
    pub bytes: Vec<u8>,
}

/// What is in a release, or in the part of it that was asked for.
#[derive(Clone, Debug)]
pub struct Bill<'a> {
    /// The lock.
    pub lock: &'a Lock,
    /// The identity of the release.
    pub identity: Sha256,
    /// The plugins.
    pub plugins: Vec<PluginBill<'a>>,
    /// What could not be told.
    pub warnings: Vec<String>,
}

/// What is in a plugin.
#[derive(Clone, Debug)]
pub struct PluginBill<'a> {
    /// Its workspace.
    pub workspace: &'a lock::Workspace,
    /// The plugin.
    pub plugin: &'a lock::Plugin,
    /// Its private dependencies; none where they are not known: a frontend's are in its bundles.
    pub packages: Option<Vec<BillPackage>>,
    /// Those it depends on itself.
    pub direct: BTreeSet<usize>,
}

/// A package of a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-512 of its tarball in hex, where the closure says it (yarn v1).
    pub sha512: Option<String>,
    /// Built from the workspace's source and embedded, not taken from a registry.
    pub embedded: bool,
    /// Installed on some platforms only.
    pub optional: bool,
    /// The packages it depends on, by their positions.
    pub depends: BTreeSet<usize>,
}

/// Reads what is in the named workspaces of a lock; all of them when none is named.
pub fn bill<'a>(lock: &'a Lock, companions: &Companions, names: &[String]) -> Result<Bill<'a>> {
    if let Some(unknown) = names.iter().find(|name| !lock.workspace.iter().any(|known| known.name == **name)) {
        let known: Vec<_> = lock.workspace.iter().map(|workspace| workspace.name.as_str()).collect();
        return Err(Error::usage(
            format!("there is no workspace `{}` in the lock", unknown.escape_debug()),
            format!("the workspaces are: {}", known.join(", ")),
        ));
    }
    let mut bill = Bill { lock, identity: lock.identity(), plugins: Vec::new(), warnings: Vec::new() };
    for workspace in lock.workspace.iter().filter(|known| names.is_empty() || names.contains(&known.name)) {
        for plugin in &workspace.plugin {
            let plugin = plugin_bill(workspace, plugin, companions)?;
            if plugin.packages.is_none() && plugin.plugin.role.is_backend() {
                bill.warnings.push(format!(
                    "`{} {}` is not built yet, so its dependencies are not known",
                    workspace.name, plugin.plugin.path
                ));
            }
            bill.plugins.push(plugin);
        }
    }
    Ok(bill)
}

/// Reads what is in one plugin, the `index`th of its workspace.
pub fn bill_of<'a>(
    lock: &'a Lock,
    companions: &Companions,
    workspace: &'a lock::Workspace,
    index: usize,
) -> Result<Bill<'a>> {
    let plugin = plugin_bill(workspace, &workspace.plugin[index], companions)?;
    Ok(Bill { lock, identity: lock.identity(), plugins: vec![plugin], warnings: Vec::new() })
}

impl Bill<'_> {
    /// The same for one of the plugins.
    #[must_use]
    pub fn of_plugin(&self, index: usize) -> Self {
        Self { plugins: self.plugins.get(index).cloned().into_iter().collect(), warnings: Vec::new(), ..*self }
    }

    /// The document of one kind: of the release, or of the plugin when `plugin` is one. `builder` is the URI of whoever
    /// builds, for provenance.
    pub fn document(&self, format: DocumentFormat, plugin: Option<usize>, builder: &str) -> Result<Document> {
        let value = match (format, plugin) {
            (DocumentFormat::Cyclonedx, None) => cyclonedx::release(self),
            (DocumentFormat::Cyclonedx, Some(index)) => cyclonedx::plugin(&self.of_plugin(index)),
            (DocumentFormat::Spdx, None) => spdx::release(self),
            (DocumentFormat::Spdx, Some(index)) => spdx::plugin(&self.of_plugin(index)),
            (DocumentFormat::Provenance, None) => provenance::statement(self, builder)?,
            (DocumentFormat::Provenance, Some(index)) => provenance::statement(&self.of_plugin(index), builder)?,
        };
        Ok(Document { format, bytes: bytes(&value) })
    }

    /// The time of the newest commit, `2025-11-13T02:13:20Z`: the documents are about nothing later.
    pub fn time(&self) -> String {
        let epoch = self.plugins.iter().map(|plugin| plugin.workspace.source.epoch).max().unwrap_or(0);
        time(epoch)
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into_bytes()
}

fn time(epoch: u64) -> String {
    let moment = i64::try_from(epoch).ok().and_then(|epoch| time::OffsetDateTime::from_unix_timestamp(epoch).ok());
    let moment = moment.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    moment.format(&time::format_description::well_known::Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".into())
}

/// A UUID (RFC 9562, version 8) made of what a document says: equal documents have equal identifiers.
fn uuid(content: &Value) -> String {
    let digest = Sha256::of(content.to_string()).hex();
    let variant = ["8", "9", "a", "b"][usize::from(digest.as_bytes()[16] % 4)];
    format!("{}-{}-8{}-{variant}{}-{}", &digest[..8], &digest[8..12], &digest[13..16], &digest[17..20], &digest[20..32])
}

fn plugin_bill<'a>(
    workspace: &'a lock::Workspace,
    plugin: &'a lock::Plugin,
    companions: &Companions,
) -> Result<PluginBill<'a>> {
    let mut bill = PluginBill { workspace, plugin, packages: None, direct: BTreeSet::new() };
    let Some(digest) = plugin.sealed.as_ref().and_then(|sealed| sealed.closure) else { return Ok(bill) };
    let path = closure_path(&workspace.name, &plugin.path);
    let bytes = companions.held(&path, digest)?.map_err(|why| Error::Lock {
        place: Place::file(&path),
        what: match why {
            Unusable::Missing => "is not there; the lock needs it".into(),
            Unusable::Other => "is not the file that the lock names: its digest is another one".into(),
        },
        hint: "restore `factory.lock.d` from version control".into(),
    })?;
    let closure = YarnLock::parse(&bytes, Path::new(&path))?;
    let graph = DependencyGraph::of(&closure);
    bill.direct = graph.direct;
    bill.packages = Some(graph.packages);
    Ok(bill)
}

/// The packages of a closure, one per name and version, with what each depends on.
struct DependencyGraph {
    packages: Vec<BillPackage>,
    direct: BTreeSet<usize>,
}

impl DependencyGraph {
    fn of(closure: &YarnLock<'_>) -> Self {
        let entries: Vec<&YarnEntry<'_>> =
            closure.entries.iter().filter(|entry| entry.workspace_path().is_none()).collect();
        let mut positions: BTreeMap<(String, String), usize> = BTreeMap::new();
        for entry in &entries {
            positions.insert((entry.name().to_owned(), entry.version.to_string()), 0);
        }
        for (position, at) in positions.values_mut().enumerate() {
            *at = position;
        }
        let position = |entry: &YarnEntry<'_>| positions[&(entry.name().to_owned(), entry.version.to_string())];
        let mut packages: Vec<BillPackage> = positions
            .keys()
            .map(|(name, version)| BillPackage {
                name: name.clone(),
                version: version.clone(),
                sha512: None,
                embedded: false,
                optional: true,
                depends: BTreeSet::new(),
            })
            .collect();
        let edges = DependencyEdges::of(&entries);
        for entry in &entries {
            let at = position(entry);
            let package = &mut packages[at];
            package.sha512 = package.sha512.take().or_else(|| entry.integrity.as_deref().and_then(sha512));
            package.embedded |= entry.is_from_folder();
            package.optional &= entry.conditions.is_some();
            package.depends.extend(edges.targets(entry).map(&position).filter(|other| *other != at));
        }
        // Yarn v1 does not say who the root is: what nobody depends on is what the plugin asks for.
        let roots: Vec<&YarnEntry<'_>> =
            closure.entries.iter().filter(|entry| entry.workspace_path().is_some()).collect();
        let direct = if roots.is_empty() {
            let needed: BTreeSet<usize> = packages.iter().flat_map(|package| package.depends.iter().copied()).collect();
            (0..packages.len()).filter(|at| !needed.contains(at)).collect()
        } else {
            roots.into_iter().flat_map(|root| edges.targets(root).map(&position).collect::<Vec<_>>()).collect()
        };
        Self { packages, direct }
    }
}

/// From `name@range` to the entry it is locked to.
struct DependencyEdges<'e, 't> {
    by_descriptor: BTreeMap<(&'e str, &'e str), &'e YarnEntry<'t>>,
    by_name: BTreeMap<&'e str, Vec<&'e YarnEntry<'t>>>,
}

impl<'e, 't> DependencyEdges<'e, 't> {
    fn of(entries: &[&'e YarnEntry<'t>]) -> Self {
        let mut edges = Self { by_descriptor: BTreeMap::new(), by_name: BTreeMap::new() };
        for &entry in entries {
            for descriptor in &entry.descriptors {
                edges.by_descriptor.insert((&descriptor.name, &descriptor.range), entry);
            }
            let names: BTreeSet<&str> = entry.descriptors.iter().map(|descriptor| descriptor.name.as_ref()).collect();
            for name in names {
                edges.by_name.entry(name).or_default().push(entry);
            }
        }
        edges
    }

    /// Where the dependencies of an entry lead. One that `resolutions` sent elsewhere is found by its name, when that
    /// is the only entry with it; peers are met by whoever depends.
    fn targets(&self, entry: &'e YarnEntry<'t>) -> impl Iterator<Item = &'e YarnEntry<'t>> {
        entry.dependencies.iter().filter_map(|dependency| {
            let (name, range) = (dependency.name.as_ref(), dependency.range.as_ref());
            let npm = format!("npm:{range}");
            let exact =
                self.by_descriptor.get(&(name, range)).or_else(|| self.by_descriptor.get(&(name, npm.as_str())));
            exact.copied().or_else(|| match self.by_name.get(name).map(Vec::as_slice) {
                Some([only]) => Some(*only),
                _ => None,
            })
        })
    }
}

/// `sha512-<base64>` among the checksums of an integrity, in hex.
fn sha512(integrity: &str) -> Option<String> {
    let encoded = integrity.split_ascii_whitespace().find_map(|one| one.strip_prefix("sha512-"))?;
    let bytes = BASE64.decode(encoded).ok()?;
    (bytes.len() == 64).then(|| hex::encode(bytes))
}

/// A plugin as the documents call it: `@x/plugin-todo-dynamic`, the package that is exported.
fn exported_name(plugin: &lock::Plugin) -> String {
    format!("{}-dynamic", plugin.name)
}

/// Its archive's name.
fn tgz_name(plugin: &lock::Plugin) -> String {
    format!("{}-{}.tgz", exported_name(plugin).trim_start_matches('@').replace('/', "-"), plugin.version)
}

/// The source as SPDX and in-toto write it: `git+https://host/a/b@<commit>`; none for a local or unpublished one.
fn source_uri(workspace: &lock::Workspace, reference: &str) -> Option<String> {
    let source = &workspace.source;
    let (scheme, rest) = source.repo.split_once("://")?;
    let public = matches!(scheme, "https" | "http" | "ssh" | "git");
    (public && !source.local && !rest.contains(char::is_whitespace)).then(|| format!("git+{}@{reference}", source.repo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_made_of_the_content() {
        let uuid = |text: &str| uuid(&Value::String(text.into()));
        assert_eq!(uuid("a"), uuid("a"));
        assert_ne!(uuid("a"), uuid("b"));
        let id = uuid("a");
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "8");
        assert!("89ab".contains(&id[19..20]), "{id}");
    }

    #[test]
    fn times_are_those_of_commits() {
        assert_eq!(time(1_763_000_000), "2025-11-13T02:13:20Z");
        assert_eq!(time(u64::MAX), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn resolutions_are_followed_by_name() {
        let text = br#"__metadata:
  version: 8

"@x/plugin-dynamic@workspace:.":
  version: 0.0.0-use.local
  resolution: "@x/plugin-dynamic@workspace:."
  dependencies:
    "@x/common": "npm:0.1.0"
    old: "npm:^1.0.0"

"@x/common@file:./embedded/x-common::locator=x":
  version: 0.1.0+embedded
  resolution: "@x/common@file:./embedded/x-common#./embedded/x-common::hash=1&locator=x"

"esbuild-mac@npm:1.0.0":
  version: 1.0.0
  resolution: "esbuild-mac@npm:1.0.0"
  conditions: os=darwin

"old@npm:^1.0.0":
  version: 1.2.3
  resolution: "old@npm:1.2.3"
  dependencies:
    old: "npm:^2.0.0"
    esbuild-mac: "npm:1.0.0"

"old@npm:^2.0.0":
  version: 2.0.0
  resolution: "old@npm:2.0.0"
"#;
        let closure = YarnLock::parse(text, Path::new("yarn.lock")).unwrap();
        let graph = DependencyGraph::of(&closure);
        let names: Vec<_> = graph.packages.iter().map(|p| format!("{}@{}", p.name, p.version)).collect();
        assert_eq!(names, ["@x/common@0.1.0+embedded", "esbuild-mac@1.0.0", "old@1.2.3", "old@2.0.0"]);
        assert_eq!(graph.direct, [0, 2].into());
        assert_eq!(graph.packages[2].depends, [1, 3].into());
        assert!(graph.packages[0].embedded && !graph.packages[2].embedded);
        assert!(graph.packages[1].optional && !graph.packages[2].optional);
    }
}
